"""What an interrupted encode leaves, and who may go on from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from licodec.errors import UsageError
from licodec.fit.checkpoint import Checkpoint, FinishedSegment, fingerprint

SEGMENT = FinishedSegment(b"payload\0\xff", (0, 3, 7), (3, 4, 2), np.array([[1.5, 2.0], [0.25, 0.0], [3.0, 1e-9]]))


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """An output whose encode was interrupted: one segment done, the second begun, at CRF 27.123."""
    output = tmp_path / "out.linr"
    checkpoint = Checkpoint(output, "me", resume=False)
    checkpoint.start(27.123456789012345)
    checkpoint.save_segment(0, SEGMENT)
    checkpoint.save_partial(1, b"half")
    return output


def test_everything_comes_back_as_it_was(left: Path) -> None:
    checkpoint = Checkpoint(left, "me", resume=True)
    assert checkpoint.exists
    assert checkpoint.crf == 27.123456789012345
    found = checkpoint.load_segment(0, SEGMENT.pts)
    assert found is not None
    assert (found.payload, found.pts, found.durations) == (SEGMENT.payload, SEGMENT.pts, SEGMENT.durations)
    np.testing.assert_array_equal(found.squared_error, SEGMENT.squared_error)
    assert checkpoint.load_partial(1) == b"half"


def test_what_is_not_there_is_none(left: Path) -> None:
    checkpoint = Checkpoint(left, "me", resume=True)
    assert checkpoint.load_segment(1, SEGMENT.pts) is None
    assert checkpoint.load_partial(0) is None


def test_a_segment_of_other_frames_is_not_taken(left: Path) -> None:
    assert Checkpoint(left, "me", resume=True).load_segment(0, (0, 3, 8)) is None


def test_a_finished_segment_replaces_the_part_of_it(left: Path) -> None:
    checkpoint = Checkpoint(left, "me", resume=True)
    checkpoint.save_segment(1, SEGMENT)
    assert checkpoint.load_partial(1) is None


def test_another_identity_is_refused_and_harms_nothing(left: Path) -> None:
    with pytest.raises(UsageError, match="another input or with other settings") as caught:
        Checkpoint(left, "someone else", resume=True)
    assert "without --resume" in str(caught.value)
    assert Checkpoint(left, "me", resume=True).load_partial(1) == b"half"


def test_without_resume_the_old_one_is_dropped(left: Path) -> None:
    checkpoint = Checkpoint(left, "me", resume=False)
    assert not checkpoint.exists
    assert checkpoint.crf is None
    assert checkpoint.load_segment(0, SEGMENT.pts) is None


def test_resume_with_nothing_left_starts_afresh(tmp_path: Path) -> None:
    assert not Checkpoint(tmp_path / "out.linr", "me", resume=True).exists


def test_a_new_rate_factor_starts_over(left: Path) -> None:
    checkpoint = Checkpoint(left, "me", resume=True)
    checkpoint.start(30.0)
    assert checkpoint.crf == 30.0
    assert checkpoint.load_segment(0, SEGMENT.pts) is None


def test_nothing_is_left_of_a_complete_encode(left: Path) -> None:
    Checkpoint(left, "me", resume=True).remove()
    assert list(left.parent.iterdir()) == []


@pytest.mark.parametrize("damage", [b"", b"not safetensors", b"\xff" * 200])
def test_damaged_files_count_as_not_there(left: Path, damage: bytes) -> None:
    for name in ("segment-00000", "partial"):
        (left.with_name("out.linr.resume") / f"{name}.safetensors").write_bytes(damage)
    checkpoint = Checkpoint(left, "me", resume=True)
    assert checkpoint.load_segment(0, SEGMENT.pts) is None
    assert checkpoint.load_partial(1) is None


def test_files_appear_whole_or_not_at_all(left: Path) -> None:
    assert {p.suffix for p in left.with_name("out.linr.resume").iterdir()} == {".safetensors"}


def test_fingerprints_tell_inputs_and_settings_apart(tmp_path: Path) -> None:
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).write_bytes(content)
    a, b, c = (fingerprint(tmp_path / name, "crf=28") for name in "abc")
    assert a == b != c
    assert fingerprint(tmp_path / "a", "crf=29") != a


def test_pictures_count_by_their_names_and_contents(tmp_path: Path) -> None:
    for name in ("1.png", "2.png"):
        (tmp_path / name).write_bytes(name.encode())
    before = fingerprint(tmp_path, "")
    (tmp_path / "3.png").write_bytes(b"")
    after = fingerprint(tmp_path, "")
    (tmp_path / "2.png").rename(tmp_path / "4.png")
    assert len({before, after, fingerprint(tmp_path, "")}) == 3
