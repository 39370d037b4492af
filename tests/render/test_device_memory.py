"""A device that is too small: tiles are halved, and every frame is what it would have been."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch

from licodec.errors import LimitError
from licodec.model.geometry import Geometry
from licodec.render import network, torch_renderer
from licodec.render.player import SegmentPlayer
from licodec.render.resample import View
from licodec.render.tiles import Squares, Tiles
from licodec.render.torch_renderer import TorchRenderer
from licodec.render.upsample import Upsampler
from licodec.render.window import Window
from licodec.video.info import VideoInfo
from render.clips import CONFIG, FRAMES, segment

INFO = VideoInfo(330, 250)


class Memory:
    """Lets `torch.OutOfMemoryError` happen where more samples are asked for at once than there is room for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, samples: int) -> None:
        self.samples, self.refused = samples, 0
        for module, name in ((torch_renderer, "grid_sample"), (network, "conv2d"), (torch_renderer, "interpolate")):
            monkeypatch.setattr(module.F, name, self._limited(getattr(module.F, name)))
        monkeypatch.setattr(torch_renderer.colour, "_upsample", self._limited(torch_renderer.colour._upsample))

    def _limited(self, function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        def call(*arguments, **options):  # type: ignore[no-untyped-def]
            made = function(*arguments, **options)
            if made.shape[-1] * made.shape[-2] > self.samples:
                self.refused += 1
                raise torch.OutOfMemoryError("injected")
            return made

        return call


def frames(info: VideoInfo = INFO) -> list[list[torch.Tensor]]:
    """Everything that is rendered of a segment: planes, between, twice the size, half of it, RGB."""
    renderer = TorchRenderer(Geometry.of(info), "cpu")
    player = SegmentPlayer(segment(info), renderer, CONFIG, FRAMES)
    out = []
    for i in (FRAMES - 1, *range(FRAMES)):
        planes = player.render(i)
        views = [View.of(info, (round(info.height * s), round(info.width * s))) for s in (2, 0.5)]
        seen = [(renderer.view(planes, v, info), v.info(info)) for v in views]
        rgb = [renderer.rgb(p, about) for p, about in [(planes, info), *seen]]
        codes = [torch.from_numpy(p.astype(np.int32)) for p in renderer.download(planes, info)]
        out.append([*planes, *player.between(min(i, FRAMES - 2), 0.3), *seen[0][0], *seen[1][0], *rgb, *codes])
    return out


@pytest.mark.parametrize("room", [0.7, 0.4])
def test_frames_are_the_same_with_little_memory(room: float, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = frames()
    memory = Memory(monkeypatch, round(room * INFO.width * INFO.height))
    found = frames()
    print(f"refused {memory.refused} times in {len(found)} frames")
    # Each kind of work is halved once or a few times, not again for every frame.
    assert 3 <= memory.refused < 4 * len(found)
    for p, q in zip(chain(*found), chain(*wanted), strict=True):
        assert p.shape == q.shape and p.dtype == q.dtype
        apart = (p.float() - q.float()).abs()
        assert not apart.isnan().any()
        # Integers may round the other way where a convolution of another size added in another order.
        assert apart.max() <= (1e-3 if p.dtype == torch.float32 else 1)
        assert (apart > 1e-3).float().mean() < 1e-3


def test_enlarging_is_the_same_with_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    luma = torch.from_numpy(np.random.default_rng(0).uniform(0, 255, (150, 301)).astype(np.float32))
    part = Window(3, 140, 20, 290)
    wanted = Upsampler("cpu")(luma, part)
    memory = Memory(monkeypatch, 5_000)
    upsampler = Upsampler("cpu")
    assert (upsampler(luma, part) - wanted).abs().max() < 0.005
    assert (memory.refused, upsampler.squares.side) == (2, 32)


def test_a_device_without_any_memory_is_over_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    Memory(monkeypatch, 0)
    with pytest.raises(LimitError, match="--device cpu"):
        frames()


def test_no_frame_of_a_decode_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the whole decoder."""
    from licodec.container import LinrWriter
    from licodec.decoder import DecodeSettings, decode

    path = tmp_path / "clip.linr"
    with LinrWriter(path, INFO, CONFIG.to_bytes()) as writer:
        writer.add_segment(segment(INFO), tuple(range(FRAMES)), (1,) * FRAMES)
        writer.finish()
    monkeypatch.setattr("licodec.api.open_renderer", lambda geometry, *_, **__: TorchRenderer(geometry, "cpu"))
    settings = DecodeSettings(device="cpu", size=(500, 380))
    assert decode(path, tmp_path / "wanted.y4m", settings).frames == FRAMES
    memory = Memory(monkeypatch, 40_000)
    assert decode(path, tmp_path / "found.y4m", settings).frames == FRAMES
    assert memory.refused
    found, wanted = (np.frombuffer((tmp_path / f"{n}.y4m").read_bytes(), np.uint8) for n in ("found", "wanted"))
    assert found.shape == wanted.shape
    apart = np.abs(found.astype(int) - wanted)
    assert apart.max() <= 1 and (apart > 0).mean() < 1e-3


def test_tiles_cover_everything_once() -> None:
    tiles, done = Tiles(100), []

    def work(part: slice) -> None:
        if part.stop - part.start > 20:
            raise torch.OutOfMemoryError
        done.extend(range(part.start, part.stop))

    tiles.each(90, work)
    assert done == list(range(90))
    assert tiles.rows == 16


def test_squares_cover_a_window_once() -> None:
    squares, window, room = Squares(64), Window(10, 90, 60, 201), 100
    done = np.zeros((100, 220), int)

    def work(square: Window, part: Window) -> None:
        assert part in square and part in window
        assert square.top % squares.side == square.left % squares.side == 0
        if square.bottom - square.top > room:
            raise torch.OutOfMemoryError
        done[part.of((1, 1))] += 1

    for most, side in ((100, 64), (40, 32), (16, 16)):
        done[:], room = 0, most
        squares.each(window, work)
        assert squares.side == side
        assert (done[window.of((1, 1))] == 1).all()
        assert done.sum() == 80 * 141
    room = 0
    with pytest.raises(LimitError, match="--device cpu"):
        squares.each(window, work)
