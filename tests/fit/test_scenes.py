"""Where a stream is cut into segments."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fit.patterns import as_frames, grid, panned, texture
from licodec.fit import scenes
from licodec.video.info import Frame, VideoInfo

INFO = VideoInfo(64, 48)
A, B = texture(1), texture(2)


def pan(luma: object, times: Sequence[float], speed: tuple[float, float] = (1.5, 0.5)) -> list[np.ndarray]:
    return [panned(luma, 64, 48, t, speed) for t in times]  # type: ignore[arg-type]


def lengths(lumas: list[np.ndarray], keyint: int = 250, info: VideoInfo = INFO) -> list[int]:
    return [len(s) for s in scenes.segments(as_frames(lumas, info), info, keyint)]


def test_a_hard_cut_begins_a_segment() -> None:
    assert lengths(pan(A, range(7)) + pan(B, range(9))) == [7, 9]


def test_every_one_of_several_cuts_is_found() -> None:
    assert lengths(pan(A, range(5)) + pan(B, range(6)) + pan(A, range(50, 58)) + pan(B, range(70, 75))) == [5, 6, 8, 5]


def test_a_cut_soon_after_a_full_segment_is_a_cut_all_the_same() -> None:
    assert lengths(pan(A, range(10)) + pan(B, range(8)), keyint=8) == [8, 2, 8]


@pytest.mark.parametrize("chroma", ["gray", "444", "rgb"])
def test_cuts_are_found_in_every_format(chroma: str) -> None:
    info = VideoInfo(64, 48, chroma)  # type: ignore[arg-type]
    lumas = pan(A, range(6)) + pan(B, range(6))
    frames = [
        Frame(tuple(np.rint(luma).astype(np.uint8) for _ in info.plane_shapes), i, 1) for i, luma in enumerate(lumas)
    ]
    assert [len(s) for s in scenes.segments(frames, info, 250)] == [6, 6]


def test_ten_bits_are_measured_on_the_same_scale() -> None:
    info = VideoInfo(64, 48, "gray", 10)
    lumas = pan(A, range(6)) + pan(B, range(6))
    # A change of 8 on the 8-bit scale is 32 here, and no cut.
    steps = [np.full((48, 64), 100 + 8 * (i % 2), np.float32) for i in range(8)]
    for pictures, expected in ((lumas, [6, 6]), (steps, [8])):
        frames = [Frame((np.rint(4 * p).astype(np.uint16),), i, 1) for i, p in enumerate(pictures)]
        assert [len(s) for s in scenes.segments(frames, info, 250)] == expected


def test_a_cut_between_scenes_that_move_fast_is_found() -> None:
    """Though what goes before it changes by a quarter as much from frame to frame."""
    lumas = pan(A, range(8), (4.0, 0.0)) + pan(B, range(9), (0.5, 0.0))
    inside, across = (np.abs(lumas[i] - lumas[i - 1]).mean() for i in (7, 8))
    assert inside > across / 4
    assert lengths(lumas) == [8, 9]


@pytest.mark.parametrize("length", [8, 16, 30])
def test_a_fade_from_one_scene_to_another_is_no_cut(length: int) -> None:
    lumas = pan(A, range(8))
    lumas += [
        (1 - i / length) * p + i / length * q
        for i, p, q in zip(range(length), pan(A, range(8, 8 + length)), pan(B, range(length)), strict=True)
    ]
    lumas += pan(B, range(length, length + 8))
    assert lengths(lumas) == [len(lumas)]


@pytest.mark.parametrize("length", [8, 20])
def test_a_fade_that_sets_in_after_stillness_is_no_cut(length: int) -> None:
    black = [np.full((48, 64), 16, np.float32)] * 6
    fade = [16 + (p - 16) * (i / length) for i, p in enumerate(pan(A, range(1, length + 1)), 1)]
    assert lengths(black + fade) == [6 + length]


@pytest.mark.parametrize("speed", [(2.0, 0.0), (8.0, 3.0)])
def test_a_pan_that_sets_in_after_stillness_is_no_cut(speed: tuple[float, float]) -> None:
    lumas = pan(A, [0] * 6) + pan(A, range(1, 12), speed)
    assert lengths(lumas) == [17]


@pytest.mark.parametrize("speed", [(4.0, 0.0), (8.0, 3.0), (15.0, -10.0)])
def test_a_fast_pan_is_no_cut(speed: tuple[float, float]) -> None:
    lumas = pan(A, range(20), speed)
    assert np.abs(lumas[1] - lumas[0]).mean() > 12
    assert lengths(lumas) == [20]


def test_a_still_picture_is_never_cut() -> None:
    assert lengths([A(*grid(64, 48))] * 30) == [30]


def test_what_follows_a_cut_at_once_stays_with_it() -> None:
    """A flash of a frame or two does not make segments of a frame or two."""
    assert lengths(pan(A, range(8)) + pan(B, range(2)) + pan(A, range(10, 18))) == [8, 10]


@settings(max_examples=40)
@given(st.integers(1, 20), st.lists(st.integers(0, 3), min_size=1, max_size=60))
def test_segments_cover_all_frames_in_order_and_keep_to_keyint(keyint: int, scenes_: list[int]) -> None:
    pictures = [np.full((48, 64), 20 + 70 * s, np.float32) for s in range(4)]
    frames = as_frames([pictures[s] for s in scenes_], INFO)
    found = list(scenes.segments(frames, INFO, keyint))
    assert [f.pts for segment in found for f in segment] == list(range(len(frames)))
    assert all(1 <= len(segment) <= keyint for segment in found)


@given(st.integers(1, 40), st.integers(1, 100))
@settings(max_examples=40)
def test_without_cuts_every_segment_but_the_last_is_full(keyint: int, count: int) -> None:
    found = lengths([np.full((48, 64), 50, np.float32)] * count, keyint)
    assert found == [keyint] * (count // keyint) + [count % keyint] * bool(count % keyint)


def test_no_frames_make_no_segments() -> None:
    assert lengths([]) == []


@pytest.mark.parametrize(("frames", "expected"), [(5, [5, 5, 2]), (0.5, [1] * 12)])
def test_source_frames_held_at_once_stay_within_the_memory_bound(
    frames: float, expected: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 64 * 48 * 3 // 2
    monkeypatch.setattr(scenes, "_MEMORY", int(frames * size))
    assert lengths([np.full((48, 64), 50, np.float32)] * 12) == expected


def test_frames_are_read_only_as_segments_are_asked_for() -> None:
    read = 0

    def stream() -> object:
        nonlocal read
        for frame in as_frames([np.full((48, 64), 50, np.float32)] * 30, INFO):
            read += 1
            yield frame

    first = next(scenes.segments(stream(), INFO, 10))  # type: ignore[arg-type]
    assert len(first) == 10
    assert read <= 11
