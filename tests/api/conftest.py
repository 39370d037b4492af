"""Files encoded once for many tests. Training is cut short: it has its own tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import pytest

import licodec
from api.movies import Encoded, Movie, encoded, pan
from licodec.fit.presets import PRESETS
from licodec.video.info import VideoInfo

STEPS = 12
SCENES = (5, 5, 4)
"""Frames of each scene of `file`."""


@pytest.fixture(scope="package", autouse=True)
def short_training() -> Iterator[None]:
    """The preset `ultrafast` trains for a tenth of its steps, even on clips too short for a network to pay."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("licodec.fit.segment._MOST_OF_PAYLOAD", float("inf"))
        patch.setattr("licodec.fit.segment._FULL_TRAINING", 1)
        patch.setitem(PRESETS, "ultrafast", replace(PRESETS["ultrafast"], steps=STEPS))
        yield


@pytest.fixture(scope="package")
def file(short_training: None, tmp_path_factory: pytest.TempPathFactory) -> Encoded:
    """48x32, three scenes of one segment each, variable frame rate, first shown after 0.1 s."""
    info = VideoInfo(48, 32, time_base=Fraction(1, 1000))
    shots = [pan(info, range(n), seed=seed, speed=(1.5, -0.5)) for seed, n in zip((1, 2, 3), SCENES, strict=True)]
    pts = (100, 140, 180, 181, 260, 300, 333, 366, 400, 440, 480, 600, 601, 640)
    movie = Movie(info, [p for shot in shots for p in shot.pictures], pts)
    return encoded(movie, tmp_path_factory.mktemp("file"), crf=24)


@pytest.fixture(scope="module")
def video(file: Encoded) -> Iterator[licodec.Video]:
    """`file`, open."""
    with licodec.open(file.path) as opened:
        yield opened
