"""In which order the pictures of a segment are decided on, and that nothing else hangs on threads."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from fit.patterns import panned, texture, with_neutral_chroma
from licodec.entropy.segment import SegmentReader, frames_in
from licodec.fit.closed_loop import with_next_anchor
from licodec.fit.presets import PRESETS, Quality
from licodec.fit.search import MotionSearch
from licodec.fit.segment import SegmentFit, fit_segment
from licodec.model.config import ModelConfig
from licodec.model.geometry import Geometry, Planes
from licodec.model.pyramid import Picture, pyramid
from licodec.video.info import VideoInfo

INFO = VideoInfo(64, 48)
GEOMETRY, CONFIG = Geometry.of(INFO), ModelConfig()
FRAMES = 14
"""Three groups of four and one of one."""


@pytest.mark.parametrize("groups", [(), (1,), (16,), (16, 16, 5), (2, 1, 1, 3), (1, 8, 1, 8, 2)])
def test_every_picture_comes_behind_what_it_is_predicted_from(groups: tuple[int, ...]) -> None:
    known = set[int]()
    for batch, ahead in with_next_anchor(pyramid(groups)):
        new = [picture for picture in (*batch, *ahead) if picture.frame not in known]
        assert all(set(picture.refs) <= known for picture in new)
        known |= {picture.frame for picture in new}
    assert known == set(range(sum(groups) + 1))


def test_the_next_anchor_is_decided_on_with_the_middle_of_the_group_before() -> None:
    beside: dict[int, list[Picture]] = {b[0].frame: a for b, a in with_next_anchor(pyramid((4, 4, 1, 4))) if a}
    assert {middle: [p.frame for p in anchors] for middle, anchors in beside.items()} == {2: [8], 6: [9]}


def test_batches_stay_in_coding_order() -> None:
    batches = pyramid((8, 8, 3), 2)
    assert [batch for batch, _ in with_next_anchor(batches)] == batches


@pytest.fixture(autouse=True)
def opencv_threads() -> Iterator[None]:
    before = cv2.getNumThreads()
    yield
    cv2.setNumThreads(before)


def frame(t: int) -> Planes:
    """A pan with noise."""
    luma = panned(texture(3), INFO.width, INFO.height, t, (2.5, -1.0))
    noise = np.random.default_rng(t).normal(0, 4, luma.shape).astype(np.float32)
    return with_neutral_chroma((luma + noise).clip(0, 255), INFO)


def coded(threads: int, saved: list[bytes] | None = None, partial: bytes | None = None) -> bytes:
    """The payload of FRAMES frames."""
    cv2.setNumThreads(threads)
    preset = replace(PRESETS["fast"], group=4, steps=0)
    save = saved.append if saved is not None else None
    return fit_segment(
        GEOMETRY, CONFIG, frame, FRAMES, Quality(24), preset, partial=partial, save_partial=save, report=lambda *_: None
    )


def slowly(level: int, search: Any, self: MotionSearch, picture: Picture, *rest: Any) -> Any:
    """Motion search that takes longer for pictures of a level."""
    if picture.level == level:
        time.sleep(0.2)
    return search(self, picture, *rest)


@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_segment_is_the_same_on_any_number_of_threads(level: int, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = coded(1)
    search = MotionSearch.search
    monkeypatch.setattr(MotionSearch, "search", lambda *args: slowly(level, search, *args))
    assert coded(3) == expected


def test_a_resumed_segment_is_the_same_and_keeps_no_less_than_it_began_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("licodec.fit.segment._SAVE_EVERY", 0.0)
    first: list[bytes] = []
    expected = coded(2, first)
    # The last anchor is there before the group in front of it.
    assert [frames_in(payload) for payload in first] == [5, 9, 14]
    again: list[bytes] = []
    assert coded(2, again, first[1]) == expected
    assert [frames_in(payload) for payload in again] == [14]


def test_a_part_of_a_segment_is_a_segment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("licodec.fit.segment._SAVE_EVERY", 0.0)
    saved: list[bytes] = []
    coded(3, saved)
    for payload in saved:
        batches = list(SegmentReader(payload, GEOMETRY, CONFIG, frames_in(payload)).batches())
        assert sorted(p.frame for batch in batches for p in batch) == list(range(frames_in(payload)))


def test_presets_choose_motion_where_they_say() -> None:
    first, anchor, middle, leaf = Picture(0, 0, ()), Picture(4, 1, (0, 0)), Picture(2, 2, (0, 4)), Picture(1, 3, (0, 2))
    pictures = (first, anchor, middle, leaf)
    chosen = {name: [preset.chooses(picture) for picture in pictures] for name, preset in PRESETS.items()}
    every = [False, True, True, True]
    assert chosen["ultrafast"] == [False] * 4
    assert chosen["fast"] == [False, True, True, False]
    assert chosen["medium"] == chosen["slow"] == chosen["placebo"] == every


def test_vectors_that_fit_by_chance_are_not_chosen() -> None:
    """Of clouds, other ones in each frame, squared error finds some that look like motion; they do not pay."""
    info = VideoInfo(128, 128)

    def clouds(t: int) -> Planes:
        noise = np.random.default_rng(t).normal(0, 1, (128, 128)).astype(np.float32)
        return with_neutral_chroma((128 + 200 * cv2.GaussianBlur(noise, (0, 0), 4)).clip(0, 255), info)

    plain = replace(PRESETS["fast"], look_ahead=False, denoise=False, steps=0, worths=(), leaves=True)
    vectors, sizes = [], []
    for preset in (plain, replace(plain, worths=(1.0,))):
        fit = SegmentFit(Geometry.of(info), CONFIG, clouds, (4,), Quality(28), preset)
        fit.code(None)
        found = [step for p in fit.symbols.pictures.values() for steps in p.corrections for step in steps]
        vectors.append(sum(int(step.any(axis=-1).sum()) for step in found))
        sizes.append(len(fit.to_bytes()))
    assert vectors[1] == 0
    assert vectors[0] > 20
    assert sizes[1] < 0.95 * sizes[0]
