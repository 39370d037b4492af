"""Motion between two pictures by matching patches, from coarse to fine.

Every node looks for the vector with which the patch around it is found again, among its neighbours' vectors and small
steps from the best one (PatchMatch, Barnes et al. 2009). Unlike optical flow it needs no small motion and no smooth
field, and is not led astray where one thing covers another.
"""

from __future__ import annotations

from typing import TypeVar, cast

import cv2
import numpy as np
import numpy.typing as npt

from licodec.fit.motion_kernels import BORDER, Bytes, Phases, sweep
from licodec.fit.tiles import PATCH_COLUMNS
from licodec.model.geometry import Floats
from licodec.model.motion import NODE, UNIT, Vectors
from licodec.render.cells import BEFORE, PHASES

_Sample = TypeVar("_Sample", np.uint8, np.int16)

_SCALES = 3
"""Halvings of the picture, and the picture itself."""
_FAR, _NEAR = 16, 2
"""Samples of the largest step at the coarsest scale, and at the others."""


class Reference:
    """A picture that patches are looked for in."""

    def __init__(self, picture: Bytes) -> None:
        """Read it at each fraction of a sample, at full size and smaller."""
        self.scales = [phases(picture)]
        """From full size on, each half of the one before."""
        while _has_half(picture, len(self.scales)):
            picture = _half(picture)
            self.scales.append(phases(picture))

    @property
    def bytes(self) -> int:
        """Memory that it takes."""
        return sum(scale.nbytes for scale in self.scales)


def match(luma: Bytes, reference: Reference, start: Vectors, bit_worth: float, sweeps: int) -> Vectors:
    """[rows, columns, 2] vectors on the finest nodes, in steps of `model.motion`.

    Args:
        luma: the picture.
        reference: of its size, that its patches are looked for in.
        start: vectors to begin with, on the finest nodes.
        bit_worth: squared error that a bit is worth, which keeps neighbours alike where the picture says little.
        sweeps: over all nodes, at full size.
    """
    heres = [luma]
    while _has_half(heres[-1], len(heres)):
        heres.append(_half(heres[-1]))
    found: Vectors | None = None
    tried = np.empty((5, 2), np.int64)
    for scale in range(len(heres) - 1, -1, -1):
        here, there = whole(heres[scale]), reference.scales[scale]
        shape = (-(-heres[scale].shape[0] // NODE), -(-heres[scale].shape[1] // NODE))
        begin = _resized(start, shape) >> scale
        vectors = begin.copy() if found is None else 2 * _resized(found, shape)
        # One more where it costs little: sweeps go to and fro, and what is found at one end must reach the other.
        for i in range(sweeps + (scale > 0)):
            stride = _FAR if found is None and not i else _NEAR
            sweep(here, there, begin, vectors, float(bit_worth), i % 2 == 1, stride, tried)
        found = vectors
    assert found is not None
    return found


def to_bytes(plane: Floats) -> Bytes:
    """Rounded to whole values."""
    return np.clip(plane + 0.5, 0, 255).astype(np.uint8)


def whole(plane: npt.NDArray[_Sample]) -> npt.NDArray[_Sample]:
    """The plane continued by its last samples to whole cells, and at least to one patch."""
    down, right = (max(-n % NODE, PATCH_COLUMNS - n) for n in plane.shape)
    out = cv2.copyMakeBorder(plane, 0, down, 0, right, cv2.BORDER_REPLICATE)
    return cast("npt.NDArray[_Sample]", out)


def phases(plane: Bytes) -> Phases:
    """The plane read at each fraction of a sample (by the kernel that pictures are predicted with), and borders."""
    b = BORDER
    p, edge = cv2.copyMakeBorder(plane, b, b, b, b, cv2.BORDER_REPLICATE), cv2.BORDER_REPLICATE
    out = np.empty((UNIT, UNIT, *p.shape), np.uint8)
    out[0, 0] = p
    for x in range(1, UNIT):
        out[0, x] = cv2.filter2D(p, -1, PHASES[x][None], anchor=(BEFORE, 0), borderType=edge)
    for x in range(UNIT):
        for y in range(1, UNIT):
            out[y, x] = cv2.filter2D(out[0, x], -1, PHASES[y][:, None], anchor=(0, BEFORE), borderType=edge)
    return out


def _has_half(plane: Bytes, scales: int) -> bool:
    return scales < _SCALES and min(plane.shape) >= 8 * NODE


def _half(plane: Bytes) -> Bytes:
    return cv2.resize(plane, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


def _resized(vectors: Vectors, shape: tuple[int, int]) -> Vectors:
    """The nearest vectors on a grid of another density."""
    rows, columns = (np.arange(n) * m // n for n, m in zip(shape, vectors.shape, strict=False))
    return np.ascontiguousarray(vectors[rows[:, None], columns[None]])
