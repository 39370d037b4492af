"""Syntax of quantised tensors: network weights, hypernetworks, latents, feature grids."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from licodec.entropy.coder import BitCoder, Ints
from licodec.entropy.mixing import BinaryModel, MagnitudeModel, code_raw

_CAP = 18
_SLICES = 8


class TensorCoder:
    """Codes integer tensors one after the other; each tensor adapts its own statistics.

    A tensor is cut into up to eight equal slices along its first axis, so that the mean magnitude of
    what came before in the same column can serve as a context.
    """

    def __init__(self, kinds: int) -> None:
        """`kinds`: how many kinds of tensors with statistics of their own (layers, latents, ...)."""
        self._kinds = kinds
        self._size = MagnitudeModel([kinds, kinds * 12, 12 * 8], _CAP)

    def models(self) -> dict[str, BinaryModel]:
        """The adaptive models by name."""
        return self._size.models("size")

    def code(self, coder: BitCoder, kind: int, values: npt.NDArray[np.int32]) -> None:
        """Code a tensor in place; a decoder passes zeros of the right shape."""
        if not 0 <= kind < self._kinds:
            raise ValueError(f"tensor kind {kind} is not below {self._kinds}")
        flat = values.reshape(values.shape[0], -1) if values.ndim > 1 else values.reshape(-1, 1)
        before = np.zeros(flat.shape[1], np.int64)
        for place, rows in enumerate(np.array_split(np.arange(len(flat)), min(_SLICES, len(flat)))):
            block = flat[rows]
            column = np.broadcast_to(np.minimum(before, 11), block.shape).ravel()
            got = _signed(
                coder,
                self._size,
                kind,
                column,
                place,
                None if coder.decoding else block.ravel().astype(np.int64),
            ).reshape(block.shape)
            if coder.decoding:
                flat[rows] = got
            before = np.abs(got).sum(axis=0) // max(1, len(rows))


def _signed(coder: BitCoder, model: MagnitudeModel, kind: int, column: Ints, place: int, values: Ints | None) -> Ints:
    count = len(column)
    size = model.code(
        coder,
        [np.full(count, kind), kind * 12 + column, column * _SLICES + place],
        None if values is None else np.abs(values),
    )
    hit = np.flatnonzero(size)
    minus = code_raw(coder, len(hit), None if values is None else (values[hit] < 0).astype(np.int32)).astype(bool)
    size[hit[minus]] *= -1
    return size


def code_tensors(coder: BitCoder, tensors: Sequence[npt.NDArray[np.int32]]) -> None:
    """Code tensors in place, each as a kind of its own."""
    model = TensorCoder(len(tensors))
    for kind, values in enumerate(tensors):
        model.code(coder, kind, values)
