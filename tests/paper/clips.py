"""Small videos and models for the tests of the paper profile."""

from __future__ import annotations

import numpy as np
import torch

from licodec.entropy.latent_inr import LatentINRSymbols
from licodec.model.latent_inr import LatentINRConfig, build
from licodec.video.info import Plane, VideoInfo

TINY = LatentINRConfig(
    latent_dim=8, layers=3, width=32, rank=1, hyper_width=16, grid_levels=2, grid_features=4, patch=8
)


def moving_bars(info: VideoInfo, frames: int) -> list[tuple[Plane, ...]]:
    """A diagonal wave that moves two luma samples a frame, in every plane."""
    peak = (1 << info.bit_depth) - 1
    out = []
    for t in range(frames):
        planes = []
        for i, (rows, columns) in enumerate(info.plane_shapes):
            sx, sy = info.subsampling if i else (1, 1)
            y, x = np.mgrid[:rows, :columns]
            wave = 0.5 + 0.4 * np.sin(2 * np.pi * (x * sx + 0.5 * y * sy - 2 * t) / 32 + i)
            planes.append(np.rint(wave * peak).astype(info.dtype))
        out.append(tuple(planes))
    return out


def random_symbols(config: LatentINRConfig, info: VideoInfo, frames: int, seed: int = 0) -> LatentINRSymbols:
    """Symbols of an untrained model: small, with a few large ones."""
    random = np.random.default_rng(seed)
    shapes = [tuple(p.shape) for p in build(config, info, frames).parameters()]
    tensors = [np.rint(random.standard_t(3, shape) * 4).astype(np.int32) for shape in shapes]
    steps = [int(k) for k in random.integers(24, 40, len(shapes))]
    return LatentINRSymbols(tuple(steps), tuple(tensors))


def equal_parameters(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    """Whether two models hold the very same numbers."""
    return all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))
