"""Decoding for real, through the entry point."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import pytest
import torch

from licodec.container import LinrReader, LinrWriter

from .conftest import Run, events, one_error


def look(path: Path) -> tuple[int, int, list[Fraction]]:
    """Width, height and times of a video, as FFmpeg sees them."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return frames[0].width, frames[0].height, [frame.pts * frame.time_base for frame in frames]


@pytest.fixture
def linr(encoded: Path, tmp_path: Path) -> Path:
    """A copy of the encoded clip in the working directory."""
    path = tmp_path / "clip.linr"
    path.write_bytes((encoded / "clip.linr").read_bytes())
    return path


def test_without_an_output_the_name_is_the_input_s(run: Run, linr: Path) -> None:
    result = run("decode", linr.name)
    assert (result.returncode, result.stdout) == (0, "")
    assert "clip.mp4: 8 frame(s) of 64x48" in result.stderr.splitlines()[-1]
    assert look(linr.with_suffix(".mp4")) == (64, 48, [Fraction(n, 25) for n in range(8)])


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ("--scale 2", (128, 96)),
        ("--scale 3/2", (96, 72)),
        ("--scale .5", (32, 24)),
        ("--size 101x77", (101, 77)),
        ("--roi 8,8,32,16", (32, 16)),
    ],
)
def test_sizes(call: Run, linr: Path, tmp_path: Path, options: str, size: tuple[int, int]) -> None:
    result = call("decode", linr.name, "out.mkv", *options.split())
    assert result.returncode == 0, result.stderr
    assert look(tmp_path / "out.mkv")[:2] == size


def test_a_higher_frame_rate(call: Run, linr: Path, tmp_path: Path) -> None:
    assert call("decode", linr.name, "out.mp4", "--fps", "50").returncode == 0
    assert look(tmp_path / "out.mp4")[2] == [Fraction(n, 50) for n in range(16)]


def test_a_stretch_of_time(call: Run, linr: Path, tmp_path: Path) -> None:
    assert call("decode", linr.name, "out.mp4", "--start", "0.08", "--duration", "0.16").returncode == 0
    assert len(look(tmp_path / "out.mp4")[2]) == 4


def test_pictures_at_any_time_and_size(run: Run, linr: Path, tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    result = run("decode", linr.name, "frames/%05d.png", "--at", "0.05", "--at", "0.1", "--size", "65x49")
    assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in (tmp_path / "frames").iterdir()) == ["00001.png", "00002.png"]
    assert look(tmp_path / "frames" / "00002.png")[:2] == (65, 49)


def test_y4m_on_standard_output(run: Run, linr: Path) -> None:
    result = run("decode", linr.name, "-", text=False)
    assert result.returncode == 0
    assert result.stdout.startswith(b"YUV4MPEG2 W64 H48 F25:1 ")
    assert result.stdout.count(b"FRAME\n") == 8


@pytest.mark.parametrize("options", ["", "--fps 60", "--scale 2"])
def test_any_number_of_threads_writes_the_same(call: Run, linr: Path, tmp_path: Path, options: str) -> None:
    made = []
    for threads in ("1", "2", "5"):
        result = call("decode", linr.name, f"{threads}.y4m", *options.split(), "--threads", threads)
        assert result.returncode == 0, result.stderr
        made.append((tmp_path / f"{threads}.y4m").read_bytes())
        assert (torch.get_num_threads(), cv2.getNumThreads()) == (int(threads), int(threads)), "and not a share of them"
    assert made[0] == made[1] == made[2]


def test_frames_thrown_away(run: Run, linr: Path, tmp_path: Path) -> None:
    result = run("decode", linr.name, "null:", "--json")
    assert (result.returncode, result.stderr) == (0, "")
    last: dict[str, Any] = events(result.stdout)[-1]
    assert (last["event"], last["frames"], last["width"], last["height"]) == ("result", 8, 64, 48)
    assert {path.name for path in tmp_path.iterdir()} == {"clip.linr"}


def test_sound_and_subtitles_come_back(call: Run, encoded: Path, tmp_path: Path) -> None:
    for options, kinds in (
        ((), ["attachment", "audio", "subtitle", "video"]),
        (("--no-audio",), ["video"]),
    ):
        assert call("decode", encoded / "sound.linr", "out.mkv", "-y", *options).returncode == 0
        with av.open(str(tmp_path / "out.mkv")) as container:
            assert sorted(stream.type for stream in container.streams) == kinds


def test_an_encoder_of_choice(call: Run, linr: Path, tmp_path: Path) -> None:
    assert call("decode", linr.name, "out.mkv", "--codec", "ffv1").returncode == 0
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert container.streams.video[0].codec_context.name == "ffv1"
    assert "--codec" in one_error(call("decode", linr.name, "b.mp4", "--codec", "nonsense", "-q"), 2)
    assert not (tmp_path / "b.mp4").exists()


def test_nothing_is_overwritten_unasked(call: Run, linr: Path, tmp_path: Path) -> None:
    out = tmp_path / "clip.mp4"
    out.write_bytes(b"precious")
    assert "-y" in one_error(call("decode", linr.name, "-q"), 2)
    assert out.read_bytes() == b"precious"
    assert call("decode", linr.name, "-y").returncode == 0
    assert out.read_bytes() != b"precious"


def test_input_and_output_are_the_same(call: Run, linr: Path) -> None:
    data = linr.read_bytes()
    one_error(call("decode", linr.name, linr.name, "-y", "-q"), 2)
    assert linr.read_bytes() == data


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ("--scale 0", 2),
        ("--scale -2", 2),
        ("--scale nan", 2),
        ("--scale inf", 2),
        ("--scale 1/0", 2),
        ("--scale 1000", 2),
        ("--scale 2 --size 8x8", 2),
        ("--size 0x48", 2),
        ("--size 64x0", 2),
        ("--size -64x48", 2),
        ("--size nanx48", 2),
        ("--size 65536x4", 2),
        ("--size 65535x65535", 5),
        ("--size 16385x48", 5),
        ("--size 64x16385", 5),
        ("--size 16384x16384", 5),
        ("--size 65x49 --limit max_pixels=3184", 5),
        ("--roi 60,40,20,20", 2),
        ("--roi 64,0,1,1", 2),
        ("--roi 0,48,1,1", 2),
        ("--roi -1,0,8,8", 2),
        ("--roi 0,0,0,8", 2),
        ("--roi 0,0,8,0", 2),
        ("--roi 0,0,8", 2),
        ("--roi 0,0,8,8.5", 2),
        ("--roi nan,0,8,8", 2),
        ("--roi 0,0,8,8 --scale 100 --limit max_width=799", 5),
        ("--at -1", 2),
        ("--at nan", 2),
        ("--at inf", 2),
        ("--at 1e400", 2),
        ("--at 0.1 --fps 50", 2),
        ("--start -1", 2),
        ("--start 3600", 2),
        ("--start nan", 2),
        ("--duration 0", 2),
        ("--duration -1", 2),
        ("--duration inf", 2),
        ("--fps 0", 2),
        ("--fps nan", 2),
        ("--fps -25", 2),
        ("--fps 10001", 2),
        ("--fps 5000", 5),
        ("--fps 1000 --limit max_frames=100", 5),
        ("--threads 0", 2),
        ("--device cuda:99", 4),
        ("--device abacus", 2),
    ],
)
def test_requests_that_cannot_be_met(call: Run, linr: Path, tmp_path: Path, options: str, status: int) -> None:
    one_error(call("decode", linr.name, "out.mkv", "-q", *options.split()), status)
    assert not (tmp_path / "out.mkv").exists()


def test_damage_anywhere_is_an_error_and_leaves_no_output(call: Run, linr: Path, tmp_path: Path) -> None:
    data = linr.read_bytes()
    for place in range(9, len(data), len(data) // 4):
        changed = bytearray(data)
        changed[place] ^= 0x40
        linr.write_bytes(changed)
        result = call("decode", linr.name, "out.mp4", "-q")
        one_error(result, result.returncode)
        assert result.returncode in (3, 4)
        linr.write_bytes(data[:place])
        one_error(call("decode", linr.name, "out.mp4", "-q"), 3)
    assert {path.name for path in tmp_path.iterdir()} == {"clip.linr"}


def test_salvage_writes_what_is_left_and_exits_with_3(run: Run, encoded: Path, tmp_path: Path) -> None:
    """In a file of two segments the one that is left stands in for the other."""
    data = bytearray((encoded / "clip.linr").read_bytes())
    with LinrReader(bytes(data)) as reader:
        payload, pts, base = reader.read_segment(0), list(reader.pts), reader.info
        conf, entry = reader.conf, reader.segments[0]
    with LinrWriter(tmp_path / "two.linr", base, conf) as writer:
        for shift in (0, 10_000):
            writer.add_segment(payload, [p + shift for p in pts], [1] * len(pts))
        writer.finish()
    two = bytearray((tmp_path / "two.linr").read_bytes())
    two[entry.offset + entry.length // 2] ^= 1
    (tmp_path / "two.linr").write_bytes(two)
    assert "SEGM at byte" in one_error(run("decode", "two.linr", "a.mkv", "-q"), 3)
    assert not (tmp_path / "a.mkv").exists()
    result = run("decode", "two.linr", "a.mkv", "--salvage", "--json")
    assert result.returncode == 3
    assert "8 of 16 frame(s) stand in" in result.stderr
    *_, last = events(result.stdout)
    assert (last["event"], last["stood_in"], last["frames"]) == ("result", 8, 16)
    (problem,) = last["problems"]
    assert (problem["chunk"], problem["offset"], problem["start"]) == ("SEGM", entry.offset, 0.0)
    assert len(look(tmp_path / "a.mkv")[2]) == 16
