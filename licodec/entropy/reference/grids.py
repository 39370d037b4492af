"""Looking around on grids of cells."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import Any

import numpy.typing as npt

Grid = npt.NDArray[Any]

PHASES = ((0, 0), (1, 1), (0, 1), (1, 0))
"""Parity of row and column of the cells of each pass."""
NEAR = (0, 1, 2, 3, 4, 6, 9, 13, 19, 27, 40, 58)
"""First value of each bin; the bins of motion use the first ones of it."""


def binned(value: int, bins: int = 12) -> int:
    """`Bins`: index of the bin that holds a value."""
    return bisect_right(NEAR[:bins], value) - 1


def cells(shape: tuple[int, ...], phase: int) -> Iterator[tuple[int, int, int]]:
    """(layer, row, column) of the cells of a pass, in order."""
    layers, rows, columns = shape
    first_row, first_column = PHASES[phase]
    for layer in range(layers):
        for y in range(first_row, rows, 2):
            for x in range(first_column, columns, 2):
                yield layer, y, x


def around(grid: Grid, y: int, x: int) -> int:
    """`Neighbourhood`: the four neighbours, and half of the sum of the diagonal ones; 0 outside the grid."""
    rows, columns = grid.shape

    def at(v: int, u: int) -> int:
        return int(grid[v, u]) if 0 <= v < rows and 0 <= u < columns else 0

    cross = at(y - 1, x) + at(y + 1, x) + at(y, x - 1) + at(y, x + 1)
    corners = at(y - 1, x - 1) + at(y - 1, x + 1) + at(y + 1, x - 1) + at(y + 1, x + 1)
    return cross + corners // 2
