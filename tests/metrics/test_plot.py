"""Pictures: the right size, readable, and drawn from the right numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from licodec.metrics.compare import Comparison, compare_frames
from licodec.metrics.plot import error_map, plot_frames, plot_rd, save_png, side_by_side, tile
from licodec.video.info import VideoInfo


def read(path: Path) -> np.ndarray:
    picture = cv2.imread(str(path))
    assert picture is not None
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


@pytest.fixture
def comparison(random_frames) -> Callable[..., Comparison]:
    """Maker of the comparison of two noisy videos: (frames, chroma="420")."""

    def make(frames: int, chroma="420") -> Comparison:
        info = VideoInfo(16, 16, chroma=chroma)
        return compare_frames(random_frames(info, frames, 1), random_frames(info, frames, 2), info)

    return make


@pytest.mark.parametrize("chroma", ["gray", "420", "rgb"])
@pytest.mark.parametrize("frames", [1, 5])
def test_frames_plot(comparison, tmp_path: Path, chroma, frames: int) -> None:
    path = tmp_path / "plot.png"
    plot_frames(comparison(frames, chroma), path, bits=[1000 * (i + 1) for i in range(frames)], title="a title")
    assert read(path).shape == (720, 1200, 3)
    plot_frames(comparison(frames, chroma), path)
    assert read(path).shape == (504, 1200, 3)


def test_frames_plot_refuses_another_number_of_bits(comparison, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="3 bit counts for 2 frames"):
        plot_frames(comparison(2), tmp_path / "plot.png", bits=[1, 2, 3])


def test_rd_plot(tmp_path: Path) -> None:
    path = tmp_path / "rd.png"
    plot_rd({"x265": [(0.1, 40), (0.01, 32)], "licodec": [(0.05, 38)]}, path, title="clip")
    picture = read(path)
    assert picture.shape == (720, 1080, 3)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 50
    plot_rd({}, path)
    assert read(path).shape == (720, 1080, 3)


def test_error_map_shows_the_error_and_nothing_else() -> None:
    a = np.full((8, 9, 3), 100, np.uint8)
    b = a.copy()
    b[2, 3, 1] = 90
    picture = error_map(a, b, gain=25)
    assert picture.shape == a.shape
    assert (picture.max(axis=2) > 0).nonzero() == ([2], [3])


@pytest.mark.parametrize("shape", [(40, 60, 3), (175, 143, 3), (1, 1, 3)])
def test_side_by_side_holds_the_samples_untouched(shape: tuple[int, int, int], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 256, shape).astype(np.uint8) for _ in range(2))
    save_png(side_by_side(a, b), tmp_path / "side.png")
    picture = read(tmp_path / "side.png")
    windows = np.lib.stride_tricks.sliding_window_view(picture, shape)[:, :, 0]
    for wanted in (a, b, error_map(a, b)):
        assert (windows == wanted).all(axis=(2, 3, 4)).any()


def test_contact_sheet_scales_and_wraps() -> None:
    pictures = [np.full((72, 128, 3), value, np.uint8) for value in (10, 90, 170, 250, 60)]
    sheet = tile(pictures, list("abcde"), columns=3, width=64)
    assert sheet.shape == (2 * (36 + 14 + 2) + 2, 3 * (64 + 2) + 2, 3)
    assert tuple(sheet[30, 30]) == (10, 10, 10)


@pytest.mark.parametrize(("sizes", "labels"), [([], []), ([4, 5], ["a", "b"]), ([4, 4], ["a"])])
def test_unequal_pictures_are_refused(sizes: list[int], labels: list[str]) -> None:
    with pytest.raises(ValueError, match="equally large"):
        tile([np.zeros((size, 4, 3), np.uint8) for size in sizes], labels, columns=2)
