"""The inner loops of entropy coding as machine code: range coder and context mixer.

Integers in, the same integers out on every machine. What is coded: `motion_kernels`, `residual_kernels`, `weights`.
A decision's outcome is an argument and the result alike: an encoder is given it, a decoder ignores what it is given.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from licodec.entropy.logistic import SQUASH, STRETCH, STRETCH_MAX
from licodec.jit import compiled

Ints = npt.NDArray[np.int64]
AnyArray = npt.NDArray[Any]

LOW, RANGE, POINT, PLACE, FAULT = range(5)
"""Entries of `Stream.state`: the range coder's registers, the number of words read or written, what is wrong."""
NO_FAULT, IMPOSSIBLE, EXTENT_TOO_LARGE, LEVEL_TOO_LARGE, VECTOR_TOO_LARGE, MODE_TOO_LARGE = (
    np.uint64(i) for i in range(6)
)

SHARE_BITS = 22
"""Of the probabilities that contexts keep."""
WEIGHT_BITS = 16
"""Binary places of the mixing weights."""
_RATE_BITS = 18
"""The step of the weights is the gradient shifted right by this."""
MOST_SEEN = 500
"""Times seen that a context's slow share tells apart: its rate falls until then."""
_FAST_SEEN = 8
"""The same for its fast share."""
_SHIFT = SHARE_BITS - 12
# 1 / (n + 3/2): a share's rate after n times, 16 binary places.
_RATE = np.array([(1 << 17) // (2 * n + 3) for n in range(MOST_SEEN + 1)], np.int64)
# Small enough to stay in the first-level cache.
_SQUASH, _STRETCH = SQUASH.astype(np.uint16), STRETCH.astype(np.int16)

MAX_LEVELS = 8
"""Pyramid levels with contexts of their own; deeper ones share the last."""
ESCAPE_PLACES = 23
"""Unary places of an escape's length."""
HALF = 1 << 15
_24, _32 = np.uint64(24), np.uint64(32)
_ONE_24, _ONE_32 = np.uint64(1 << 24), np.uint64(1 << 32)
_NO_WORD, _ONE = np.uint64(0), np.uint64(1)


class Stream(NamedTuple):
    """A range coder on its way through the words of a stream."""

    state: npt.NDArray[np.uint64]
    """LOW, RANGE, POINT, PLACE, FAULT."""
    words: npt.NDArray[np.uint32]
    """What is read, or room for what is written."""
    decoding: bool


class Mixer(NamedTuple):
    """State of a model: see `mixing.BinaryModel`."""

    shares: npt.NDArray[np.int32]
    """[contexts of all tables, 3]: share of ones with a slow and with a fast rate (22 bits), times seen."""
    weights: Ints
    """[sets of both selectors, 2 tables]; a step is at most 2^9, so no stream is long enough to wrap them."""
    first: Ints
    """[tables] where each table begins in `shares`."""
    inputs: Ints
    """[2 tables] of the decision at hand."""


@compiled
def code_bit(stream: Stream, p1: int, bit: int) -> int:
    """One decision of probability p1 / 2^16: constriction's range coder with 64 bits of state and 32-bit words."""
    state = stream.state
    # 24 bits, so rounded that neither outcome has none.
    zero = np.uint64(((65536 - p1) * 16777214 >> 16) + 1)
    scale = state[RANGE] >> _24
    part = scale * zero
    if stream.decoding:
        bit = 1 if state[POINT] - state[LOW] >= part else 0
        if state[POINT] - state[LOW] >= scale << _24:
            state[FAULT] = IMPOSSIBLE
    if bit:
        low = state[LOW] + part
        if low < state[LOW] and not stream.decoding:
            _carry(stream)
        state[LOW], state[RANGE] = low, scale * (_ONE_24 - zero)
    else:
        state[RANGE] = part
    if state[RANGE] < _ONE_32:
        place = np.int64(state[PLACE])
        if not stream.decoding:
            stream.words[place] = np.uint32(state[LOW] >> _32)
        else:
            word = np.uint64(stream.words[place]) if place < len(stream.words) else _NO_WORD
            state[POINT] = state[POINT] << _32 | word
        state[PLACE] = np.uint64(place + 1)
        state[LOW], state[RANGE] = state[LOW] << _32, state[RANGE] << _32
    return bit


@compiled
def _carry(stream: Stream) -> None:
    """One more in the words written so far, as one number."""
    place = np.int64(stream.state[PLACE]) - 1
    while place >= 0:
        stream.words[place] += np.uint32(1)
        if stream.words[place] != 0:
            return
        place -= 1


@compiled
def flush(stream: Stream) -> None:
    """Write what a decoder needs to know the last decision."""
    state = stream.state
    low, range_ = state[LOW], state[RANGE]
    last = low + (_ONE_32 - _ONE)
    if last < low:
        _carry(stream)
    place = np.int64(state[PLACE])
    stream.words[place] = np.uint32(last >> _32)
    if (low + range_) >> _32 == last >> _32:
        place += 1
        stream.words[place] = np.uint32(0)
    state[PLACE] = np.uint64(place + 1)


@compiled
def decide(stream: Stream, mixer: Mixer, contexts: Any, one: int, other: int, bit: int) -> int:
    """One decision; `contexts` has one entry for each table, `one` and `other` are rows of the weights."""
    shares, weights, inputs = mixer.shares, mixer.weights, mixer.inputs
    mixed = 0
    for t in range(len(contexts)):
        row = mixer.first[t] + contexts[t]
        slow, fast = _STRETCH[shares[row, 0] >> _SHIFT], _STRETCH[shares[row, 1] >> _SHIFT]
        mixed += slow * (weights[one, 2 * t] + weights[other, 2 * t])
        mixed += fast * (weights[one, 2 * t + 1] + weights[other, 2 * t + 1])
        inputs[2 * t], inputs[2 * t + 1] = slow, fast
    p1 = int(_SQUASH[min(max(mixed >> WEIGHT_BITS, -STRETCH_MAX), STRETCH_MAX) + STRETCH_MAX])
    bit = code_bit(stream, p1, bit)

    # Both sets of weights a step down the gradient of the coding cost, every share towards the outcome.
    error = (bit << 16) - p1
    for k in range(2 * len(contexts)):
        step = inputs[k] * error + (1 << (_RATE_BITS - 1)) >> _RATE_BITS
        weights[one, k] += step
        weights[other, k] += step
    goal = ((1 << SHARE_BITS) - 1) * bit
    for t in range(len(contexts)):
        row = mixer.first[t] + contexts[t]
        seen = shares[row, 2]
        shares[row, 0] += (goal - shares[row, 0]) * _RATE[seen] >> 16
        shares[row, 1] += (goal - shares[row, 1]) * _RATE[min(seen, _FAST_SEEN)] >> 16
        shares[row, 2] = min(seen + 1, MOST_SEEN)
    return bit


@compiled
def code_escape(stream: Stream, mixer: Mixer, value: int) -> int:
    """Exp-Golomb of order 0: the number of bits of value + 1 in unary, less one, then those bits but the first."""
    length = 0
    while length < ESCAPE_PLACES and decide(stream, mixer, (length,), 0, 1, int(value + 1 >> length + 1 > 0)):
        length += 1
    found = 1
    for k in range(length - 1, -1, -1):
        found = 2 * found + code_bit(stream, HALF, value + 1 >> k & 1)
    return found - 1


def log_bins(limit: int, bins: int) -> Ints:
    """0, 1, 2, 3, 4-5, 6-8, ...: a table from 0..limit to about logarithmic bins."""
    edges, edge = [0, 1, 2], 2.0
    while len(edges) < bins:
        edge = max(edge * 1.45, edges[-1] + 1)
        edges.append(int(edge))
    return np.minimum(np.searchsorted(edges, np.arange(limit + 1), side="right") - 1, bins - 1)


BINS = 12
BIN = log_bins(512, BINS)


@compiled
def bin_of(value: int) -> int:
    return int(BIN[min(value, len(BIN) - 1)])
