"""Matching patches as machine code."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from licodec.jit import compiled
from licodec.model.motion import LIMIT, NODE, UNIT, Vectors

Samples = npt.NDArray[np.uint8]
"""[rows, columns]"""
Ints = npt.NDArray[np.int64]
Phases = npt.NDArray[np.uint8]
"""[UNIT, UNIT, rows, columns] the plane read at each fraction (y, x) of a sample, with BORDER on all sides."""

BORDER = 32
"""Samples that the reference is continued by beyond its edges."""
_WALKS = 4
"""Steps of one length in a row."""
_MARGIN = 4
"""Samples by which a patch is larger than the cell of its node, on each side."""


@compiled
def sweep(
    luma: Samples,
    there: Phases,
    start: Vectors,
    vectors: Vectors,
    bit_worth: float,
    backwards: bool,
    stride: int,
    tried: Ints,
) -> None:
    """Improve every node's vector in turn; `stride`: samples of the largest step; tried: [5, 2] room."""
    rows, columns = vectors.shape[:2]
    one = 1 if backwards else -1
    for i in range(rows * columns):
        k = rows * columns - 1 - i if backwards else i
        r, c = k // columns, k % columns
        tried[0, 0], tried[0, 1] = start[r, c, 0], start[r, c, 1]
        count = 1
        for dr, dc in ((0, one), (one, 0), (one, -one)):
            if 0 <= r + dr < rows and 0 <= c + dc < columns:
                tried[count, 0], tried[count, 1] = vectors[r + dr, c + dc, 0], vectors[r + dr, c + dc, 1]
                count += 1
        # What the neighbours that were just improved say is what a vector is expected to be.
        first = min(1, count - 1)
        ex = int(tried[first:count, 0].sum()) // (count - first)
        ey = int(tried[first:count, 1].sum()) // (count - first)
        tried[count, 0], tried[count, 1] = ex, ey
        bx, by = int(vectors[r, c, 0]), int(vectors[r, c, 1])
        best = _cost(luma, there, r, c, bx, by, ex, ey, bit_worth, 3e38)
        for t in range(count + 1):
            x, y = int(tried[t, 0]), int(tried[t, 1])
            if x != bx or y != by:
                found = _cost(luma, there, r, c, x, y, ex, ey, bit_worth, best)
                if found < best:
                    best, bx, by = found, x, y
        step = stride * UNIT
        while step:
            for _ in range(_WALKS):
                cx, cy = bx, by
                for dy, dx in ((0, -1), (0, 1), (-1, 0), (1, 0)):
                    x, y = cx + dx * step, cy + dy * step
                    found = _cost(luma, there, r, c, x, y, ex, ey, bit_worth, best)
                    if found < best:
                        best, bx, by = found, x, y
                if bx == cx and by == cy:
                    break
            step //= 2
        vectors[r, c, 0], vectors[r, c, 1] = bx, by


@compiled
def _cost(
    luma: Samples,
    there: Phases,
    r: int,
    c: int,
    x: int,
    y: int,
    expected_x: int,
    expected_y: int,
    bit_worth: float,
    limit: float,
) -> float:
    """Error of a node's patch with a vector, and about what the vector costs; more than `limit` need not be exact."""
    price = bit_worth * _smoothness(x - expected_x, y - expected_y)
    return _patch(luma, there, r, c, x, y, limit - price) + price


@compiled
def _smoothness(x: int, y: int) -> float:
    """About what a difference of vectors costs."""
    m = abs(x) + abs(y)
    bits = 0.0
    while m:
        bits += 2.0
        m >>= 1
    return bits


@compiled
def _patch(luma: Samples, there: Phases, r: int, c: int, x: int, y: int, limit: float) -> float:
    """Squared error of the patch around a node, scaled to the cell of the node; more than `limit` need not be exact."""
    rows, columns = luma.shape
    if abs(x) > LIMIT or abs(y) > LIMIT:
        return 3e38
    y0, y1 = max(r * NODE - _MARGIN, 0), min((r + 1) * NODE + _MARGIN, rows)
    x0, x1 = max(c * NODE - _MARGIN, 0), min((c + 1) * NODE + _MARGIN, columns)
    scale = NODE * NODE / ((y1 - y0) * (x1 - x0))
    return _squared_error(luma, there, y0, y1, x0, x1, x, y, limit / scale) * scale


@compiled
def _squared_error(
    luma: Samples, there: Phases, y0: int, y1: int, x0: int, x1: int, x: int, y: int, limit: float
) -> float:
    """Squared error of luma[y0:y1, x0:x1] predicted with the vector (x, y); more than `limit` need not be exact."""
    oy, ox = _offset(y >> 2, y0, y1, luma.shape[0]), _offset(x >> 2, x0, x1, luma.shape[1])
    plane = there[y & 3, x & 3]
    total = np.int64(0)
    for v in range(y0, y1):
        here, other = luma[v, x0:x1], plane[v + oy, x0 + ox : x1 + ox]
        row = np.int32(0)
        for u in range(x1 - x0):
            d = np.int32(here[u]) - np.int32(other[u])
            row += d * d
        total += row
        if total > limit:
            break
    return float(total)


@compiled
def _offset(move: int, first: int, last: int, length: int) -> int:
    """Where the samples first..last, moved, begin in a plane with its border, less `first`.

    Nothing new lies further out than the border: what is beyond it is moved back.
    """
    return min(max(move, -BORDER - first), length + BORDER - last) + BORDER
