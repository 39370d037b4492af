"""Requests that make no sense and files that are damaged: the right error, and nothing left behind."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import licodec
from api.conftest import SCENES
from api.movies import Encoded, pan, ultrafast
from licodec.container import LinrReader, verify
from licodec.decoder import verify_symbols
from licodec.errors import (
    DamagedFileError,
    LicodecError,
    LimitError,
    UnsupportedError,
    UsageError,
)
from licodec.profiles import open_player
from licodec.video.info import VideoInfo


def one_line(error: BaseException) -> str:
    text = str(error)
    assert text
    assert "\n" not in text
    return text


# Encoding.


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"preset": "turbo"}, "ultrafast"),
        ({"profile": "mine"}, "paper"),
        ({"crf": -0.1}, "crf"),
        ({"crf": 51.5}, "crf"),
        ({"crf": float("nan")}, "crf"),
        ({"crf": 30.0, "bitrate": 1e6}, "one of"),
        ({"target_size": 1000, "target_psnr": 40.0}, "one of"),
        ({"bitrate": 0.0}, "bitrate"),
        ({"bitrate": float("inf")}, "bitrate"),
        ({"target_size": -5}, "target_size"),
        ({"target_psnr": float("nan")}, "target_psnr"),
        ({"max_time": 0.0}, "max_time"),
        ({"keyint": 0}, "keyint"),
        ({"group": 0}, "group"),
        ({"group": 65}, "group"),
        ({"threads": 0}, "threads"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**64}, "seed"),
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_a_usage_error(change: dict[str, object], word: str) -> None:
    """Asked of the check alone: what slips through it may well bring the machine down."""
    with pytest.raises(UsageError) as caught:
        ultrafast(**change).check()
    assert word in one_line(caught.value)


@pytest.mark.parametrize("change", [{"preset": "turbo"}, {"crf": 60}, {"device": "gpu"}, {"device": "cuda:x"}], ids=str)
def test_an_encode_checks_its_settings_before_anything_else(
    change: dict[str, object], clip: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        licodec.encode(clip, tmp_path / "a.linr", ultrafast(**change))
    assert next(iter(change)) in one_line(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_inputs_that_cannot_be_read_are_refused_and_leave_nothing(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("not a video at all, however long this may be\n" * 50)
    (tmp_path / "cut.mp4").write_bytes(clip.read_bytes()[:400])
    (tmp_path / "directory").mkdir()
    before = sorted(tmp_path.iterdir())
    for name in ("none.mp4", "empty.mp4", "text.mp4", "cut.mp4", "directory"):
        with pytest.raises((UsageError, DamagedFileError, UnsupportedError)) as caught:
            licodec.encode(tmp_path / name, tmp_path / "a.linr", ultrafast())
        assert name in one_line(caught.value)
    assert sorted(tmp_path.iterdir()) == before


def test_outputs_that_cannot_be_written_are_refused_at_once(clip: Path, tmp_path: Path) -> None:
    began: list[object] = []
    (tmp_path / "directory").mkdir()
    for output in (tmp_path / "none" / "a.linr", tmp_path / "directory", Path("-"), clip):
        with pytest.raises(UsageError) as caught:
            licodec.encode(clip, output, ultrafast(), overwrite=True, progress=began.append)
        one_line(caught.value)
    assert began == []
    assert clip.stat().st_size > 1000


def test_an_absurd_number_of_threads_never_reaches_the_thread_pool(
    file: Encoded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Really asked for, it takes the whole machine down."""
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    monkeypatch.setattr(cv2, "setNumThreads", asked.append)
    pan(VideoInfo(8, 8, "gray"), [0]).write(tmp_path / "a.nut")
    with contextlib.suppress(UsageError, LimitError):
        licodec.decode(file.path, "null:", licodec.DecodeSettings(threads=10**9, duration=Fraction(1, 25)))
    with contextlib.suppress(UsageError, LimitError):
        licodec.encode(tmp_path / "a.nut", tmp_path / "a.linr", ultrafast(threads=10**9))
    assert all(count <= 1024 for count in asked)


# Decoding.


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"scale": Fraction(0)}, UsageError),
        ({"scale": Fraction(-1)}, UsageError),
        ({"scale": Fraction(2), "size": (10, 10)}, UsageError),
        ({"size": (0, 10)}, UsageError),
        ({"size": (10, -10)}, UsageError),
        ({"size": (10**6, 10**6)}, LimitError),
        ({"scale": Fraction(10**6)}, LimitError),
        ({"fps": Fraction(0)}, UsageError),
        ({"fps": Fraction(-25)}, UsageError),
        ({"fps": Fraction(10**9)}, LimitError),
        ({"start": Fraction(-1)}, UsageError),
        ({"start": Fraction(60)}, UsageError),
        ({"duration": Fraction(0)}, UsageError),
        ({"at": (Fraction(-1),)}, UsageError),
        ({"at": (Fraction(0),), "fps": Fraction(10)}, UsageError),
        ({"roi": (0, 0, 100, 100)}, UsageError),
        ({"roi": (0, 0, 0, 1)}, UsageError),
        ({"device": "gpu"}, UsageError),
        ({"codec": "no-such-codec"}, UsageError),
    ],
    ids=str,
)
def test_renderings_that_make_no_sense_are_refused(
    change: dict[str, object], error: type[LicodecError], file: Encoded, tmp_path: Path
) -> None:
    with pytest.raises(error) as caught:
        licodec.decode(file.path, tmp_path / "a.mkv", licodec.DecodeSettings(**change))  # type: ignore[arg-type]
    one_line(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_exists_is_kept(file: Encoded, tmp_path: Path) -> None:
    (tmp_path / "a.mkv").write_bytes(b"precious")
    with pytest.raises(UsageError, match="exists"):
        licodec.decode(file.path, tmp_path / "a.mkv")
    assert (tmp_path / "a.mkv").read_bytes() == b"precious"
    with pytest.raises(UsageError, match="input"):
        licodec.decode(file.path, file.path, overwrite=True)


# Damaged files.


def segments_of(path: Path) -> list[tuple[int, int]]:
    """(offset, length) of each segment's chunk."""
    with LinrReader(path) as reader:
        return [(s.offset, s.length) for s in reader.segments]


@pytest.mark.parametrize("segment", range(len(SCENES)))
@pytest.mark.parametrize("output", ["a.mkv", "a.y4m", "%03d.png"])
def test_a_flipped_byte_in_a_segment_is_damage_and_leaves_no_output(
    segment: int, output: str, file: Encoded, tmp_path: Path
) -> None:
    data = bytearray(file.path.read_bytes())
    offset, length = segments_of(file.path)[segment]
    data[offset + length // 2] ^= 0x10
    broken = tmp_path / "broken.linr"
    broken.write_bytes(data)
    with pytest.raises(DamagedFileError) as caught:
        licodec.decode(broken, tmp_path / output)
    assert "broken.linr" in one_line(caught.value)
    assert list(tmp_path.iterdir()) == [broken]


def test_the_other_segments_of_a_damaged_file_play(file: Encoded) -> None:
    data = bytearray(file.path.read_bytes())
    offset, length = segments_of(file.path)[1]
    data[offset + length // 2] ^= 0x10
    with licodec.open(file.path) as whole, licodec.open(bytes(data)) as video:
        for i in (0, SCENES[0] + SCENES[1]):
            np.testing.assert_array_equal(video.planes(i)[0], whole.planes(i)[0])
        with pytest.raises(DamagedFileError):
            video[SCENES[0]]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_anywhere_is_damaged(share: float, file: Encoded) -> None:
    data = file.path.read_bytes()
    with pytest.raises(DamagedFileError) as caught:
        licodec.open(data[: int(share * len(data))])
    one_line(caught.value)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flip=st.integers(0, 10**6), value=st.integers(1, 255))
def test_a_forged_payload_shows_some_picture_or_is_damaged(flip: int, value: int, file: Encoded) -> None:
    """Whatever the bytes say, there is no other error, and every frame has the right shape."""
    with LinrReader(file.path) as reader:
        payload = bytearray(reader.read_segment(2))
        payload[flip % len(payload)] ^= value
        try:
            player = open_player(bytes(payload), reader.conf, reader.info, SCENES[2], "forged")
            for i in range(SCENES[2]):
                assert [p.shape for p in player.render(i)] == [(32, 48), (16, 24), (16, 24)]
        except LicodecError as error:
            one_line(error)


def test_verify_names_the_damaged_segment(file: Encoded, tmp_path: Path) -> None:
    assert verify_symbols(file.path) == []
    data = bytearray(file.path.read_bytes())
    offset, length = segments_of(file.path)[1]
    data[offset + length // 2] ^= 1
    (tmp_path / "a.linr").write_bytes(data)
    assert verify_symbols(tmp_path / "a.linr") == [], "the container tells it"
    (problem,) = verify(tmp_path / "a.linr")
    assert (problem.kind, problem.offset) == ("SEGM", offset)
    assert (problem.start, problem.end) == (Fraction(3, 10), Fraction(48, 100))
