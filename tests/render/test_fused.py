"""torch.compile: where it fails the renderer goes on without, and where it works pictures are the same."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch

from licodec.model.geometry import Geometry
from licodec.render.fused import Fused
from licodec.render.player import SegmentPlayer
from licodec.render.torch_renderer import TorchRenderer
from licodec.video.info import VideoInfo
from render.clips import CONFIG, segment

INFO = VideoInfo(64, 48)


def frame(fused: bool) -> list[np.ndarray]:
    renderer = TorchRenderer(Geometry.of(INFO), "cpu", fused=fused)
    return [p.numpy() for p in SegmentPlayer(segment(INFO), renderer, CONFIG, 6).render(2)]


def broken(*_: Any) -> torch.Tensor:
    raise RuntimeError("no compiler\nand pages of why")


@pytest.mark.parametrize("when", ["at once", "at the first call"])
def test_where_compiling_fails_it_is_done_without(when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = frame(fused=False)
    monkeypatch.setattr(torch, "compile", lambda f, **_: broken(f) if when == "at once" else broken)
    with pytest.warns(UserWarning, match="costs speed only: no compiler$"):
        found = frame(fused=True)
    for p, q in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(p, q)


def test_it_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda _, **__: broken)
    function = Fused(torch.neg)
    with pytest.warns(UserWarning):
        function(torch.ones(1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert function(torch.ones(1)).item() == -1


def test_memory_that_runs_out_is_no_failure_of_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> torch.Tensor:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(torch, "compile", lambda _, **__: full)
    function = Fused(torch.neg)
    for _ in range(2):
        with pytest.raises(torch.OutOfMemoryError):
            function(torch.ones(1))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_compiled_pictures_are_the_same() -> None:
    """Also proves that it compiles here: a warning would be an error."""
    wanted = frame(fused=False)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="torch.compile does not work")
        found = frame(fused=True)
    for p, q in zip(found, wanted, strict=True):
        assert np.abs(p - q).max() < 1e-3
