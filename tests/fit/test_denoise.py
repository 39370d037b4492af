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


def test_it_stays_further_down_the_pyramid() -> None:
    denoiser = Denoiser(noisy, GEOMETRY, FRAMES, STEP)
    quality = [psnr(inside(denoiser(2, level, noisy(2))[0]), inside(clean(2))) for level in (0, 1, 2, 3)]
    assert min(quality[:3]) > quality[3] + 2
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


def flickering(frame: int) -> Planes:
    """What stands still, and fine detail that changes every fourth frame."""
    planes = with_neutral_chroma(texture_of(frame), INFO)
    return tuple(p.astype(np.float32) for p in planes)


def texture_of(frame: int) -> np.ndarray:
    x, y = grid(INFO.width, INFO.height)
    changing = np.random.default_rng(frame // 4).normal(0, 3, (INFO.height, INFO.width))
    return 128 + 60 * np.sin(x / 9) * np.cos(y / 7) + changing


LONG = 33
MUCH, NOTHING = (np.full(GEOMETRY.node_shapes[0], value, np.float32) for value in (6, 0))


def lasting() -> np.ndarray:
    return np.mean([texture_of(frame) for frame in range(0, LONG, 4)], axis=0)


@pytest.mark.parametrize("level", [0, 1])
def test_much_hangs_on_a_picture_what_it_shows_is_what_lasts(level: int) -> None:
    """Detail that the frames beside it have too, and those further away have not, is taken out.

    It is 18 squared apart from theirs, so that with tau 6 each of four counts a third, beside 1.85: .38 of it is left.
    """
    denoiser = Denoiser(flickering, GEOMETRY, LONG, 60.0)
    alone, known = (denoiser(0, level, flickering(0), importance)[0] for importance in (None, MUCH))
    assert psnr(inside(known), inside(lasting())) > psnr(inside(alone), inside(lasting())) + 3


def test_where_nothing_hangs_on_a_picture_only_those_beside_it_count() -> None:
    denoiser, half = Denoiser(flickering, GEOMETRY, LONG, STEP), NOTHING.copy()
    half[:, GEOMETRY.node_shapes[0][1] // 2 :] = 6
    alone, nothing, there = (denoiser(0, 0, flickering(0), importance) for importance in (None, NOTHING, half))
    for made, wanted in zip(nothing, alone, strict=True):
        np.testing.assert_allclose(made, wanted, atol=1e-3)
    middle = INFO.width // 2
    np.testing.assert_allclose(there[0][:, : middle - 8], alone[0][:, : middle - 8], atol=1e-3)
    assert np.abs(there[0] - alone[0])[:, middle + 8 :].mean() > 0.5


def test_pictures_between_two_anchors_are_not_told_what_lasts() -> None:
    denoiser = Denoiser(flickering, GEOMETRY, LONG, STEP)
    for made, wanted in zip(denoiser(16, 2, flickering(16), MUCH), denoiser(16, 2, flickering(16)), strict=True):
        np.testing.assert_array_equal(made, wanted)


def test_a_cut_further_away_has_no_part_in_it() -> None:
    x, y = grid(INFO.width, INFO.height)
    other = with_neutral_chroma(np.where((x // 8 + y // 8) % 2, 240, 16).astype(np.float32), INFO)
    alone = with_neutral_chroma(clean(0), INFO)
    made = Denoiser(lambda frame: alone if frame < 4 else other, GEOMETRY, LONG, STEP)(0, 0, alone, MUCH)
    assert np.abs(made[0] - alone[0]).max() < 1.5
