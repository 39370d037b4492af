from __future__ import annotations

from pathlib import Path

import pytest

from licodec.container import LinrReader

from .conftest import Run, events, one_error

GOLDEN = Path(__file__).parents[1] / "golden"


def test_what_is_told(run: Run, sample: Path) -> None:
    result = run("info", sample.name)
    assert (result.returncode, result.stderr) == (0, "")
    text = result.stdout
    size = sample.stat().st_size
    for words in (
        "64x48, YCbCr 4:2:0, 8 bit",
        "primaries bt709, transfer bt709, matrix bt709, limited range",
        "8 in 0.440 s",
        "variable, on average 18.1818 frames/s (200/11)",
        f"{size:,} bytes, {8 * size / (64 * 48 * 8):.4f} bpp",
        '{"preset": "fast"}\\x1b[2J',
    ):
        assert words in text
    assert "\x1b" not in text
    assert "chunks" not in text


def test_chunks(run: Run, sample: Path) -> None:
    lines = run("info", sample.name, "--chunks").stdout.splitlines()
    table = [line.split() for line in lines[lines.index("  chunks") + 2 :]]
    with LinrReader(sample) as reader:
        expected = [[c.kind, str(c.offset), f"{c.length:,}", "ok"] for c in reader.chunks()]
    assert [[*row[:3], row[4]] for row in table] == expected
    assert [row[0] for row in table if row[3] == "no"] == ["encS"]


def test_json(run: Run, sample: Path) -> None:
    result = run("info", sample.name, "--json", "--chunks")
    (fields,) = events(result.stdout)
    assert result.stderr == ""
    assert result.stdout.isascii()
    assert "\x1b" not in result.stdout
    expected = {
        "event": "result",
        "command": "info",
        "path": "sample.linr",
        "bytes": sample.stat().st_size,
        "width": 64,
        "height": 48,
        "chroma": "420",
        "bit_depth": 8,
        "sample_aspect": "1/1",
        "rotation": 0,
        "primaries": "bt709",
        "range": "limited",
        "time_base": "1/25",
        "frames": 8,
        "duration": 0.44,
        "variable_frame_rate": True,
        "frame_rate": "200/11",
        "encoder_settings": '{"preset": "fast"}\x1b[2J',
        "streams": [],
    }
    assert {key: fields[key] for key in expected} == expected
    assert [(s["first_frame"], s["frames"]) for s in fields["segments"]] == [(0, 5), (5, 3)]
    assert fields["segments"][1]["start"] == 0.2
    assert [chunk["crc_ok"] for chunk in fields["chunks"]] == [True] * 7
    assert fields["chunks"][0]["kind"] == "HEAD"


def test_a_damaged_segment_does_not_hide_the_rest(run: Run, sample: Path) -> None:
    data = bytearray(sample.read_bytes())
    data[data.index(b"first")] ^= 1
    sample.write_bytes(data)
    assert run("info", sample.name).returncode == 0
    assert "WRONG" in run("info", sample.name, "--chunks").stdout


def test_limits_can_be_raised_and_lowered(run: Run, sample: Path) -> None:
    message = one_error(run("info", sample.name, "--limit", "max_width=32"), 5)
    assert "--limit max_width=64" in message
    assert run("info", sample.name, "--limit", "max_width=64").returncode == 0


@pytest.mark.parametrize("content", (b"", b"\x89LINR\r\n\x1a", b"RIFF and more of it"))
def test_files_that_are_none(run: Run, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.linr").write_bytes(content)
    assert "bad.linr" in one_error(run("info", "bad.linr"), 3)
    result = run("info", "bad.linr", "--json")
    (event,) = events(result.stdout)
    assert (event["event"], event["kind"], result.returncode) == ("error", "damaged", 3)


def test_streams_that_cannot_be_read_are_told(run: Run) -> None:
    """The golden container holds only a word where its audio should be."""
    result = run("info", GOLDEN / "container_v0.linr")
    assert result.returncode == 0
    assert "damaged   the audio and subtitle streams are damaged" in result.stdout


def test_every_golden_file(run: Run) -> None:
    for path in GOLDEN.glob("*.linr"):
        assert run("info", path, "--chunks").returncode == 0


def test_a_real_file(run: Run, encoded: Path) -> None:
    (fields,) = events(run("info", encoded / "sound.linr", "--json").stdout)
    assert (fields["width"], fields["height"], fields["frames"]) == (64, 48, 10)
    assert fields["fps"] == 25
    assert not fields["variable_frame_rate"]
    assert [stream["kind"] for stream in fields["streams"]] == ["audio", "subtitle", "attachment"]
    assert fields["streams"][0]["language"] == "fra"
    text = run("info", encoded / "sound.linr").stdout
    assert "aac, fra, le son, 44100 Hz, 2 channel(s)" in text
