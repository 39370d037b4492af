"""The shape of a network, and the grid and strides that suit a size of picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations_with_replacement

_STRIDES = (5, 4, 3, 2)


@dataclass(frozen=True)
class Shape:
    """What a decoder has to know of a network before its parameters."""

    model: str
    """nerv or hnerv."""
    height: int
    """Luma rows of the video; the network makes whole cells of the grid, and the rest is cut away."""
    width: int
    """Luma samples a row."""
    frames: int
    """Number of frames."""
    grid: tuple[int, int]
    """(rows, columns) that the upscaling begins from."""
    strides: tuple[int, ...]
    """Factors of the upscaling."""
    channels: int
    """Channels on the grid."""
    least: int
    """Fewest channels of any block."""
    embedding: int = 0
    """Channels of a frame's embedding (HNeRV); 0: nothing is stored of a frame."""

    @property
    def padded(self) -> tuple[int, int]:
        """(rows, columns) of what the network makes."""
        scale = math.prod(self.strides)
        return self.grid[0] * scale, self.grid[1] * scale

    @property
    def embeddings(self) -> tuple[int, int, int, int]:
        """Shape of all embeddings: [frames, embedding, rows, columns]."""
        return (self.frames, self.embedding, *self.grid)


def grid_and_strides(height: int, width: int, rows: int, stages: int) -> tuple[tuple[int, int], tuple[int, ...]]:
    """The grid with `rows` to 2 `rows` - 1 cells on the shorter side that pads the picture least, and its strides.

    With `stages` strides, or fewer for pictures too small. The published networks are what this gives: for 640x1280 a
    grid of 2x4 and strides 5 4 4 2 2 (HNeRV: rows 2, 5 stages), or 8x16 and 5 4 2 2 (NeRV: rows 8, 4 stages).
    """
    for count in range(stages, 0, -1):
        candidates = []
        for strides in combinations_with_replacement(_STRIDES, count):
            scale = math.prod(strides)
            grid = -(-height // scale), -(-width // scale)
            if rows <= min(grid) < 2 * rows:
                candidates.append((-grid[0] * grid[1] * scale**2, scale, strides, grid))
        if candidates:
            _, _, strides, grid = max(candidates)
            return grid, strides
    return (-(-height // 2), -(-width // 2)), (2,)
