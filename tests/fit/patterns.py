"""Pictures whose content at any place and time is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from licodec.model.geometry import Planes
from licodec.video.info import Frame, VideoInfo

Luma = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Luma at continuous places (x, y)."""


def texture(seed: int = 0, shortest: float = 9.0, longest: float = 40.0) -> Luma:
    """A sum of waves in all directions, about 30 to 225."""
    random = np.random.default_rng(seed)
    length = random.uniform(shortest, longest, 12)
    angle, phase = random.uniform(0, 2 * np.pi, (2, 12))
    a, b = 2 * np.pi * np.cos(angle) / length, 2 * np.pi * np.sin(angle) / length

    def luma(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        waves = np.sin(a * np.asarray(x)[..., None] + b * np.asarray(y)[..., None] + phase)
        return (128 + 26 * waves.sum(axis=-1)).clip(0, 255).astype(np.float32)

    return luma


def grid(width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """(x, y) of every sample."""
    y, x = np.mgrid[:height, :width]
    return x.astype(float), y.astype(float)


def panned(luma: Luma, width: int, height: int, t: float, speed: tuple[float, float]) -> np.ndarray:
    """The texture at time t, when everything moves by `speed` (x, y) samples a frame."""
    x, y = grid(width, height)
    return luma(x - speed[0] * t, y - speed[1] * t)


def with_neutral_chroma(luma: np.ndarray, info: VideoInfo) -> Planes:
    """Working planes of a grey picture."""
    return (luma, *[np.full(shape, 128, np.float32) for shape in info.plane_shapes[1:]])


def as_frames(lumas: list[np.ndarray], info: VideoInfo) -> list[Frame]:
    """Frames of grey pictures, one tick each."""
    out = []
    for i, luma in enumerate(lumas):
        rounded = np.rint(luma).clip(0, 255).astype(np.uint8)
        chroma = [np.full(shape, 128, np.uint8) for shape in info.plane_shapes[1:]]
        out.append(Frame((rounded, *chroma), i, 1))
    return out


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Of two pictures on the 8-bit scale, in dB."""
    error = float(np.square(a.astype(np.float64) - b).mean())
    return 10 * np.log10(255**2 / max(error, 1e-6))
