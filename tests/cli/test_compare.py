"""Comparing for real, through the entry point."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from .conftest import Run, events, one_error


@pytest.fixture
def pair(encoded: Path, tmp_path: Path) -> Path:
    """A directory, the working one, with clip.mp4 and clip.linr."""
    for name in ("clip.mp4", "clip.linr"):
        (tmp_path / name).write_bytes((encoded / name).read_bytes())
    return tmp_path


def luma(path: Path) -> np.ndarray:
    """The luma planes as FFmpeg decodes them, [frames, rows, columns]."""
    with av.open(str(path)) as container:
        planes = [frame.to_ndarray(format="yuv420p")[: frame.height] for frame in container.decode(video=0)]
    return np.array(planes, np.float64)


def test_what_is_told(run: Run, pair: Path) -> None:
    result = run("compare", "clip.mp4", "clip.linr", "--frames", "worst.png")
    assert result.returncode == 0, result.stderr
    words = (
        "bpp",
        "PSNR Y ",
        "PSNR U ",
        "PSNR V ",
        "PSNR 6:1:1",
        "PSNR RGB",
        "SSIM",
        "MS-SSIM",
        "worst frame",
    )
    for word in words:
        assert word in result.stdout
    for name in ("clip.compare.png", "worst.png"):
        assert name in result.stdout
        assert (pair / name).read_bytes().startswith(b"\x89PNG")


def test_json_agrees_with_an_independent_psnr(run: Run, pair: Path) -> None:
    result = run("compare", "clip.mp4", "clip.linr", "--json", "--plot", "plot.png")
    assert (result.returncode, result.stderr) == (0, "")
    (fields,) = events(result.stdout)
    assert run("decode", "clip.linr", "out.mkv", "--codec", "ffv1").returncode == 0
    errors = np.mean((luma(pair / "clip.mp4") - luma(pair / "out.mkv")) ** 2, axis=(1, 2))
    assert fields["psnr_y"] == pytest.approx(np.mean(10 * np.log10(255**2 / errors)), abs=0.01)
    assert fields["frames"] == 8
    assert fields["bytes"] == (pair / "clip.linr").stat().st_size
    assert fields["bpp"] == pytest.approx(8 * fields["bytes"] / (64 * 48 * 8))
    assert 0 <= fields["worst_frame"] < 8
    assert fields["worst_frame_psnr_rgb"] == pytest.approx(fields["psnr_rgb_min"])
    assert fields["plot"] == "plot.png"
    assert fields["frames_picture"] is None
    assert (pair / "plot.png").exists()
    assert not (pair / "clip.compare.png").exists()


def test_no_plot(call: Run, pair: Path) -> None:
    assert call("compare", "clip.mp4", "clip.linr", "--no-plot", "-q").returncode == 0
    assert not (pair / "clip.compare.png").exists()


def test_nothing_is_overwritten_unasked(call: Run, pair: Path) -> None:
    plot = pair / "clip.compare.png"
    plot.write_bytes(b"precious")
    assert "-y" in one_error(call("compare", "clip.mp4", "clip.linr"), 2)
    assert plot.read_bytes() == b"precious"
    assert call("compare", "clip.mp4", "clip.linr", "-y").returncode == 0
    assert plot.read_bytes() != b"precious"


def test_an_input_is_never_overwritten(call: Run, pair: Path) -> None:
    data = (pair / "clip.linr").read_bytes()
    assert "is an input" in one_error(call("compare", "clip.mp4", "clip.linr", "-y", "--plot", "clip.linr"), 2)
    assert (pair / "clip.linr").read_bytes() == data


def test_another_video(call: Run, pair: Path, encoded: Path) -> None:
    message = one_error(call("compare", encoded / "sound.mkv", "clip.linr", "-q"), 2)
    assert "frames" in message or "differ" in message
    assert not (pair / "clip.compare.png").exists()
    one_error(call("compare", "missing.mp4", "clip.linr", "-q"), 2)
    one_error(call("compare", "clip.mp4", "clip.mp4", "-q"), 3)
