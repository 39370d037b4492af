"""The fit on a small moving pattern."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest

from licodec.entropy.latent_inr import write_symbols
from licodec.fit.latent_inr import fit
from licodec.model.geometry import to_working
from licodec.model.latent_inr import LatentINR, LatentINRConfig, read_payload
from licodec.video.info import Plane, VideoInfo
from tests.paper.clips import moving_bars

INFO = VideoInfo(62, 46)
FRAMES = 6
CONFIG = LatentINRConfig(
    latent_dim=16, layers=4, width=64, rank=2, hyper_width=32, grid_levels=3, grid_features=8, patch=8
)


def fitted(info: VideoInfo, lam: float, steps: int) -> tuple[LatentINR, int]:
    """A decoded model and the bytes of its payload."""
    symbols = fit(moving_bars(info, FRAMES), info, CONFIG, seconds=math.inf, steps=steps, lam=lam)
    data = write_symbols(symbols)
    return read_payload(data, CONFIG, info, FRAMES), len(data)


@pytest.fixture(scope="module")
def model() -> LatentINR:
    return fitted(INFO, 1.0, 250)[0]


def luma(model: LatentINR, time: float) -> np.ndarray:
    return model.planes(time)[0]


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.square(a - b).mean()))


def clip_psnr(model: LatentINR, frames: list[tuple[Plane, ...]]) -> float:
    lumas = np.stack([to_working(f, model.info)[0] for f in frames])
    return psnr(np.stack([luma(model, t) for t in range(len(frames))]), lumas)


def test_beats_the_mean_frame_by_10_db(model: LatentINR) -> None:
    frames = moving_bars(INFO, FRAMES)
    lumas = np.stack([f[0] for f in frames]).astype(float)
    assert clip_psnr(model, frames) > psnr(lumas.mean(axis=0), lumas) + 10


def test_half_way_lies_between(model: LatentINR) -> None:
    """Nearer to both frames than they are to each other, and nearer than to the frame after."""
    for t in range(FRAMES - 1):
        middle, before, after = luma(model, t + 0.5), luma(model, t), luma(model, t + 1)
        assert psnr(middle, before) > psnr(before, after)
        assert psnr(middle, after) > psnr(before, after)


def test_latents_carry_the_frames(model: LatentINR) -> None:
    """With frame 0's latent in place of frame 3's, frame 3 shows what frame 0 showed."""
    model = copy.deepcopy(model)
    source = moving_bars(INFO, FRAMES)
    model.latents[[0, 3]] = model.latents[[3, 0]]
    assert psnr(luma(model, 3), source[0][0]) > psnr(luma(model, 3), source[3][0]) + 3
    assert psnr(luma(model, 0), source[3][0]) > psnr(luma(model, 0), source[0][0]) + 3


def test_a_larger_lambda_makes_a_smaller_file() -> None:
    sizes = [fitted(INFO, lam, 40)[1] for lam in (0.1, 1.0, 10.0, 100.0)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < sizes[0] / 2


@pytest.mark.parametrize(
    "info",
    [
        VideoInfo(31, 17, chroma="gray"),
        VideoInfo(31, 17, chroma="422"),
        VideoInfo(31, 17, chroma="444", bit_depth=10),
        VideoInfo(31, 17, chroma="rgb"),
    ],
    ids=lambda i: i.chroma,
)
def test_every_format(info: VideoInfo) -> None:
    assert clip_psnr(fitted(info, 1.0, 100)[0], moving_bars(info, FRAMES)) > 15


def test_one_frame() -> None:
    still = VideoInfo(17, 9)
    symbols = fit(moving_bars(still, 1), still, CONFIG, seconds=math.inf, steps=5, lam=1.0)
    assert read_payload(write_symbols(symbols), CONFIG, still, 1).planes(0)[0].shape == (9, 17)


def test_the_same_seed_makes_the_same_file() -> None:
    once, again = (
        write_symbols(fit(moving_bars(INFO, 2), INFO, CONFIG, seconds=math.inf, steps=8, lam=1.0, seed=7))
        for _ in range(2)
    )
    assert once == again


def test_time_ends_the_fit_and_progress_is_told() -> None:
    told: list[tuple[float, float]] = []
    fit(
        moving_bars(INFO, 2),
        INFO,
        CONFIG,
        seconds=0.3,
        lam=1.0,
        progress=lambda share, quality: told.append((share, quality)),
    )
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert all(math.isfinite(quality) for _, quality in told)
