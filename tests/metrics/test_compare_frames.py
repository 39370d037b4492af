"""Comparing two streams of frames."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest

from licodec.errors import UsageError
from licodec.metrics.compare import bits_per_pixel, compare_frames, measured_rgb, shown_rgb
from licodec.metrics.psnr import mean_squared_error, psnr
from licodec.video.info import Frame, VideoInfo

INFO = VideoInfo(34, 22)


@pytest.mark.parametrize("chroma", ["gray", "420", "422", "444", "rgb"])
@pytest.mark.parametrize("depth", [8, 10, 16])
def test_every_format_has_its_figures(random_frames, chroma, depth: int) -> None:
    info = VideoInfo(33, 21, chroma=chroma, bit_depth=depth)
    result = compare_frames(random_frames(info, 3, 1), random_frames(info, 3, 2), info)
    names = {"gray": "y", "rgb": "rgb"}.get(chroma, "yuv")
    assert list(result.mse) == [*names, "rgb"]
    summary = json.loads(json.dumps(result.summary(), allow_nan=False))
    assert summary["frames"] == 3
    assert 5 < summary["psnr_rgb"] < 11
    assert ("psnr_yuv" in summary) == (chroma != "rgb")
    if chroma == "gray":
        assert summary["psnr_yuv"] == summary["psnr_y"]


def test_identical_frames_are_counted_and_capped(random_frames) -> None:
    frames = list(random_frames(INFO, 4))
    changed = frames[2].planes[1].copy()
    changed[0, 0] ^= 1
    other = replace(frames[2], planes=(frames[2].planes[0], changed, frames[2].planes[2]))
    result = compare_frames(frames, [*frames[:2], other, frames[3]], INFO)
    assert result.identical == 3
    assert result.psnr("y").tolist() == [100] * 4
    u = 10 * np.log10(255**2 * 17 * 11)
    assert result.psnr("u").tolist() == [100, 100, pytest.approx(u), 100]
    assert result.psnr("yuv")[2] == pytest.approx((6 * 100 + u + 100) / 8)


def test_figures_are_those_of_each_frame_alone(random_frames) -> None:
    a, b = list(random_frames(INFO, 3, 1)), list(random_frames(INFO, 3, 2))
    whole = compare_frames(a, b, INFO)
    for index in range(3):
        one = compare_frames(a[index : index + 1], b[index : index + 1], INFO)
        assert one.psnr("rgb")[0] == whole.psnr("rgb")[index]
        assert one.ms_ssim_rgb[0] == whole.ms_ssim_rgb[index]
    assert whole.pooled("y") == pytest.approx(-10 * np.log10(whole.mse["y"].mean()))


def test_only_one_pair_is_held_at_a_time(random_frames) -> None:
    alive: list[int] = []

    class Planes(tuple):
        def __del__(self) -> None:
            alive.pop()

    def watched():
        for frame in random_frames(INFO, 30):
            alive.append(1)
            yield Frame(Planes(frame.planes), frame.pts, frame.duration)
            assert len(alive) <= 3

    compare_frames(watched(), random_frames(INFO, 30), INFO)


@pytest.mark.parametrize(("first", "second", "shorter"), [(3, 4, "reference"), (4, 3, "decoded video")])
def test_counts_must_agree(random_frames, first: int, second: int, shorter: str) -> None:
    with pytest.raises(UsageError, match=f"the {shorter} ends after 3 frames"):
        compare_frames(random_frames(INFO, first), random_frames(INFO, second), INFO)


def test_no_frames_are_refused() -> None:
    with pytest.raises(UsageError, match="no frames"):
        compare_frames([], [], INFO)


@pytest.mark.parametrize("change", [{"width": 36}, {"chroma": "444"}, {"bit_depth": 10}])
def test_formats_must_agree(change) -> None:
    with pytest.raises(UsageError, match=next(iter(change))):
        compare_frames([], [], INFO, replace(INFO, **change))


def test_times_must_agree_unless_told_otherwise(random_frames) -> None:
    frames = list(random_frames(INFO, 3))
    late = [*frames[:2], replace(frames[2], pts=4)]
    with pytest.raises(UsageError, match=r"frame 2 is shown at 0\.080000 s and at 0\.160000 s"):
        compare_frames(frames, late, INFO)
    assert compare_frames(frames, late, INFO, check_times=False).frames == 3


def test_clocks_may_differ_by_rounding_and_by_their_start(random_frames) -> None:
    info = replace(INFO, time_base=Fraction(1001, 30000))
    milliseconds = replace(INFO, time_base=Fraction(1, 1000))
    frames = list(random_frames(info, 9))
    rounded = [replace(frame, pts=500 + round(frame.pts * 1001 / 30), duration=33) for frame in frames]
    result = compare_frames(frames, rounded, info, milliseconds)
    assert result.identical == 9
    assert result.times[8] == pytest.approx(8 * 1001 / 30000)


def test_deep_pictures_are_rounded_to_eight_bits() -> None:
    info = VideoInfo(16, 16, chroma="rgb", bit_depth=10)
    frame = Frame(tuple(np.full((16, 16), value, np.uint16) for value in (0, 512, 1023)), 0, 1)
    for rgb in (measured_rgb, shown_rgb):
        assert rgb(frame, info)[0, 0].tolist() == [0, 128, 255]


def test_measured_rgb_is_what_ffmpeg_makes(carphone) -> None:
    psnrs = []
    with av.open(carphone[0]) as a, av.open(carphone[1]) as b:
        for pair in zip(a.decode(video=0), b.decode(video=0), strict=True):
            theirs = [frame.to_ndarray(format="rgb24") for frame in pair]
            ours = [measured_rgb(_frame(frame), VideoInfo(176, 144)) for frame in pair]
            # FFmpeg rounds down, and its tables are coarse; an interpolated chroma would differ by dozens.
            assert np.abs(np.subtract(ours, theirs, dtype=int)).max() <= 4
            psnrs.append([psnr(mean_squared_error(*rgb, 255)) for rgb in (ours, theirs)])
    assert np.mean(psnrs, axis=0)[0] == pytest.approx(np.mean(psnrs, axis=0)[1], abs=0.05)


def _frame(frame: av.VideoFrame) -> Frame:
    planes = (
        np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
        for plane in frame.planes
    )
    return Frame(tuple(map(np.ascontiguousarray, planes)), 0, 1)


def test_bits_per_pixel() -> None:
    assert bits_per_pixel(1000, VideoInfo(100, 40), 20) == 0.1
