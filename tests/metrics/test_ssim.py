"""SSIM and MS-SSIM against slow twins written straight from the papers' formulas, in float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import convolve2d

from licodec.metrics.ssim import SCALE_WEIGHTS, scales_for, similarity


def slow_scale(x: np.ndarray, y: np.ndarray, peak: float) -> tuple[float, float]:
    """Means of SSIM and of its contrast-structure factor, equations 12 to 16 of Wang et al. 2004."""
    axis = np.arange(-5, 6)
    window = np.exp(-(axis[:, None] ** 2 + axis**2) / (2 * 1.5**2))
    window /= window.sum()

    def mean(z: np.ndarray) -> np.ndarray:
        return convolve2d(z, window, mode="valid")

    mu_x, mu_y = mean(x), mean(y)
    var_x, var_y, cov = mean(x * x) - mu_x**2, mean(y * y) - mu_y**2, mean(x * y) - mu_x * mu_y
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    contrast = (2 * cov + c2) / (var_x + var_y + c2)
    return float(((2 * mu_x * mu_y + c1) / (mu_x**2 + mu_y**2 + c1) * contrast).mean()), float(contrast.mean())


def slow_ms_ssim(x: np.ndarray, y: np.ndarray, peak: float) -> float:
    """Equation 7 of Wang et al. 2003 for pictures of at least 161 samples a side."""
    value = 1.0
    for scale, weight in enumerate(SCALE_WEIGHTS):
        index, contrast = slow_scale(x, y, peak)
        value *= (index if scale == len(SCALE_WEIGHTS) - 1 else contrast) ** weight
        x, y = (np.pad(z, [(0, z.shape[0] % 2), (0, z.shape[1] % 2)], mode="edge") for z in (x, y))
        x, y = ((z[::2, ::2] + z[1::2, ::2] + z[::2, 1::2] + z[1::2, 1::2]) / 4 for z in (x, y))
    return value


def noisy(picture: np.ndarray, sigma: float, peak: int = 255, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, sigma, picture.shape)
    return np.clip(np.rint(picture + noise), 0, peak).astype(picture.dtype)


@pytest.mark.parametrize("sigma", [0.7, 4, 40])
def test_ssim_is_the_slow_twins(picture: np.ndarray, sigma: float) -> None:
    other = noisy(picture, sigma)
    expected, _ = slow_scale(picture.astype(float), other.astype(float), 255)
    assert similarity(picture, other, 255).ssim == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("depth", [8, 10, 16])
@pytest.mark.parametrize("size", [(192, 256), (181, 163)])
def test_ms_ssim_is_the_slow_twins(depth: int, size: tuple[int, int]) -> None:
    peak = (1 << depth) - 1
    rows, columns = np.mgrid[: size[0], : size[1]]
    smooth = (np.sin(rows / 9) + np.cos(columns / 13) + 2) / 4
    picture = np.rint(smooth * peak).astype(np.uint8 if depth == 8 else np.uint16)
    other = noisy(picture, 0.05 * peak, peak)
    expected = slow_ms_ssim(picture.astype(float), other.astype(float), peak)
    assert similarity(picture, other, peak).ms_ssim == pytest.approx(expected, abs=2e-6)


def test_identical_pictures_are_one(picture: np.ndarray) -> None:
    same = similarity(picture, picture, 255)
    assert same.ssim == pytest.approx(1, abs=1e-6)
    assert same.ms_ssim == pytest.approx(1, abs=1e-6)


def test_more_noise_is_less_similar(picture: np.ndarray) -> None:
    values = [similarity(picture, noisy(picture, sigma), 255) for sigma in (0.5, 1, 2, 4, 8, 16, 32)]
    for name in ("ssim", "ms_ssim"):
        assert np.all(np.diff([getattr(value, name) for value in values]) < 0)


def test_a_negative_picture_has_no_similarity(picture: np.ndarray) -> None:
    assert similarity(picture, 255 - picture, 255).ms_ssim == 0


def test_colour_is_the_mean_of_its_channels(picture: np.ndarray) -> None:
    a = np.dstack([picture, picture[::-1], picture[:, ::-1]])
    b = np.dstack([noisy(a[..., channel], 3 * channel + 1) for channel in range(3)])
    channels = [similarity(a[..., channel], b[..., channel], 255) for channel in range(3)]
    together = similarity(a, b, 255)
    for name in ("ssim", "ms_ssim"):
        expected = np.mean([getattr(channel, name) for channel in channels])
        assert getattr(together, name) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("side", "scales"), [(1, 1), (20, 1), (21, 2), (41, 3), (144, 4), (160, 4), (161, 5), (4320, 5)]
)
def test_scales_that_leave_room_for_the_window(side: int, scales: int) -> None:
    assert scales_for(side, 5000) == scales_for(5000, side) == scales


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_every_size_has_a_symmetric_value(rows: int, columns: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = (rng.integers(0, 256, (rows, columns)).astype(np.uint8) for _ in range(2))
    forth, back = similarity(a, b, 255), similarity(b, a, 255)
    assert forth.ssim == pytest.approx(back.ssim, abs=1e-5)
    assert -1 <= forth.ssim <= 1 + 1e-6
    assert 0 <= forth.ms_ssim <= 1 + 1e-6


def test_different_sizes_are_refused(picture: np.ndarray) -> None:
    with pytest.raises(ValueError, match="cannot compare"):
        similarity(picture, picture[1:], 255)
