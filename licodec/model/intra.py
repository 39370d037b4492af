"""Intra prediction: blocks predicted from the samples around them, in the picture itself.

The modes are HEVC's (ITU-T H.265, 8.4.4.2) with half of its directions, read along exact rays and drawn towards what
is beside a block as H.266 does, and for chroma one more: what luma says, by the line that fits both around the block
(the linear model of H.266, by least squares). What a block is predicted from is the picture before its filters: of all
blocks that are predicted from references, wherever they lie, and of the intra blocks before it in coding order. All of
it is continuous: what decoders round otherwise stays small.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from licodec.jit import compiled, inlined
from licodec.model.cosine import SIZES
from licodec.model.geometry import PEAK, Floats

INTER, PLANAR, MEAN, LUMA, DIRECTIONS = 0, 1, 2, 3, 4
"""Modes, LUMA of chroma alone; from DIRECTIONS on they turn from the lower left over the left and above to the upper
right."""
MODES = 21
_SLOPES = np.array([-32, -21, -13, -5, 0, 5, 13, 21, 32]) / 32
"""Samples along the side that a direction moves with each sample away from it."""
_ALONG_SIDES = (DIRECTIONS + 4, DIRECTIONS + 12)
"""Modes that read a single sample."""
QUARTER = SIZES[0]
"""Samples a side of the smallest block, a quarter of a cell."""
_MIDDLE = np.float32(128)
_NEAR = np.array([[(32 >> min(2 * i >> (2 * s + 2 >> 2), 6)) / 64 for i in range(32)] for s in range(4)], np.float32)
"""[size index, samples away] how much of what is beside a block counts in it."""
_STEEPEST = np.float32(2)
_NOISE = np.float32(4)
"""Variance that is added to luma's, so that where it is flat it says nothing."""
NO_LUMA = np.empty((0, 0), np.float32)

Bytes = npt.NDArray[np.uint8]
Ranks = npt.NDArray[np.int32]


class Rays(NamedTuple):
    """For each size index, direction, row and column: where on the ring a sample reads."""

    place: npt.NDArray[np.int32]
    """[4, 17, 32, 32]: first of two neighbours on the ring."""
    share: Floats
    """[4, 17, 32, 32]: weight of the second."""


def _rays() -> Rays:
    index, share = np.zeros((4, 17, 32, 32), np.int32), np.zeros((4, 17, 32, 32), np.float32)
    for s, n in enumerate(SIZES):
        away, along = np.mgrid[1 : n + 1, 1 : n + 1].astype(np.float64)
        for k, slope in enumerate(_SLOPES):
            # From the side above; on the ring the corner is at 2 n.
            at = along + away * slope
            if slope < 0:
                beyond = away - along / -slope
                at = np.where(at >= 0, at, -beyond)
            first = np.minimum(np.floor(at), 2 * n - 1)
            place, weight = first + 2 * n, at - first
            index[s, 8 + k, :n, :n], share[s, 8 + k, :n, :n] = place, weight
            # The same from the left, mirrored.
            at = 4 * n - (place + weight).T
            first = np.minimum(np.floor(at), 4 * n - 1)
            index[s, 8 - k, :n, :n], share[s, 8 - k, :n, :n] = first, at - first
    return Rays(index, share)


RAYS = _rays()


@lru_cache(maxsize=8)
def ranks(rows: int, columns: int) -> Ranks:
    """[rows, columns] place in coding order of each quarter of a cell; both are multiples of 8."""
    y, x = np.mgrid[:rows, :columns]
    z = sum((x >> i & 1) << 2 * i | (y >> i & 1) << 2 * i + 1 for i in range(3))
    return (((y >> 3) * (columns >> 3) + (x >> 3) << 6) + z).astype(np.int32)


@compiled
def gather(
    plane: Floats, corner: tuple[int, int], modes: Bytes, rank: Ranks, y: int, x: int, n: int, ring: Floats
) -> None:
    """[4 n + 1] samples around a block from the lower left to the upper right; what is not known is as what is known
    last before it, or first.

    plane: what there is of a picture's plane, which begins at `corner` (row, column); modes: of each quarter of a cell.
    """
    rows, columns = plane.shape
    own, first = rank[y // QUARTER, x // QUARTER], -1
    for k in range(4 * n + 1):
        v = y - 1 if k >= 2 * n else y + 2 * n - 1 - k
        u = x - 1 if k <= 2 * n else x + k - 2 * n - 1
        known = 0 <= v - corner[0] < rows and 0 <= u - corner[1] < columns
        if known:
            q, p = v // QUARTER, u // QUARTER
            known = modes[q, p] == INTER or rank[q, p] < own
        if known:
            ring[k] = plane[v - corner[0], u - corner[1]]
            if first < 0:
                first = k
        elif first >= 0:
            ring[k] = ring[k - 1]
    for k in range(first if first >= 0 else 4 * n + 1):
        ring[k] = ring[first] if first >= 0 else _MIDDLE


@compiled
def soften(ring: Floats, n: int, out: Floats) -> None:
    """The ring smoothed, as larger blocks read it."""
    out[0], out[4 * n] = ring[0], ring[4 * n]
    for k in range(1, 4 * n):
        out[k] = (ring[k - 1] + 2 * ring[k] + ring[k + 1]) / 4


def under_chroma(luma: Floats, step: tuple[int, int], shape: tuple[int, int]) -> Floats:
    """[rows, columns] = `shape`: the mean of the luma samples of each chroma sample, beyond the edges as the last ones;
    step: (horizontal, vertical) luma samples per chroma sample.
    """
    out = np.empty(shape, np.float32)
    _means(luma, step[0], step[1], out)
    return out


@compiled
def _means(luma: Floats, across: int, down: int, out: Floats) -> None:
    rows, columns = luma.shape
    share = np.float32(1 / (across * down))
    for v in range(out.shape[0]):
        for u in range(out.shape[1]):
            total = np.float32(0)
            for i in range(v * down, (v + 1) * down):
                for j in range(u * across, (u + 1) * across):
                    total += luma[min(i, rows - 1), min(j, columns - 1)]
            out[v, u] = total * share


@inlined
def predict(ring: Floats, soft: Floats, rays: Rays, s: int, mode: int, out: Floats) -> None:
    """[n, n] a block's prediction by any mode but LUMA."""
    n = QUARTER << s
    if mode == MEAN:
        total = np.float32(0)
        for k in range(n, 2 * n):
            total += ring[k] + ring[k + n + 1]
        total /= 2 * n
        for v in range(n):
            for u in range(n):
                out[v, u] = total
        _draw_near(ring, s, out)
        return
    if s and mode not in _ALONG_SIDES:
        ring = soft
    if mode == PLANAR:
        down, right = ring[n - 1], ring[3 * n + 1]
        for v in range(n):
            left = ring[2 * n - 1 - v]
            for u in range(n):
                across = (n - 1 - u) * left + (u + 1) * right
                out[v, u] = (across + (n - 1 - v) * ring[2 * n + 1 + u] + (v + 1) * down) / (2 * n)
        _draw_near(ring, s, out)
        return
    index, share = rays.place[s, mode - DIRECTIONS], rays.share[s, mode - DIRECTIONS]
    for v in range(n):
        for u in range(n):
            k = index[v, u]
            out[v, u] = ring[k] + share[v, u] * (ring[k + 1] - ring[k])
    # What goes straight on to the one side changes as what is beside it on the other one does.
    if mode == _ALONG_SIDES[0]:
        for v in range(n):
            for u in range(n):
                out[v, u] += _NEAR[s, v] * (ring[2 * n + 1 + u] - ring[2 * n])
    elif mode == _ALONG_SIDES[1]:
        for v in range(n):
            for u in range(n):
                out[v, u] += _NEAR[s, u] * (ring[2 * n - 1 - v] - ring[2 * n])


@inlined
def _draw_near(ring: Floats, s: int, out: Floats) -> None:
    """Draw a prediction [n, n] towards the samples to the left and above, the more the nearer they are."""
    n = QUARTER << s
    for v in range(n):
        for u in range(n):
            left, above = ring[2 * n - 1 - v] - out[v, u], ring[2 * n + 1 + u] - out[v, u]
            out[v, u] += _NEAR[s, u] * left + _NEAR[s, v] * above


@compiled
def predict_from_luma(ring: Floats, luma_ring: Floats, luma: Floats, y: int, x: int, n: int, out: Floats) -> None:
    """[n, n] a chroma block's prediction by LUMA: by the line through what is to its left and above.

    (y, x): its first sample; luma: as `under_chroma`; luma_ring: its samples around the block.
    """
    count = np.float32(2 * n + 1)
    mean = luma_mean = np.float32(0)
    low = high = luma_ring[n]
    for k in range(n, 3 * n + 1):
        mean += ring[k]
        luma_mean += luma_ring[k]
        low, high = min(low, luma_ring[k]), max(high, luma_ring[k])
    mean, luma_mean = mean / count, luma_mean / count
    covariance = variance = np.float32(0)
    for k in range(n, 3 * n + 1):
        apart = luma_ring[k] - luma_mean
        covariance += apart * (ring[k] - mean)
        variance += apart * apart
    slope = covariance / (variance + count * _NOISE)
    slope = min(max(slope, -_STEEPEST), _STEEPEST)
    rows, columns = luma.shape
    for v in range(n):
        # The block may go on beyond what there is.
        row = min(max(y + v, 0), rows - 1)
        for u in range(n):
            sample = luma[row, min(max(x + u, 0), columns - 1)]
            # The line is not followed beyond what it was found from.
            out[v, u] = mean + slope * (min(max(sample, low), high) - luma_mean)


class _Room(NamedTuple):
    """What `_fill` works in."""

    ring: Floats
    soft: Floats
    luma_ring: Floats
    made: Floats


def fill(
    plane: Floats, corner: tuple[int, int], residual: Floats, sizes: Bytes, modes: Bytes, luma: Floats = NO_LUMA
) -> None:
    """Put the intra blocks into a plane in which everything else is.

    plane: what there is of it, from `corner` (row, column) on; residual: of the same samples; sizes: [rows / 8,
    columns / 8] and modes: [rows / 4, columns / 4] of the whole plane; luma: of a chroma plane that has a block of the
    mode LUMA, the same samples `under_chroma`.
    """
    if luma.shape != plane.shape and (modes == LUMA).any():
        raise ValueError("what is predicted from luma needs it")
    rings = np.empty((3, 129), np.float32)
    room = _Room(rings[0], rings[1], rings[2], np.empty((32, 32), np.float32))
    quarters = modes.shape
    _fill(plane, corner, residual, sizes, modes, luma, ranks(*quarters), order(*quarters), RAYS, room, PEAK)


@lru_cache(maxsize=8)
def order(rows: int, columns: int) -> Ranks:
    """The quarters' flat places, by rank."""
    return np.argsort(ranks(rows, columns), axis=None).astype(np.int32)


@compiled
def _fill(
    plane: Floats,
    corner: tuple[int, int],
    residual: Floats,
    sizes: Bytes,
    modes: Bytes,
    luma: Floats,
    rank: Ranks,
    places: Ranks,
    rays: Rays,
    room: _Room,
    peak: float,
) -> None:
    rows, columns = plane.shape
    k = 0
    while k < len(places):
        q, p = places[k] // modes.shape[1], places[k] % modes.shape[1]
        s, mode = int(sizes[q // 2, p // 2]), int(modes[q, p])
        k += 1 << 2 * s
        y, x, n = QUARTER * q, QUARTER * p, QUARTER << s
        top, left = max(y, corner[0]), max(x, corner[1])
        bottom, right = min(y + n, corner[0] + rows), min(x + n, corner[1] + columns)
        if mode == INTER or top >= bottom or left >= right:
            continue
        gather(plane, corner, modes, rank, y, x, n, room.ring)
        if mode == LUMA:
            gather(luma, corner, modes, rank, y, x, n, room.luma_ring)
            predict_from_luma(room.ring, room.luma_ring, luma, y - corner[0], x - corner[1], n, room.made)
        else:
            soften(room.ring, n, room.soft)
            predict(room.ring, room.soft, rays, s, mode, room.made)
        for v in range(top, bottom):
            for u in range(left, right):
                sample = room.made[v - y, u - x] + residual[v - corner[0], u - corner[1]]
                plane[v - corner[0], u - corner[1]] = min(max(sample, np.float32(0)), np.float32(peak))
