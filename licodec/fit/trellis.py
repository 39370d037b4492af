"""Dependent quantisation of blocks: the cheapest path through the states of its two quantisers (Viterbi).

After Schwarz, Nguyen, Marpe and Wiegand, "Hybrid video coding with trellis-coded quantization" (DCC 2019), the states
of H.266. Each path carries the magnitudes that the rates of its next coefficients depend on.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from licodec.entropy.kernels import BIN
from licodec.entropy.residual import Rates
from licodec.entropy.residual_kernels import NEXT_STATES
from licodec.jit import compiled
from licodec.quant.steps import HALF_STEP, SIZE_OF

Floats = npt.NDArray[np.floating[Any]]
Levels = npt.NDArray[np.int16]
Ints = npt.NDArray[np.int64]

_FURTHER = 2
"""Diagonals behind the last one of the independent quantiser that are tried."""
_NONE = np.float32(1e30)


def dependent_levels(
    x: Floats, plain: Levels, worth: Floats, scan: Ints, coded: Floats, rates: Rates, kind: int
) -> Levels:
    """[blocks, coefficients] levels of one plane's blocks of one size.

    x: [blocks, coefficients] in steps; plain: levels of an independent quantiser, which say where a block ends, about;
    worth: [blocks] bits that a squared error of one step is worth; scan: [coefficients, (diagonal, row, column)] in
    coding order; coded: [blocks, 0 or 1] bits of whether a block holds anything; kind: as in `Rates`.
    """
    levels = np.zeros(x.shape, np.int16)
    extent, nonzero, magnitude = rates.extent[kind], rates.nonzero[kind], rates.magnitude[kind]
    viterbi(x, plain, worth, scan, coded, extent, nonzero, magnitude, Room.of(x.shape[1]), levels)
    return levels


class Room(NamedTuple):
    """What `viterbi` works in."""

    cost: Floats
    least: Floats
    before: Ints
    chosen: Ints
    """[4] of each state."""
    came: npt.NDArray[np.int8]
    level: Levels
    """[coefficients, 4] the state before, and the level."""
    path: Ints
    extended: Ints
    """[4, 3, size + 2] magnitudes of each path on this diagonal and the two before it, by row, behind a margin of two.
    """

    @staticmethod
    def of(length: int) -> Room:
        """For blocks of so many coefficients."""
        paths = (4, 3, math.isqrt(length) + 2)
        return Room(
            *(np.empty(4, np.float32), np.empty(4, np.float32), np.zeros(4, np.int64), np.zeros(4, np.int64)),
            *(np.empty((length, 4), np.int8), np.empty((length, 4), np.int16)),
            *(np.zeros(paths, np.int64), np.zeros(paths, np.int64)),
        )


@compiled
def viterbi(
    x: Floats,
    plain: Levels,
    worth: Floats,
    scan: Ints,
    coded: Floats,
    extent: Floats,
    nonzero: Floats,
    magnitude: Floats,
    room: Room,
    levels: Levels,
) -> None:
    blocks, length = x.shape
    cost, least, before, chosen, came, level, path, extended = room
    size = path.shape[2] - 2
    for b in range(blocks):
        last, dropped = -1, np.float32(0)
        for i in range(length):
            dropped += x[b, i] * x[b, i]
            if plain[b, scan[i, 1] * size + scan[i, 2]] != 0:
                last = scan[i, 0]
        if last < 0:
            continue
        w = worth[b]
        best, end, end_state = w * dropped + coded[b, 0], 0, 0
        cost[:] = _NONE
        cost[0] = coded[b, 1]
        path[:] = 0
        i = 0
        while i < length and scan[i, 0] <= last + _FURTHER:
            d = scan[i, 0]
            for s in range(4):
                for v in range(2, size + 2):
                    path[s, 2, v] = path[s, 1, v]
                    path[s, 1, v] = path[s, 0, v]
                    path[s, 0, v] = 0
            while i < length and scan[i, 0] == d:
                v = scan[i, 1]
                m = abs(x[b, v * size + scan[i, 2]])
                dropped -= m * m
                least[:] = _NONE
                for s in range(4):
                    if cost[s] >= _NONE:
                        continue
                    near = 2 * (path[s, 1, v + 2] + path[s, 1, v + 1])
                    near += path[s, 2, v] + path[s, 2, v + 1] + path[s, 2, v + 2]
                    near = BIN[min(near, len(BIN) - 1)]
                    odd, third = s >> 1, max(s - 1, 0)
                    # Zero, and the two levels around the coefficient.
                    low = int((m / np.float32(HALF_STEP) + odd) * np.float32(0.5))
                    for wanted in (0, low, low + 1):
                        half_steps = max(2 * wanted - odd, 0)
                        if half_steps < len(SIZE_OF):
                            error = m - SIZE_OF[half_steps]
                        else:
                            error = m - half_steps * np.float32(HALF_STEP)
                        total = cost[s] + w * error * error
                        if wanted:
                            total += (
                                nonzero[d, near, third, 1] + magnitude[near, odd, min(wanted, magnitude.shape[2] - 1)]
                            )
                        else:
                            total += nonzero[d, near, third, 0]
                        to = NEXT_STATES >> (s << 2) + ((wanted & 1) << 1) & 3
                        if total < least[to]:
                            least[to], before[to], chosen[to] = total, s, wanted
                for s in range(4):
                    cost[s] = least[s]
                    if cost[s] < _NONE:
                        _copy(path[before[s]], extended[s])
                        extended[s, 0, v + 2] = chosen[s]
                        came[i, s] = before[s]
                        level[i, s] = max(2 * chosen[s] - (before[s] >> 1), 0)
                path, extended = extended, path
                i += 1
            for s in range(4):
                total = cost[s] + w * dropped + extent[d + 1]
                if total < best:
                    best, end, end_state = total, i, s
        s = end_state
        for j in range(end - 1, -1, -1):
            at = scan[j, 1] * size + scan[j, 2]
            levels[b, at] = level[j, s] if x[b, at] >= 0 else -level[j, s]
            s = came[j, s]


@compiled
def _copy(source: Ints, target: Ints) -> None:
    for i in range(source.shape[0]):
        for j in range(source.shape[1]):
            target[i, j] = source[i, j]
