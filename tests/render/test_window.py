"""Only what is asked for is computed, and it is the same as that part of the whole."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from licodec.entropy.segment import SegmentReader, write_segment
from licodec.model.geometry import Floats, Geometry, Planes
from licodec.model.intra import DIRECTIONS
from licodec.model.pyramid import Picture
from licodec.model.symbols import PictureSymbols
from licodec.render.flow import Flow
from licodec.render.intra import reach
from licodec.render.numpy_renderer import NumpyRenderer
from licodec.render.player import SegmentPlayer
from licodec.render.resample import View
from licodec.render.torch_renderer import TorchRenderer
from licodec.render.warp import phase_weights, warp
from licodec.render.window import Window, seen
from licodec.video.info import VideoInfo
from render.clips import CONFIG, FRAMES, segment
from render.reading import positions

INFO = VideoInfo(330, 250)
GEOMETRY = Geometry.of(INFO)
OTHERS = [VideoInfo(181, 99, chroma="gray"), VideoInfo(160, 99, chroma="422"), VideoInfo(131, 96, chroma="444")]


class Recorder(NumpyRenderer):
    """Counts the luma samples it computes, and leaves no number where it computes none."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__(geometry)
        self.predicted = self.synthesised = self.warped = 0

    def _empty(self, shape: tuple[int, ...]) -> Floats:
        return np.full(shape, np.nan, np.float32)

    def predict(self, *arguments, **options):  # type: ignore[no-untyped-def]
        made = super().predict(*arguments, **options)
        self.predicted += made.planes[0].size
        return made

    def accounts(self, *arguments, **options):  # type: ignore[no-untyped-def]
        made = super().accounts(*arguments, **options)
        self.warped += sum(planes[0].size for planes in made)
        return made

    def synthesise(self, network, content, latent, window=None):  # type: ignore[no-untyped-def]
        self.synthesised += np.prod((window or self.whole).shape((1, 1)))
        return super().synthesise(network, content, latent, window)


@cache
def without_network(info: VideoInfo) -> bytes:
    """The same pictures without a network: then windows must agree to the last bit."""
    reader = SegmentReader(segment(info), Geometry.of(info), CONFIG, FRAMES)
    for _ in reader.batches():
        pass
    return write_segment(replace(reader.symbols, network=None), Geometry.of(info))


@cache
def without_intra(info: VideoInfo) -> bytes:
    """As if all blocks were predicted from references: another film, but as good a one."""
    reader = SegmentReader(segment(info), Geometry.of(info), CONFIG, FRAMES)
    for _ in reader.batches():
        pass
    for picture in reader.symbols.pictures.values():
        picture.modes = [np.zeros_like(modes) for modes in picture.modes]
    return write_segment(reader.symbols, Geometry.of(info))


def player_of(payload: bytes, info: VideoInfo = INFO) -> tuple[SegmentPlayer, Recorder]:
    renderer = Recorder(Geometry.of(info))
    return SegmentPlayer(payload, renderer, CONFIG, FRAMES), renderer


@cache
def whole(payload: bytes, info: VideoInfo, frame: int, share: float) -> Planes:
    return SegmentPlayer(payload, NumpyRenderer(Geometry.of(info)), CONFIG, FRAMES).between(frame, share)


@cache
def whole_content(payload: bytes, info: VideoInfo, frame: int) -> Planes:
    player = SegmentPlayer(payload, NumpyRenderer(Geometry.of(info)), CONFIG, FRAMES)
    player.render(frame)
    return player._contents._kept[frame].planes


def view_of(player: SegmentPlayer, renderer: Recorder, info: VideoInfo, view: View, frame: int, share: float) -> Planes:
    shown = seen(view.region, view.size, renderer.geometry)
    return renderer.view(player.between(frame, share, window=shown), view, info)


@settings(max_examples=25, deadline=None)
@given(data=st.data(), trained=st.booleans(), info=st.sampled_from([INFO, INFO, *OTHERS]))
def test_a_region_of_any_frame_is_that_part_of_it(data: st.DataObject, trained: bool, info: VideoInfo) -> None:
    payload = segment(info) if trained else without_network(info)
    player, renderer = player_of(payload, info)
    reference = NumpyRenderer(Geometry.of(info))
    # Several at a time: what was kept for one may serve another.
    for _ in range(data.draw(st.integers(1, 4))):
        width, height = data.draw(st.integers(1, info.width)), data.draw(st.integers(1, info.height))
        x, y = data.draw(st.integers(0, info.width - width)), data.draw(st.integers(0, info.height - height))
        scale = data.draw(st.sampled_from([1, 1, 2, 0.37, 1.5]))
        size = max(1, round(height * scale)), max(1, round(width * scale))
        view = View.of(info, size, (x, y, width, height))
        frame = data.draw(st.integers(0, FRAMES - 1))
        share = data.draw(st.sampled_from([0.0, 0.0, 0.5, 0.2]))
        shown = seen(view.region, view.size, renderer.geometry)
        found = player.between(frame, share, window=shown)
        wanted = whole(payload, info, frame, share)
        places = [shown.of(renderer.geometry.step(i)) for i in range(len(wanted))]
        pairs = [(p[s], q[s]) for p, q, s in zip(found, wanted, places, strict=True)]
        pairs += zip(renderer.view(found, view, info), reference.view(wanted, view, info), strict=True)
        for p, q in pairs:
            if trained:
                # Convolutions of other sizes may add in another order.
                np.testing.assert_allclose(p, q, atol=1e-3)
            else:
                np.testing.assert_array_equal(p, q)
    # Whatever is kept, and other pictures may refer to, is right to its edges.
    for frame, content in player._contents._kept.items():
        wanted = whole_content(payload, info, frame)
        for i, (p, q) in enumerate(zip(content.planes, wanted, strict=True)):
            place = content.window.of(renderer.geometry.step(i))
            np.testing.assert_array_equal(p[place], q[place])


def test_work_grows_with_the_region() -> None:
    work = []
    for side in (16, 64, 128):
        player, renderer = player_of(without_intra(INFO))
        view = View.of(INFO, None, (100, 60, side, side))
        player.parse()
        view_of(player, renderer, INFO, view, FRAMES - 1, 0.0)
        work.append((renderer.predicted, renderer.synthesised))
    player, renderer = player_of(without_intra(INFO))
    player.render(FRAMES - 1)
    everything = INFO.width * INFO.height
    pictures = renderer.predicted / everything
    print(f"{pictures:g} pictures for the last; samples of (predict, synthesise):", work, "of", everything)
    assert [w[1] for w in work] == [(side + 16) ** 2 for side in (16, 64, 128)]
    assert work[0][0] < work[1][0] < work[2][0] < renderer.predicted
    # Margins: 6 samples for the network, then 16, the motion and whole cells for each picture that is read.
    assert work[0][0] < 0.4 * renderer.predicted


def test_intra_blocks_ask_for_what_they_are_predicted_from() -> None:
    symbols = PictureSymbols.blank(GEOMETRY, Picture(0, 0, ()))
    window = Window(96, 112, 128, 160)
    wide = window.before_filters(GEOMETRY)
    assert reach(wide, GEOMETRY, symbols) == wide
    # Sizes are 32: of luma what lies around two blocks, one left of the other; of chroma nothing in reach.
    symbols.modes[0][24:32, 16:32] = DIRECTIONS
    symbols.modes[1][0:8, 0:8] = DIRECTIONS
    assert reach(wide, GEOMETRY, symbols) == Window(80, 160, 48, 176)
    symbols.modes[1][8:16, 8:16] = DIRECTIONS
    # Samples 32 to 95 of both, and those of the block above to the left.
    assert reach(wide, GEOMETRY, symbols) == Window(0, 192, 0, 192)


def test_between_two_frames_all_but_the_flow_grows_with_the_region() -> None:
    info = VideoInfo(600, 280)
    work = []
    for width in (16, 240, 490):
        player, renderer = player_of(segment(info), info)
        view_of(player, renderer, info, View.of(info, None, (0, 0, width, 16)), 2, 0.5)
        # The flow is one of whole pictures.
        assert renderer.predicted % (info.width * info.height) == 0
        work.append((renderer.warped, renderer.synthesised))
    print("samples of (six accounts, synthesise):", work)
    assert [w[1] for w in work] == [(16 + 8) * (width + 8) for width in (16, 240, 490)]
    # What the networks read, one around the other, around what is read around the region.
    assert [w[0] for w in work] == [6 * (16 + 22) * (width + 22) for width in (16, 240, 490)]


def test_flow_is_searched_once_for_two_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    searched = []
    search = Flow.between
    monkeypatch.setattr(Flow, "between", staticmethod(lambda *lumas: searched.append(1) or search(*lumas)))
    player, renderer = player_of(segment(INFO))
    for share in (0.2, 0.5):
        player.between(2, share)
        view_of(player, renderer, INFO, View.of(INFO, None, (0, 0, 40, 40)), 2, share)
    assert len(searched) == 1
    assert renderer.predicted <= FRAMES * INFO.width * INFO.height


def test_all_frames_of_a_region_render_each_picture_twice_at_most() -> None:
    """The first frame asked for gets what it needs, all others together what they need."""
    player, renderer = player_of(without_intra(INFO))
    view = View.of(INFO, None, (100, 60, 64, 64))
    for frame in range(FRAMES):
        view_of(player, renderer, INFO, view, frame, 0.0)
    first = renderer.predicted
    for frame in reversed(range(FRAMES)):
        view_of(player, renderer, INFO, view, frame, 0.0)
    assert renderer.predicted == first
    assert first < 0.6 * FRAMES * INFO.width * INFO.height


def test_whole_frames_are_rendered_once_whatever_regions_come_between() -> None:
    player, renderer = player_of(segment(INFO))
    for frame in range(FRAMES):
        player.render(frame)
    rendered = renderer.predicted
    assert rendered == FRAMES * INFO.width * INFO.height
    view_of(player, renderer, INFO, View.of(INFO, None, (0, 0, 40, 40)), 3, 0.5)
    player.render(2)
    assert renderer.predicted == rendered


def test_regions_on_torch_are_those_of_the_reference() -> None:
    renderer = TorchRenderer(GEOMETRY, "cpu")
    player, everything = (SegmentPlayer(segment(INFO), renderer, CONFIG, FRAMES) for _ in "ab")
    view = View.of(INFO, (90, 120), (200, 130, 60, 45))
    window = seen(view.region, view.size, GEOMETRY)
    for frame, share in ((4, 0.0), (1, 0.4), (5, 0.0)):
        found = renderer.view(player.between(frame, share, window=window), view, INFO)
        wanted = NumpyRenderer(GEOMETRY).view(whole(segment(INFO), INFO, frame, share), view, INFO)
        own = renderer.view(everything.between(frame, share), view, INFO)
        for p, q, r in zip(found, wanted, own, strict=True):
            assert isinstance(p, torch.Tensor)
            assert (p - r).abs().max() < 1e-3
            apart = np.abs(p.numpy() - q)
            # Lumas that differ by 0.001 may be rounded to other integers, where another flow is found.
            assert apart.max() < 0.02 if share == 0 else apart.mean() < 0.01


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(1, 60), st.integers(1, 90)),
    step=st.sampled_from([(1, 1), (2, 2), (2, 1)]),
    most=st.sampled_from([3, 40, 4 * 60]),
)
def test_cells_are_read_as_opencv_reads_single_positions(
    seed: int, shape: tuple[int, int], step: tuple[int, int], most: int
) -> None:
    """To the last bit; on machines without fused multiply-adds, to rounding."""
    from licodec.render import kernels

    random = np.random.default_rng(seed)
    sx, sy = step
    plane = (random.random(shape) * 255).astype(np.float32)
    nodes = (-(-shape[0] * sy // 8), -(-shape[1] * sx // 8))
    vectors = random.integers(-most, most + 1, (*nodes, 2)).astype(np.int32)
    vectors[random.random(nodes) < 0.5] = 5  # neighbours that move alike
    out = np.empty(shape, np.float32)
    weights, lines = (phase_weights(4 * sx), phase_weights(4 * sy)), np.empty((8 // sy + 3, shape[1]), np.float32)
    kernels.warp(plane, vectors, weights, (8 // sx, 8 // sy), (0, 0), lines, out)
    np.testing.assert_allclose(out, warp(plane, positions(vectors, shape, step)), rtol=0, atol=1e-4)


def test_a_window_in_planes() -> None:
    window = Window(16, 99, 32, 181)
    assert window.of((2, 2)) == (slice(8, 50), slice(16, 91))
    assert window.shape((1, 1)) == (83, 149)
    assert Window(20, 40, 40, 60) in window
    assert Window(20, 40, 30, 60) not in window
    assert window | Window(0, 20, 40, 200) == Window(0, 99, 32, 200)
