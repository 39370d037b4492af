"""Between symbols and planes the host never waits for the device: no value that it computes decides what is done.

But for the luma of two pictures between which something is shown: the flow from one to the other is found on the host;
and for pictures with intra blocks, which are put in on the host.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from licodec.model.geometry import Floats, Geometry
from licodec.model.intra import LUMA
from licodec.render.player import SegmentPlayer
from licodec.render.resample import View
from licodec.render.torch_renderer import TorchRenderer
from licodec.video.info import VideoInfo
from render.clips import CONFIG, FRAMES, segment
from render.test_torch_renderer import FORMATS, formats

_WAITING = {
    "aten::_local_scalar_dense",
    "aten::item",
    "aten::is_nonzero",
    "aten::nonzero",
    "aten::masked_select",
    "aten::equal",
    "aten::_unique2",
    "aten::repeat_interleave.Tensor",
}


class Watched(TorchDispatchMode):
    """Fails at operations for whose result the host would have to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        self.seen += 1
        name = function.name()
        assert name not in _WAITING and name.partition(".")[0] not in _WAITING, f"{name} waits for the device"
        if name.startswith("aten::index"):
            indices = [i for i in arguments[1] if i is not None] if isinstance(arguments[1], (list, tuple)) else []
            assert all(i.dtype != torch.bool for i in indices), f"{name} with a mask waits for the device"
        return function(*arguments, **(options or {}))


def play(player: SegmentPlayer[torch.Tensor], renderer: TorchRenderer, info: VideoInfo) -> list[torch.Tensor]:
    out = []
    for i in range(FRAMES):
        planes = player.render(i)
        out.append(renderer.rgb(planes, info))
        for size, roi in (((2 * info.height, 2 * info.width), None), ((9, 13), None), (None, (3, 5, 20, 17))):
            view = View.of(info, size, roi)
            out.append(renderer.rgb(renderer.view(planes, view, info), view.info(info)))
        out += player.between(min(i, FRAMES - 2), 0.4)
    return out


def parsed(info: VideoInfo, renderer: TorchRenderer) -> SegmentPlayer[torch.Tensor]:
    player = SegmentPlayer(segment(info), renderer, CONFIG, FRAMES)
    player.parse()
    return player


@formats
def test_nothing_is_read_back(info: VideoInfo) -> None:
    renderer = TorchRenderer(Geometry.of(info), "cpu")
    player = parsed(info, renderer)
    with Watched() as watched:
        play(player, renderer, info)
    assert watched.seen > 100


@pytest.mark.parametrize(
    "wait",
    [
        lambda x: x.max().item(),
        lambda x: float(x[0, 0]),
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
        lambda x: bool((x > 0).any()),
    ],
)
def test_what_waits_is_noticed(wait: Any) -> None:
    with pytest.raises(AssertionError, match="waits"), Watched():
        wait(torch.ones(3, 3))


class Blind(TorchRenderer):
    """Renders on a device that has no values at all: whatever is read back is grey."""

    def __init__(self, info: VideoInfo) -> None:
        super().__init__(Geometry.of(info), "meta")
        self.fetched: list[tuple[int, ...]] = []

    def fetch(self, array: torch.Tensor) -> Floats:
        self.fetched.append(tuple(array.shape))
        return np.full(array.shape, 128, np.float32)


def read_for_intra(player: SegmentPlayer[torch.Tensor]) -> list[tuple[int, int]]:
    """Shapes of the planes with intra blocks, twice: for what is around those, and for their residual; and of the luma
    that chroma follows, where it has not been read for blocks of its own.
    """
    geometry = Geometry.of(FORMATS[0])
    groups = [(g, symbols) for symbols in player.parse().values() for g in range(len(geometry.groups))]
    found = [geometry.shapes[i] for g, s in groups if s.modes[g].any() for i in geometry.groups[g]]
    led = [s for g, s in groups if g and (s.modes[g] == LUMA).any()]
    assert found
    assert led
    return 2 * found + [geometry.shapes[0] for s in led if not s.modes[0].any()]


def test_nothing_but_the_luma_that_flow_is_found_in_is_read_back() -> None:
    info = FORMATS[0]
    renderer = Blind(info)
    player = parsed(info, renderer)
    for frame in range(FRAMES):
        player.render(frame)
    assert sorted(renderer.fetched) == sorted(read_for_intra(player))
    renderer.fetched.clear()
    for share in (0.2, 0.5, 0.8):
        player.between(2, share)
    assert renderer.fetched == 2 * [(info.height, info.width)]


def test_all_shapes_are_known_without_any_value() -> None:
    """Anything read back from there but through `fetch` would fail."""
    info = FORMATS[0]
    renderer = Blind(info)
    player = parsed(info, renderer)
    found = play(player, renderer, info)
    host = TorchRenderer(Geometry.of(info), "cpu")
    wanted = play(parsed(info, host), host, info)
    assert [(t.shape, t.dtype) for t in found] == [(t.shape, t.dtype) for t in wanted]
    assert all(t.is_meta for t in found)
    assert len(renderer.fetched) == 2 * (FRAMES - 1) + len(read_for_intra(player))


def test_tf32_is_off_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a user allows it for matrix products, ours are made in float32 all the same."""
    info = FORMATS[1]
    before = torch.backends.cuda.matmul.fp32_precision
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    seen = []

    class Basis:
        """Stands in for the matrix of the cosines."""

        def __init__(self, matrix: torch.Tensor) -> None:
            self.matrix = matrix

        @property
        def T(self) -> torch.Tensor:
            seen.append(torch.backends.cuda.matmul.fp32_precision)
            return self.matrix.T

        def __rmatmul__(self, other: torch.Tensor) -> torch.Tensor:
            return other @ self.matrix

    try:
        renderer = TorchRenderer(Geometry.of(info), "cpu")
        player = parsed(info, renderer)
        monkeypatch.setattr(renderer, "_bases", {n: Basis(m) for n, m in renderer._bases.items()})
        player.render(0)
        assert seen and set(seen) == {"ieee"}
        assert torch.backends.cuda.matmul.fp32_precision == "tf32"
    finally:
        torch.backends.cuda.matmul.fp32_precision = before
