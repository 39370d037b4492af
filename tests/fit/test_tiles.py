"""Sums over tiles, against NumPy's."""

from __future__ import annotations

import numpy as np
import pytest

from licodec.fit import tiles
from licodec.fit.tiles import PATCH_COLUMNS, PATCH_ROWS
from licodec.jit import compiled
from licodec.model.motion import NODE, UNIT


@compiled
def patch(here: np.ndarray, y: int, x: int, there: np.ndarray, v: int, u: int, row: int, column: int) -> int:
    return tiles_patch(here, y, x, there, v, u, row, column)


@compiled
def cell(here: np.ndarray, y: int, x: int, there: np.ndarray, v: int, u: int, row: int, column: int) -> int:
    return tiles_cell(here, y, x, there, v, u, row, column)


@compiled
def products(
    here: np.ndarray, y: int, x: int, there: np.ndarray, v: int, u: int, row: int, column: int, errors: np.ndarray
) -> tuple[int, int]:
    return tiles_products(here, y, x, there, v, u, row, column, errors)


tiles_patch, tiles_cell, tiles_products = tiles.patch_error, tiles.cell_error, tiles.cell_products

PLACES = [(0, 0, 0, 0, 0, 0), (3, 5, 1, 2, 7, 0), (13, 21, 3, 3, 24, 40), (1, 37, 0, 3, 30, 1)]
"""(y, x, v, u, row, column)"""


def planes(kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A picture, a reference at each fraction, and errors of another prediction."""
    random = np.random.default_rng(7)
    here = random.integers(0, 256, (29, 53), dtype=np.uint8)
    there = random.integers(0, 256, (UNIT, UNIT, 41, 60), dtype=np.uint8)
    errors = random.integers(-700, 701, here.shape, dtype=np.int16)
    if kind == "largest":
        here[:], there[:], errors[:] = 255, 0, 700
    return here, there, errors


@pytest.mark.parametrize("kind", ["random", "largest"])
@pytest.mark.parametrize("place", PLACES)
def test_sums_are_those_of_numpy(place: tuple[int, ...], kind: str) -> None:
    here, there, errors = planes(kind)
    y, x, v, u, row, column = place

    def apart(rows: int, columns: int) -> np.ndarray:
        predicted = there[v, u, row : row + rows, column : column + columns]
        return here[y : y + rows, x : x + columns].astype(np.int64) - predicted

    d, e = apart(NODE, NODE), errors[y : y + NODE, x : x + NODE].astype(np.int64)
    at = (here, y, x, there, v, u, row, column)
    assert patch(*at) == np.square(apart(PATCH_ROWS, PATCH_COLUMNS)).sum()
    assert cell(*at) == (d * d).sum()
    assert products(*at, errors) == ((d * d).sum(), (d * e).sum())
