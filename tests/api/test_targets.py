"""Sizes, rates, qualities and times that a user asks for."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import licodec
import licodec.encoder
from api.movies import pan, ultrafast
from licodec.errors import TargetError
from licodec.fit.presets import PRESETS
from licodec.model.config import ModelConfig
from licodec.video.info import VideoInfo

DURATION = 4 / 25


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pan of four frames, 48x32, 25 a second."""
    path = tmp_path_factory.mktemp("targets") / "a.nut"
    pan(VideoInfo(48, 32), range(4), speed=(1.5, 0.5)).write(path)
    return path


def encode(source: Path, folder: Path, **settings: object) -> licodec.EncodeReport:
    report = licodec.encode(source, folder / "a.linr", ultrafast(**settings))
    assert report.bytes == (folder / "a.linr").stat().st_size
    return report


def test_a_target_size_is_never_exceeded_and_met_within_3_percent(source: Path, tmp_path: Path) -> None:
    assert 873 <= encode(source, tmp_path, target_size=900).bytes <= 900


def test_a_bitrate_is_met_within_3_percent_by_the_whole_file(source: Path, tmp_path: Path) -> None:
    report = encode(source, tmp_path, bitrate=60_000)
    assert 8 * report.bytes / DURATION == pytest.approx(60_000, rel=0.03)


def test_a_psnr_is_met_within_a_tenth_of_a_decibel(source: Path, tmp_path: Path) -> None:
    """The search says that it searches, and what follows goes through the usual stages."""
    stages: list[str] = []
    settings = ultrafast(target_psnr=44)
    report = licodec.encode(source, tmp_path / "a.linr", settings, progress=lambda p: stages.append(p.stage))
    assert report.psnr_y == pytest.approx(44, abs=0.1)
    assert list(dict.fromkeys(stages)) == ["search", "code", "train", "check"]


@pytest.mark.parametrize("settings", [{"target_size": 200}, {"bitrate": 1e9}, {"target_psnr": 5}])
def test_what_cannot_be_met_is_said_in_one_line_and_leaves_nothing(
    settings: dict[str, float], source: Path, tmp_path: Path
) -> None:
    with pytest.raises(TargetError, match="cannot be reached: the nearest") as caught:
        encode(source, tmp_path, **settings)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


class StandIn:
    """A fitter that makes payloads of a size that a formula gives, and the player of them."""

    conf = ModelConfig().to_bytes()
    frames = 4

    def __init__(self, size: Callable[[float, bool], float]) -> None:
        self._size = size
        self.full: list[float] = []
        """Rate factors of whole encodes."""

    def fit(self, frames: list, crf: float, budget: object, *, quick: bool, **rest: object) -> bytes:
        if not quick:
            self.full.append(crf)
        return bytes(round(self._size(crf, quick)))

    def render(self, frame: int) -> tuple[np.ndarray, ...]:
        return tuple(np.zeros(shape, np.float32) for shape in VideoInfo(48, 32).plane_shapes)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[float, bool], float]], StandIn]:
    def install(size: Callable[[float, bool], float]) -> StandIn:
        fitter = StandIn(size)
        monkeypatch.setattr(licodec.encoder, "make_fitter", lambda *rest: fitter)
        monkeypatch.setattr(licodec.encoder, "open_player", lambda *rest, **options: fitter)
        return fitter

    return install


@pytest.mark.parametrize("extra", [0.8, 1.02, 1.5])
def test_what_training_adds_to_the_size_is_made_good(
    extra: float, stand_in: Callable[..., StandIn], source: Path, tmp_path: Path
) -> None:
    fitter = stand_in(lambda crf, quick: 60_000 * math.exp(-0.11 * crf) * (1 if quick else extra))
    report = encode(source, tmp_path, target_size=5000)
    assert 0.97 * 5000 <= report.bytes <= 5000
    # Whole encodes are dear: the first one starts from what the quick ones found.
    assert len(fitter.full) <= 4


@pytest.mark.parametrize("place", [0.2, 0.5, 0.8])
def test_a_size_inside_the_jump_where_the_network_goes_gives_the_largest_file_below(
    place: float, stand_in: Callable[..., StandIn], source: Path, tmp_path: Path
) -> None:
    """Below CRF 30 a network of 1,000 bytes pays, above it does not."""

    def size(crf: float, quick: bool) -> float:
        return 60_000 * math.exp(-0.11 * crf) + (1000 if crf < 30 and not quick else 0)

    stand_in(size)
    jump = (60_000 * math.exp(-0.11 * 30) + 200, 60_000 * math.exp(-0.11 * 30) + 1200)
    goal = round(jump[0] + place * (jump[1] - jump[0]))
    report = encode(source, tmp_path, target_size=goal)
    assert 0.97 * jump[0] - 200 <= report.bytes <= goal


def test_max_time_cuts_the_training_short(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, "ultrafast", replace(PRESETS["ultrafast"], steps=10**8))
    trained: list[int] = []

    def progress(p: licodec.Progress) -> None:
        if p.stage == "train":
            trained.append(p.steps)

    report = licodec.encode(source, tmp_path / "a.linr", ultrafast(max_time=1.5), progress=progress)
    assert 1 <= trained[-1] == len(trained) < 10**4
    assert report.psnr_y > 35


def test_a_time_that_is_over_before_it_begins_still_makes_a_file(source: Path, tmp_path: Path) -> None:
    assert encode(source, tmp_path, max_time=0.001).psnr_y > 35
