"""Blocks of cosine coefficients: what they would cost, and their levels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from licodec.entropy.kernels import BIN
from licodec.entropy.residual import Rates, near_bin, pool
from licodec.fit.trellis import dependent_levels
from licodec.jit import compiled
from licodec.model.cosine import CELL, SIZES, diagonal_index, to_blocks

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Levels = npt.NDArray[np.int16]
Places = tuple[npt.NDArray[np.integer], npt.NDArray[np.integer]]
"""(down, across) of blocks, counted in blocks."""

_ONE = 1.08
"""Steps that a level of 1 stands for in the independent quantiser."""


@dataclass(frozen=True)
class Terms:
    """What the blocks of a plane group are weighed by; of each size index, [down, across] blocks."""

    step: float
    """Quantisation step."""
    rates: Rates
    nonzero: Floats
    magnitude: Floats
    """Rates that do not know the state of the dependent quantiser."""
    worth: tuple[Floats, ...]
    """Bits that a squared error of one step is worth."""
    activity: tuple[Ints, ...]
    """Of the references (bins of `near_bin`)."""

    @staticmethod
    def of(step: float, lam: float, rates: Rates, past: Bytes, weights: Floats | None) -> Terms:
        """lam: squared error that a bit is worth; past: [2, rows / 8, columns / 8] activity of the references; weights:
        [rows / 8, columns / 8] factors of the squared error of each cell (None: 1).
        """
        if weights is None:
            weights = np.ones(past.shape[1:], np.float32)
        before = past.sum(axis=0, dtype=np.int64)
        worth, activity = [], []
        for size in SIZES:
            means = to_blocks(weights, max(size // CELL, 1)).mean(axis=(2, 3)) * np.float32(step * step / lam)
            bins = near_bin(pool(before, max(size // CELL, 1)))
            n = max(CELL // size, 1)
            worth.append(means.repeat(n, axis=0).repeat(n, axis=1))
            activity.append(bins.repeat(n, axis=0).repeat(n, axis=1))
        return Terms(
            step, rates, rates.nonzero.mean(axis=3), rates.magnitude.mean(axis=2), tuple(worth), tuple(activity)
        )


class Blocks:
    """Some blocks of one size of all planes of a group, by an independent quantiser."""

    cost: Floats
    """[blocks] least cost of each in bits, errors counted, if no level depended on another."""
    plain: Levels
    """[planes, blocks, size, size] levels of that."""

    def __init__(self, coefficients: Floats, s: int, at: Places, terms: Terms) -> None:
        """coefficients: [planes, blocks, size, size]; s: size index; at: (down, across) of each block."""
        planes, count, size, _ = coefficients.shape
        self._rates, self._worth = terms.rates, terms.worth[s][at]
        self._scan = scan_of(size)
        self._kinds = range(s * planes, (s + 1) * planes)
        self._coded = [terms.rates.coded[kind][terms.activity[s][at]] for kind in self._kinds]
        self._x = coefficients.reshape(planes, count, -1) * np.float32(1 / terms.step)
        plain, cost = np.zeros(self._x.shape, np.int16), np.empty((planes, count), np.float32)
        for p, kind in enumerate(self._kinds):
            cheapest_levels(
                self._x[p],
                self._worth,
                self._scan,
                self._coded[p],
                terms.rates.extent[kind],
                terms.nonzero[kind],
                terms.magnitude[kind],
                np.zeros((size + 2, size + 2), np.int64),
                cost[p],
                plain[p],
            )
        self.cost, self.plain = cost.sum(axis=0), plain.reshape(coefficients.shape)

    def levels(self, chosen: Ints) -> Levels:
        """[planes, chosen, size, size] dependent levels of some of the blocks."""
        shape = self.plain.shape
        out = [
            dependent_levels(
                self._x[p][chosen],
                self.plain[p][chosen].reshape(len(chosen), shape[2] * shape[3]),
                self._worth[chosen],
                self._scan,
                self._coded[p][chosen],
                self._rates,
                kind,
            )
            for p, kind in enumerate(self._kinds)
        ]
        return np.stack(out).reshape(shape[0], len(chosen), *shape[2:])


@cache
def scan_of(size: int) -> npt.NDArray[np.int64]:
    """[coefficients, 3] diagonal, row and column, in the order of diagonals."""
    diagonal = diagonal_index(size)
    v, u = np.unravel_index(np.argsort(diagonal, axis=None, kind="stable"), diagonal.shape)
    return np.stack([v + u, v, u], axis=1)


@compiled
def cheapest_levels(
    x: Floats,
    worth: Floats,
    scan: npt.NDArray[np.int64],
    coded: Floats,
    extent: Floats,
    nonzero: Floats,
    magnitude: Floats,
    found: Ints,
    cost: Floats,
    levels: npt.NDArray[np.int16],
) -> None:
    """Levels of each block [blocks, coefficients], in steps, and their cost in bits (worth * squared error + bits).

    Each coefficient is rounded, or one lower where that is cheaper; then the block is cut behind the diagonal where
    what is kept and what is dropped cost least together. `found`, zero, is room for the levels of a block by row and
    column, with a margin of two, so that looking up and left needs no bounds.
    """
    count, length = x.shape
    size = found.shape[0] - 2
    for b in range(count):
        dropped, largest = np.float32(0), np.float32(0)
        for i in range(length):
            value = x[b, i]
            dropped += value * value
            largest = max(largest, abs(value))
        w = worth[b]
        best, cut = w * dropped + coded[b, 0], 0
        # Nothing near a level of one: most blocks, most of the time.
        if largest > 0.55:
            found[:] = 0
            kept, i = np.float32(0), 0
            # A block ends with its last level that is not zero.
            last = length - 1
            while abs(x[b, scan[last, 1] * size + scan[last, 2]]) < 0.5:
                last -= 1
            while i <= last:
                d = scan[i, 0]
                while i < length and scan[i, 0] == d:
                    v, u = scan[i, 1], scan[i, 2]
                    near = 2 * (found[v + 2, u + 1] + found[v + 1, u + 2]) + found[v + 1, u + 1]
                    near = BIN[min(near + found[v + 2, u] + found[v, u + 2], len(BIN) - 1)]
                    m = abs(x[b, v * size + u])
                    level = int(m + 0.5)
                    price = _price(m, level, w, nonzero[d, near], magnitude[near])
                    if level > 0:
                        lower = _price(m, level - 1, w, nonzero[d, near], magnitude[near])
                        if lower < price:
                            level, price = level - 1, lower
                    kept += price
                    dropped -= m * m
                    found[v + 2, u + 2] = level
                    i += 1
                total = kept + w * dropped + coded[b, 1] + extent[d + 1]
                if total < best:
                    best, cut = total, i
        cost[b] = best
        for i in range(cut):
            v, u = scan[i, 1], scan[i, 2]
            at = v * size + u
            levels[b, at] = found[v + 2, u + 2] if x[b, at] >= 0 else -found[v + 2, u + 2]


@compiled
def _price(m: float, level: int, worth: float, nonzero: Floats, magnitude: Floats) -> float:
    """Bits of a magnitude `m` coded as `level`, its error counted as bits, too."""
    if level == 0:
        return worth * m * m + nonzero[0]
    error = m - (_ONE if level == 1 else level)
    return worth * error * error + nonzero[1] + magnitude[min(level, len(magnitude) - 1)]
