"""The convergence curve: classical encoders at a size, who takes part, table and plot."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from test_rd import folder, result

from benchmarks import codecs, results
from benchmarks.clips import Prepared, clips_of, prepare
from benchmarks.convergence import AtSize, contenders, family, main, write

__all__ = ["folder"]


@pytest.fixture
def clip(folder: Path, tmp_path: Path) -> Prepared:
    """20 frames of 64x48."""
    return prepare(clips_of(str(folder))[0], tmp_path)


@pytest.mark.parametrize("name", ["x264-ultrafast", "x265-medium"])
def test_an_encoder_is_held_to_the_bytes_asked_for(name: str, clip: Prepared, tmp_path: Path) -> None:
    encoder = codecs.codec(name)
    assert isinstance(encoder, codecs.Classical)
    goal = round(1.1 * encoder.encode(clip.path, tmp_path, 30).size)
    encoded = AtSize(encoder, (goal,)).encode(clip.path, tmp_path, goal)
    assert 0.97 * goal <= encoded.size <= goal
    assert "encodes)" in encoded.command


def test_everybody_takes_part_at_the_same_bytes() -> None:
    chosen = contenders(5000, 0.4, (20.0, 60.0), ("fast", "medium"))
    labels = [f"{codec.name} {codec.preset}" for codec in chosen]
    assert len(labels) == len(set(labels))
    assert {"x265 medium", "licodec fast", "licodec slow-60s", "hnerv 60s", "nerv 20s"} <= set(labels)
    for codec in chosen:
        assert codec.points == ((0.4,) if codec.name in codecs.PEERS else (5000.0,))


def test_licodec_is_asked_for_every_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def run(*words: str) -> None:
        asked.append(words)
        Path(words[2]).touch()

    monkeypatch.setattr(codecs, "_licodec", run)
    codec = codecs.Licodec("licodec", "slow", (), max_time=90, target="--target-size")
    codec.encode(tmp_path / "a.y4m", tmp_path, 6757376.0)
    codecs.Licodec("licodec", "fast", ()).encode(tmp_path / "a.y4m", tmp_path, 27.5)
    assert asked[0][3:] == ("--preset", "slow", "--max-time", "90s", "--target-size", "6757376", "-y")
    assert asked[1][3:] == ("--preset", "fast", "--crf", "27.5", "-y")


@pytest.mark.parametrize(
    ("codec", "preset", "expected"),
    [
        ("licodec", "fast", "licodec presets"),
        ("licodec", "slow-60s", "licodec slow --max-time"),
        ("hnerv", "60s", "hnerv"),
        ("x265", "medium", "x265 presets"),
    ],
)
def test_results_find_their_curve(codec: str, preset: str, expected: str) -> None:
    assert family(replace(result(preset, 1, 0), codec=codec)) == expected


def test_table_and_plot_hold_the_lines_of_the_clip_and_size_only(clip: Prepared, tmp_path: Path) -> None:
    jsonl = tmp_path / "convergence.jsonl"
    one = replace(result("medium", 1, 0), clip=clip.name, digest=clip.digest, point=5000.0, bytes=4990)
    for line in (
        one,
        replace(one, preset="slow", encode_seconds=12.0, bytes=5500),
        replace(one, codec="hnerv", preset="60s", point=0.4),
        replace(one, preset="veryslow", point=9000.0),
        replace(one, preset="ultrafast", digest="another"),
    ):
        results.append(jsonl, line)
    table, plot = write(jsonl, clip, 5000, 0.4)
    text = table.read_text()
    assert "| x265 presets | medium | 1.0 (2) | 4,990 | 39.00 | 40.00 |" in text
    assert "| x265 presets | slow | 12.0 (2) | 5,500* |" in text
    assert "| hnerv | 60s |" in text
    assert "veryslow" not in text
    assert "ultrafast" not in text
    assert plot.stat().st_size > 10_000


@pytest.mark.slow
def test_a_quick_run_measures_everybody_and_resumes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--quick", "--out", str(tmp_path / "out"), "--work", str(tmp_path / "work")]
    assert main(arguments) == 0
    measured = results.read(tmp_path / "out" / "convergence.jsonl")
    assert {r.codec for r in measured} == {"x264", "x265", "licodec", "nerv", "hnerv"}
    for r in measured:
        if r.codec not in codecs.PEERS:
            assert math.isclose(r.file_bytes, r.point, rel_tol=0.2)
            assert r.bytes <= r.point
    capsys.readouterr()
    assert main(arguments) == 0
    assert "bpp," not in capsys.readouterr().err
