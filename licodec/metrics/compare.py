"""Compare two videos frame by frame, in memory that does not grow with their length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import zip_longest

import cv2
import numpy as np
import numpy.typing as npt

from licodec.errors import UsageError
from licodec.metrics.psnr import mean_squared_error, pooled_psnr, psnr, weighted_yuv
from licodec.metrics.ssim import scales_for, similarity
from licodec.video.colour import to_rgb
from licodec.video.info import Frame, Plane, VideoInfo, seconds

PerFrame = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Comparison:
    """What was measured between a reference and a decoded video of the same format; arrays have one value a
    frame."""

    info: VideoInfo
    """Format of the reference."""
    times: PerFrame
    """Seconds of each frame after the first."""
    mse: dict[str, PerFrame]
    """Mean squared error as a fraction of the squared peak, of `rgb` and of each plane: `y`, or `y` `u` `v`,
    or `r` `g` `b`."""
    ssim: PerFrame
    """SSIM of luma (of the R, G and B planes, averaged, for RGB video)."""
    ms_ssim: PerFrame
    """MS-SSIM of the same planes."""
    ms_ssim_rgb: PerFrame
    """MS-SSIM of R, G and B, averaged: what implicit video codecs report."""

    @property
    def frames(self) -> int:
        """Number of frames compared."""
        return len(self.times)

    @property
    def identical(self) -> int:
        """Number of frames whose planes are all the same, bit for bit."""
        planes = [error for name, error in self.mse.items() if name != "rgb"]
        return int(np.sum(np.sum(planes, axis=0) == 0))

    def psnr(self, name: str) -> PerFrame:
        """PSNR of each frame in dB, at most 100; `name` is a key of `mse`, or `yuv` for 6:1:1 (`y` if
        gray)."""
        if name != "yuv":
            return psnr(self.mse[name])
        y = psnr(self.mse["y"])
        return weighted_yuv(y, psnr(self.mse["u"]), psnr(self.mse["v"])) if "u" in self.mse else y

    def pooled(self, name: str) -> float:
        """PSNR in dB of the error pooled over all frames; `name` as for `psnr`."""
        if name != "yuv":
            return pooled_psnr(self.mse[name])
        y = pooled_psnr(self.mse["y"])
        return float(weighted_yuv(y, self.pooled("u"), self.pooled("v"))) if "u" in self.mse else y

    def summary(self) -> dict[str, float | int]:
        """The sequence's figures, ready for JSON: means over the frames, and PSNR of the pooled error too."""
        names = [*self.mse, "yuv"] if "y" in self.mse else list(self.mse)
        return (
            {"frames": self.frames, "identical_frames": self.identical}
            | {f"psnr_{name}": float(np.mean(self.psnr(name))) for name in names}
            | {f"psnr_{name}_pooled": self.pooled(name) for name in names}
            | {
                "psnr_rgb_min": float(np.min(self.psnr("rgb"))),
                "ssim": float(np.mean(self.ssim)),
                "ms_ssim": float(np.mean(self.ms_ssim)),
                "ms_ssim_rgb": float(np.mean(self.ms_ssim_rgb)),
                "ms_ssim_scales": scales_for(self.info.height, self.info.width),
            }
        )


def compare_frames(
    reference: Iterable[Frame],
    decoded: Iterable[Frame],
    info: VideoInfo,
    decoded_info: VideoInfo | None = None,
    *,
    check_times: bool = True,
) -> Comparison:
    """Measure `decoded` against `reference`, the n-th frame of one against the n-th of the other.

    `decoded_info` is needed when the two clocks differ. UsageError if size, sample format, number of frames
    or (unless `check_times` is off) timestamps differ. Timestamps count from each video's first frame,
    because containers start their clocks differently, and may be off by one tick of the coarser clock,
    because Matroska rounds to milliseconds.
    """
    decoded_info = decoded_info or info
    for what in ("width", "height", "chroma", "bit_depth"):
        if getattr(info, what) != getattr(decoded_info, what):
            raise UsageError(f"the videos differ in {what}: {getattr(info, what)} and {getattr(decoded_info, what)}")
    rows = [
        (float(time), *_measure(a, b, info))
        for time, a, b in _pairs(reference, decoded, info, decoded_info, check_times)
    ]
    if not rows:
        raise UsageError("there are no frames to compare")
    times, ssim, ms_ssim, ms_ssim_rgb, *errors = np.array(rows, np.float64).T
    return Comparison(info, times, dict(zip(_error_names(info), errors, strict=True)), ssim, ms_ssim, ms_ssim_rgb)


def bits_per_pixel(size: int, info: VideoInfo, frames: int) -> float:
    """Bits of a file of `size` bytes for each luma sample of its frames: the field's bpp."""
    return 8 * size / (info.width * info.height * frames)


def measured_rgb(frame: Frame, info: VideoInfo) -> npt.NDArray[np.uint8]:
    """The frame as the RGB that is measured, [rows, columns, 3], rounded to 8 bits.

    Each chroma sample is repeated over the luma samples it belongs to, as FFmpeg's plain conversion of 4:2:0
    to rgb24 does (and PyAV by it), the usual way to the RGB frames that implicit codecs are measured on.
    Interpolated chroma, which is what a viewer should see, blurs the error as well and would flatter every
    codec (x265 on Bunny: by 0.4 dB).
    """
    (columns, rows), (height, width) = info.subsampling, (info.height, info.width)
    if info.subsampling != (1, 1):
        full = (
            cv2.resize(plane, None, fx=columns, fy=rows, interpolation=cv2.INTER_NEAREST)[:height, :width]
            for plane in frame.planes[1:]
        )
        return _rgb8((frame.planes[0], *full), replace(info, chroma="444"))
    return _rgb8(frame.planes, info)


def shown_rgb(frame: Frame, info: VideoInfo) -> npt.NDArray[np.uint8]:
    """The frame as RGB for pictures, [rows, columns, 3], rounded to 8 bits, chroma interpolated."""
    return _rgb8(frame.planes, info)


def _rgb8(planes: tuple[Plane, ...], info: VideoInfo) -> npt.NDArray[np.uint8]:
    rgb = to_rgb(planes, info)
    return rgb if info.bit_depth == 8 else np.rint(rgb * np.float32(255 / _peak(info))).astype(np.uint8)


def _pairs(
    reference: Iterable[Frame],
    decoded: Iterable[Frame],
    info: VideoInfo,
    decoded_info: VideoInfo,
    check_times: bool,
) -> Iterator[tuple[Fraction, Frame, Frame]]:
    """Frames of the two videos in step, each with its time in seconds after the first."""
    tolerance = max(info.time_base, decoded_info.time_base)
    starts: tuple[int, int] | None = None
    for index, (a, b) in enumerate(zip_longest(reference, decoded)):
        if a is None or b is None:
            shorter = "reference" if a is None else "decoded video"
            raise UsageError(f"the {shorter} ends after {index} frames, the other goes on")
        starts = starts or (a.pts, b.pts)
        time = seconds(a.pts - starts[0], info.time_base)
        other = seconds(b.pts - starts[1], decoded_info.time_base)
        if check_times and abs(time - other) > tolerance:
            raise UsageError(f"frame {index} is shown at {float(time):.6f} s and at {float(other):.6f} s")
        yield time, a, b


def _error_names(info: VideoInfo) -> tuple[str, ...]:
    if info.chroma == "rgb":
        return ("r", "g", "b", "rgb")
    return (*"yuv"[: len(info.plane_shapes)], "rgb")


def _measure(a: Frame, b: Frame, info: VideoInfo) -> tuple[float, ...]:
    """SSIM, MS-SSIM and RGB MS-SSIM of two frames, then their errors in the order of `_error_names`."""
    peak = _peak(info)
    errors = [mean_squared_error(x, y, peak) for x, y in zip(a.planes, b.planes, strict=True)]
    rgb_a, rgb_b = measured_rgb(a, info), measured_rgb(b, info)
    in_rgb = similarity(rgb_a, rgb_b, 255)
    if info.chroma == "rgb":
        own = similarity(np.dstack(a.planes), np.dstack(b.planes), peak)
    else:
        own = similarity(a.planes[0], b.planes[0], peak)
    return (own.ssim, own.ms_ssim, in_rgb.ms_ssim, *errors, mean_squared_error(rgb_a, rgb_b, 255))


def _peak(info: VideoInfo) -> int:
    return (1 << info.bit_depth) - 1
