"""Rate-distortion optimised quantisation of a residual: block sizes by an independent quantiser, then their levels."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from licodec.entropy.kernels import BIN
from licodec.entropy.residual import Rates, near_bin, pool
from licodec.fit.trellis import dependent_levels
from licodec.jit import compiled
from licodec.model.cosine import CELL, SIZES, diagonal_index, forward, to_blocks

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]
AnyArray = npt.NDArray[Any]

_ONE = 1.08
"""Steps that a level of 1 stands for in the independent quantiser."""


def quantise(
    residual: Floats, step: float, lam: float, rates: Rates, past: npt.NDArray[np.uint8], weights: Floats | None = None
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int16]]:
    """Choose sizes [rows / 8, columns / 8] and levels [planes, rows, columns] for a padded residual.

    residual: [planes, rows, columns]; step: quantisation step; lam: squared error a bit is worth; past:
    [2, rows / 8, columns / 8] activity of the references; weights: [rows / 8, columns / 8] factors of the squared
    error of each cell.
    """
    rows, columns = residual.shape[1:]
    if weights is None:
        weights = np.ones((rows // CELL, columns // CELL), np.float32)
    before = past.sum(axis=0, dtype=np.int64)
    # Costs are in bits.
    costs, coded = [], []
    for s, size in enumerate(SIZES):
        error_worth = _per_block(weights, size, _means) / np.float32(lam)
        activity = near_bin(_per_block(before, size, pool))
        blocks = _Blocks(to_blocks(forward(residual, size), size), s, step, error_worth, activity)
        costs.append(blocks.quantise(rates).sum(axis=0))
        coded.append(blocks)
    # Bottom-up: a block is split when its quarters are cheaper together.
    best = costs[0]
    sizes = np.zeros((rows // CELL, columns // CELL), np.uint8)
    for s in range(1, len(SIZES)):
        parts = best.reshape(best.shape[0] // 2, 2, best.shape[1] // 2, 2).sum(axis=(1, 3)) + rates.split[s, 1]
        whole = costs[s] + rates.split[s, 0]
        joined = whole <= parts
        best = np.where(joined, whole, parts)
        factor = SIZES[s] // CELL
        sizes[np.repeat(np.repeat(joined, factor, 0), factor, 1)] = s
    out = np.zeros(residual.shape, np.int16)
    for s, size in enumerate(SIZES):
        chosen = _per_block(sizes, size, lambda cells, n: cells[::n, ::n]) == s
        view = to_blocks(out, size)
        view[:, chosen] = coded[s].levels(chosen, rates)
    return sizes, out


def _means(cells: Floats, n: int) -> Floats:
    return np.asarray(to_blocks(cells, n).mean(axis=(2, 3)))


def _per_block(cells: AnyArray, size: int, pooled: Callable[[AnyArray, int], AnyArray]) -> AnyArray:
    """[down, across] what `pooled` makes of the n x n cells of each block; of a cell, for the blocks in it."""
    if size >= CELL:
        return pooled(cells, size // CELL)
    n = CELL // size
    return pooled(cells, 1).repeat(n, axis=0).repeat(n, axis=1)


class _Blocks:
    """A residual's blocks of one size."""

    def __init__(self, blocks: Floats, s: int, step: float, error_worth: Floats, activity: Ints) -> None:
        """blocks: [planes, down, across, size, size] coefficients; error_worth: [down, across] bits that an error of 1
        is worth; activity: [down, across] bins for `Rates`."""
        planes, self._down, self._across, self._size, _ = blocks.shape
        self._x = blocks.reshape(planes, -1, self._size**2) * np.float32(1 / step)
        self._plain = np.zeros(self._x.shape, np.int16)
        self._worth = (error_worth * np.float32(step * step)).reshape(-1)
        self._activity = activity.reshape(-1)
        self._kinds = range(s * planes, (s + 1) * planes)

    def quantise(self, rates: Rates) -> Floats:
        """[planes, down, across] least cost in bits of each block if no level depended on another."""
        cost = np.empty(self._x.shape[:2], np.float32)
        for p, kind in enumerate(self._kinds):
            _cheapest(
                self._x[p],
                self._worth,
                _scan(self._size),
                rates.coded[kind][self._activity],
                rates.extent[kind],
                rates.nonzero[kind].mean(axis=2),
                rates.magnitude[kind].mean(axis=1),
                np.zeros((self._size + 2, self._size + 2), np.int64),
                cost[p],
                self._plain[p],
            )
        return cost.reshape(len(cost), self._down, self._across)

    def levels(self, chosen: npt.NDArray[np.bool_], rates: Rates) -> npt.NDArray[np.int16]:
        """[planes, blocks, size, size] dependent levels of the blocks that are `chosen` [down, across]."""
        at = np.flatnonzero(chosen)
        out = [
            dependent_levels(
                self._x[p][at],
                self._plain[p][at],
                self._worth[at],
                _scan(self._size),
                rates.coded[kind][self._activity[at]],
                rates,
                kind,
            )
            for p, kind in enumerate(self._kinds)
        ]
        return np.stack(out).reshape(len(out), len(at), self._size, self._size)


@cache
def _scan(size: int) -> npt.NDArray[np.int64]:
    """[coefficients, 3] diagonal, row and column, in the order of diagonals."""
    diagonal = diagonal_index(size)
    v, u = np.unravel_index(np.argsort(diagonal, axis=None, kind="stable"), diagonal.shape)
    return np.stack([v + u, v, u], axis=1)


@compiled
def _cheapest(
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
            while i < length:
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
