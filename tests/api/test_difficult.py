"""Clips that codecs stumble over: they encode, come back as they should, and may cost bits, but never a crash."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import licodec
from api.movies import Movie, encoded, psnr
from licodec.container import verify
from licodec.decoder import verify_symbols
from licodec.fit import latent_inr
from licodec.model.latent_inr import LatentINRConfig
from licodec.video.info import VideoInfo

FRAMES = 4
Value = Callable[[np.random.Generator, int, int], object]
"""Samples of plane i at time t."""
CLIPS: dict[str, tuple[Value, float]] = {
    "black": (lambda _, i, t: 128 if i else 16, 50),
    "white": (lambda _, i, t: 128 if i else 255, 50),
    "zero": (lambda _, i, t: 0, 50),
    "single colour": (lambda _, i, t: (81, 90, 240)[i], 50),
    "flashing": (lambda _, i, t: 128 if i else (16, 235)[t % 2], 40),
    "flashing colours": (lambda _, i, t: (0, 255)[(t + i) % 2], 38),
    "a single bright frame": (lambda _, i, t: 255 if t == 3 else 0, 40),
    "noise": (lambda random, i, t: random.integers(0, 256, 1 << 16), 18),
    "black and white noise": (lambda random, i, t: random.integers(0, 2, 1 << 16) * 255, 11),
    "static noise": (lambda _, i, t: np.random.default_rng(i).integers(0, 256, 1 << 16), 18),
    "checkers": (lambda _, i, t: (np.indices((256, 256)).sum(axis=0) + t) % 2 * 255, 20),
}
"""What the samples are, and the luma PSNR to expect of CRF 28."""
SIZES = [(24, 18), (40, 1), (1, 40), (2, 2), (1, 1)]


def movie(value: Value, info: VideoInfo) -> Movie:
    random = np.random.default_rng(1)

    def plane(i: int, t: int) -> np.ndarray:
        rows, columns = info.plane_shapes[i]
        square = np.resize(np.asarray(value(random, i, t)), (256, 256))
        return np.ascontiguousarray(square[:rows, :columns]).astype(info.dtype)

    return Movie(info, [tuple(plane(i, t) for i in range(len(info.plane_shapes))) for t in range(FRAMES)])


@pytest.mark.parametrize(
    ("name", "size"),
    [*((name, SIZES[0]) for name in CLIPS), *((name, size) for name in ("noise",) for size in SIZES[1:])],
    ids=str,
)
def test_it_comes_back(name: str, size: tuple[int, int], tmp_path: Path) -> None:
    value, least = CLIPS[name]
    info = VideoInfo(*size)
    done = encoded(movie(value, info), tmp_path)
    assert verify(done.path) == []
    assert verify_symbols(done.path) == []
    with licodec.open(done.path) as video:
        assert len(video) == FRAMES
        for i, want in enumerate(done.movie.pictures):
            got = video.planes(i)
            assert [p.shape for p in got] == list(info.plane_shapes)
            # Noise of a few samples may come out a little better or worse than a lot of it.
            assert psnr(got[0], want[0]) > (least if "noise" not in name or size == SIZES[0] else 8), i
        between = video.planes_at(video.time(0) + (video.time(1) - video.time(0)) / 2)
        assert between[0].shape == info.plane_shapes[0]
    if name in ("black", "white", "single colour"):
        assert done.path.stat().st_size < 700


@pytest.mark.parametrize("profile", ["default", "paper"])
@pytest.mark.parametrize("name", ["black", "noise"])
def test_both_profiles_and_many_bits(name: str, profile: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(latent_inr._STEPS, "ultrafast", 40)
    monkeypatch.setattr(latent_inr, "_CONFIG", LatentINRConfig(latent_dim=4, width=16, hyper_width=8, rank=1, patch=8))
    info = VideoInfo(16, 16, "rgb", 10)
    done = encoded(movie(CLIPS[name][0], info), tmp_path, profile=profile, crf=10)
    with licodec.open(done.path) as video:
        for i in range(FRAMES):
            assert [p.shape for p in video.planes(i)] == list(info.plane_shapes)
    assert np.isfinite(done.report.psnr_yuv)
