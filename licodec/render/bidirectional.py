"""Motion that both references of a picture agree on: what the file says of it, made finer without a bit.

Where the predictions from before and after a picture count alike, each is read where the two differ least, moved by
opposite vectors, one for each cell of 4 x 4 luma samples. Bi-directional optical flow (Alshin and Alshina, 2010; in
VVC: Bross et al., IEEE TCSVT 31, 2021), by regularised least squares as Lucas and Kanade have it. It is continuous in
the samples, so that renderers that differ in the last bits agree; `torch_renderer` has the same in tensors.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from licodec.jit import compiled, inlined
from licodec.model.geometry import BLEND, Floats
from licodec.model.motion import NODE, UNIT
from licodec.render.window import MOVED

CELL = 4
"""Luma samples a side of what moves together."""
DOUBT = 50.0
"""Mean squared slope of luma, of both predictions added up, that the wish not to move counts for."""
LEAST = 0.03125
"""Samples that a vector is shortened by: where hardly anything moves, nothing does."""

_TERMS = 5
_TWO, _SHARE = np.float32(2), np.float32(1 / (16 * CELL * CELL))


def refined(
    references: tuple[Floats, Floats],
    vectors: tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]],
    first: Floats,
    second: Floats,
    blend: npt.NDArray[np.uint8],
    corner: tuple[int, int],
) -> None:
    """Read the first and the second prediction of luma once more where they count alike, in place.

    Args:
        references: luma of what they are read from.
        vectors: [rows / 8, columns / 8, 2] (x, y) of the picture's cells, in steps.
        first, second: [rows, columns] of luma.
        blend: [rows / 16, columns / 16] the picture's ways of blending.
        corner: (row, column) in the picture of the predictions' first sample, of a blend cell.
    """
    rows, columns = first.shape
    shape = (-(-rows // CELL), -(-columns // CELL))
    moves = np.empty((*shape, 2), np.float32)
    _find(first, second, blend, corner, *_room(columns, shape), moves)
    patch, lines = np.empty((CELL + 3, CELL + 3), np.float32), np.empty((CELL + 3, CELL), np.float32)
    for reference, field, sign, out in zip(references, vectors, (-1, 1), (first, second), strict=True):
        _read(reference, field, moves, np.float32(sign), corner, patch, lines, out)


def _room(width: int, shape: tuple[int, int]) -> tuple[Floats, Floats, Floats]:
    """To work in: slopes of a row, terms of a row of cells, their sums in cells, one more on each side."""
    rows, columns = shape
    sums = np.zeros((_TERMS, rows + 2, columns + 2), np.float32)
    return (
        np.empty((3, width), np.float32),
        np.zeros((_TERMS, columns * CELL), np.float32),
        sums,
    )


@compiled
def _find(
    first: Floats,
    second: Floats,
    blend: npt.NDArray[np.uint8],
    corner: tuple[int, int],
    slopes: Floats,
    lines: Floats,
    sums: Floats,
    moves: Floats,
) -> None:
    """moves: [rows / 4, columns / 4, 2] (x, y) of the second prediction in each cell; the first moves the other way."""
    height = first.shape[0]
    across, down, apart = slopes[0], slopes[1], slopes[2]
    for r in range(moves.shape[0]):
        for k in range(_TERMS):
            line = lines[k]
            for x in range(len(line)):
                line[x] = 0
        for y in range(r * CELL, min((r + 1) * CELL, height)):
            _slopes(first, second, y, across, down, apart)
            _add_product(across, across, lines[0])
            _add_product(across, down, lines[1])
            _add_product(down, down, lines[2])
            _add_product(across, apart, lines[3])
            _add_product(down, apart, lines[4])
        for k in range(_TERMS):
            for c in range(moves.shape[1]):
                x = c * CELL
                sums[k, r + 1, c + 1] = (lines[k, x] + lines[k, x + 1]) + (lines[k, x + 2] + lines[k, x + 3])
    for r in range(moves.shape[0]):
        for k in range(_TERMS):
            _mean_around(sums[k, r], sums[k, r + 1], sums[k, r + 2], lines[k])
        for c in range(moves.shape[1]):
            moves[r, c, 0] = moves[r, c, 1] = 0
            if blend[(corner[0] + r * CELL) // BLEND, (corner[1] + c * CELL) // BLEND]:
                continue
            xx, xy, yy = lines[0, c] + DOUBT, np.float64(lines[1, c]), lines[2, c] + DOUBT
            dx, dy = np.float64(lines[3, c]), np.float64(lines[4, c])
            x, y, determinant = yy * dx - xy * dy, xx * dy - xy * dx, xx * yy - xy * xy
            if x * x + y * y <= (LEAST * determinant) ** 2:
                continue
            x = min(max(x / determinant, -MOVED), MOVED)
            y = min(max(y / determinant, -MOVED), MOVED)
            share = 1 - LEAST / math.sqrt(x * x + y * y)
            moves[r, c, 0], moves[r, c, 1] = x * share, y * share


@inlined
def _mean_around(above: Floats, here: Floats, below: Floats, out: Floats) -> None:
    """Means of samples around each cell, from sums in the cells of three rows, one more on each side."""
    for c in range(len(here) - 2):
        left, right = above[c] + below[c] + _TWO * here[c], above[c + 2] + below[c + 2] + _TWO * here[c + 2]
        out[c] = (left + right + _TWO * (above[c + 1] + below[c + 1] + _TWO * here[c + 1])) * _SHARE


@inlined
def _slopes(first: Floats, second: Floats, y: int, across: Floats, down: Floats, apart: Floats) -> None:
    """Of both predictions added up in a row, and the first less the second."""
    width, above, below = first.shape[1], max(y - 1, 0), min(y + 1, first.shape[0] - 1)
    half, a, b = np.float32(0.5), first[y], second[y]
    a0, b0, a1, b1 = first[above], second[above], first[below], second[below]
    for x in range(width):
        down[x] = ((a1[x] + b1[x]) - (a0[x] + b0[x])) * half
    for x in range(width):
        apart[x] = a[x] - b[x]
    a0, b0, a1, b1, made = a[:-2], b[:-2], a[2:], b[2:], across[1 : width - 1]
    for x in range(width - 2):
        made[x] = ((a1[x] + b1[x]) - (a0[x] + b0[x])) * half
    last, second_last = width - 1, max(width - 2, 0)
    across[0] = ((a[min(1, last)] + b[min(1, last)]) - (a[0] + b[0])) * half
    across[last] = ((a[last] + b[last]) - (a[second_last] + b[second_last])) * half


@inlined
def _add_product(a: Floats, b: Floats, out: Floats) -> None:
    for x in range(len(a)):
        out[x] += a[x] * b[x]


@compiled
def _read(
    plane: Floats,
    vectors: npt.NDArray[np.int32],
    moves: Floats,
    sign: np.float32,
    corner: tuple[int, int],
    patch: Floats,
    lines: Floats,
    out: Floats,
) -> None:
    """Read the cells that move along their vectors and `sign` times their moves; patch and lines: room to work in."""
    height, width = plane.shape
    for r in range(moves.shape[0]):
        for c in range(moves.shape[1]):
            if moves[r, c, 0] == 0 and moves[r, c, 1] == 0:
                continue
            y, x = corner[0] + r * CELL, corner[1] + c * CELL
            vector = vectors[y // NODE, x // NODE]
            at_x = np.float32(vector[0]) / np.float32(UNIT) + sign * moves[r, c, 0]
            at_y = np.float32(vector[1]) / np.float32(UNIT) + sign * moves[r, c, 1]
            whole_x, whole_y = math.floor(at_x), math.floor(at_y)
            left, top = x + int(whole_x) - 1, y + int(whole_y) - 1
            if min(left, top) >= 0 and left + CELL + 3 <= width and top + CELL + 3 <= height:
                _filter(plane, top, left, at_x - whole_x, at_y - whole_y, lines, out, r * CELL, c * CELL)
                continue
            for j in range(CELL + 3):
                for i in range(CELL + 3):
                    patch[j, i] = plane[min(max(top + j, 0), height - 1), min(max(left + i, 0), width - 1)]
            _filter(patch, 0, 0, at_x - whole_x, at_y - whole_y, lines, out, r * CELL, c * CELL)


@inlined
def _filter(
    plane: Floats, top: int, left: int, at_x: float, at_y: float, lines: Floats, out: Floats, row: int, column: int
) -> None:
    """A cell of `out`, of the samples from (top, left) on at a fraction of one."""
    w0, w1, w2, w3 = _taps(np.float32(at_x))
    for j in range(CELL + 3):
        read, line = plane[top + j, left : left + CELL + 3], lines[j]
        for i in range(CELL):
            line[i] = (read[i] * w0 + read[i + 1] * w1) + (read[i + 2] * w2 + read[i + 3] * w3)
    w0, w1, w2, w3 = _taps(np.float32(at_y))
    rows, columns = min(CELL, out.shape[0] - row), min(CELL, out.shape[1] - column)
    for j in range(rows):
        l0, l1, l2, l3 = lines[j], lines[j + 1], lines[j + 2], lines[j + 3]
        made = out[row + j, column : column + columns]
        if columns == CELL:
            for i in range(CELL):
                made[i] = (l0[i] * w0 + l1[i] * w1) + (l2[i] * w2 + l3[i] * w3)
        else:
            for i in range(columns):
                made[i] = (l0[i] * w0 + l1[i] * w1) + (l2[i] * w2 + l3[i] * w3)


@inlined
def _taps(d: np.float32) -> tuple[np.float32, np.float32, np.float32, np.float32]:
    """Weights of the samples -1, 0, 1 and 2 at a fraction: Keys' kernel, a = -3/4."""
    e, outer = np.float32(1) - d, np.float32(-0.75) * d * (np.float32(1) - d)
    return outer * e, _near(d), _near(e), outer * d


@inlined
def _near(d: np.float32) -> np.float32:
    return np.float32(1) + d * d * (np.float32(1.25) * d - np.float32(2.25))
