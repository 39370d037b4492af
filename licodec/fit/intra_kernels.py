"""Trials of intra blocks, as machine code: the modes that come closest, what they cost, and the levels of the best."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from licodec.fit.blocks import Bytes, Floats, Levels, Terms, cheapest_levels, scan_of
from licodec.fit.trellis import Room as TrellisRoom
from licodec.fit.trellis import viterbi
from licodec.jit import compiled, inlined
from licodec.model.cosine import SIZES, basis
from licodec.model.geometry import PEAK
from licodec.model.intra import (
    DIRECTIONS,
    INTER,
    LUMA,
    MODES,
    PLANAR,
    QUARTER,
    Ranks,
    Rays,
    gather,
    predict,
    predict_from_luma,
    soften,
)
from licodec.quant.steps import HALF_STEP, SIZE_OF

TRIED = 5
"""Modes of a block, by what they leave, that are tried with its transform."""
Corners = npt.NDArray[np.int32]
"""[blocks, (row, column)] of their first samples."""


class Weights(NamedTuple):
    """What intra blocks are weighed by (`Terms`); a tuple has an array for each size index."""

    worth: tuple[Floats, ...]
    """[down, across]"""
    coded: tuple[Floats, ...]
    """[planes, down, across, 0 or 1] bits of whether a block holds anything."""
    extent: Floats
    nonzero: Floats
    magnitude: Floats
    """Rates [size index * planes + plane, ...] of the dependent quantiser."""
    plain_nonzero: Floats
    plain_magnitude: Floats
    """The same of the independent one."""
    mode: Floats
    """Bits of a mode, as in `Rates`."""
    step: float

    @staticmethod
    def of(terms: Terms, planes: int) -> Weights:
        """Of a group of so many planes."""
        kinds = slice(len(SIZES) * planes, 2 * len(SIZES) * planes)
        coded = terms.rates.coded[kinds]
        return Weights(
            worth=terms.worth,
            coded=tuple(
                np.ascontiguousarray(coded[s * planes : (s + 1) * planes, bins])
                for s, bins in enumerate(terms.activity)
            ),
            extent=terms.rates.extent[kinds],
            nonzero=terms.rates.nonzero[kinds],
            magnitude=terms.rates.magnitude[kinds],
            plain_nonzero=terms.nonzero[kinds],
            plain_magnitude=terms.magnitude[kinds],
            mode=terms.rates.mode,
            step=terms.step,
        )


class Ground(NamedTuple):
    """What the intra blocks of a plane group are predicted from and weighed by."""

    made: Floats
    """[planes, rows, columns] what there is of the picture."""
    shape: tuple[int, int]
    """(rows, columns) of it that are not padding."""
    source: Floats
    """What it should be, as large."""
    luma: Floats
    """Luma `under_chroma` that may be predicted from, or none."""
    modes: Bytes
    """Of each quarter of a cell; INTER where `made` is known whatever the coding order."""
    rank: Ranks
    """Of each quarter of a cell: its place in coding order."""
    rays: Rays
    weights: Weights


class Room(NamedTuple):
    """What blocks of one size are tried in."""

    scan: npt.NDArray[np.int64]
    basis: Floats
    transposed: Floats
    """[n, n] of the transform."""
    rings: Floats
    """[2, planes, 129] what a block is predicted from, and the same smoothed."""
    luma_ring: Floats
    """[129] the luma there."""
    tried: Floats
    """[modes, planes, n, n] predictions."""
    apart: Floats
    """[modes] how far they are from the source."""
    hadamard: Floats
    free: Floats
    """[modes] no bits at all."""
    modes: Bytes
    """[TRIED] those that come closest."""
    rest: Floats
    """[planes, TRIED, n, n] what they leave."""
    half: Floats
    spectra: Floats
    x: Floats
    """[planes, TRIED, n, n], and the same as [planes, TRIED, n * n], coefficients in steps."""
    worth: Floats
    coded: Floats
    found: npt.NDArray[np.int64]
    cost: Floats
    plain: Levels
    trellis: TrellisRoom
    levels: Levels
    coefficients: Floats

    @staticmethod
    def of(s: int, planes: int) -> Room:
        """For blocks of a size index."""
        n, matrix = SIZES[s], np.ascontiguousarray(basis(SIZES[s]))
        spectra = np.empty((planes, TRIED, n, n), np.float32)
        return Room(
            scan=scan_of(n),
            basis=matrix,
            transposed=np.ascontiguousarray(matrix.T),
            rings=np.empty((2, planes, 129), np.float32),
            luma_ring=np.empty(129, np.float32),
            tried=np.empty((MODES, planes, n, n), np.float32),
            apart=np.empty(MODES, np.float32),
            hadamard=np.empty((4, 4), np.float32),
            free=np.zeros(MODES, np.float32),
            modes=np.empty(TRIED, np.uint8),
            rest=np.empty((planes, TRIED, n, n), np.float32),
            half=np.empty((n, n), np.float32),
            spectra=spectra,
            x=spectra.reshape(planes, TRIED, n * n),
            worth=np.empty(TRIED, np.float32),
            coded=np.empty((planes, TRIED, 2), np.float32),
            found=np.zeros((n + 2, n + 2), np.int64),
            cost=np.empty((planes, TRIED), np.float32),
            plain=np.empty((planes, TRIED, n * n), np.int16),
            trellis=TrellisRoom.of(n * n),
            levels=np.empty((1, n * n), np.int16),
            coefficients=np.empty((n, n), np.float32),
        )


@compiled
def try_blocks(ground: Ground, at: Corners, s: int, room: Room, cost: Floats, best: Bytes) -> None:
    """Least cost and best mode [blocks] of blocks of a size index."""
    for b in range(at.shape[0]):
        _weigh(ground, at[b, 0], at[b, 1], s, room)
        # What modes are beside it is not known yet.
        k = _cheapest(room, room.free)
        cost[b], best[b] = _total(room.cost, k), room.modes[k]


@compiled
def code_blocks(ground: Ground, sizes: Bytes, levels: Levels, places: Ranks, rooms: tuple[Room, ...]) -> None:
    """Choose the mode and the levels of every intra block in coding order, and put it into what is `made`.

    Which blocks are intra is said by the ground's modes, that are changed in place as `made` is.
    """
    made, source, modes, weights = ground.made, ground.source, ground.modes, ground.weights
    i = 0
    while i < len(places):
        q, p = places[i] // modes.shape[1], places[i] % modes.shape[1]
        s = int(sizes[q // 2, p // 2])
        i += 1 << 2 * s
        if modes[q, p] == INTER:
            continue
        y, x, n, room = QUARTER * q, QUARTER * p, QUARTER << s, rooms[s]
        left, above = int(modes[q, p - 1]) if p else INTER, int(modes[q - 1, p]) if q else INTER
        _weigh(ground, y, x, s, room)
        k = _cheapest(room, weights.mode[left, above])
        for v in range(q, q + (1 << s)):
            for u in range(p, p + (1 << s)):
                modes[v, u] = room.modes[k]
        for plane in range(made.shape[0]):
            kind = s * made.shape[0] + plane
            room.levels[:] = 0
            viterbi(
                room.x[plane, k : k + 1],
                room.plain[plane, k : k + 1],
                room.worth,
                room.scan,
                room.coded[plane],
                weights.extent[kind],
                weights.nonzero[kind],
                weights.magnitude[kind],
                room.trellis,
                room.levels,
            )
            for v in range(n):
                for u in range(n):
                    level = int(room.levels[0, v * n + u])
                    levels[plane, y + v, x + u] = level
                    size = SIZE_OF[abs(level)] if abs(level) < len(SIZE_OF) else abs(level) * np.float32(HALF_STEP)
                    room.coefficients[v, u] = (size if level >= 0 else -size) * np.float32(weights.step)
            _along_both(room.coefficients, room.transposed, room.basis, room.half, room.spectra[plane, k], 1.0)
            for v in range(n):
                for u in range(n):
                    sample = source[plane, y + v, x + u] - room.rest[plane, k, v, u] + room.spectra[plane, k, v, u]
                    made[plane, y + v, x + u] = min(max(sample, np.float32(0)), np.float32(PEAK))


@compiled
def _weigh(ground: Ground, y: int, x: int, s: int, room: Room) -> None:
    """Put all about a block's closest modes into `room`."""
    planes, n, weights = ground.made.shape[0], QUARTER << s, ground.weights
    closest(ground, y, x, s, room)
    row, column = y // n, x // n
    room.worth[:] = weights.worth[s][row, column]
    for p in range(planes):
        kind = s * planes + p
        for k in range(TRIED):
            _along_both(room.rest[p, k], room.basis, room.transposed, room.half, room.spectra[p, k], 1 / weights.step)
            for coded in range(2):
                room.coded[p, k, coded] = weights.coded[s][p, row, column, coded]
        room.plain[p] = 0
        cheapest_levels(
            room.x[p],
            room.worth,
            room.scan,
            room.coded[p],
            weights.extent[kind],
            weights.plain_nonzero[kind],
            weights.plain_magnitude[kind],
            room.found,
            room.cost[p],
            room.plain[p],
        )


@compiled
def _cheapest(room: Room, bits: Floats) -> int:
    """Which of the modes tried costs least, with the bits [modes] of saying so."""
    best, least = 0, np.float32(3e38)
    for k in range(TRIED):
        cost = _total(room.cost, k) + bits[room.modes[k]]
        if cost < least:
            best, least = k, cost
    return best


@inlined
def _total(cost: Floats, k: int) -> np.float32:
    """Of all planes."""
    total = np.float32(0)
    for p in range(cost.shape[0]):
        total += cost[p, k]
    return total


@compiled
def _along_both(block: Floats, matrix: Floats, transposed: Floats, half: Floats, out: Floats, scale: float) -> None:
    """out = scale * matrix @ block @ transposed, all [n, n]; row by row, which makes vector instructions."""
    n = len(matrix)
    for source, left, target in ((block, matrix, half), (transposed, half, out)):
        for i in range(n):
            for j in range(n):
                target[i, j] = 0
            for k in range(n):
                factor = left[i, k]
                for j in range(n):
                    target[i, j] += factor * source[k, j]
    for i in range(n):
        for j in range(n):
            out[i, j] *= np.float32(scale)


@compiled
def closest(ground: Ground, y: int, x: int, s: int, room: Room) -> None:
    """The modes that come closest to what a block is to be, by rising difference, and what they leave of it."""
    made, shape, source = ground.made, ground.shape, ground.source
    n, planes = QUARTER << s, made.shape[0]
    for p in range(planes):
        known = made[p, : shape[0], : shape[1]]
        gather(known, (0, 0), ground.modes, ground.rank, y, x, n, room.rings[0, p])
        soften(room.rings[0, p], n, room.rings[1, p])
    room.apart[:] = np.float32(3e38)
    for mode in range(PLANAR, LUMA):
        room.apart[mode] = _apart(ground, s, y, x, mode, room)
    if ground.luma.size:
        gather(ground.luma, (0, 0), ground.modes, ground.rank, y, x, n, room.luma_ring)
        room.apart[LUMA] = _apart(ground, s, y, x, LUMA, room)
    # Every other direction, and then those beside the best one.
    best = DIRECTIONS
    for mode in range(DIRECTIONS, MODES, 2):
        room.apart[mode] = _apart(ground, s, y, x, mode, room)
        if room.apart[mode] < room.apart[best]:
            best = mode
    for mode in range(max(best - 1, DIRECTIONS), min(best + 2, MODES), 2):
        room.apart[mode] = _apart(ground, s, y, x, mode, room)
    for k in range(TRIED):
        least = PLANAR
        for mode in range(PLANAR + 1, MODES):
            if room.apart[mode] < room.apart[least]:
                least = mode
        room.apart[least] = np.float32(3e38)
        room.modes[k] = least
        for p in range(planes):
            for v in range(n):
                for u in range(n):
                    room.rest[p, k, v, u] = source[p, y + v, x + u] - room.tried[least, p, v, u]


@compiled
def _apart(ground: Ground, s: int, y: int, x: int, mode: int, room: Room) -> np.float32:
    """How far a mode's prediction, from now on among those `tried`, is from what a block is to be."""
    source, n, total = ground.source, QUARTER << s, np.float32(0)
    for p in range(source.shape[0]):
        out = room.tried[mode, p]
        if mode == LUMA:
            predict_from_luma(room.rings[0, p], room.luma_ring, ground.luma, y, x, n, out)
        else:
            predict(room.rings[0, p], room.rings[1, p], ground.rays, s, mode, out)
        for v in range(0, n, 4):
            for u in range(0, n, 4):
                total += _detail(source[p, y + v : y + v + 4, x + u : x + u + 4], out[v:, u:], room.hadamard)
    return total


@inlined
def _detail(wanted: Floats, made: Floats, room: Floats) -> np.float32:
    """About what bits know of what is left of 4 x 4 samples: sum of the absolute values of its Hadamard transform."""
    for i in range(4):
        a, b = wanted[i, 0] - made[i, 0], wanted[i, 1] - made[i, 1]
        c, d = wanted[i, 2] - made[i, 2], wanted[i, 3] - made[i, 3]
        room[i, 0], room[i, 1], room[i, 2], room[i, 3] = a + b + c + d, a - b + c - d, a + b - c - d, a - b - c + d
    total = np.float32(0)
    for i in range(4):
        a, b, c, d = room[0, i], room[1, i], room[2, i], room[3, i]
        total += abs(a + b + c + d) + abs(a - b + c - d) + abs(a + b - c - d) + abs(a - b - c + d)
    return total
