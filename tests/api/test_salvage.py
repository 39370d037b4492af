"""Damage stays in its segment: with `salvage` the rest is shown, the gap is filled as the specification says."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from container import rebuild

import licodec
from api.conftest import SCENES
from api.movies import Encoded
from licodec.container import LinrReader, verify
from licodec.decoder import verify_symbols
from licodec.errors import DamagedFileError, UnsupportedError

FIRST = [0, SCENES[0], SCENES[0] + SCENES[1], sum(SCENES)]
"""First frame of each segment."""


def break_bytes(data: bytes, segment: int) -> bytes:
    """A segment whose checksum no longer holds."""
    start, end = rebuild.extents(data)[2 + segment]
    return data[: (start + end) // 2] + bytes([data[(start + end) // 2] ^ 0x10]) + data[(start + end) // 2 + 1 :]


def break_symbols(data: bytes, segment: int) -> bytes:
    """A segment with a right checksum whose stream does not end where its last symbol does."""
    chunks = rebuild.split(data)
    chunks[2 + segment] = (b"SEGM", chunks[2 + segment][1] + b"\x12\x34\x56\x78" * 2)
    chunks[-2] = (b"INDX", rebuild.index_of(chunks[2:-2]))
    return rebuild.join(chunks)


BREAK = pytest.mark.parametrize("damage", [break_bytes, break_symbols])


def expected(whole: licodec.Video, lost: int) -> list[np.ndarray]:
    """Luma of every frame, with the stated picture in place of those of a lost segment."""
    frames = [whole.planes(i)[0] for i in range(len(whole))]
    stand_in = frames[FIRST[lost] - 1] if lost else frames[FIRST[1]]
    return [stand_in if FIRST[lost] <= i < FIRST[lost + 1] else frame for i, frame in enumerate(frames)]


@BREAK
@pytest.mark.parametrize("lost", range(len(SCENES)))
def test_one_destroyed_segment_costs_that_segment(
    lost: int, damage: Callable[[bytes, int], bytes], file: Encoded, video: licodec.Video
) -> None:
    data = damage(file.path.read_bytes(), lost)
    with licodec.open(data, salvage=True) as salvaged:
        got = list(salvaged.frames())
        assert [(f.pts, f.duration) for f in got] == [(f.pts, f.duration) for f in video.frames()]
        for frame, want in zip(got, expected(video, lost), strict=True):
            np.testing.assert_array_equal(frame.planes[0], want)
        (problem,) = salvaged.problems
        assert (problem.kind, problem.offset) == ("SEGM", rebuild.extents(data)[2 + lost][0])
        assert (problem.start, problem.end) == (
            video.time(FIRST[lost]),
            video.time(FIRST[lost + 1] - 1) + video.duration(FIRST[lost + 1] - 1),
        )
        assert salvaged.stood_in == SCENES[lost]


@BREAK
def test_any_order_and_times_in_between(
    damage: Callable[[bytes, int], bytes], file: Encoded, video: licodec.Video
) -> None:
    with licodec.open(damage(file.path.read_bytes(), 1), salvage=True) as salvaged:
        want = expected(video, 1)
        for i in reversed(range(len(video))):
            np.testing.assert_array_equal(salvaged.planes(i)[0], want[i])
        between = (video.time(FIRST[1]) + video.time(FIRST[1] + 1)) / 2
        np.testing.assert_array_equal(salvaged.planes_at(between)[0], want[FIRST[1]])


def test_a_run_of_lost_segments_shows_one_picture(file: Encoded, video: licodec.Video) -> None:
    data = break_bytes(break_bytes(file.path.read_bytes(), 0), 1)
    with licodec.open(data, salvage=True) as salvaged:
        for i in range(FIRST[2]):
            np.testing.assert_array_equal(salvaged.planes(i)[0], video.planes(FIRST[2])[0])
        assert len(salvaged.problems) == 2


def test_nothing_left_is_an_error(file: Encoded) -> None:
    data = file.path.read_bytes()
    for i in range(3):
        data = break_bytes(data, i)
    with licodec.open(data, salvage=True) as salvaged, pytest.raises(DamagedFileError, match="no segment is intact"):
        salvaged.planes(0)
    cut = data[: rebuild.extents(data)[2][0] + 20]
    with pytest.raises(DamagedFileError, match="no segment is intact"):
        licodec.open(cut, salvage=True)


def test_a_sound_file_is_read_as_ever(file: Encoded, video: licodec.Video) -> None:
    with licodec.open(file.path, salvage=True) as salvaged:
        for a, b in zip(salvaged.frames(), video.frames(), strict=True):
            assert (a.pts, a.duration) == (b.pts, b.duration)
            np.testing.assert_array_equal(a.planes[0], b.planes[0])
        assert (salvaged.problems, salvaged.stood_in) == ([], 0)


def test_a_file_that_was_cut_shows_what_is_before_the_cut(file: Encoded, video: licodec.Video) -> None:
    data = file.path.read_bytes()
    places = rebuild.extents(data)
    with licodec.open(data[: places[4][1] - 7], salvage=True) as salvaged:
        assert len(salvaged) == FIRST[2]
        for i in range(FIRST[2]):
            np.testing.assert_array_equal(salvaged.planes(i)[0], video.planes(i)[0])
        (problem,) = salvaged.problems
        assert problem.offset == places[4][0]
        assert (problem.start, problem.end) == (video.time(FIRST[2] - 1) + video.duration(FIRST[2] - 1), None)


def test_without_times_the_picture_before_the_gap_stays_until_its_end(file: Encoded, video: licodec.Video) -> None:
    """Index and a segment are gone: how many frames are missing, nobody knows."""
    data = break_bytes(file.path.read_bytes(), 1)
    places = rebuild.extents(data)
    with licodec.open(data[: places[-2][0]], salvage=True) as salvaged:
        frames = list(salvaged.frames())
        kept = [*range(FIRST[1]), *range(FIRST[2], FIRST[3])]
        assert [f.pts for f in frames] == [int(video.time(i) / video.info.time_base) for i in kept]
        assert frames[FIRST[1] - 1].pts + frames[FIRST[1] - 1].duration == frames[FIRST[1]].pts
        gap = next(p for p in salvaged.problems if p.offset == places[3][0])
        ends = video.time(FIRST[1] - 1) + video.duration(FIRST[1] - 1), video.time(FIRST[2])
        assert (gap.start, gap.end) == ends
        assert "(0.300 s to 0.480 s)" in str(gap)


def test_times_of_a_gap_at_the_beginning_have_no_start(file: Encoded) -> None:
    data = break_bytes(file.path.read_bytes(), 0)
    problems = verify(data[: rebuild.extents(data)[-2][0]])
    assert [str(p).partition(": ")[0] for p in problems if p.end] == [
        f"SEGM at byte {rebuild.extents(data)[2][0]} (the start to 0.300 s)"
    ]


def test_the_decoder_writes_every_frame_and_reports(file: Encoded, tmp_path: Path, video: licodec.Video) -> None:
    path = tmp_path / "a.linr"
    path.write_bytes(break_symbols(file.path.read_bytes(), 1))
    report = licodec.decode(path, tmp_path / "a.y4m", licodec.DecodeSettings(salvage=True))
    assert (report.frames, report.stood_in, len(report.problems)) == (sum(SCENES), SCENES[1], 1)
    pictures = (tmp_path / "a.y4m").read_bytes().split(b"FRAME\n")[1:]
    for got, want in zip(pictures, expected(video, 1), strict=True):
        np.testing.assert_array_equal(np.frombuffer(got[: want.size], np.uint8).reshape(want.shape), want)


def test_without_salvage_damage_is_an_error_before_the_first_wrong_pixel(
    file: Encoded, tmp_path: Path, video: licodec.Video
) -> None:
    data = break_bytes(file.path.read_bytes(), 1)
    with licodec.open(data) as damaged:
        seen = 0
        with pytest.raises(DamagedFileError):
            for i, frame in enumerate(damaged.frames()):
                np.testing.assert_array_equal(frame.planes[0], video.planes(i)[0])
                seen += 1
        assert seen == FIRST[1]


def test_what_is_unsupported_is_not_salvaged(file: Encoded) -> None:
    chunks = rebuild.split(file.path.read_bytes())
    with pytest.raises(UnsupportedError, match="XTRA"):
        licodec.open(rebuild.join([*chunks[:3], (b"XTRA", b""), *chunks[3:]])[:-1], salvage=True)


def test_verify_tells_symbols_of_what_is_left_of_a_damaged_container(
    file: Encoded, tmp_path: Path, video: licodec.Video
) -> None:
    data = break_symbols(file.path.read_bytes(), 2)
    places = rebuild.extents(data)
    (tmp_path / "a.linr").write_bytes(break_bytes(data, 0)[: places[-2][0]])
    with LinrReader(tmp_path / "a.linr", salvage=True) as reader:
        assert places[2][0] in [p.offset for p in reader.verify()]
    (problem,) = verify_symbols(tmp_path / "a.linr")
    assert problem.offset == places[4][0]
    assert (problem.start, problem.end) == (Fraction(48, 100), video.end)
