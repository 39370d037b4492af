"""PSNR by hand, by property, and against FFmpeg's filter."""

from __future__ import annotations

import math

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.goals import ffmpeg_psnr
from licodec.metrics.compare import compare_frames
from licodec.metrics.psnr import PSNR_CAP, mean_squared_error, pooled_psnr, psnr, weighted_yuv
from licodec.video.source import open_source


def test_one_sample_of_four_off_by_ten() -> None:
    a, b = np.zeros((2, 2), np.uint8), np.array([[10, 0], [0, 0]], np.uint8)
    mse = mean_squared_error(a, b, 255)
    assert mse == pytest.approx(25 / 255**2)
    assert psnr(mse) == pytest.approx(10 * math.log10(255**2 / 25))


@pytest.mark.parametrize("depth", [8, 9, 10, 12, 16])
def test_largest_error_is_zero_decibel_at_every_depth(depth: int) -> None:
    peak = (1 << depth) - 1
    dtype = np.uint8 if depth == 8 else np.uint16
    a, b = np.zeros((5, 7), dtype), np.full((5, 7), peak, dtype)
    assert psnr(mean_squared_error(a, b, peak)) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_error_is_exact_where_squares_pass_32_bits(dtype: type) -> None:
    rng = np.random.default_rng(1)
    peak = np.iinfo(dtype).max
    a, b = (rng.integers(0, peak + 1, (300, 401, 3)).astype(dtype) for _ in range(2))
    exact = int(((a.astype(np.int64) - b) ** 2).sum()) / a.size / int(peak) ** 2
    assert mean_squared_error(a, b, int(peak)) == pytest.approx(exact, rel=1e-12)


def test_identical_pictures_get_the_cap() -> None:
    a = np.arange(64, dtype=np.uint8).reshape(8, 8)
    assert psnr(mean_squared_error(a, a, 255)) == PSNR_CAP


def test_the_two_averages() -> None:
    mse = np.array([1e-2, 1e-4])
    assert psnr(mse).mean() == pytest.approx(30)
    assert pooled_psnr(mse) == pytest.approx(-10 * math.log10((1e-2 + 1e-4) / 2))


def test_weights_are_six_one_one() -> None:
    assert weighted_yuv(40.0, 44.0, 46.0) == pytest.approx((6 * 40 + 44 + 46) / 8)


def test_different_pictures_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot compare"):
        mean_squared_error(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8), 255)
    with pytest.raises(ValueError, match="cannot compare"):
        mean_squared_error(np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.uint16), 255)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_pooled_psnr_never_exceeds_the_mean(errors: list[float]) -> None:
    # -log is convex.
    assert pooled_psnr(np.array(errors)) <= psnr(errors).mean() + 1e-9


@given(st.integers(0, 2**32 - 1), st.integers(8, 16))
def test_error_is_symmetric_and_does_not_depend_on_the_depth(seed: int, depth: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = (rng.integers(0, 256, (6, 5)).astype(np.uint8) for _ in range(2))
    # Multiplying samples and peak by the same number is what a deeper format of the same picture would be.
    deep_a, deep_b = (x.astype(np.uint16) << (depth - 8) for x in (a, b))
    expected = mean_squared_error(a, b, 255)
    assert mean_squared_error(b, a, 255) == expected
    assert mean_squared_error(deep_a, deep_b, 255 << (depth - 8)) == pytest.approx(expected)


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv444p", "yuv420p10le"])
def test_every_frame_agrees_with_ffmpeg(carphone: tuple[str, str], pixels: str, tmp_path) -> None:
    pair = [_converted(path, pixels, tmp_path / f"{index}.mkv") for index, path in enumerate(carphone)]
    theirs = ffmpeg_psnr(*pair)
    with open_source(pair[0]) as reference, open_source(pair[1]) as decoded:
        ours = compare_frames(reference.frames(), decoded.frames(), reference.info, decoded.info)
    assert ours.frames == len(theirs) == 120
    for plane in "yuv":
        expected = [float(frame[f"lavfi.psnr.psnr.{plane}"]) for frame in theirs]
        np.testing.assert_allclose(ours.psnr(plane), expected, atol=1e-3)


def _converted(path: str, pixels: str, target) -> str:
    """The video in another sample format, lossless."""
    with av.open(path) as source, av.open(str(target), "w") as out:
        video = source.streams.video[0]
        stream = out.add_stream("ffv1", rate=video.average_rate)
        stream.width, stream.height, stream.pix_fmt = video.width, video.height, pixels
        for frame in source.decode(video):
            out.mux(stream.encode(frame.reformat(format=pixels)))
        out.mux(stream.encode(None))
    return str(target)
