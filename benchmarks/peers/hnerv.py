"""HNeRV (Chen et al., "HNeRV: A Hybrid Neural Representation for Videos", CVPR 2023, arXiv 2304.02633).

An encoder in the manner of ConvNeXt (Liu et al., arXiv 2201.03545) makes a small embedding of each frame, from which
upscaling blocks make the frame again. The file holds the embeddings and the blocks; the encoder is thrown away.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.peers.blocks import Upscaler, widths
from benchmarks.peers.shape import Shape

GRID_ROWS, STAGES = 2, 5
"""Fewest rows (and columns) of the grid, and blocks."""
EMBEDDING = 16
"""Channels of an embedding."""
ENCODER_WIDTH = 64
KERNELS = (1, 5)
REDUCTION = 1.2


class HNeRV(nn.Module):
    """Frames from embeddings of them, and the encoder that makes these."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.encoder = _Encoder(shape.strides, shape.embedding)
        self.stem = nn.Conv2d(shape.embedding, shape.channels, 1)
        channels = widths(shape.channels, len(shape.strides), REDUCTION, shape.least)
        self.upscaler = Upscaler(channels, shape.strides, KERNELS)

    def embed(self, pictures: torch.Tensor | None, times: torch.Tensor) -> torch.Tensor:
        """[n, embedding, rows, columns] of the pictures [n, 3, rows, columns] in 0..1; times are not looked at."""
        assert pictures is not None
        embedding: torch.Tensor = self.encoder(pictures)
        return embedding

    def forward(self, embedding: torch.Tensor) -> torch.Tensor:
        """Pictures [n, 3, rows, columns] in 0..1 from what `embed` gives."""
        pictures: torch.Tensor = self.upscaler(F.gelu(self.stem(embedding)))
        return pictures

    def stored(self) -> list[nn.Parameter]:
        """The parameters that a decoder needs, in the order of the file."""
        return [*self.stem.parameters(), *self.upscaler.parameters()]


class _Norm(nn.LayerNorm):
    """Layer normalisation over the channels of each place."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class _Residual(nn.Module):
    """The residual block of ConvNeXt, its branch scaled by a learned factor that starts near zero."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(channels, channels, 7, padding=3, groups=channels),
            _Norm(channels, eps=1e-6),
            nn.Conv2d(channels, 4 * channels, 1),
            nn.GELU(),
            nn.Conv2d(4 * channels, channels, 1),
        )
        self.scale = nn.Parameter(torch.full((channels, 1, 1), 1e-6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.scale * self.branch(x)


class _Encoder(nn.Sequential):
    """For each stride a convolution of that size and stride, normalisation, one residual block."""

    def __init__(self, strides: tuple[int, ...], embedding: int) -> None:
        channels = [3, *[ENCODER_WIDTH] * (len(strides) - 1), embedding]
        layers: list[nn.Module] = []
        for i, ((inputs, outputs), stride) in enumerate(zip(pairwise(channels), strides, strict=True)):
            shrink = nn.Conv2d(inputs, outputs, stride, stride)
            # Normalised on the smaller side of the first convolution, and before the others.
            layers += [_Norm(inputs, eps=1e-6), shrink] if i else [shrink, _Norm(outputs, eps=1e-6)]
            layers.append(_Residual(outputs))
        super().__init__(*layers)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.trunc_normal_(module.weight, std=0.02)
                assert module.bias is not None
                nn.init.zeros_(module.bias)
