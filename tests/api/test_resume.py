"""An encode that is interrupted leaves no output, and goes on where it stopped."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import licodec
from api.movies import pan, ultrafast
from licodec.container import LinrWriter
from licodec.errors import UsageError
from licodec.fit.search import MotionSearch
from licodec.video.info import VideoInfo

SETTINGS = ultrafast(keyint=5, group=2)
"""Seven frames: a segment of 1 + 2 + 2 and one of 1 + 1."""


@dataclass(frozen=True)
class Whole:
    """An encode that ran through."""

    source: Path
    data: bytes


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder = tmp_path_factory.mktemp("whole")
    pan(VideoInfo(32, 24, "gray"), range(7)).write(folder / "a.nut")
    licodec.encode(folder / "a.nut", folder / "a.linr", SETTINGS)
    return Whole(folder / "a.nut", (folder / "a.linr").read_bytes())


@pytest.fixture(autouse=True)
def save_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what is done after every group."""
    monkeypatch.setattr("licodec.fit.segment._SAVE_EVERY", 0.0)


def interrupt(
    source: Path, output: Path, segment: int, stage: str, step: int, settings: licodec.EncodeSettings = SETTINGS
) -> None:
    """Encode up to a step, and press Ctrl-C there."""

    def progress(p: licodec.Progress) -> None:
        if (p.segment, p.stage, p.step) == (segment, stage, step):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        licodec.encode(source, output, settings, progress=progress)
    assert [p.name for p in output.parent.iterdir()] == [f"{output.name}.resume"]
    assert not list(output.with_name(f"{output.name}.resume").glob("*.part"))


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Frames whose motion was searched (at full size: the look-ahead is not kept, and done again)."""
    found: list[int] = []
    real = MotionSearch.search

    def search(self: MotionSearch, picture: object, *rest: object) -> object:
        if self._geometry.shapes[0] == (24, 32):
            found.append(picture.frame)  # type: ignore[attr-defined]
        return real(self, picture, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(MotionSearch, "search", search)
    return found


@pytest.mark.parametrize(
    ("segment", "stage", "step", "again"),
    [
        (0, "code", 4, 4),
        (0, "check", 2, 2),
        (1, "code", 1, 2),
        (1, "check", 2, 0),
    ],
    ids=str,
)
def test_the_resumed_file_has_the_same_bytes_and_what_was_done_is_not_done_again(
    segment: int, stage: str, step: int, again: int, whole: Whole, tmp_path: Path, searches: list[int]
) -> None:
    output = tmp_path / "out.linr"
    interrupt(whole.source, output, segment, stage, step)
    searches.clear()
    licodec.encode(whole.source, output, SETTINGS, resume=True)
    assert output.read_bytes() == whole.data
    assert [p.name for p in tmp_path.iterdir()] == ["out.linr"]
    assert len(searches) == again


def test_an_encode_interrupted_twice_still_ends_with_the_same_bytes(whole: Whole, tmp_path: Path) -> None:
    output = tmp_path / "out.linr"
    interrupt(whole.source, output, 0, "code", 4)

    def progress(p: licodec.Progress) -> None:
        if (p.segment, p.stage) == (1, "train"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        licodec.encode(whole.source, output, SETTINGS, resume=True, progress=progress)
    licodec.encode(whole.source, output, SETTINGS, resume=True)
    assert output.read_bytes() == whole.data


def test_an_interruption_while_the_file_is_written_costs_nothing(
    whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, searches: list[int]
) -> None:
    output = tmp_path / "out.linr"

    def finish(writer: LinrWriter, *_: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(LinrWriter, "finish", finish)
        with pytest.raises(KeyboardInterrupt):
            licodec.encode(whole.source, output, SETTINGS)
    assert [p.name for p in tmp_path.iterdir()] == ["out.linr.resume"]
    searches.clear()
    licodec.encode(whole.source, output, SETTINGS, resume=True)
    assert output.read_bytes() == whole.data
    assert searches == []


@pytest.fixture(scope="module")
def checkpoint(whole: Whole, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is left when the second segment is interrupted in training."""
    folder = tmp_path_factory.mktemp("left")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("licodec.fit.segment._SAVE_EVERY", 0.0)
        interrupt(whole.source, folder / "out.linr", 1, "train", 1)
    return folder / "out.linr.resume"


@pytest.fixture
def left(checkpoint: Path, tmp_path: Path) -> Path:
    """An output with that checkpoint beside it."""
    shutil.copytree(checkpoint, tmp_path / "out.linr.resume")
    return tmp_path / "out.linr"


@pytest.mark.parametrize("change", [{"crf": 30.0}, {"seed": 1}, {"preset": "fast"}, {"group": 3}, {"keyint": 6}])
def test_other_settings_are_refused(change: dict[str, object], whole: Whole, left: Path) -> None:
    with pytest.raises(UsageError, match="other settings"):
        licodec.encode(whole.source, left, replace(SETTINGS, **change), resume=True)  # type: ignore[arg-type]
    assert not left.exists()


def test_another_input_is_refused_and_the_checkpoint_is_kept(whole: Whole, left: Path, tmp_path: Path) -> None:
    pan(VideoInfo(32, 24, "gray"), range(1, 8)).write(tmp_path / "other.nut")
    with pytest.raises(UsageError, match="another input"):
        licodec.encode(tmp_path / "other.nut", left, SETTINGS, resume=True)
    assert not left.exists()
    licodec.encode(whole.source, left, SETTINGS, resume=True)
    assert left.read_bytes() == whole.data


def test_the_same_input_under_another_name_is_taken(
    whole: Whole, left: Path, tmp_path: Path, searches: list[int]
) -> None:
    (tmp_path / "renamed.nut").write_bytes(whole.source.read_bytes())
    licodec.encode(tmp_path / "renamed.nut", left, SETTINGS, resume=True)
    assert left.read_bytes() == whole.data
    assert searches == []


def test_without_resume_everything_is_done_afresh(
    whole: Whole, left: Path, tmp_path: Path, searches: list[int]
) -> None:
    licodec.encode(whole.source, left, SETTINGS)
    assert left.read_bytes() == whole.data
    assert len(searches) == 7
    assert [p.name for p in tmp_path.iterdir()] == ["out.linr"]


@pytest.mark.parametrize("name", ["segment-00000", "partial"])
def test_a_damaged_checkpoint_never_makes_another_file(name: str, whole: Whole, left: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.linr.resume" / f"{name}.safetensors"
    path.write_bytes(path.read_bytes()[:-5])
    licodec.encode(whole.source, left, SETTINGS, resume=True)
    assert left.read_bytes() == whole.data


def test_a_checkpoint_that_does_not_say_whose_it_is_is_refused(whole: Whole, left: Path, tmp_path: Path) -> None:
    (tmp_path / "out.linr.resume" / "job.safetensors").write_bytes(b"")
    with pytest.raises(UsageError, match="without --resume"):
        licodec.encode(whole.source, left, SETTINGS, resume=True)


def test_a_target_is_met_by_the_resumed_encode_too(whole: Whole, tmp_path: Path) -> None:
    settings = ultrafast(keyint=5, group=2, target_size=900)
    output = tmp_path / "out.linr"
    interrupt(whole.source, output, 1, "code", 1, settings)
    stages: set[str] = set()
    licodec.encode(whole.source, output, settings, resume=True, progress=lambda p: stages.add(p.stage))
    assert 0.97 * 900 <= output.stat().st_size <= 900
    # The search had ended: its result was kept.
    assert "search" not in stages
