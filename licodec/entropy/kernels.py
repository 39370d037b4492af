"""The inner loops of entropy coding as machine code: range coder, context mixer, syntax of the residual.

Integers in, the same integers out on every machine. What calls each other is in this one file (see `licodec.jit`).
A decision's outcome is an argument and the result alike: an encoder is given it, a decoder ignores what it is given.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from licodec.entropy.logistic import SQUASH, STRETCH, STRETCH_MAX
from licodec.jit import compiled
from licodec.model.intra import MODES

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
def code_pass(stream: Stream, mixer: Mixer, contexts: Ints, one: Ints, other: int, bits: npt.NDArray[np.int32]) -> None:
    """Decisions one after the other, in place; contexts: [decisions, tables], one: [decisions]."""
    for i in range(len(one)):
        bits[i] = decide(stream, mixer, contexts[i], one[i], other, bits[i])


@compiled
def code_known(stream: Stream, p1: Ints, bits: npt.NDArray[np.int32]) -> None:
    """Decisions of given probabilities, in place."""
    for i in range(len(p1)):
        bits[i] = code_bit(stream, p1[i], bits[i])


@compiled
def _code_escape(stream: Stream, mixer: Mixer, value: int) -> int:
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
def _bin(value: int) -> int:
    return int(BIN[min(value, len(BIN) - 1)])


MOTION_DEPTHS = 4
MOTION_CAP = 12
"""Unary places of a component's magnitude; more has an escape."""
MOTION_BINS = 10
MOTION_LIMIT = 8190


class MotionMixers(NamedTuple):
    """Models of the corrections of motion fields."""

    nonzero: Mixer
    split: Mixer
    size: Mixer
    escape: Mixer
    sign: Mixer


class MotionField(NamedTuple):
    """A field to one reference; the first two are what is coded, or filled in."""

    corrections: tuple[npt.NDArray[np.int16], ...]
    """For each depth, finest first: [rows, columns, (x, y)]."""
    splits: tuple[npt.NDArray[np.uint8], ...]
    """For each depth: [rows, columns] whether nodes under this one are coded (none of the finest depth)."""
    vectors: npt.NDArray[np.int32]
    """[rows, columns, 2] of the finest depth: what is corrected; then with the corrections so far of each cell."""
    level: int
    """Of the pyramid, at most MAX_LEVELS - 1."""
    second: int
    """Which reference."""
    twin: npt.NDArray[np.int32]
    """[rows, columns, 2] of the finest depth: what is corrected, and for the second field twice what the first one's
    corrections come to: if what is seen here lies elsewhere than was expected, both fields miss it by as much, and the
    second one's base has followed the first one's the other way."""


@compiled
def code_motion(stream: Stream, mixers: MotionMixers, field: MotionField) -> None:
    """Quadtrees row by row, each depth first."""
    top = MOTION_DEPTHS - 1
    rows, columns, _ = field.corrections[top].shape
    for row in range(rows):
        for column in range(columns):
            # z counts finest cells in the order of the quadtree.
            z, depth = 0, top
            while z < 1 << 2 * top:
                y, x = row << top, column << top
                for i in range(top):
                    x += (z >> 2 * i & 1) << i
                    y += (z >> 2 * i + 1 & 1) << i
                r, c = y >> depth, x >> depth
                inside = r < field.splits[depth].shape[0] and c < field.splits[depth].shape[1]
                if inside and _code_node(stream, mixers, field, depth, r, c):
                    depth -= 1
                    continue
                z += 1 << 2 * depth
                while depth < top and z & (1 << 2 * depth + 2) - 1 == 0:
                    depth += 1


@compiled
def _code_node(stream: Stream, mixers: MotionMixers, field: MotionField, depth: int, r: int, c: int) -> int:
    """The correction of a node, and whether finer ones follow."""
    correction, vectors = field.corrections[depth], field.vectors
    kind, n = 2 * depth + field.second, 1 << depth
    rows, columns, _ = vectors.shape
    y, x = r * n, c * n
    last_y, last_x = min(y + n, rows), min(x + n, columns)
    middle = y + last_y >> 1, x + last_x >> 1
    # What the cells to the left and above have more than this node's beside them so far: often its correction.
    west_x, west_y = _apart(vectors, middle[0], x, 0, 1)
    north_x, north_y = _apart(vectors, y, middle[1], 1, 0)
    vector_x, vector_y = int(correction[r, c, 0]), int(correction[r, c, 1])
    left, up = _motion_bin(abs(west_x) + abs(west_y)), _motion_bin(abs(north_x) + abs(north_y))
    edges = int(x > 0) + 2 * int(y > 0)
    agree = int(west_x == north_x and west_y == north_y)
    expected, own = field.twin[middle], vectors[middle]
    twin_x, twin_y = int(expected[0] - own[0]), int(expected[1] - own[1])
    twin = _motion_bin(abs(twin_x) + abs(twin_y))
    near = 0
    if c > 0:
        near += abs(int(correction[r, c - 1, 0])) + abs(int(correction[r, c - 1, 1]))
    if r > 0:
        near += abs(int(correction[r - 1, c, 0])) + abs(int(correction[r - 1, c, 1]))
    contexts = (
        (kind * MOTION_BINS + left) * MOTION_BINS + up,
        (kind * MOTION_BINS + _motion_bin(near)) * 4 + edges,
        kind * MAX_LEVELS + field.level,
        (kind * MOTION_BINS + min(left, up)) * 2 + agree,
        (kind * MOTION_BINS + twin) * MOTION_BINS + min(left, up),
    )
    if decide(stream, mixers.nonzero, contexts, kind, 8, int(vector_x != 0 or vector_y != 0)):
        vector_x = _code_component(stream, mixers, field, 2 * kind, vector_x, west_x, north_x, twin_x, 0, 0)
        floor = int(vector_x == 0)
        axis = 2 * kind + 1
        vector_y = _code_component(stream, mixers, field, axis, vector_y, west_y, north_y, twin_y, vector_x, floor)
        correction[r, c, 0], correction[r, c, 1] = vector_x, vector_y
        for i in range(y, last_y):
            for j in range(x, last_x):
                vectors[i, j, 0] += vector_x
                vectors[i, j, 1] += vector_y
    if not depth:
        return 0
    splits = field.splits[depth]
    west_x, west_y = _apart(vectors, middle[0], x, 0, 1)
    north_x, north_y = _apart(vectors, y, middle[1], 1, 0)
    left, up = _motion_bin(abs(west_x) + abs(west_y)), _motion_bin(abs(north_x) + abs(north_y))
    friends = int(splits[r, c - 1] if c > 0 else 0) + int(splits[r - 1, c] if r > 0 else 0)
    size = _motion_bin(abs(vector_x) + abs(vector_y))
    flags = (
        (kind * 3 + friends) * 4 + edges,
        kind * MOTION_BINS + size,
        (kind * MAX_LEVELS + field.level) * 3 + friends,
        (kind * MOTION_BINS + left) * MOTION_BINS + up,
    )
    splits[r, c] = decide(stream, mixers.split, flags, kind, 8, int(splits[r, c]))
    return int(splits[r, c])


@compiled
def _motion_bin(value: int) -> int:
    return min(int(BIN[min(value, len(BIN) - 1)]), MOTION_BINS - 1)


@compiled
def _apart(vectors: npt.NDArray[np.int32], y: int, x: int, up: int, left: int) -> tuple[int, int]:
    """What the cell that is so far up and to the left has more than (y, x); nothing outside the grid."""
    if y < up or x < left:
        return 0, 0
    other, own = vectors[y - up, x - left], vectors[y, x]
    return int(other[0] - own[0]), int(other[1] - own[1])


@compiled
def _code_component(
    stream: Stream,
    mixers: MotionMixers,
    field: MotionField,
    kind: int,
    value: int,
    west: int,
    north: int,
    twin: int,
    other: int,
    floor: int,
) -> int:
    """One component; `west`, `north`, `twin`: what these would make it; at least `floor` in magnitude."""
    magnitude = floor
    while magnitude < MOTION_CAP + floor:
        to_west, to_north, to_twin = _toward(west, magnitude), _toward(north, magnitude), _toward(twin, magnitude)
        place = magnitude - floor
        contexts = (
            (kind * 8 + to_west) * 8 + to_north,
            (kind * MOTION_BINS + min(abs(other), MOTION_BINS - 1)) * MOTION_CAP + place,
            (kind * MAX_LEVELS + field.level) * MOTION_CAP + place,
            (kind * MOTION_BINS + _motion_bin(min(abs(west), abs(north)))) * MOTION_CAP + place,
            ((kind * 8 + to_twin) * MOTION_BINS + _motion_bin(abs(twin))) * 8 + min(to_west, to_north),
        )
        if not decide(stream, mixers.size, contexts, place, MOTION_CAP + kind, int(abs(value) > magnitude)):
            break
        magnitude += 1
    if magnitude == MOTION_CAP + floor:
        magnitude += _code_escape(stream, mixers.escape, abs(value) - magnitude)
    if magnitude > MOTION_LIMIT:
        stream.state[FAULT] = VECTOR_TOO_LARGE
        magnitude = MOTION_LIMIT
    if magnitude == 0:
        return 0
    signs = 3 * (int(west > 0) - int(west < 0) + 1) + int(north > 0) - int(north < 0) + 1
    same = 2 * int(abs(west) == magnitude) + int(abs(north) == magnitude)
    third = 3 * int(abs(twin) == magnitude) + int(twin > 0) - int(twin < 0) + 1
    places = ((kind * 9 + signs) * 4 + same, signs * 4 + same, (kind * 9 + signs) * 6 + third)
    negative = decide(stream, mixers.sign, places, 0, 1, int(value < 0))
    return -magnitude if negative else magnitude


@compiled
def _toward(neighbour: int, magnitude: int) -> int:
    return min(max(abs(neighbour) - magnitude, -3), 4) + 3


class BlendMixers(NamedTuple):
    """Models of the blend map."""

    single: Mixer
    which: Mixer


@compiled
def _around(cells: npt.NDArray[np.uint8], r: int, c: int) -> tuple[int, int, int, int]:
    """What is to the left of a cell, above, above to the left, and above to the right; 0 outside the grid."""
    return (
        int(cells[r, c - 1]) if c > 0 else 0,
        int(cells[r - 1, c]) if r > 0 else 0,
        int(cells[r - 1, c - 1]) if r > 0 and c > 0 else 0,
        int(cells[r - 1, c + 1]) if r > 0 and c + 1 < cells.shape[1] else 0,
    )


class StartMixers(NamedTuple):
    """Models of what the vectors of a tree start from."""

    still: Mixer


@compiled
def code_starts(
    stream: Stream, mixers: StartMixers, starts: npt.NDArray[np.uint8], first: npt.NDArray[np.uint8], kind: int
) -> None:
    """[rows, columns] in place: 0 the base field, 1 nothing.

    first: those of a second field's first one, or nothing; kind: 2 level + 1 for a second field.
    """
    rows, columns = starts.shape
    for r in range(rows):
        for c in range(columns):
            left, up, corner, right = _around(starts, r, c)
            around = ((left * 2 + up) * 2 + corner) * 2 + right
            twin = 1 + int(first[r, c]) if first.size else 0
            contexts = (twin * 16 + around, kind * 4 + left * 2 + up)
            starts[r, c] = decide(stream, mixers.still, contexts, twin, 3, int(starts[r, c]))


@compiled
def code_blend(stream: Stream, mixers: BlendMixers, modes: npt.NDArray[np.uint8], level: int) -> None:
    """[rows, columns] in place: 0: both references alike, 1: the first, 2: the second."""
    rows, columns = modes.shape
    for r in range(rows):
        for c in range(columns):
            left, up, corner, right = _around(modes, r, c)
            far = (int(modes[r, c - 2]) if c > 1 else 0) * 3 + (int(modes[r - 2, c]) if r > 1 else 0)
            around = ((left * 3 + up) * 3 + corner) * 3 + right
            some = int(left > 0) + int(up > 0) + int(corner > 0) + int(right > 0)
            contexts = (around, (level * 3 + left) * 3 + up, far * 5 + some)
            mode = int(modes[r, c])
            if not decide(stream, mixers.single, contexts, some, 5 + level, int(mode > 0)):
                modes[r, c] = 0
                continue
            modes[r, c] = 1 + decide(stream, mixers.which, (around, (level * 3 + left) * 3 + up), 0, 1, int(mode == 2))


CELL = 8
LEAST = 4
"""Samples a side of the smallest block, of size index 0: four of them are in a cell."""
CLASSES = 12
"""Of extents (numbers of coded anti-diagonals): 0, 1, 2, 3, 4, 5-6, 7-8, 9-12, 13-16, 17-24, 25-32, 33-63."""
CLASS_START = np.array([0, 1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33])
CLASS_EXTRA = np.array([0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 5])
CLASS_OF = np.searchsorted(CLASS_START, np.arange(65), side="right") - 1
MAGNITUDE_CAP = 14
"""Unary places of a magnitude less one; more has an escape."""
LEVEL_LIMIT = 16383
COSINE_BITS = 12
"""Binary places of COSINES and EDGE."""
_SEAM_BITS = 8
"""Binary places of samples at seams, in half steps."""
_SIDES = np.array([4, 8, 16, 32])
_ORDER, _AT = np.mgrid[:32, :32]
_NORM = np.sqrt(np.where(_ORDER == 0, 1, 2)[None] / _SIDES[:, None, None])
_ANGLE = np.pi * _ORDER * (2 * _AT + 1) / (2 * _SIDES[:, None, None])
COSINES = np.round((1 << COSINE_BITS) * _NORM * np.cos(_ANGLE)).astype(np.int64)
"""[size index, order, sample] orthonormal cosines; what lies beyond a block's side is not used."""
EDGE = np.round((1 << COSINE_BITS) * _NORM[:, :, 0]).astype(np.int64)
"""[size index, order] their value at the block's first edge; at its last one odd orders have the other sign."""
SEAM_SCALE = np.array([6, 8, 11, 16])
"""[size index] 4 / EDGE, about: a gap in quarters of a half step of the coefficients that could close it."""
NEXT_STATES = 32040
"""For each state 0..3 and parity of a magnitude, two bits: the next state (H.266, 7.3.11.11)."""


MODE_BITS = 5
"""Of a mode above 0, less one."""


class ResidualMixers(NamedTuple):
    """Models of the residual of one plane group."""

    split: Mixer
    intra: Mixer
    mode: Mixer
    coded: Mixer
    extent: Mixer
    extra: Mixer
    nonzero: Mixer
    above: Mixer
    escape: Mixer
    sign: Mixer


class ResidualPicture(NamedTuple):
    """One picture in one plane group; the first four are what is coded, or filled in."""

    sizes: npt.NDArray[np.uint8]
    """[rows / 8, columns / 8] size index of the block over each cell."""
    modes: npt.NDArray[np.uint8]
    """[rows / 4, columns / 4] how the block over each quarter of a cell is predicted."""
    levels: npt.NDArray[np.int16]
    """[planes, rows, columns]"""
    activity: npt.NDArray[np.uint8]
    """[planes, 1 + rows / 4, 1 + columns / 4] class of extent over each quarter of a cell, behind a margin of zeros."""
    past: Ints
    """[rows / 8, columns / 8] activity of both references together."""
    guide: Ints
    """[rows / 8, columns / 8] activity of the luma under chroma, else zeros."""
    lead: npt.NDArray[np.uint8]
    """[rows / 4, columns / 4] modes of the luma under chroma, else zeros."""
    level: int
    """Of the pyramid, at most MAX_LEVELS - 1."""
    below: Ints
    """[planes, columns] the residual at the lower edges of the blocks coded last; zeros at first."""
    beside: Ints
    """[planes, rows] the same at their right edges."""
    gap: Ints
    """[2, 32] of the block at hand, by order: transforms of how its upper and its left edge are to go on from what lies
    beyond, less what its coefficients so far make of them."""


@compiled
def code_residual(stream: Stream, mixers: ResidualMixers, picture: ResidualPicture) -> None:
    """Quadtrees of 32 samples, row by row; each leaf with the coefficients of all its planes."""
    rows, columns = picture.sizes.shape
    for row in range(0, rows, 4):
        for column in range(0, columns, 4):
            # z counts cells in the order of the quadtree.
            z, depth = 0, 0
            while z < 16:
                y, x = row + (z >> 1 & 1) + (z >> 2 & 2), column + (z & 1) + (z >> 1 & 2)
                if not _code_split(stream, mixers, picture, depth, y, x):
                    _code_block(stream, mixers, picture, 3 - depth, CELL * y, CELL * x)
                elif depth < 2:
                    depth += 1
                    continue
                else:
                    for least in range(4):
                        v, u = CELL * y + LEAST * (least >> 1), CELL * x + LEAST * (least & 1)
                        _code_block(stream, mixers, picture, 2 - depth, v, u)
                z += 16 >> 2 * depth
                while depth > 0 and z & (64 >> 2 * depth) - 1 == 0:
                    depth -= 1


@compiled
def _mean(values: AnyArray, y: int, x: int, f: int) -> int:
    """Mean times 4 of f x f cells."""
    total = 0
    for j in range(f):
        for i in range(f):
            total += int(values[y + j, x + i])
    return total * 4 // (f * f)


@compiled
def _left_and_up(activity: AnyArray, y: int, x: int, f: int) -> tuple[int, int]:
    """Means times 4 of the f quarters of cells left of f x f and of those above; `activity` has a margin of one."""
    left, up = 0, 0
    for i in range(f):
        left += int(activity[y + 1 + i, x])
        up += int(activity[y, x + 1 + i])
    return left * 4 // f, up * 4 // f


@compiled
def _code_split(stream: Stream, mixers: ResidualMixers, picture: ResidualPicture, depth: int, y: int, x: int) -> int:
    """Whether a block of 32 (depth 0), 16 or 8 samples is four smaller ones."""
    sizes, size, f = picture.sizes, 3 - depth, 4 >> depth
    # No neighbour, one no smaller, a smaller one.
    left = 0 if x == 0 else (2 if sizes[y, x - 1] < size else 1)
    up = 0 if y == 0 else (2 if sizes[y - 1, x] < size else 1)
    smaller = (left >> 1) + (up >> 1)
    before, under = _bin(_mean(picture.past, y, x, f)), _bin(_mean(picture.guide, y, x, f))
    west, north = _left_and_up(picture.activity[0], 2 * y, 2 * x, 2 * f)
    contexts = (
        (depth * MAX_LEVELS + picture.level) * 9 + left * 3 + up,
        (depth * BINS + before) * 3 + smaller,
        (depth * BINS + under) * BINS + before,
        (depth * BINS + _bin(west + north)) * BINS + before,
    )
    other = 9 + depth * MAX_LEVELS + picture.level
    return decide(stream, mixers.split, contexts, depth * 3 + smaller, other, int(sizes[y, x] < size))


@compiled
def _code_block(stream: Stream, mixers: ResidualMixers, picture: ResidualPicture, s: int, y: int, x: int) -> None:
    """A block of size index `s` whose first sample is (y, x), in all planes."""
    n, level, planes = LEAST << s, picture.level, len(picture.levels)
    f, row, column = max(n // CELL, 1), y // CELL, x // CELL
    picture.sizes[row : row + f, column : column + f] = s
    past, guide = _mean(picture.past, row, column, f), _mean(picture.guide, row, column, f)
    # In quarters of cells.
    f, row, column = n // LEAST, y // LEAST, x // LEAST
    before = _bin(past)
    mode = _code_mode(stream, mixers, picture, s, row, column, before)
    picture.modes[row : row + f, column : column + f] = mode
    for plane in range(planes):
        kind, kinds = (s + 4 * int(mode > 0)) * planes + plane, 8 * planes
        activity = picture.activity[plane]
        west, north = _left_and_up(activity, row, column, f)
        near = _bin(west + north)
        # The second chroma plane has the same block of the first beside it.
        under = _bin(8 * int(picture.activity[0, row + 1, column + 1]) if plane else guide)
        extent = 0
        if not stream.decoding:
            extent = _extent(picture.levels[plane], y, x, n)
        if mode:
            # What is predicted from the samples around goes on from them already.
            picture.gap[:] = 0
        else:
            _open_gaps(picture, plane, s, y, x)
        upper, leftmost, wide = _width_of_gaps(picture.gap, s)
        gaps = (kind * BINS + upper) * BINS + leftmost
        contexts = (
            (kind * MAX_LEVELS + level) * 4 + 2 * int(west > 0) + int(north > 0),
            (kind * BINS + near) * BINS + before,
            (kind * BINS + under) * BINS + near,
            (kind * BINS + _bin(west)) * BINS + _bin(north),
            (kind * BINS + under) * BINS + before,
            gaps,
        )
        if not decide(stream, mixers.coded, contexts, kind, kinds + near, int(extent > 0)):
            picture.below[plane, x : x + n] = 0
            picture.beside[plane, y : y + n] = 0
            continue
        extent = _code_extent(stream, mixers, kind, level, near, before, under, gaps, wide, extent)
        if extent > 2 * n - 1:
            stream.state[FAULT] = EXTENT_TOO_LARGE
            extent = 2 * n - 1
        activity[row + 1 : row + 1 + f, column + 1 : column + 1 + f] = CLASS_OF[extent]
        energy = _bin(west + north + past)
        _code_coefficients(stream, mixers, picture, plane, kind, s, y, x, extent, energy)
        if mode:
            picture.below[plane, x : x + n] = 0
            picture.beside[plane, y : y + n] = 0
        else:
            _keep_edges(picture, plane, s, y, x, extent)


@compiled
def _code_mode(
    stream: Stream, mixers: ResidualMixers, picture: ResidualPicture, s: int, row: int, column: int, before: int
) -> int:
    """How a block is predicted; places in quarters of cells."""
    modes, level, f = picture.modes, picture.level, 1 << s
    left = int(modes[row, column - 1]) if column else 0
    up = int(modes[row - 1, column]) if row else 0
    lead = int(picture.lead[row + f // 2, column + f // 2])
    west, north = _left_and_up(picture.activity[0], row, column, f)
    near, around, led = _bin(west + north), 2 * int(left > 0) + int(up > 0), int(lead > 0)
    mode = int(modes[row, column])
    flags = (
        (s * MAX_LEVELS + level) * 4 + around,
        (led * BINS + before) * BINS + near,
        (s * 2 + led) * 4 + around,
        (level * BINS + near) * 4 + around,
    )
    if not decide(stream, mixers.intra, flags, 2 * s + led, 8 + level, int(mode > 0)):
        return 0
    node = 1
    for bit in range(MODE_BITS - 1, -1, -1):
        contexts = (
            (left * MODES + up) * 32 + node,
            (lead * 4 + s) * 32 + node,
            left * 32 + node,
            up * 32 + node,
            (int(level > 0) * 4 + s) * 32 + node,
        )
        node = 2 * node + decide(stream, mixers.mode, contexts, bit, MODE_BITS + 2 * s + led, mode - 1 >> bit & 1)
    mode = node - (1 << MODE_BITS) + 1
    if mode >= MODES:
        stream.state[FAULT] = MODE_TOO_LARGE
        mode = 1
    return mode


@compiled
def _extent(levels: npt.NDArray[np.int16], y: int, x: int, n: int) -> int:
    """Anti-diagonals of a block up to the last one that is not all zeros."""
    extent = 0
    for v in range(n):
        for u in range(n):
            if levels[y + v, x + u] != 0:
                extent = max(extent, v + u + 1)
    return extent


@compiled
def _code_extent(
    stream: Stream,
    mixers: ResidualMixers,
    kind: int,
    level: int,
    near: int,
    before: int,
    under: int,
    gaps: int,
    wide: int,
    extent: int,
) -> int:
    """An extent above 0: its class in unary, then its place in the class."""
    places, wanted, found = CLASSES - 2, CLASS_OF[extent], 1
    while found < CLASSES - 1:
        contexts = (
            (kind * MAX_LEVELS + level) * places + found - 1,
            (kind * BINS + near) * places + found - 1,
            (kind * BINS + under) * places + found - 1,
            ((kind * BINS + before) * BINS + near) * places + found - 1,
            gaps * places + found - 1,
            (kind * 32 + wide) * places + found - 1,
        )
        if not decide(stream, mixers.extent, contexts, found - 1, places + kind, int(wanted > found)):
            break
        found += 1
    rest = 0
    for bit in range(CLASS_EXTRA[found] - 1, -1, -1):
        digit = extent - CLASS_START[found] >> bit & 1
        rest |= decide(stream, mixers.extra, (found * 8 + bit,), 0, 1, digit) << bit
    return int(CLASS_START[found]) + rest


@compiled
def _open_gaps(picture: ResidualPicture, plane: int, s: int, y: int, x: int) -> None:
    """What lies beyond the upper and the left edge, transformed."""
    _transform(picture.below[plane, x : x + (LEAST << s)], s, picture.gap[0])
    _transform(picture.beside[plane, y : y + (LEAST << s)], s, picture.gap[1])


@compiled
def _transform(samples: Ints, s: int, out: Ints) -> None:
    out[:] = 0
    for i in range(LEAST << s):
        if samples[i] != 0:
            for k in range(LEAST << s):
                out[k] += COSINES[s, k, i] * samples[i]
    for k in range(LEAST << s):
        out[k] >>= COSINE_BITS


@compiled
def _width_of_gaps(gap: Ints, s: int) -> tuple[int, int, int]:
    """Bins of the sums of both gaps, and the highest order in which one is wide."""
    upper, left, wide = 0, 0, 0
    for k in range(LEAST << s):
        upper += abs(gap[0, k])
        left += abs(gap[1, k])
        if max(abs(gap[0, k]), abs(gap[1, k])) * SEAM_SCALE[s] >> _SEAM_BITS > 5:
            wide = k
    return _bin(upper * SEAM_SCALE[s] >> _SEAM_BITS + 1), _bin(left * SEAM_SCALE[s] >> _SEAM_BITS + 1), wide


@compiled
def _keep_edges(picture: ResidualPicture, plane: int, s: int, y: int, x: int, extent: int) -> None:
    """The residual of a block at its lower and its right edge."""
    n, levels, gap = LEAST << s, picture.levels[plane], picture.gap
    # The gaps are done with; their room holds the transforms of the edges.
    gap[:] = 0
    for v in range(min(n, extent)):
        for u in range(min(n, extent - v)):
            level = int(levels[y + v, x + u])
            if level != 0:
                gap[0, u] += -level * EDGE[s, v] if v & 1 else level * EDGE[s, v]
                gap[1, v] += -level * EDGE[s, u] if u & 1 else level * EDGE[s, u]
    down = 2 * COSINE_BITS - _SEAM_BITS
    for i in range(n):
        below, beside = 0, 0
        for k in range(min(n, extent)):
            below += COSINES[s, k, i] * gap[0, k]
            beside += COSINES[s, k, i] * gap[1, k]
        picture.below[plane, x + i], picture.beside[plane, y + i] = below >> down, beside >> down


@compiled
def next_state(state: int, magnitude: int) -> int:
    """States 0 and 1 have the even levels, 2 and 3 the odd ones and 0."""
    return NEXT_STATES >> (state << 2) + ((magnitude & 1) << 1) & 3


@compiled
def _magnitude(level: int) -> int:
    """What is coded of a level, whichever of the two quantisers it is of."""
    return abs(int(level)) + 1 >> 1


@compiled
def _code_coefficients(
    stream: Stream,
    mixers: ResidualMixers,
    picture: ResidualPicture,
    plane: int,
    kind: int,
    s: int,
    y: int,
    x: int,
    extent: int,
    energy: int,
) -> None:
    """Diagonal by diagonal, each from its upper right end down."""
    n, levels = LEAST << s, picture.levels[plane]
    reach, sum_before, state, gap = _bin(extent), 0, 0, picture.gap
    for d in range(extent):
        togo, total = min(extent - d - 1, BINS - 1), 0
        band = min(d, BINS - 1)
        for v in range(max(0, d - n + 1), min(d, n - 1) + 1):
            u = d - v
            row, column = y + v, x + u
            # Neighbours outside the block belong to another one.
            close = _magnitude(levels[row, column - 1]) if u > 0 else 0
            close += _magnitude(levels[row - 1, column]) if v > 0 else 0
            far = _magnitude(levels[row - 1, column - 1]) if u > 0 and v > 0 else 0
            far += _magnitude(levels[row, column - 2]) if u > 1 else 0
            far += _magnitude(levels[row - 2, column]) if v > 1 else 0
            near = _bin(2 * close + far)
            axis = 0 if u == 0 else (1 if v == 0 else (2 if u > v else 3))
            if plane:
                one = _magnitude(picture.levels[0, row, column])
                two = _magnitude(picture.levels[0, y + min(v + 1, n - 1), column])
            else:
                one = _magnitude(levels[row, column - n]) if x else 0
                two = _magnitude(levels[row - n, column]) if y else 0
            twins = (plane * 16 + min(one, 3) * 4 + min(two, 3)) * BINS + near
            place = (plane * 1024 + v * 32 + u) * 4 + s
            # On the last diagonal: how many are left, as one of them is not zero.
            ahead = BINS + min(min(d, n - 1) - v, BINS - 1) if togo == 0 else _bin(sum_before)
            along = (kind * BINS + _bin(total)) * 2 * BINS + ahead
            bandwise = (kind * BINS + band) * BINS + togo
            upper, left = gap[0, u] * SEAM_SCALE[s] >> _SEAM_BITS, gap[1, v] * SEAM_SCALE[s] >> _SEAM_BITS
            seams = (kind * BINS + _bin(abs(upper))) * BINS + _bin(abs(left))
            seams = 2 * seams + int((upper > 0) == (left > 0))
            pull = kind * BINS + _bin(abs(upper + left))
            value = int(levels[row, column])
            wanted, odd, third = _magnitude(value), state >> 1, max(state - 1, 0)
            contexts = (
                ((kind * 64 + d) * BINS + near) * 3 + third,
                (((kind * BINS + togo) * BINS + near) * 4 + axis) * 3 + third,
                place,
                (kind * BINS + energy) * BINS + reach,
                twins * 3 + third,
                along * 3 + third,
                bandwise,
                (seams * 4 + axis) * 3 + third,
                (pull * BINS + near) * 3 + third,
            )
            other = 12 * BINS + kind * 64 + d
            if not decide(stream, mixers.nonzero, contexts, (near * 4 + s) * 3 + third, other, int(wanted != 0)):
                state = next_state(state, 0)
                continue
            wide = (kind * BINS + _bin(sum_before)) * BINS + togo
            magnitude = 1
            while magnitude <= MAGNITUDE_CAP:
                k = magnitude - 1
                parts = (
                    ((kind * BINS + near) * 2 + odd) * MAGNITUDE_CAP + k,
                    wide * MAGNITUDE_CAP + k,
                    (twins * 2 + odd) * MAGNITUDE_CAP + k,
                    place * MAGNITUDE_CAP + k,
                    along * MAGNITUDE_CAP + k,
                    bandwise * MAGNITUDE_CAP + k,
                    seams * MAGNITUDE_CAP + k,
                )
                other = 2 * MAGNITUDE_CAP + kind * BINS + near
                if not decide(stream, mixers.above, parts, 2 * k + odd, other, int(wanted > magnitude)):
                    break
                magnitude += 1
            if magnitude > MAGNITUDE_CAP:
                magnitude += _code_escape(stream, mixers.escape, wanted - magnitude)
            if magnitude > LEVEL_LIMIT:
                stream.state[FAULT] = LEVEL_TOO_LARGE
                magnitude = LEVEL_LIMIT
            # Whether the sign is not the one that closes the gaps.
            against, size = int(upper + left < 0), min(magnitude, 3) - 1
            twin = int(picture.levels[0, row, column]) if plane else 0
            alike = 2 * min(_magnitude(twin), 2) - 1 + (int(twin < 0) ^ against) if twin else 0
            signs = (seams * 4 + axis, (pull * 3 + size) * BINS + togo, (alike * 4 + axis) * 3 + size)
            negative = against ^ decide(stream, mixers.sign, signs, axis, 4 + pull % BINS, int(value < 0) ^ against)
            half_steps = 2 * magnitude - odd
            half_steps = -half_steps if negative else half_steps
            levels[row, column] = half_steps
            gap[0, u] -= half_steps * EDGE[s, v] >> COSINE_BITS - _SEAM_BITS
            gap[1, v] -= half_steps * EDGE[s, u] >> COSINE_BITS - _SEAM_BITS
            total += magnitude
            state = next_state(state, magnitude)
        sum_before = total
