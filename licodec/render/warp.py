"""Reading a reference along a motion field: bicubic (Keys, a = -3/4), at exact positions."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from licodec.model.motion import UNIT

Floats = npt.NDArray[np.floating[Any]]


@lru_cache(maxsize=8)
def sample_positions(shape: tuple[int, int]) -> Floats:
    """[rows, columns, 2] the (x, y) of every sample of a plane."""
    grid = np.empty((*shape, 2), np.float32)
    grid[..., 0] = np.arange(shape[1], dtype=np.float32)
    grid[..., 1] = np.arange(shape[0], dtype=np.float32)[:, None]
    return grid


@lru_cache(maxsize=8)
def phase_weights(steps: int) -> npt.NDArray[np.float32]:
    """[steps, 4] weights of the four samples around a position, for each of so many steps a sample; they are exact."""
    x = np.arange(steps)[:, None] / steps
    distance = np.abs(np.array([1, 0, -1, -2]) + x)
    near = (5 / 4 * distance - 9 / 4) * distance**2 + 1
    far = -3 / 4 * (((distance - 5) * distance + 8) * distance - 4)
    return np.where(distance <= 1, near, far).astype(np.float32)


def to_samples(vectors: npt.NDArray, step: tuple[int, int]) -> Floats:
    """Motion vectors in samples of a plane with `step` (x, y) luma samples a sample."""
    return np.asarray(vectors, np.float32) * np.array([1 / (UNIT * step[0]), 1 / (UNIT * step[1])], np.float32)


def dense(nodes: npt.NDArray, shape: tuple[int, int], spacing: tuple[int, int]) -> Floats:
    """Node values [rows, columns(, c)] read at every sample of a plane, `spacing` (x, y) samples a node apart."""
    rows, columns = nodes.shape[:2]
    size = (columns * spacing[0], rows * spacing[1])
    return cv2.resize(np.asarray(nodes, np.float32), size, interpolation=cv2.INTER_LINEAR)[: shape[0], : shape[1]]


def warp(plane: Floats, at: Floats, linear: bool = False) -> Floats:
    """Samples of `plane` at the positions `at`, bilinear if wanted; outside, the nearest edge sample."""
    kernel = cv2.INTER_LINEAR if linear else cv2.INTER_CUBIC
    return cv2.remap(plane, at, None, kernel, borderMode=cv2.BORDER_REPLICATE)
