"""Cutting a stream of frames into segments: at scene changes, and at a greatest length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np

from licodec.fit.importance import cell_errors
from licodec.fit.matching import Reference, match, to_bytes
from licodec.model.geometry import Floats
from licodec.model.motion import NODE
from licodec.render.numpy_renderer import follow
from licodec.video.info import Frame, VideoInfo

_SMALL = (256, 144)
"""(columns, rows) in which what is new in a frame is looked for."""
_THUMBNAIL = 4
"""Side of the squares of it whose means are compared from frame to frame."""
_CUT_LEAST = 12.0
"""Mean absolute difference of those (8-bit scale) below which nothing is a cut."""
_CUT_OVER = 1.5
"""A cut differs by this much more than what comes after it."""
_CUT_NEW = 0.4
"""Share of a cut's detail that the frame before does not have. In bikes: .87 and more in cuts, .36 at most where cars
pass. Of pictures as smooth as unsharp ones much is found in any other."""
_BIT_WORTH = 20.0
"""Squared error that keeps neighbouring vectors alike."""
_SHORTEST = 4
"""Frames after a cut in which there is no other: a flash is no scene."""
_MEMORY = 1 << 30
"""Source samples held for one segment, in bytes."""


def segments(frames: Iterable[Frame], info: VideoInfo, keyint: int) -> Iterator[list[Frame]]:
    """Lists of consecutive frames; no list crosses a cut or is longer than `keyint`."""
    size = np.dtype(info.dtype).itemsize * sum(rows * columns for rows, columns in info.plane_shapes)
    longest = max(1, min(keyint, _MEMORY // size))
    held: list[Frame] = []
    since_cut = _SHORTEST
    for frame, cut in _with_cuts(frames, info):
        since_cut += 1
        if cut and since_cut > _SHORTEST:
            since_cut = 0
            if held:
                yield held
                held = []
        held.append(frame)
        if len(held) >= longest:
            yield held
            held = []
    if held:
        yield held


def _with_cuts(frames: Iterable[Frame], info: VideoInfo) -> Iterator[tuple[Frame, bool]]:
    """Each frame, and whether it has little to do with the one before."""
    waiting, before, change = None, None, 0.0
    for frame in frames:
        small = _small(frame, info)
        thumbnail, following = _thumbnail(small), 0.0
        if waiting is not None:
            following = float(np.abs(thumbnail - waiting[2]).mean())
            yield waiting[0], _is_cut(waiting[1], before, change, following)
            before = waiting[1]
        waiting, change = (frame, small, thumbnail), following
    if waiting is not None:
        yield waiting[0], _is_cut(waiting[1], before, change, 0.0)


def _is_cut(small: Floats, before: Floats | None, change: float, following: float) -> bool:
    # A pan or a fade that sets in goes on changing; a cut is over in one frame.
    changed = change > _CUT_LEAST and change > _CUT_OVER * following
    return before is not None and changed and _newness(small, before) > _CUT_NEW


def _newness(small: Floats, before: Floats) -> float:
    """Share of the variance in a picture's cells that is not found in another, wherever it may have moved to."""
    rows, columns = small.shape
    start = np.zeros((rows // NODE, columns // NODE, 2), np.int32)
    vectors = match(to_bytes(small), Reference(to_bytes(before)), start, _BIT_WORTH, sweeps=1)
    found = cell_errors(small - follow(before, vectors, (1, 1), (slice(0, rows), slice(0, columns))))
    means = cv2.resize(small, (columns // NODE, rows // NODE), interpolation=cv2.INTER_AREA)
    alone = cell_errors(small - means.repeat(NODE, axis=0).repeat(NODE, axis=1))
    return float(np.minimum(found, alone).sum() / alone.sum())


def _small(frame: Frame, info: VideoInfo) -> Floats:
    plane = frame.planes[1 if info.chroma == "rgb" else 0]
    small = cv2.resize(plane, _SMALL, interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) / (1 << (info.bit_depth - 8))


def _thumbnail(small: Floats) -> Floats:
    return cv2.resize(small, None, fx=1 / _THUMBNAIL, fy=1 / _THUMBNAIL, interpolation=cv2.INTER_AREA)
