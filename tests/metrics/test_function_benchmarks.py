"""The benchmarks of decoding at other sizes and times: their methods on pictures that are known, and their rows."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from fit.patterns import texture

from benchmarks import interpolate, superres
from benchmarks.codecs import Encoded
from benchmarks.pictures import crops
from benchmarks.results import append, read_rows
from licodec.video.info import Plane, VideoInfo

INFO = VideoInfo(128, 96, time_base=Fraction(1, 25))
COUNT = 21
SPACING = 4


def pan(count: int = COUNT) -> list[tuple[Plane, ...]]:
    """Frames of an even pan."""
    y, x = np.mgrid[:96, :128]
    full = [np.rint(texture(1)(x - 1.5 * t, y + t)).clip(0, 255).astype(np.uint8) for t in range(count)]
    return [(p, np.ascontiguousarray(p[::2, ::2]), np.ascontiguousarray(p[::2, ::2])) for p in full]


def error(shown: tuple[Plane, ...], truth: tuple[Plane, ...]) -> float:
    return float(np.abs(shown[0][16:-16, 16:-16].astype(float) - truth[0][16:-16, 16:-16]).mean())


def test_every_method_fills_every_gap_and_leaves_coded_frames_alone() -> None:
    truth = pan()
    made = {m: interpolate.filled(truth[::SPACING], INFO, SPACING, m) for m in interpolate.METHODS}
    for method, shown in made.items():
        assert len(shown) == COUNT
        for i in range(0, COUNT, SPACING):
            if method != "minterpolate" or 0 < i < COUNT - 1:
                assert error(shown[i], truth[i]) < 0.1, (method, i)
    for i in (1, 2, 3, 5, 6, 7):
        assert error(made["DIS"][i], truth[i]) < 0.4 * error(made["average"][i], truth[i])
    # Where it gives frames at all, they are at the right times.
    middle = [error(made["minterpolate"][10], frame) for frame in truth]
    assert int(np.argmin(middle)) == 10


def test_average_weighs_by_time() -> None:
    dark, light = (tuple(np.full(s, v, np.uint8) for s in INFO.plane_shapes) for v in (0, 200))
    shown = interpolate.filled([dark, light], INFO, 4, "average")
    assert [int(planes[0][0, 0]) for planes in shown] == [0, 50, 100, 150, 200]


@pytest.mark.parametrize("location", [1, 2])
def test_kernels_enlarge_without_shift(location: int) -> None:
    info = replace(INFO, chroma_location=location)
    low = replace(info, width=64, height=48)
    planes = tuple(np.tile(np.arange(s[1]) * 2, (s[0], 1)).astype(np.uint8) for s in low.plane_shapes)
    for kernel in (cv2.INTER_CUBIC, cv2.INTER_LANCZOS4):
        made = superres.enlarged(planes, low, info, kernel)
        assert tuple(p.shape for p in made) == info.plane_shapes
        # Luma: sample X of the larger picture lies at (X + 1/2) / 2 - 1/2 of the smaller one.
        np.testing.assert_allclose(made[0][20, 20:60], np.arange(20, 60) - 0.5, atol=1)
        chroma = np.arange(20, 40) - (0.5 if location == 2 else 0.25)
        np.testing.assert_allclose(made[1][10, 20:40], chroma, atol=1)


def test_x265_gets_no_fewer_bytes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Model:
        """Files that halve every seven steps: not what the search takes for granted."""

        def encode(self, source: Path, folder: Path, point: float) -> Encoded:
            return Encoded(source, int(1e6 * 2 ** (-point / 7)), 0, 0, "")

    monkeypatch.setattr(superres.codecs, "codec", lambda name: Model())
    for size in (9_000, 30_000, 400_000):
        found, crf = superres.x265_of_size(tmp_path, tmp_path, size)
        assert size <= found.size <= 1.1 * size
        assert found.size == Model().encode(tmp_path, tmp_path, crf).size


def test_crops_are_cut_where_methods_differ() -> None:
    truth = pan(1)[0]
    other = tuple(p.copy() for p in truth)
    other[0][60:70, 90:100] ^= 128
    cut = crops([truth, other], INFO, 32)
    assert [c.shape for c in cut] == [(32, 32, 3)] * 2
    changed = (cut[0].astype(int) != cut[1]).any(axis=2)
    assert changed.sum() >= 90


def test_rows_are_kept_and_the_table_has_the_margins(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    row = interpolate.Row(
        "bunny-640x1280-33f", "d", "ultrafast", 2, 40, 24.5, 33, 1000, 40.1,
        {"licodec": 38.0, "average": 35.0, "DIS": 37.5, "minterpolate": 37.0}, "c", "r", "m", "v", "0",
    )  # fmt: skip
    append(path, replace(row, coded=1.0))
    append(path, row)
    append(path, replace(row, near=0, coded=100.0, psnr={"average": 36.0, "DIS": 39.0, "minterpolate": 38.0}))
    rows = read_rows(path, interpolate.Row)
    assert sorted(r.coded for r in rows) == [40.1, 100.0]
    table = interpolate.markdown(rows)
    assert "| 38.00 | 35.00 | 37.50 | 37.00 | +0.50 | 38.5 |" in table
    assert "+0.50 dB on average" in table
