"""Reading a rendered picture at another size or in a region: a continuous function of position.

Up: bicubic between samples. Down: an area filter first, so that nothing aliases. Sample centres map to sample
centres, (X + 1/2) / s - 1/2, and chroma keeps its siting.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from licodec.errors import UsageError
from licodec.model.geometry import Floats, Planes
from licodec.render.warp import warp
from licodec.video.info import VideoInfo

_LEFT_SITED = (0, 1, 3, 5)
"""AVChromaLocation: unspecified, left, top left, bottom left."""
_BAND = 256
"""Output rows worked on at a time, so that memory does not grow with the output."""


@dataclass(frozen=True)
class View:
    """What part of the picture is wanted, at which size."""

    size: tuple[int, int]
    """(height, width) of the output."""
    region: tuple[float, float, float, float]
    """(x, y, width, height) in luma samples of the video."""

    @staticmethod
    def of(info: VideoInfo, size: tuple[int, int] | None = None, roi: tuple[int, int, int, int] | None = None) -> View:
        """The whole picture or `roi` (x, y, width, height), at its own size or at `size` (height, width)."""
        x, y, width, height = roi or (0, 0, info.width, info.height)
        if width < 1 or height < 1 or x < 0 or y < 0 or x + width > info.width or y + height > info.height:
            raise UsageError(f"region {x},{y},{width},{height} is not inside the {info.width}x{info.height} picture")
        return View(size or (height, width), (float(x), float(y), float(width), float(height)))

    def is_native(self, info: VideoInfo) -> bool:
        """Whether this is the picture as it is."""
        return self.size == (info.height, info.width) and self.region == (0.0, 0.0, info.width, info.height)

    def info(self, info: VideoInfo) -> VideoInfo:
        """Description of the output video."""
        return replace(info, width=self.size[1], height=self.size[0])


def view_planes(planes: Planes, view: View, info: VideoInfo) -> Planes:
    """The planes of `view`, each at the size that the chroma format gives it."""
    if view.is_native(info):
        return planes
    out_shapes = view.info(info).plane_shapes
    x, y, width, height = view.region
    across, down = view.size[1] / width, view.size[0] / height
    out = []
    for i, (plane, shape) in enumerate(zip(planes, out_shapes, strict=True)):
        sx, sy = info.subsampling if i else (1, 1)
        cx = 0.25 if sx == 2 and info.chroma_location in _LEFT_SITED else 0.5
        out.append(_sample(plane, shape, (across, down), (x / sx, y / sy), (cx, 0.5)))
    return tuple(out)


def _sample(
    plane: Floats,
    shape: tuple[int, int],
    scale: tuple[float, float],
    origin: tuple[float, float],
    centre: tuple[float, float],
) -> Floats:
    source, ratio = _reduce(plane, scale)
    columns = _axis(shape[1], scale[0], origin[0], centre[0], ratio[0])
    rows = _axis(shape[0], scale[1], origin[1], centre[1], ratio[1])
    out = np.empty(shape, np.float32)
    for top in range(0, shape[0], _BAND):
        band = rows[top : top + _BAND]
        at = np.empty((len(band), shape[1], 2), np.float32)
        at[..., 0], at[..., 1] = columns, band[:, None]
        out[top : top + len(band)] = warp(source, at)
    return np.clip(out, 0, 255)


def _axis(count: int, scale: float, origin: float, centre: float, ratio: float) -> Floats:
    """Positions in the (reduced) plane of `count` outputs."""
    at = (np.arange(count) + centre) / scale - centre + origin
    return ((at + 0.5) * ratio - 0.5).astype(np.float32)


def _reduce(plane: Floats, scale: tuple[float, float]) -> tuple[Floats, tuple[float, float]]:
    """The plane averaged down to about the output's density, and the exact ratio of sizes."""
    rows, columns = plane.shape
    size = (
        max(1, round(columns * scale[0])) if scale[0] < 1 else columns,
        max(1, round(rows * scale[1])) if scale[1] < 1 else rows,
    )
    if size == (columns, rows):
        return plane, (1.0, 1.0)
    return cv2.resize(plane, size, interpolation=cv2.INTER_AREA), (size[0] / columns, size[1] / rows)
