"""What NeRV and HNeRV share: blocks of convolution and PixelShuffle, from a small grid to the picture."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


def widths(channels: int, stages: int, reduction: float, least: int) -> list[int]:
    """Channels before each of `stages` blocks and behind the last: divided by `reduction` each, at least `least`."""
    out = [channels]
    for _ in range(stages):
        out.append(max(round(out[-1] / reduction), least))
    return out


class Upscaler(nn.Module):
    """Features [n, channels, rows, columns] of the grid to RGB in 0..1, each side times the product of the strides.

    A block is a convolution, PixelShuffle and GELU; the kernels grow by two a block, from the first size of `kernels`
    up to the second. The head is a 3 x 3 convolution and (tanh + 1) / 2.
    """

    def __init__(self, channels: Sequence[int], strides: Sequence[int], kernels: tuple[int, int]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()
        for i, (inputs, outputs, stride) in enumerate(zip(channels, channels[1:], strides, strict=False)):
            kernel = min(kernels[0] + 2 * i, kernels[1])
            convolution = nn.Conv2d(inputs, outputs * stride**2, kernel, padding=kernel // 2)
            self.blocks.append(nn.Sequential(convolution, nn.PixelShuffle(stride), nn.GELU()))
        self.head = nn.Conv2d(channels[-1], 3, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pictures [n, 3, rows, columns]."""
        for block in self.blocks:
            x = block(x)
        return (torch.tanh(self.head(x)) + 1) / 2
