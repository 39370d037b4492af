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
_MEMORY = 1 << 30
"""Source samples held for one segment, in bytes."""


def segments(frames: Iterable[Frame], info: VideoInfo, keyint: int) -> Iterator[list[Frame]]:
    """Lists of consecutive frames; no list crosses a cut or is longer than `keyint`."""
    size = np.dtype(info.dtype).itemsize * sum(rows * columns for rows, columns in info.plane_shapes)
    longest = max(1, min(keyint, _MEMORY // size))
    held: list[Frame] = []
    usual, previous = 0.0, None
    for frame in frames:
        thumbnail = _thumbnail(frame, info)
        if previous is not None and held:
            change = float(np.abs(thumbnail - previous).mean())
            cut = change > max(_CUT_LEAST, _CUT_RATIO * usual) and len(held) >= _SHORTEST
            if cut or len(held) >= longest:
                yield held
                held = []
            usual = change if usual == 0 else 0.8 * usual + 0.2 * min(change, 2 * usual + 1)
        held.append(frame)
        previous = thumbnail
    if held:
        yield held


def _thumbnail(frame: Frame, info: VideoInfo) -> Floats:
    plane = frame.planes[1 if info.chroma == "rgb" else 0]
    small = cv2.resize(plane, _THUMBNAIL, interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) / (1 << (info.bit_depth - 8))
