"""The loop filter: what prediction and quantisation do to a picture is taken back before others refer to it.

One filter for each plane group of a picture. A sample is moved towards its twelve neighbours within two samples (a
diamond), or away from them, with equal weights for neighbours on opposite sides: by their differences up to a small
part of the quantisation step, which smooths what is not an edge, and by their whole differences. The adaptive loop
filter of VVC (Karczewicz et al., "VVC In-Loop Filters", IEEE TCSVT 31, 2021) without classes.
"""

from __future__ import annotations

import cv2
import numpy as np

from licodec.jit import compiled
from licodec.model.geometry import PEAK, Floats

REACH = 2
"""Samples that a sample looks at in each direction."""
OFFSETS = ((-2, 0), (-1, -1), (-1, 0), (-1, 1), (0, -2), (0, -1))
"""(down, right) of the neighbours of which each counts with the one opposite."""


def limit(step: float) -> float:
    """Up to which a difference counts for the first half of the weights."""
    return 0.12 * step


def filtered(plane: Floats, weights: Floats, most: float) -> Floats:
    """A plane behind its filter: weights [12] for the differences limited to `most`, and for the whole ones."""
    out = np.empty(plane.shape, np.float32)
    _filter(plane, weights, np.float32(most), np.float32(PEAK), out)
    return out


def features(plane: Floats, most: float, stride: int) -> Floats:
    """[12, rows / stride, columns] what each weight, if it were 1, would add to the samples of every stride-th row."""
    out = np.empty((2 * len(OFFSETS), -(-plane.shape[0] // stride), plane.shape[1]), np.float32)
    around = np.asarray(cv2.copyMakeBorder(plane, REACH, REACH, REACH, REACH, cv2.BORDER_REPLICATE))
    _features(around, np.float32(most), stride, out)
    return out


@compiled
def _filter(plane: Floats, weights: Floats, most: np.float32, peak: np.float32, out: Floats) -> None:
    rows, columns = plane.shape
    left = min(REACH, columns)
    right = max(columns - REACH, left)
    for y in range(rows):
        centre, line = plane[y], out[y]
        for x in range(columns):
            line[x] = centre[x]
        for k in range(len(OFFSETS)):
            limited, whole = weights[k], weights[len(OFFSETS) + k]
            if limited == 0 and whole == 0:
                continue
            # None of the offsets goes down.
            dy, dx = OFFSETS[k]
            above, below = plane[max(y + dy, 0)], plane[min(y - dy, rows - 1)]
            for edge in range(2):
                for x in range(0 if edge == 0 else right, left if edge == 0 else columns):
                    before = above[min(max(x + dx, 0), columns - 1)] - centre[x]
                    after = below[min(max(x - dx, 0), columns - 1)] - centre[x]
                    line[x] += limited * (_limit(before, most) + _limit(after, most)) + whole * (before + after)
            a, b = above[left + dx : right + dx], below[left - dx : right - dx]
            here, made = centre[left:right], line[left:right]
            for x in range(right - left):
                before, after = a[x] - here[x], b[x] - here[x]
                made[x] += limited * (_limit(before, most) + _limit(after, most)) + whole * (before + after)
        for x in range(columns):
            line[x] = min(max(line[x], np.float32(0)), peak)


@compiled
def _features(plane: Floats, most: np.float32, stride: int, out: Floats) -> None:
    _, rows, columns = out.shape
    for k in range(len(OFFSETS)):
        for y in range(rows):
            centre = plane[y * stride + REACH, REACH : REACH + columns]
            a, b = _pair(plane, y * stride, columns, OFFSETS[k])
            limited, whole = out[k, y], out[len(OFFSETS) + k, y]
            for x in range(columns):
                before, after = a[x] - centre[x], b[x] - centre[x]
                limited[x] = _limit(before, most) + _limit(after, most)
                whole[x] = before + after


@compiled
def _pair(plane: Floats, y: int, columns: int, offset: tuple[int, int]) -> tuple[Floats, Floats]:
    """Two opposite neighbours of every sample of a row."""
    dy, dx = offset
    return (
        plane[y + REACH + dy, REACH + dx : REACH + dx + columns],
        plane[y + REACH - dy, REACH - dx : REACH - dx + columns],
    )


@compiled
def _limit(value: np.float32, most: np.float32) -> np.float32:
    return min(max(value, -most), most)
