"""Bins of what lies around on a grid."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

import numpy.typing as npt

Grid = npt.NDArray[Any]

NEAR = (0, 1, 2, 3, 4, 6, 9, 13, 19, 27, 40, 58)
"""First value of each bin; the bins of motion use the first ones of it."""


def binned(value: int, bins: int = 12) -> int:
    """`Bins`: index of the bin that holds a value."""
    return bisect_right(NEAR[:bins], value) - 1
