"""Noise taken out of a moving picture, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from fit.patterns import grid, panned, psnr, texture, with_neutral_chroma
from licodec.fit.denoise import Denoiser
from licodec.model.geometry import Geometry, Planes
from licodec.video.info import VideoInfo

INFO = VideoInfo(160, 96)
GEOMETRY = Geometry.of(INFO)
STEP = 24.0
FRAMES = 5
SPEED = (3.25, -1.5)
TEXTURE = texture(5, shortest=14)


def clean(frame: int) -> np.ndarray:
    return panned(TEXTURE, INFO.width, INFO.height, frame, SPEED)


def noisy(frame: int) -> Planes:
    """The same noise whenever a frame is asked for, in all planes."""
    random = np.random.default_rng(frame)
    planes = with_neutral_chroma(clean(frame), INFO)
    return tuple((p + random.normal(0, 4, p.shape)).astype(np.float32) for p in planes)


def inside(plane: np.ndarray) -> np.ndarray:
    """What all frames show: the pan brings something new at the edges."""
    return plane[8:-8, 12:-12]


@pytest.mark.parametrize(("frame", "least"), [(2, 3.0), (1, 2.5), (0, 2.0), (4, 2.0)])
def test_noise_falls_along_the_motion(frame: int, least: float) -> None:
    """By more where there are neighbours on both sides; in luma and chroma."""
    denoised = Denoiser(noisy, GEOMETRY, FRAMES, STEP)(frame, 0, noisy(frame))
    truth = with_neutral_chroma(clean(frame), INFO)
    for made, source, wanted in zip(denoised, noisy(frame), truth, strict=True):
        assert made.shape == source.shape and made.dtype == np.float32
        assert psnr(inside(made), inside(wanted)) > psnr(inside(source), inside(wanted)) + least


def test_it_falls_less_further_down_the_pyramid() -> None:
    denoiser = Denoiser(noisy, GEOMETRY, FRAMES, STEP)
    quality = [psnr(inside(denoiser(2, level, noisy(2))[0]), inside(clean(2))) for level in (1, 2, 3)]
    assert quality[0] > quality[1] > quality[2]
    for made, source in zip(denoiser(2, 3, noisy(2)), noisy(2), strict=True):
        np.testing.assert_array_equal(made, source)


def test_pictures_of_something_else_have_no_part_in_it() -> None:
    """A cut: what is behind it is nowhere in the picture before it."""
    x, y = grid(INFO.width, INFO.height)
    other = with_neutral_chroma(np.where((x // 8 + y // 8) % 2, 240, 16).astype(np.float32), INFO)
    alone = with_neutral_chroma(clean(0), INFO)
    made = Denoiser(lambda frame: other if frame else alone, GEOMETRY, 3, STEP)(0, 0, alone)
    assert np.abs(made[0] - alone[0]).max() < 0.5


def test_what_is_coded_finely_keeps_its_noise() -> None:
    made = Denoiser(noisy, GEOMETRY, FRAMES, 1.0)(2, 0, noisy(2))
    assert np.abs(made[0] - noisy(2)[0]).mean() < 0.05


def test_a_single_picture_is_left_alone() -> None:
    for made, source in zip(Denoiser(noisy, GEOMETRY, 1, STEP)(0, 0, noisy(0)), noisy(0), strict=True):
        np.testing.assert_array_equal(made, source)
