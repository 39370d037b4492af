"""Reading a rendered picture at another size or in a region: a continuous function of position.

Up: bicubic between samples. Down: an area filter first, so that nothing aliases. Sample centres map to sample
centres, (X + 1/2) / s - 1/2, and chroma keeps its siting.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from licodec.container import DEFAULT_LIMITS, Limits
from licodec.errors import UsageError
from licodec.model.geometry import PEAK, Floats, Planes
from licodec.render.warp import warp
from licodec.video.info import VideoInfo

_LEFT_SITED, _TOP_SITED, _BOTTOM_SITED = (0, 1, 3, 5), (3, 4), (5, 6)
"""AVChromaLocation: unspecified, left, top left, bottom left; top left, top; bottom left, bottom."""
BAND = 256
"""Output rows worked on at a time, so that memory does not grow with the output."""


@dataclass(frozen=True)
class View:
    """What part of the picture is wanted, at which size."""

    size: tuple[int, int]
    """(height, width) of the output."""
    region: tuple[float, float, float, float]
    """(x, y, width, height) in luma samples of the video."""

    @staticmethod
    def of(
        info: VideoInfo,
        size: tuple[int, int] | None = None,
        roi: tuple[int, int, int, int] | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> View:
        """The whole picture or `roi` (x, y, width, height), at its own size or at `size` (height, width).

        Raises:
            UsageError: a region that is not inside the picture, or a size without pixels.
            LimitError: a size over the limits.
        """
        x, y, width, height = roi or (0, 0, info.width, info.height)
        if width < 1 or height < 1 or x < 0 or y < 0 or x + width > info.width or y + height > info.height:
            raise UsageError(f"region {x},{y},{width},{height} is not inside the {info.width}x{info.height} picture")
        rows, columns = size or (height, width)
        if rows < 1 or columns < 1:
            raise UsageError(f"size {columns}x{rows} has no pixels")
        for limit, value in (("max_width", columns), ("max_height", rows), ("max_pixels", rows * columns)):
            limits.check(limit, value)
        return View((rows, columns), (float(x), float(y), float(width), float(height)))

    def is_native(self, info: VideoInfo) -> bool:
        """Whether this is the picture as it is."""
        return self.size == (info.height, info.width) and self.region == (0.0, 0.0, info.width, info.height)

    def info(self, info: VideoInfo) -> VideoInfo:
        """Description of the output video."""
        return replace(info, width=self.size[1], height=self.size[0])


@dataclass(frozen=True)
class Sampling:
    """How one plane of a view is read: averaged down if it must be, then at a grid of positions."""

    size: tuple[int, int]
    """(rows, columns) that the plane is averaged down to."""
    rows: Floats
    """Positions of the output's rows among those."""
    columns: Floats
    """Positions of the output's columns."""

    def bands(self) -> Iterator[tuple[slice, Floats]]:
        """The output in stretches of rows: which, and their positions."""
        for top in range(0, len(self.rows), BAND):
            yield slice(top, top + BAND), self.rows[top : top + BAND]


def samplings(view: View, info: VideoInfo) -> list[Sampling]:
    """How each plane of a video is read for a view."""
    x, y, width, height = view.region
    across, down = view.size[1] / width, view.size[0] / height
    out = []
    shapes = zip(info.plane_shapes, view.info(info).plane_shapes, strict=True)
    for i, (shape, out_shape) in enumerate(shapes):
        sx, sy = info.subsampling if i else (1, 1)
        cx, cy = _centre(info) if i else (0.5, 0.5)
        rows, columns = _reduced(shape[0], down), _reduced(shape[1], across)
        out.append(
            Sampling(
                (rows, columns),
                _axis(out_shape[0], down, y / sy, cy, rows / shape[0]),
                _axis(out_shape[1], across, x / sx, cx, columns / shape[1]),
            )
        )
    return out


def _centre(info: VideoInfo) -> tuple[float, float]:
    """(x, y) of the first chroma sample, in chroma samples from the edge of the picture."""
    sx, sy = info.subsampling
    x = 0.25 if sx == 2 and info.chroma_location in _LEFT_SITED else 0.5
    if sy == 1:
        return x, 0.5
    return x, 0.25 if info.chroma_location in _TOP_SITED else 0.75 if info.chroma_location in _BOTTOM_SITED else 0.5


def _reduced(count: int, scale: float) -> int:
    """About the output's density, where that is lower."""
    return max(1, round(count * scale)) if scale < 1 else count


def _axis(count: int, scale: float, origin: float, centre: float, ratio: float) -> Floats:
    """Positions in the (reduced) plane of `count` outputs."""
    at = (np.arange(count) + centre) / scale - centre + origin
    return ((at + 0.5) * ratio - 0.5).astype(np.float32)


def area_taps(count: int, size: int) -> tuple[npt.NDArray[np.int64], Floats]:
    """[size, taps] which of `count` samples each of `size` <= count equal areas covers, and how much of itself."""
    width = count / size
    start = np.arange(size) * width
    index = np.floor(start).astype(np.int64)[:, None] + np.arange(math.ceil(width) + 1)
    covered = np.minimum(index + 1, (start + width)[:, None]) - np.maximum(index, start[:, None])
    return np.minimum(index, count - 1), (covered.clip(0) / width).astype(np.float32)


def view_planes(planes: Planes, view: View, info: VideoInfo) -> Planes:
    """The planes of `view`, each at the size that the chroma format gives it."""
    if view.is_native(info):
        return planes
    return tuple(_read(plane, s) for plane, s in zip(planes, samplings(view, info), strict=True))


def _read(plane: Floats, sampling: Sampling) -> Floats:
    rows, columns = sampling.size
    if sampling.size != plane.shape:
        plane = cv2.resize(plane, (columns, rows), interpolation=cv2.INTER_AREA)
    out = np.empty((len(sampling.rows), len(sampling.columns)), np.float32)
    for band, at_rows in sampling.bands():
        at = np.empty((len(at_rows), out.shape[1], 2), np.float32)
        at[..., 0], at[..., 1] = sampling.columns, at_rows[:, None]
        out[band] = warp(plane, at)
    return out.clip(0, PEAK, out=out)
