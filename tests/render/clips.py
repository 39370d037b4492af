"""Tiny clips, their segments, and pictures that are known at every position."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from licodec.entropy.segment import SegmentReader, write_segment
from licodec.fit.presets import Preset, Quality
from licodec.fit.segment import fit_segment
from licodec.model.config import ModelConfig
from licodec.model.geometry import Floats, Geometry, Planes
from licodec.model.symbols import NetworkSymbols
from licodec.model.synthesis import parameter_shapes
from licodec.video.info import VideoInfo

FRAMES = 6
PRESET = Preset(look_ahead=True, denoise=True, intra=8, sweeps=1, rounds=2, refine=True, group=4, steps=20, width=8)
CONFIG = ModelConfig(width=PRESET.width)
_WEIGHT_STEP = 20  # 1 / 32


def waves(x: Floats, y: Floats, shift: float = 0.0) -> Floats:
    """A smooth picture at positions in luma samples from the picture's corner; its finest wave is 40 samples long."""
    t = 2 * np.pi
    return (
        128
        + 45 * np.cos(t * (x - shift) / 61 + 0.3)
        + 35 * np.cos(t * (y - shift / 2) / 47 - 0.7)
        + 25 * np.cos(t * (x + y - shift) / 40)
    )


def centres(info: VideoInfo, plane: int) -> tuple[Floats, Floats]:
    """(x [1, columns], y [rows, 1]) of a plane's samples in luma samples from the picture's corner, left-sited."""
    (rows, columns), (sx, sy) = info.plane_shapes[plane], info.subsampling if plane else (1, 1)
    x = sx * np.arange(columns) + 0.5
    y = sy * (np.arange(rows) + 0.5)
    return x[None], y[:, None]


def picture(info: VideoInfo, shift: float = 0.0) -> Planes:
    """Working planes of the waves."""
    planes = range(len(info.plane_shapes))
    return tuple(waves(*centres(info, i), shift + 5 * i).astype(np.float32) for i in planes)


@cache
def segment(info: VideoInfo) -> bytes:
    """Payload of a short moving clip with sharp detail, fitted; the network replaced by a random one.

    One trained for 20 steps would not be worth its bits, and corrects too little to show an error.
    """
    geometry = Geometry.of(info)
    noise = np.random.default_rng(1)
    cells = (max(40, info.height // 3 + 4), max(40, info.width // 3 + 6))
    still = [np.kron(noise.normal(0, 12, cells), np.ones((3, 3))) for _ in info.plane_shapes]

    def source(frame: int) -> Planes:
        detail = [s[frame:, 2 * frame :] for s in still]
        planes = zip(picture(info, 2.0 * frame), detail, strict=True)
        return tuple((p + d[: p.shape[0], : p.shape[1]]).clip(0, 255).astype(np.float32) for p, d in planes)

    payload = fit_segment(geometry, CONFIG, source, FRAMES, Quality(24.0), PRESET)
    reader = SegmentReader(payload, geometry, CONFIG, FRAMES)
    for _ in reader.batches():
        pass
    shapes = parameter_shapes(geometry, CONFIG)
    weights = [np.rint(noise.normal(0, 6, shape)).astype(np.int32) for shape in shapes]
    latents = noise.integers(-20, 20, (FRAMES, CONFIG.latent_dim)).astype(np.int32)
    network = NetworkSymbols(weights, [_WEIGHT_STEP] * len(shapes), latents)
    return write_segment(replace(reader.symbols, network=network), geometry)
