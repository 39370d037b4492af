"""Matching patches, and errors of cells, as machine code."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from licodec.fit.hadamard import Floats, Spectra, cell_bits
from licodec.fit.tiles import PATCH_COLUMNS, PATCH_ROWS, patch_error
from licodec.jit import compiled, inlined
from licodec.model.motion import LIMIT, NODE, UNIT, Vectors

Bytes = npt.NDArray[np.uint8]
"""[rows, columns] a picture's samples."""
Samples = npt.NDArray[np.uint8]
"""[rows, columns] the same with whole cells and room for a patch (`matching.whole`)."""
Ints = npt.NDArray[np.int64]
Phases = npt.NDArray[np.uint8]
"""[UNIT, UNIT, rows, columns] the plane read at each fraction (y, x) of a sample, with BORDER on all sides."""

BORDER = 32
"""Samples that the reference is continued by beyond its edges."""
_WALKS = 4
"""Steps of one length in a row."""
_MARGIN = 4
"""Samples by which a patch is larger than the cell of its node, on each side."""
assert NODE + 2 * _MARGIN == PATCH_COLUMNS == 2 * PATCH_ROWS


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


@inlined
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


@inlined
def _smoothness(x: int, y: int) -> float:
    """About what a difference of vectors costs."""
    m = abs(x) + abs(y)
    bits = 0.0
    while m:
        bits += 2.0
        m >>= 1
    return bits


@inlined
def _patch(luma: Samples, there: Phases, r: int, c: int, x: int, y: int, limit: float) -> float:
    """Squared error of a patch around a node, scaled to the cell of the node; more than `limit` need not be exact."""
    if abs(x) > LIMIT or abs(y) > LIMIT:
        return 3e38
    scale = NODE * NODE / (PATCH_COLUMNS * PATCH_COLUMNS)
    # At the edges it lies further in: what is beyond them would speak for standing still.
    top = max(0, min(r * NODE - _MARGIN, there.shape[2] - 2 * BORDER - PATCH_COLUMNS))
    left = max(0, min(c * NODE - _MARGIN, there.shape[3] - 2 * BORDER - PATCH_COLUMNS))
    row = top + _offset(y >> 2, top, PATCH_COLUMNS, there.shape[2])
    column = left + _offset(x >> 2, left, PATCH_COLUMNS, there.shape[3])
    error = patch_error(luma, top, left, there, y & 3, x & 3, row, column)
    if error * scale <= limit:
        error += patch_error(luma, top + PATCH_ROWS, left, there, y & 3, x & 3, row + PATCH_ROWS, column)
    return error * scale


@inlined
def _offset(move: int, first: int, count: int, length: int) -> int:
    """Where `count` samples from `first` on, moved, begin in a plane of `length` with its border, less `first`.

    Nothing new lies further out than the border: what is beyond it is moved back.
    """
    return min(max(move + BORDER, -first), length - count - first)


class Other(NamedTuple):
    """What the other of two predictions leaves of a picture."""

    spectra: Spectra
    """Of its errors; all zeros if there is no other prediction."""
    bits: Floats
    """[rows / 8, columns / 8] what they cost; nothing at all if there is no other prediction."""
    scale: np.float32
    """Of `scale_of`."""


@inlined
def bits_by_blend(
    luma: Samples, there: Phases, other: Other, base: Vectors, row: int, column: int, dx: int, dy: int
) -> tuple[float, float, float]:
    """What the error of a cell with a correction costs, in bits: of the mean of the other prediction and this one, of
    the other alone, and of this one alone; without another one, thrice that of this one.
    """
    x = min(max(base[row, column, 0] + dx, -LIMIT), LIMIT)
    y = min(max(base[row, column, 1] + dy, -LIMIT), LIMIT)
    v, u = row * NODE, column * NODE
    down, right = v + _offset(y >> 2, v, NODE, there.shape[2]), u + _offset(x >> 2, u, NODE, there.shape[3])
    mean, alone = cell_bits(luma, v, u, there, y & 3, x & 3, down, right, other.spectra, other.scale)
    if not other.bits.size:
        return alone, alone, alone
    return mean, other.bits[row, column], alone
