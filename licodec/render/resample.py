"""Reading a rendered picture at another size or in a region: a continuous function of position.

Up: luma is first made twice as large (`licodec.render.upsample`); bicubic between samples. Down: the mean over the area
of an output sample, so that nothing aliases. Sample centres map to sample centres, (X + 1/2) / s - 1/2, and chroma
keeps its siting.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from licodec.container import DEFAULT_LIMITS, Limits
from licodec.errors import UsageError
from licodec.model.geometry import PEAK, Floats, Planes
from licodec.render.warp import warp
from licodec.render.window import Window
from licodec.runtime import load_torch
from licodec.video.info import VideoInfo

if TYPE_CHECKING:
    import torch

    from licodec.render.upsample import Upsampler

Array = TypeVar("Array", npt.NDArray[Any], "torch.Tensor")

_LEFT_SITED, _TOP_SITED, _BOTTOM_SITED = (0, 1, 3, 5), (3, 4), (5, 6)
"""AVChromaLocation: unspecified, left, top left, bottom left; top left, top; bottom left, bottom."""
_MARGIN = 2
"""Samples around a region that reading it at twice its size looks at."""
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
            UsageError: a region that is not inside the picture, a size without pixels, or numbers that are not whole.
            LimitError: a size over the limits.
        """
        x, y, width, height = _whole("region", roi, 4) if roi is not None else (0, 0, info.width, info.height)
        if width < 1 or height < 1 or x < 0 or y < 0 or x + width > info.width or y + height > info.height:
            raise UsageError(f"region {x},{y},{width},{height} is not inside the {info.width}x{info.height} picture")
        rows, columns = _whole("size", size, 2) if size is not None else (height, width)
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


def _whole(name: str, numbers: Sequence[int], count: int) -> Sequence[int]:
    try:
        found = [operator.index(number) for number in numbers]
    except TypeError:
        found = []
    if len(found) != count:
        raise UsageError(f"{name} {numbers} is not {count} whole numbers")
    return found


@dataclass(frozen=True)
class Taps(Generic[Array]):
    """Weighted means of samples along an axis."""

    index: Array
    """[outputs, taps] which samples."""
    weight: Array
    """[outputs, taps] float32, of sum 1."""

    def of_rows(self, plane: Array) -> Array:
        """Means of the rows of a plane."""
        return sum(plane[i] * w[:, None] for i, w in zip(self.index.T, self.weight.T, strict=True))

    def of_columns(self, plane: Array) -> Array:
        """Means of the columns of a plane."""
        return sum(plane[:, i] * w for i, w in zip(self.index.T, self.weight.T, strict=True))


@dataclass(frozen=True)
class Axis:
    """How a plane is read along its rows or its columns."""

    mean: Taps[npt.NDArray] | None
    """Downwards: the means that are the outputs."""
    positions: Floats
    """[outputs] positions among the samples, or among the means."""

    @staticmethod
    def of(samples: int, outputs: int, scale: float, origin: float, centre: float) -> Axis:
        """`centre`: of the first sample, from the edge, in samples; `origin`: where the region starts, in samples."""
        at = (np.arange(outputs) + centre) / scale - centre + origin
        if scale >= 1:
            return Axis(None, at.astype(np.float32))
        return Axis(area_taps(at, 1 / scale, samples), np.arange(outputs, dtype=np.float32))


@dataclass(frozen=True)
class Sampling:
    """How a plane of a view is read."""

    rows: Axis
    columns: Axis

    doubled: Window | None = None
    """What is read at twice its size; rows and columns count in what comes of it."""

    @property
    def between(self) -> bool:
        """Whether anything is left to do between samples."""
        return self.rows.mean is None or self.columns.mean is None

    def samples(self, shape: tuple[int, ...]) -> tuple[slice, slice] | None:
        """The (rows, columns) of a plane of this shape that are read, where they are read at their own positions, as
        all of luma at twice its size are; None where anything lies between samples."""
        runs = [_run(axis, length) for axis, length in zip((self.rows, self.columns), shape, strict=True)]
        return None if runs[0] is None or runs[1] is None else (runs[0], runs[1])

    def bands(self) -> Iterator[tuple[slice, Floats]]:
        """The output in stretches of rows: which, and their positions."""
        rows = self.rows.positions
        for top in range(0, len(rows), BAND):
            yield slice(top, top + BAND), rows[top : top + BAND]


def _run(axis: Axis, samples: int) -> slice | None:
    first, count = int(axis.positions[0]), len(axis.positions)
    if axis.mean is not None or first < 0 or first + count > samples:
        return None
    return slice(first, first + count) if np.array_equal(axis.positions, np.arange(first, first + count)) else None


def samplings(view: View, info: VideoInfo) -> list[Sampling]:
    """How each plane of a video is read for a view."""
    x, y, width, height = view.region
    across, down = view.size[1] / width, view.size[0] / height
    out = []
    shapes = zip(info.plane_shapes, view.info(info).plane_shapes, strict=True)
    for i, ((rows, columns), (out_rows, out_columns)) in enumerate(shapes):
        if i == 0 and max(across, down) > 1:
            out.append(_doubled(view, (rows, columns)))
            continue
        sx, sy = info.subsampling if i else (1, 1)
        cx, cy = centres(info, i)
        out.append(
            Sampling(
                Axis.of(rows, out_rows, down, y / sy, cy),
                Axis.of(columns, out_columns, across, x / sx, cx),
            )
        )
    return out


def nearby(plane: Array, sampling: Sampling) -> tuple[Array, Sampling]:
    """The part of a plane that means are taken of; what is read between samples is read where it is."""
    rows, first = _part(sampling.rows, plane.shape[0], sampling.columns.mean is not None)
    columns, second = _part(sampling.columns, plane.shape[1], sampling.rows.mean is not None)
    return plane[rows, columns], Sampling(first, second)


def _part(axis: Axis, samples: int, cut: bool) -> tuple[slice, Axis]:
    """The samples that an axis reads, and the axis among them; all of them where nothing is gained."""
    if axis.mean is not None:
        low, high = int(axis.mean.index.min()), int(axis.mean.index.max()) + 1
        return slice(low, high), Axis(Taps(axis.mean.index - low, axis.mean.weight), axis.positions)
    if not cut:
        return slice(0, samples), axis
    low = min(max(int(axis.positions.min()) - 2, 0), samples - 1)
    high = max(min(int(axis.positions.max()) + 4, samples), 1)
    return slice(low, high), Axis(None, axis.positions - np.float32(low))


def _doubled(view: View, shape: tuple[int, int]) -> Sampling:
    """How luma is read from what is twice its size."""
    axes, ends = [], []
    for start, length, outputs, samples in zip(
        (view.region[1], view.region[0]), (view.region[3], view.region[2]), view.size, shape, strict=True
    ):
        low = max(0, math.floor(start) - _MARGIN)
        high = min(samples, math.ceil(start + length) + _MARGIN)
        ends += [low, high]
        axes.append(Axis.of(2 * (high - low), outputs, outputs / (2 * length), 2 * (start - low), 0.5))
    return Sampling(axes[0], axes[1], Window(*ends))


def centres(info: VideoInfo, plane: int) -> tuple[float, float]:
    """(x, y) of the first sample of a plane, in its samples from the edge of the picture."""
    sx, sy = info.subsampling if plane else (1, 1)
    x = 0.25 if sx == 2 and info.chroma_location in _LEFT_SITED else 0.5
    if sy == 1:
        return x, 0.5
    return x, 0.25 if info.chroma_location in _TOP_SITED else 0.75 if info.chroma_location in _BOTTOM_SITED else 0.5


def area_taps(at: Floats, width: float, samples: int) -> Taps[npt.NDArray]:
    """Means over `width` samples around each position; outside, the nearest edge sample."""
    start = at + (1 - width) / 2
    index = np.floor(start).astype(np.int64)[:, None] + np.arange(math.ceil(width) + 1)
    covered = np.minimum(index + 1, (start + width)[:, None]) - np.maximum(index, start[:, None])
    return Taps(index.clip(0, samples - 1), (covered.clip(0) / width).astype(np.float32))


@lru_cache(maxsize=1)
def _upsampler() -> Upsampler:
    load_torch()
    from licodec.render.upsample import Upsampler

    return Upsampler("cpu")


def view_planes(planes: Planes, view: View, info: VideoInfo) -> Planes:
    """The planes of `view`, each at the size that the chroma format gives it."""
    if view.is_native(info):
        return planes
    return tuple(_read(plane, s) for plane, s in zip(planes, samplings(view, info), strict=True))


def _read(plane: Floats, sampling: Sampling) -> Floats:
    if sampling.doubled:
        import torch

        plane = _upsampler()(torch.from_numpy(plane), sampling.doubled).numpy()
    plane, sampling = nearby(plane, sampling)
    rows, columns = sampling.rows, sampling.columns
    plane = rows.mean.of_rows(plane) if rows.mean else plane
    plane = columns.mean.of_columns(plane) if columns.mean else plane
    if not sampling.between:
        return plane
    if samples := sampling.samples(plane.shape):
        return plane[samples].clip(0, PEAK)
    out = np.empty((len(rows.positions), len(columns.positions)), np.float32)
    for band, at_rows in sampling.bands():
        at = np.empty((len(at_rows), out.shape[1], 2), np.float32)
        at[..., 0], at[..., 1] = columns.positions, at_rows[:, None]
        out[band] = warp(plane, at)
    return out.clip(0, PEAK, out=out)
