"""NeRV (Chen et al., "NeRV: Neural Representations for Videos", NeurIPS 2021, arXiv 2110.13903).

A network from the time of a frame to the frame: sines and cosines of the time, a fully connected layer onto a grid,
upscaling blocks. Set up as the baseline of HNeRV's paper (one fully connected layer, kernels of 3 x 3, channels halved
by each block, squared error), whose table of Bunny is what `benchmarks.peers published` checks.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.peers.blocks import Upscaler, widths
from benchmarks.peers.shape import Shape

GRID_ROWS, STAGES = 8, 4
"""Fewest rows (and columns) of the grid, and blocks."""
EMBEDDING = 0
BASE, FREQUENCIES = 1.25, 80
KERNELS = (3, 3)
REDUCTION = 2.0


class NeRV(nn.Module):
    """Frames from their times; everything that it learns is stored."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self._shape = shape
        rows, columns = shape.grid
        self.stem = nn.Linear(2 * FREQUENCIES, shape.channels * rows * columns)
        channels = widths(shape.channels, len(shape.strides), REDUCTION, shape.least)
        self.upscaler = Upscaler(channels, shape.strides, KERNELS)

    def embed(self, pictures: torch.Tensor | None, times: torch.Tensor) -> torch.Tensor:
        """[n, 160] of the times (0..1) of frames; the pictures themselves are not looked at."""
        # In double precision: angles go up to 1e8, whose sines in single precision no two devices agree on.
        angles = times.double()[:, None] * (math.pi * BASE ** torch.arange(FREQUENCIES, device=times.device).double())
        return torch.cat([torch.sin(angles), torch.cos(angles)], dim=1).float()

    def forward(self, embedding: torch.Tensor) -> torch.Tensor:
        """Pictures [n, 3, rows, columns] in 0..1 from what `embed` gives."""
        features = F.gelu(self.stem(embedding)).unflatten(1, (self._shape.channels, *self._shape.grid))
        return self.upscaler(features)

    def stored(self) -> list[nn.Parameter]:
        """The parameters that a decoder needs, in the order of the file."""
        return list(self.parameters())
