"""Cutting a stream of frames into segments: at scene changes, and at a greatest length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np

from licodec.model.geometry import Floats
from licodec.video.info import Frame, VideoInfo

_THUMBNAIL = (64, 36)
_CUT_LEAST = 12.0
"""Mean absolute difference of thumbnails (8-bit scale) below which nothing is a cut."""
_CUT_RATIO = 3.0
"""A cut differs by this much more than its neighbourhood."""
_SHORTEST = 4
"""Frames after a cut in which there is no other: a flash is no scene."""
_CUT_OVER = 1.5
"""A cut differs by this much more than what comes after it."""
_MEMORY = 1 << 30
"""Source samples held for one segment, in bytes."""


def segments(frames: Iterable[Frame], info: VideoInfo, keyint: int) -> Iterator[list[Frame]]:
    """Lists of consecutive frames; no list crosses a cut or is longer than `keyint`."""
    size = np.dtype(info.dtype).itemsize * sum(rows * columns for rows, columns in info.plane_shapes)
    longest = max(1, min(keyint, _MEMORY // size))
    held: list[Frame] = []
    usual, since_cut = 0.0, _SHORTEST
    for frame, change, following in _with_changes(frames, info):
        # A pan or a fade that sets in goes on changing; a cut is over in one frame.
        cut = change > max(_CUT_LEAST, _CUT_RATIO * usual) and change > _CUT_OVER * following
        since_cut += 1
        if cut and since_cut > _SHORTEST:
            since_cut = 0
            if held:
                yield held
                held = []
        usual = change if usual == 0 else 0.8 * usual + 0.2 * min(change, 2 * usual + 1)
        held.append(frame)
        if len(held) >= longest:
            yield held
            held = []
    if held:
        yield held


def _with_changes(frames: Iterable[Frame], info: VideoInfo) -> Iterator[tuple[Frame, float, float]]:
    """Each frame with the mean absolute difference from the one before it and to the one after it (0: none)."""
    waiting: tuple[Frame, float, Floats] | None = None
    for frame in frames:
        thumbnail = _thumbnail(frame, info)
        change = 0.0
        if waiting is not None:
            change = float(np.abs(thumbnail - waiting[2]).mean())
            yield waiting[0], waiting[1], change
        waiting = (frame, change, thumbnail)
    if waiting is not None:
        yield waiting[0], waiting[1], 0.0


def _thumbnail(frame: Frame, info: VideoInfo) -> Floats:
    plane = frame.planes[1 if info.chroma == "rgb" else 0]
    small = cv2.resize(plane, _THUMBNAIL, interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) / (1 << (info.bit_depth - 8))
