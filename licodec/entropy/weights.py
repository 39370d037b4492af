"""Syntax of quantised tensors: network weights, hypernetworks, latents, feature grids."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from licodec.entropy.coder import BitCoder
from licodec.entropy.kernels import ESCAPE_PLACES, HALF, Mixer, Stream, code_bit, decide
from licodec.entropy.mixing import BinaryModel
from licodec.jit import compiled

_CAP = 18
"""Unary places of a magnitude; more has an escape."""
_SLICES = 8
_BINS = 12
"""Contexts of the mean magnitude above."""


class TensorCoder:
    """Codes integer tensors one after the other; each tensor adapts its own statistics.

    A tensor is cut into up to eight equal slices along its first axis, so that the mean magnitude of
    what came before in the same column can serve as a context.
    """

    def __init__(self, kinds: int) -> None:
        """`kinds`: how many kinds of tensors with statistics of their own (layers, latents, ...)."""
        self._kinds = kinds
        self._size = BinaryModel([kinds * _CAP, kinds * _BINS * _CAP, _BINS * _SLICES * _CAP], _CAP)
        self._escape = BinaryModel([ESCAPE_PLACES + 1])

    def models(self) -> dict[str, BinaryModel]:
        """The adaptive models by name."""
        return {"size": self._size, "size.escape": self._escape}

    def code(self, coder: BitCoder, kind: int, values: npt.NDArray[np.int32]) -> None:
        """Code a tensor in place; a decoder passes zeros of the right shape.

        Raises:
            DamagedFileError: the stream is not one that an encoder makes.
        """
        if not 0 <= kind < self._kinds:
            raise ValueError(f"tensor kind {kind} is not below {self._kinds}")
        flat = values.reshape(values.shape[0], -1) if values.ndim > 1 else values.reshape(-1, 1)
        stream = coder.stream(0 if coder.decoding else _most_decisions(flat))
        mean, scratch = np.zeros(flat.shape[1], np.int64), np.zeros((2, *flat.shape), np.int64)
        _code_tensor(stream, self._size.mixer, self._escape.mixer, kind, flat, mean, scratch)
        coder.check()


def _most_decisions(values: npt.NDArray[np.int32]) -> int:
    """That values may take: places and sign of each, and twice the bits of what is escaped."""
    escaped = int(np.count_nonzero(np.abs(values) >= _CAP))
    return int(np.minimum(np.abs(values), _CAP).sum()) + 2 * values.size + (2 * ESCAPE_PLACES + 2) * escaped


@compiled
def _code_tensor(
    stream: Stream,
    size: Mixer,
    escape: Mixer,
    kind: int,
    values: npt.NDArray[np.int32],
    mean: npt.NDArray[np.int64],
    scratch: npt.NDArray[np.int64],
) -> None:
    """values: [rows, columns]; mean: [columns] zeros; scratch: [2, rows, columns] zeros."""
    rows, slices, stop = len(values), min(_SLICES, len(values)), 0
    for part in range(slices):
        start, stop = stop, stop + rows // slices + int(part < rows % slices)
        _code_slice(stream, size, escape, (kind, part), values[start:stop], mean, scratch[:, start:stop])
        for c in range(len(mean)):
            total = 0
            for r in range(start, stop):
                total += abs(values[r, c])
            mean[c] = min(total // (stop - start), _BINS - 1)


@compiled
def _code_slice(
    stream: Stream,
    size: Mixer,
    escape: Mixer,
    which: tuple[int, int],
    values: npt.NDArray[np.int32],
    mean: npt.NDArray[np.int64],
    scratch: npt.NDArray[np.int64],
) -> None:
    """Place after place of all magnitudes, then of their escapes; then all signs."""
    (kind, part), (rows, columns), escaped = which, values.shape, False
    known, length = scratch[0], scratch[1]
    for place in range(_CAP):
        for r in range(rows):
            for c in range(columns):
                if known[r, c] == place:
                    first = (kind, kind * _BINS + mean[c], mean[c] * _SLICES + part)
                    contexts = (first[0] * _CAP + place, first[1] * _CAP + place, first[2] * _CAP + place)
                    known[r, c] += decide(stream, size, contexts, place, _CAP, int(abs(values[r, c]) > place))
                    escaped |= known[r, c] == _CAP
    if escaped:
        _code_escapes(stream, escape, values, known, length)
    for r in range(rows):
        for c in range(columns):
            minus = known[r, c] > 0 and code_bit(stream, HALF, int(values[r, c] < 0)) == 1
            values[r, c] = -known[r, c] if minus else known[r, c]


@compiled
def _code_escapes(
    stream: Stream,
    escape: Mixer,
    values: npt.NDArray[np.int32],
    known: npt.NDArray[np.int64],
    length: npt.NDArray[np.int64],
) -> None:
    """Exp-Golomb of order 0 of what magnitudes at the cap have above it.

    The number of bits of that + 1 in unary, less one, place after place of all; then those bits but the first.
    """
    rows, columns = values.shape
    for place in range(ESCAPE_PLACES):
        for r in range(rows):
            for c in range(columns):
                if known[r, c] >= _CAP and length[r, c] == place:
                    bits = abs(values[r, c]) - _CAP + 1
                    length[r, c] += decide(stream, escape, (place,), 0, 1, int(bits >> place + 1 > 0))
    for place in range(ESCAPE_PLACES):
        for r in range(rows):
            for c in range(columns):
                if known[r, c] >= _CAP and length[r, c] > place:
                    # The first bit is 1 for all; with the last one goes what was added.
                    found = known[r, c] - _CAP + int(place == 0)
                    bits = abs(values[r, c]) - _CAP + 1
                    bit = code_bit(stream, HALF, bits >> length[r, c] - 1 - place & 1)
                    known[r, c] = _CAP + 2 * found + bit - int(place == length[r, c] - 1)


def code_tensors(coder: BitCoder, tensors: Sequence[npt.NDArray[np.int32]]) -> None:
    """Code tensors in place, each as a kind of its own."""
    model = TensorCoder(len(tensors))
    for kind, values in enumerate(tensors):
        model.code(coder, kind, values)
