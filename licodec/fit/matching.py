"""Motion between two pictures by matching patches, from coarse to fine.

Every node looks for the vector with which the patch around it is found again, among its neighbours' vectors and small
steps from the best one (PatchMatch, Barnes et al. 2009). Unlike optical flow it needs no small motion and no smooth
field, and is not led astray where one thing covers another.
"""

from __future__ import annotations

import cv2
import numpy as np

from licodec.fit.motion_kernels import BORDER, Phases, Samples, sweep
from licodec.model.geometry import Floats
from licodec.model.motion import NODE, UNIT, Vectors

_SCALES = 3
"""Halvings of the picture, and the picture itself."""
_FAR, _NEAR = 16, 2
"""Samples of the largest step at the coarsest scale, and at the others."""


def match(luma: Samples, reference: Phases, start: Vectors, bit_worth: float, sweeps: int) -> Vectors:
    """[rows, columns, 2] vectors on the finest nodes, in steps of `model.motion`.

    Args:
        luma: the picture.
        reference: `phases` of the picture that its patches are looked for in.
        start: vectors to begin with, on the finest nodes.
        bit_worth: squared error that a bit is worth, which keeps neighbours alike where the picture says little.
        sweeps: over all nodes, at full size.
    """
    heres, theres = [luma], [reference]
    whole = reference[0, 0, BORDER:-BORDER, BORDER:-BORDER]
    while len(heres) < _SCALES and min(heres[-1].shape) >= 8 * NODE:
        heres.append(_half(heres[-1]))
        whole = _half(whole)
        theres.append(phases(whole))
    found: Vectors | None = None
    tried = np.empty((5, 2), np.int64)
    for scale in range(len(heres) - 1, -1, -1):
        shape = (-(-heres[scale].shape[0] // NODE), -(-heres[scale].shape[1] // NODE))
        begin = _resized(start, shape) >> scale
        vectors = begin.copy() if found is None else 2 * _resized(found, shape)
        # One more where it costs little: sweeps go to and fro, and what is found at one end must reach the other.
        for i in range(sweeps + (scale > 0)):
            stride = _FAR if found is None and not i else _NEAR
            sweep(heres[scale], theres[scale], begin, vectors, float(bit_worth), i % 2 == 1, stride, tried)
        found = vectors
    assert found is not None
    return found


def to_bytes(plane: Floats) -> Samples:
    """Rounded to whole values."""
    return np.clip(plane + 0.5, 0, 255).astype(np.uint8)


def phases(plane: Samples) -> Phases:
    """The plane read at each fraction of a sample (by the kernel that pictures are predicted with), and borders."""
    b = BORDER
    p = cv2.copyMakeBorder(plane, b, b, b, b, cv2.BORDER_REPLICATE)
    out = np.empty((UNIT, UNIT, *p.shape), np.uint8)
    out[0, 0] = p
    for x in range(1, UNIT):
        out[0, x] = cv2.filter2D(p, -1, _taps(x)[None], anchor=(1, 0), borderType=cv2.BORDER_REPLICATE)
    for x in range(UNIT):
        for y in range(1, UNIT):
            out[y, x] = cv2.filter2D(out[0, x], -1, _taps(y)[:, None], anchor=(0, 1), borderType=cv2.BORDER_REPLICATE)
    return out


def _taps(fraction: int) -> Floats:
    """Weights of the samples -1, 0, 1 and 2 at a fraction of UNIT: Keys' kernel, a = -3/4."""
    d = np.abs(np.arange(-1, 3) - fraction / UNIT)
    near = 1.25 * d**3 - 2.25 * d**2 + 1
    far = -0.75 * d**3 + 3.75 * d**2 - 6 * d + 3
    return np.where(d <= 1, near, far).astype(np.float32)


def _half(plane: Samples) -> Samples:
    return cv2.resize(plane, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


def _resized(vectors: Vectors, shape: tuple[int, int]) -> Vectors:
    """The nearest vectors on a grid of another density."""
    rows, columns = (np.arange(n) * m // n for n, m in zip(shape, vectors.shape, strict=False))
    return np.ascontiguousarray(vectors[rows[:, None], columns[None]])
