"""Reading a reference along a motion field: bicubic (Keys, a = -3/4) at 1/32-sample positions."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from licodec.model.motion import NODE, UNIT

Floats = npt.NDArray[np.floating[Any]]


@lru_cache(maxsize=8)
def _positions(rows: int, columns: int) -> Floats:
    """[rows, columns, 2] the (x, y) of every sample."""
    grid = np.empty((rows, columns, 2), np.float32)
    grid[..., 0] = np.arange(columns, dtype=np.float32)
    grid[..., 1] = np.arange(rows, dtype=np.float32)[:, None]
    return grid


def dense(nodes: npt.NDArray, shape: tuple[int, int], step: tuple[int, int]) -> Floats:
    """Node values [rows, columns(, c)] read at every sample of a plane, `step` (x, y) samples a node apart."""
    rows, columns = nodes.shape[:2]
    full = cv2.resize(nodes.astype(np.float32), (columns * step[0], rows * step[1]), interpolation=cv2.INTER_LINEAR)
    return full[: shape[0], : shape[1]]


def positions(field: npt.NDArray, shape: tuple[int, int], subsampling: tuple[int, int]) -> Floats:
    """[rows, columns, 2] where each sample of a plane of `shape` reads its reference."""
    sx, sy = subsampling
    scale = np.array([1 / (UNIT * sx), 1 / (UNIT * sy)], np.float32)
    return _positions(*shape) + dense(field * scale, shape, (NODE // sx, NODE // sy))


def warp(plane: Floats, at: Floats) -> Floats:
    """Samples of `plane` at the positions `at`; outside, the nearest edge sample."""
    return cv2.remap(plane, at, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
