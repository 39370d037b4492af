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
from licodec.render.cells import SMALL, follow_moved
from licodec.render.window import MOVED

DOUBT = 50.0
"""Mean squared slope of luma, of both predictions added up, that the wish not to move counts for."""
LEAST = 0.0625
"""Samples: shorter vectors are none, from twice as long on they are whole, and between those a part of them."""

_TERMS = 5
_TWO, _SHARE = np.float32(2), np.float32(1 / (16 * SMALL * SMALL))


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
    shape = (-(-rows // SMALL), -(-columns // SMALL))
    moves = np.empty((*shape, 2), np.float32)
    _find(first, second, blend, corner, *_room(columns, shape), moves)
    for reference, field, sign, out in zip(references, vectors, (-1, 1), (first, second), strict=True):
        follow_moved(reference, field, moves, sign, corner, out)


def _room(width: int, shape: tuple[int, int]) -> tuple[Floats, Floats, Floats]:
    """To work in: slopes of a row, terms of a row of cells, their sums in cells, one more on each side."""
    rows, columns = shape
    sums = np.zeros((_TERMS, rows + 2, columns + 2), np.float32)
    return (
        np.empty((3, width), np.float32),
        np.zeros((_TERMS, columns * SMALL), np.float32),
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
        for y in range(r * SMALL, min((r + 1) * SMALL, height)):
            _slopes(first, second, y, across, down, apart)
            _add_product(across, across, lines[0])
            _add_product(across, down, lines[1])
            _add_product(down, down, lines[2])
            _add_product(across, apart, lines[3])
            _add_product(down, apart, lines[4])
        for k in range(_TERMS):
            for c in range(moves.shape[1]):
                x = c * SMALL
                sums[k, r + 1, c + 1] = (lines[k, x] + lines[k, x + 1]) + (lines[k, x + 2] + lines[k, x + 3])
    for r in range(moves.shape[0]):
        for k in range(_TERMS):
            _mean_around(sums[k, r], sums[k, r + 1], sums[k, r + 2], lines[k])
        for c in range(moves.shape[1]):
            moves[r, c, 0] = moves[r, c, 1] = 0
            if blend[(corner[0] + r * SMALL) // BLEND, (corner[1] + c * SMALL) // BLEND]:
                continue
            xx, xy, yy = lines[0, c] + DOUBT, np.float64(lines[1, c]), lines[2, c] + DOUBT
            dx, dy = np.float64(lines[3, c]), np.float64(lines[4, c])
            x, y, determinant = yy * dx - xy * dy, xx * dy - xy * dx, xx * yy - xy * xy
            if x * x + y * y <= (LEAST * determinant) ** 2:
                continue
            x = min(max(x / determinant, -MOVED), MOVED)
            y = min(max(y / determinant, -MOVED), MOVED)
            share = min(math.sqrt(x * x + y * y) / LEAST - 1, 1)
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
