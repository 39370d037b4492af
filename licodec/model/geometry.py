"""The planes the codec works on: their sizes, their groups, and the way from and to sample values.

Inside the codec every sample is a float32 on the 8-bit scale (0..255) whatever the bit depth; RGB video is
turned into luma and two chroma differences (YCgCo) first. Planes keep their own sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from licodec.model.cosine import CELL, padded
from licodec.model.motion import level_shapes
from licodec.video.info import VideoInfo

Floats = npt.NDArray[np.floating[Any]]
Planes = tuple[Floats, ...]
"""Y | Y, U, V: [rows, columns] float32 on the 8-bit scale."""

_BATCH_SAMPLES = 1 << 24
PEAK = 256
"""Working samples are clipped to 0..PEAK, which no sample of any bit depth reaches."""
BLEND = 16
"""Luma samples a blend cell."""


@dataclass(frozen=True)
class Geometry:
    """Sizes of everything that a picture's symbols are laid out on."""

    shapes: tuple[tuple[int, int], ...]
    """(rows, columns) of each plane."""
    subsampling: tuple[int, int]
    """(horizontal, vertical) luma samples per chroma sample."""

    @staticmethod
    def of(info: VideoInfo) -> Geometry:
        """Geometry of a video."""
        return Geometry(info.plane_shapes, info.subsampling)

    @property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """Planes that share block sizes: luma, then both chroma planes."""
        return ((0,), (1, 2)) if len(self.shapes) == 3 else ((0,),)

    def step(self, plane: int) -> tuple[int, int]:
        """(horizontal, vertical) luma samples per sample of a plane."""
        return self.subsampling if plane else (1, 1)

    def padded(self, group: int) -> tuple[int, int]:
        """(rows, columns) of a group's coefficient planes."""
        rows, columns = self.shapes[self.groups[group][0]]
        return padded(rows), padded(columns)

    def cells(self, group: int) -> tuple[int, int]:
        """(rows, columns) of a group's size map."""
        rows, columns = self.padded(group)
        return rows // CELL, columns // CELL

    @property
    def batch(self) -> int:
        """Pictures whose symbols are coded together: as many as hold 2^24 coefficients, at least one."""
        samples = sum(len(planes) * self.padded(g)[0] * self.padded(g)[1] for g, planes in enumerate(self.groups))
        return max(1, _BATCH_SAMPLES // samples)

    @property
    def node_shapes(self) -> list[tuple[int, int]]:
        """Motion nodes of each level, finest first."""
        return level_shapes(*self.shapes[0])

    @property
    def blend_shape(self) -> tuple[int, int]:
        """(rows, columns) of the blend map."""
        rows, columns = self.shapes[0]
        return -(-rows // BLEND), -(-columns // BLEND)


def to_working(planes: Sequence[npt.NDArray], info: VideoInfo) -> Planes:
    """Integer samples to working planes."""
    scale = np.float32(1 / (1 << (info.bit_depth - 8)))
    out = tuple(np.ascontiguousarray(p, np.float32) * scale for p in planes)
    if info.chroma != "rgb":
        return out
    red, green, blue = out
    return (
        (red + 2 * green + blue) / 4,
        (red - blue) / 2 + np.float32(128),
        (2 * green - red - blue) / 4 + np.float32(128),
    )


def from_working(planes: Planes, info: VideoInfo) -> tuple[npt.NDArray, ...]:
    """Working planes to integer samples, rounded to nearest and clipped to the bit depth."""
    if info.chroma == "rgb":
        luma, orange, green_difference = planes
        orange, green_difference = orange - np.float32(128), green_difference - np.float32(128)
        planes = (luma - green_difference + orange, luma + green_difference, luma - green_difference - orange)
    peak = (1 << info.bit_depth) - 1
    scale = np.float32(1 << (info.bit_depth - 8))
    return tuple(np.clip(np.rint(p * scale), 0, peak).astype(info.dtype) for p in planes)
