"""Errors of tiles, against NumPy's."""

from __future__ import annotations

import numpy as np
import pytest

from licodec.fit import tiles
from licodec.fit.tiles import PATCH_COLUMNS, PATCH_ROWS
from licodec.jit import compiled
from licodec.model.motion import UNIT


@compiled
def patch(here: np.ndarray, y: int, x: int, there: np.ndarray, v: int, u: int, row: int, column: int) -> int:
    return tiles_patch(here, y, x, there, v, u, row, column)


tiles_patch = tiles.patch_error

PLACES = [(0, 0, 0, 0, 0, 0), (3, 5, 1, 2, 7, 0), (13, 21, 3, 3, 24, 40), (1, 37, 0, 3, 30, 1)]
"""(y, x, v, u, row, column)"""


def planes(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """A picture, and a reference at each fraction."""
    random = np.random.default_rng(7)
    here = random.integers(0, 256, (29, 53), dtype=np.uint8)
    there = random.integers(0, 256, (UNIT, UNIT, 41, 60), dtype=np.uint8)
    if kind == "largest":
        here[:], there[:] = 255, 0
    return here, there


@pytest.mark.parametrize("kind", ["random", "largest"])
@pytest.mark.parametrize("place", PLACES)
def test_errors_of_patches_are_those_of_numpy(place: tuple[int, ...], kind: str) -> None:
    here, there = planes(kind)
    y, x, v, u, row, column = place
    predicted = there[v, u, row : row + PATCH_ROWS, column : column + PATCH_COLUMNS].astype(np.int64)
    apart = here[y : y + PATCH_ROWS, x : x + PATCH_COLUMNS] - predicted
    assert patch(here, y, x, there, v, u, row, column) == np.square(apart).sum()
