"""`licodec.encode`: what it promises of the file it makes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from video.clips import packets, python

import licodec
from api.conftest import STEPS
from api.movies import Encoded, encoded, pan, psnr, ultrafast
from licodec.errors import UsageError
from licodec.fit.presets import PRESETS
from licodec.metrics.psnr import psnr as mean_psnr
from licodec.video.info import VideoInfo


def of_source(made: Encoded) -> float:
    """Mean luma PSNR in dB of the decoded frames, with the peak of their bit depth."""
    info = made.movie.info
    peak = (1 << info.bit_depth) - 1
    with licodec.open(made.path) as video:
        errors = [
            float(np.square(luma(frame.planes, info) - luma(source, info)).mean()) / peak**2
            for frame, source in zip(video.frames(), made.movie.pictures, strict=True)
        ]
    return float(mean_psnr(errors).mean())


def luma(planes: tuple[np.ndarray, ...], info: VideoInfo) -> np.ndarray:
    """Of any format; of RGB that of YCgCo."""
    first, *rest = (p.astype(float) for p in planes)
    return (first + 2 * rest[0] + rest[1]) / 4 if info.chroma == "rgb" else first


# The same input, the same bytes.


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Encoded:
    """48x32, two segments of two frames."""
    return encoded(pan(VideoInfo(48, 32), range(4)), tmp_path_factory.mktemp("short"), keyint=2)


def test_the_same_settings_make_the_same_bytes(short: Encoded, tmp_path: Path) -> None:
    assert encoded(short.movie, tmp_path, keyint=2).path.read_bytes() == short.path.read_bytes()


def test_another_process_makes_the_same_bytes(short: Encoded, tmp_path: Path) -> None:
    code = f"""
from dataclasses import replace
import licodec
from licodec.fit.presets import PRESETS
PRESETS["ultrafast"] = replace(PRESETS["ultrafast"], steps={STEPS})
settings = licodec.EncodeSettings(preset="ultrafast", keyint=2, threads=1)
licodec.encode({str(short.source)!r}, {str(tmp_path / "again.linr")!r}, settings)
"""
    process = python(code)
    assert process.returncode == 0, process.stderr.decode()
    assert (tmp_path / "again.linr").read_bytes() == short.path.read_bytes()


def test_the_output_is_complete_and_alone(short: Encoded) -> None:
    assert sorted(p.name for p in short.path.parent.iterdir()) == ["out.linr", "source.nut"]


def test_every_segment_stands_in_the_file(short: Encoded) -> None:
    assert short.report.segments == 2
    with licodec.open(short.path) as video:
        assert video.metadata.num_segments == 2
        assert len(list(video.frames())) == 4


# Quality and size.


@pytest.mark.parametrize(("crf", "low", "high"), [(0, 50, 101), (51, 10, 40), (None, 30, 60)])
def test_both_ends_of_the_crf_range_and_the_default(crf: float | None, low: float, high: float, tmp_path: Path) -> None:
    made = encoded(pan(VideoInfo(32, 24, "gray"), range(2)), tmp_path, crf=crf)
    assert made.report.crf == (28 if crf is None else crf)
    assert low < of_source(made) < high


# Every kind of picture.


@pytest.fixture(
    scope="module",
    params=[
        VideoInfo(40, 24),
        VideoInfo(37, 23, "422"),
        VideoInfo(37, 23, "444"),
        VideoInfo(40, 24, "gray", full_range=True),
        VideoInfo(37, 23, "rgb", full_range=True),
        VideoInfo(37, 23, "420", 10),
        VideoInfo(24, 16, "rgb", 10, full_range=True),
    ],
    ids=lambda i: f"{i.chroma}-{i.bit_depth}-{i.width}x{i.height}",
)
def kind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Encoded:
    """Two frames of a format."""
    return encoded(pan(request.param, range(2)), tmp_path_factory.mktemp("kind"), crf=16)


def test_every_format_comes_back_as_what_it_was(kind: Encoded) -> None:
    info = kind.movie.info
    with licodec.open(kind.path) as video:
        assert (video.info.width, video.info.height) == (info.width, info.height)
        assert (video.info.chroma, video.info.bit_depth) == (info.chroma, info.bit_depth)
        assert video.info.full_range == info.full_range
        for i, source in enumerate(kind.movie.pictures):
            for a, b in zip(video.planes(i), source, strict=True):
                assert a.dtype == b.dtype == info.dtype
                assert a.shape == b.shape
                assert psnr(a, b, (1 << info.bit_depth) - 1) > 38
        assert video[0].shape == (3, info.height, info.width)
        assert video[0].dtype == (torch.uint8 if info.bit_depth == 8 else torch.uint16)


def test_the_psnr_reported_is_that_of_the_frames_in_every_format(kind: Encoded) -> None:
    """Of RGB, that of its luma: (R + 2 G + B) / 4."""
    assert kind.report.psnr_y == pytest.approx(of_source(kind), abs=0.01)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_shortest_videos(count: int, tmp_path: Path) -> None:
    made = encoded(pan(VideoInfo(40, 24), range(count)), tmp_path)
    assert made.report.frames == count
    assert of_source(made) > 35
    with licodec.open(made.path) as video:
        assert len(video) == count
        assert video.end - video.time(0) == Fraction(count, 25)
        assert video.render(video.end - Fraction(1, 100), size=(20, 30)).shape == (3, 20, 30)


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (50, 3)])
def test_the_smallest_pictures(size: tuple[int, int], tmp_path: Path) -> None:
    made = encoded(pan(VideoInfo(*size), range(2)), tmp_path, crf=16)
    assert of_source(made) > 35
    with licodec.open(made.path) as video:
        assert video.planes(1)[0].shape == (size[1], size[0])
        assert video.render(0.02, size=(7, 9)).shape == (3, 7, 9)


def test_an_odd_size_of_some_size(tmp_path: Path) -> None:
    made = encoded(pan(VideoInfo(175, 143), range(2), speed=(3, 2)), tmp_path, crf=36)
    with licodec.open(made.path) as video:
        assert [p.shape for p in video.planes(1)] == [(143, 175), (72, 88), (72, 88)]
    assert of_source(made) > 32


def test_a_still_picture(tmp_path: Path) -> None:
    movie = pan(VideoInfo(45, 37, "rgb"), [0])
    cv2.imwrite(str(tmp_path / "a.png"), np.dstack(movie.pictures[0][::-1]))
    report = licodec.encode(tmp_path / "a.png", tmp_path / "a.linr", ultrafast(crf=16))
    assert report.frames == 1
    with licodec.open(tmp_path / "a.linr") as video:
        assert len(video) == 1
        picture = video[0].numpy()
    assert all(psnr(a, b) > 38 for a, b in zip(picture, movie.pictures[0], strict=True))


# Everything else that a file keeps.


@pytest.fixture(scope="module")
def with_sound(sound_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "a.linr"
    licodec.encode(sound_clip, path, ultrafast(crf=40))
    return path


@pytest.mark.parametrize("kind", ["audio", "subtitle"])
def test_other_streams_are_kept_packet_by_packet(kind: str, with_sound: Path, sound_clip: Path) -> None:
    with licodec.open(with_sound) as video:
        blob = video.other_streams()
    assert blob is not None
    kept = packets(blob, kind)
    assert kept == packets(sound_clip, kind)
    assert kept


def test_decode_puts_the_sound_back(with_sound: Path, sound_clip: Path, tmp_path: Path) -> None:
    licodec.decode(with_sound, tmp_path / "back.mkv")
    assert [data for _, data in packets(tmp_path / "back.mkv", "audio")] == [
        data for _, data in packets(sound_clip, "audio")
    ]


def test_streams_can_be_left_out(sound_clip: Path, with_sound: Path, tmp_path: Path) -> None:
    licodec.encode(sound_clip, tmp_path / "a.linr", ultrafast(crf=40, copy_streams=False))
    with licodec.open(tmp_path / "a.linr") as video:
        assert video.other_streams() is None
    assert (tmp_path / "a.linr").stat().st_size < with_sound.stat().st_size


# Progress.


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[licodec.Progress]]:
    """Everything that an encode of two segments of three frames tells."""
    folder = tmp_path_factory.mktemp("told")
    pan(VideoInfo(32, 24, "gray"), range(6)).write(folder / "a.mkv")
    found: list[licodec.Progress] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "ultrafast", replace(PRESETS["ultrafast"], look_ahead=True))
        licodec.encode(folder / "a.mkv", folder / "a.linr", ultrafast(keyint=3), progress=found.append)
    yield found


def test_progress_goes_through_every_stage_of_every_segment(told: list[licodec.Progress]) -> None:
    stages = list(dict.fromkeys((p.segment, p.stage) for p in told))
    assert stages == [(i, stage) for i in range(2) for stage in ("look ahead", "code", "train", "check")]
    for segment, stage in stages:
        steps = [(p.step, p.steps) for p in told if (p.segment, p.stage) == (segment, stage)]
        # The frame between the other two is not looked ahead at.
        count = {"train": STEPS, "look ahead": 2}.get(stage, 3)
        assert steps == [(i + 1, count) for i in range(count)]


def test_progress_tells_time_and_what_is_known_so_far(told: list[licodec.Progress]) -> None:
    elapsed = [p.elapsed for p in told]
    assert elapsed == sorted(elapsed)
    assert told[0].psnr is None
    assert told[0].kbps is None
    assert 20 < told[-1].psnr < 80  # type: ignore[operator]
    assert told[-1].kbps > 0  # type: ignore[operator]
    assert told[-1].eta is None or told[-1].eta >= 0


def test_an_output_that_exists_is_kept_unless_told_otherwise(file: Encoded, tmp_path: Path) -> None:
    (tmp_path / "a.linr").write_bytes(b"precious")
    with pytest.raises(UsageError, match="exists"):
        licodec.encode(file.source, tmp_path / "a.linr", ultrafast())
    assert (tmp_path / "a.linr").read_bytes() == b"precious"
    movie = pan(VideoInfo(32, 24, "gray"), range(1))
    movie.write(tmp_path / "a.mkv")
    licodec.encode(tmp_path / "a.mkv", tmp_path / "a.linr", ultrafast(), overwrite=True)
    with licodec.open(tmp_path / "a.linr") as video:
        assert len(video) == 1
