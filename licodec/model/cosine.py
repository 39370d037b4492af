"""The residual's basis: cosines on square blocks of 4, 8, 16 or 32 samples, chosen place by place.

A block of size n holds coefficients c[v, u] of the continuous functions
cos(pi (y + 1/2) v / n) cos(pi (x + 1/2) u / n) (orthonormal DCT-II); sampled at whole positions this is
the inverse DCT, and it may be evaluated at any other position too.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

SIZES = (4, 8, 16, 32)
"""Block sizes in samples; a size index s stands for SIZES[s]."""
CELL = 8
"""Size maps have one entry a cell of so many samples, which holds four of the smallest blocks if any."""
SUPER = 32
"""Largest block: planes are padded to a multiple of it."""

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]


def padded(length: int) -> int:
    """The next multiple of SUPER."""
    return -(-length // SUPER) * SUPER


@cache
def basis(size: int) -> Floats:
    """[u, x] orthonormal DCT-II matrix."""
    x = (np.arange(size) + 0.5) * np.pi / size
    matrix = np.cos(np.arange(size)[:, None] * x[None]) * np.sqrt(2.0 / size)
    matrix[0] /= np.sqrt(2.0)
    return matrix.astype(np.float32)


def to_blocks(plane: npt.NDArray, size: int) -> npt.NDArray:
    """[..., rows, columns] to [..., rows / size, columns / size, size, size]."""
    *lead, rows, columns = plane.shape
    return plane.reshape(*lead, rows // size, size, columns // size, size).swapaxes(-3, -2)


def from_blocks(blocks: npt.NDArray) -> npt.NDArray:
    """Inverse of `to_blocks`."""
    *lead, down, across, size, _ = blocks.shape
    return blocks.swapaxes(-3, -2).reshape(*lead, down * size, across * size)


def forward(planes: Floats, size: int) -> Floats:
    """[..., rows, columns] with the DCT of each block where it was: large products instead of one for each block."""
    matrix = basis(size)
    across = planes.reshape(-1, size) @ matrix.T
    return np.matmul(matrix, across.reshape(-1, size, planes.shape[-1])).reshape(planes.shape)


def inverse(coefficients: Floats) -> Floats:
    """Inverse DCT of [..., n, n] coefficients: two large products instead of two small ones for each."""
    n, shape = coefficients.shape[-1], coefficients.shape
    across = (coefficients.reshape(-1, n) @ basis(n)).reshape(shape)
    down = np.ascontiguousarray(across.swapaxes(-1, -2)).reshape(-1, n) @ basis(n)
    return down.reshape(shape).swapaxes(-1, -2)


@cache
def diagonals(size: int) -> tuple[Ints, ...]:
    """For each anti-diagonal d: [2, count] rows v and columns u with v + u = d."""
    return tuple(
        np.stack(
            [
                np.arange(max(0, d - size + 1), min(d, size - 1) + 1),
                d - np.arange(max(0, d - size + 1), min(d, size - 1) + 1),
            ]
        )
        for d in range(2 * size - 1)
    )


@cache
def diagonal_index(size: int) -> Ints:
    """[v, u] -> v + u."""
    return np.add.outer(np.arange(size), np.arange(size)).astype(np.int64)
