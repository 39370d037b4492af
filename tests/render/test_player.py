"""Which contents a player makes, and when."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Lock

import numpy as np
import pytest

from licodec.errors import DamagedFileError
from licodec.fit.presets import Preset, Quality
from licodec.fit.segment import fit_segment
from licodec.model.geometry import Geometry
from licodec.render.numpy_renderer import NumpyRenderer
from licodec.render.player import SegmentPlayer
from licodec.video.info import VideoInfo
from render.clips import CONFIG, picture

INFO = VideoInfo(40, 32)
GEOMETRY = Geometry.of(INFO)
GROUP, FRAMES = 16, 49
PRESET = Preset(
    look_ahead=False, denoise=False, intra=-1, sweeps=1, rounds=1, refine=False, group=GROUP, steps=0, width=8
)


@cache
def payload() -> bytes:
    """Three groups."""
    return fit_segment(GEOMETRY, CONFIG, lambda t: picture(INFO, 2.0 * t), FRAMES, Quality(30.0), PRESET)


class Counting(NumpyRenderer):
    """Counts the contents that it makes."""

    made = 0

    def content(self, *arguments, **options):  # type: ignore[no-untyped-def]
        self.made += 1
        return super().content(*arguments, **options)


def made_by(player: SegmentPlayer, renderer: Counting, frames: range | list[int]) -> list[int]:
    """How many contents each of the frames took."""
    counts = []
    for frame in frames:
        before = renderer.made
        player.render(frame)
        counts.append(renderer.made - before)
    return counts


def test_played_one_after_the_other_no_picture_has_to_wait_for_a_whole_chain() -> None:
    """The first frame of a group refers to a picture of each level. They are made with the frames before it."""
    renderer = Counting(GEOMETRY)
    counts = made_by(SegmentPlayer(payload(), renderer, CONFIG, FRAMES), renderer, range(FRAMES))
    assert sum(counts) == FRAMES
    assert max(counts[2:]) <= 3
    assert counts[1] > 2


def test_a_frame_asked_for_alone_takes_what_it_refers_to_and_no_more() -> None:
    renderer = Counting(GEOMETRY)
    player = SegmentPlayer(payload(), renderer, CONFIG, FRAMES)
    # 0, 16, 8, 4, 2, 1; then 32, 24, 20, 18, 17; what is known takes nothing.
    assert made_by(player, renderer, [1, 17, 8, 24]) == [6, 5, 0, 0]


class Slow(Counting):
    """Makes contents that others have time to ask for meanwhile, and knows how many it made at once."""

    def __init__(self, one_by_one: bool) -> None:
        super().__init__(GEOMETRY)
        self.one_by_one = one_by_one
        self.under_way, self.most, self._lock = 0, 0, Lock()

    def content(self, *arguments, **options):  # type: ignore[no-untyped-def]
        with self._lock:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        time.sleep(0.005)
        try:
            with self._lock:
                return super().content(*arguments, **options)
        finally:
            with self._lock:
                self.under_way -= 1


@pytest.mark.parametrize("one_by_one", [False, True])
def test_threads_make_contents_at_once_and_each_only_once(one_by_one: bool) -> None:
    renderer = Slow(one_by_one)
    player = SegmentPlayer(payload(), renderer, CONFIG, FRAMES)
    frames = list(np.random.default_rng(7).permutation(FRAMES))
    with ThreadPoolExecutor(6) as pool:
        made = dict(zip(frames, pool.map(player.render, frames), strict=True))
    alone = SegmentPlayer(payload(), NumpyRenderer(GEOMETRY), CONFIG, FRAMES)
    for frame in range(FRAMES):
        for plane, wanted in zip(made[frame], alone.render(frame), strict=True):
            np.testing.assert_array_equal(plane, wanted)
    assert renderer.made == FRAMES
    assert (renderer.most == 1) == one_by_one


@pytest.mark.timeout(60)
def test_who_waits_for_a_content_that_fails_is_told() -> None:
    class Failing(Slow):
        def content(self, *arguments, **options):  # type: ignore[no-untyped-def]
            super().content(*arguments, **options)
            raise MemoryError("no room")

    player = SegmentPlayer(payload(), Failing(one_by_one=False), CONFIG, FRAMES)
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(player.render, frame) for frame in (0, 1, 8, 16)]
    for job in jobs:
        assert isinstance(job.exception(), MemoryError)


def test_damage_is_told_when_it_is_reached_and_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    player = SegmentPlayer(payload(), NumpyRenderer(GEOMETRY), CONFIG, FRAMES)
    whole = player._batches

    def until_damage():  # type: ignore[no-untyped-def]
        for _ in range(6):
            yield next(whole)
        raise DamagedFileError("a coefficient is wrong")

    monkeypatch.setattr(player, "_batches", until_damage())
    for frame in range(GROUP + 1):
        player.render(frame)
    for _ in range(2):
        with pytest.raises(DamagedFileError, match="a coefficient is wrong"):
            player.render(GROUP + 1)
