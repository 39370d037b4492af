"""Rate-distortion optimised quantisation of a residual: block sizes, extents and levels together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from licodec.model.cosine import CELL, SIZES, diagonal_index, forward, to_blocks

Floats = npt.NDArray[np.floating[Any]]


@dataclass
class Rates:
    """Estimated bits of the residual's syntax, from what the entropy coder has learnt so far."""

    zero: Floats
    """[size, diagonal] a zero inside the coded extent."""
    one: Floats
    """[size, diagonal] a one, its sign included."""
    extent: Floats
    """[size, extents] of the extent."""
    more: float = 1.7
    """Each doubling of the magnitude."""
    split: float = 1.0
    """Split flag."""


def default_rates() -> Rates:
    """Rates of a typical file, before anything is learnt."""
    d = np.arange(63, dtype=np.float32)
    zero = np.stack([0.35 * np.exp(-d / (4.0 * 2**s)) + 0.12 for s in range(3)])
    one = np.stack([2.6 + 2.4 * (1 - np.exp(-d / (4.0 * 2**s))) for s in range(3)])
    extents = np.arange(64, dtype=np.float32)
    extent = np.stack([np.where(extents == 0, 0.25, 2.5 + 1.0 * np.log2(1 + extents)) for _ in range(3)])
    return Rates(zero.astype(np.float32), one.astype(np.float32), extent.astype(np.float32))


def quantise(
    residual: Floats, step: float, lam: float, rates: Rates, smallest: int = 0
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int16]]:
    """Choose sizes [rows / 8, columns / 8] and levels [planes, rows, columns] for a padded residual.

    residual: [planes, rows, columns]; step: quantisation step; lam: squared error a bit is worth.
    """
    rows, columns = residual.shape[1:]
    costs, coded = [], []
    for s in range(3):
        cost, levels = _best_levels(to_blocks(residual, SIZES[s]), s, step, lam, rates)
        costs.append(cost.sum(axis=0))
        coded.append(levels)
    # Bottom-up: a block is split when its quarters are cheaper together.
    best = costs[0]
    sizes = np.zeros((rows // CELL, columns // CELL), np.uint8)
    for s in (1, 2):
        parts = best.reshape(best.shape[0] // 2, 2, best.shape[1] // 2, 2).sum(axis=(1, 3)) + lam * rates.split
        whole = costs[s] + lam * (rates.split if s == 1 else 0.3)
        joined = whole <= parts
        best = np.where(joined, whole, parts)
        factor = SIZES[s] // CELL
        sizes[np.repeat(np.repeat(joined, factor, 0), factor, 1)] = s
    out = np.zeros(residual.shape, np.int16)
    for s in range(3):
        chosen = sizes[:: SIZES[s] // CELL, :: SIZES[s] // CELL] == s
        view = to_blocks(out, SIZES[s])
        view[:, chosen] = coded[s][:, chosen]
    return sizes, out


def _best_levels(blocks: Floats, s: int, step: float, lam: float, rates: Rates) -> tuple[Floats, npt.NDArray[np.int16]]:
    """[planes, down, across] least cost, and the levels that have it."""
    size = SIZES[s]
    *grid, _, _ = blocks.shape
    x = forward(blocks).reshape(-1, size * size) * np.float32(1 / step)
    # Blocks with nothing near a level of one are empty: most of them, most of the time.
    busy = np.flatnonzero(np.abs(x).max(axis=1) > 0.55)
    empty = np.square(x).sum(axis=1) * (step * step)
    cost = empty + lam * rates.extent[s, 0]
    levels = np.zeros(x.shape, np.int16)
    if len(busy):
        cost_busy, levels_busy = _trim(x[busy], s, step, lam, rates)
        better = cost_busy < cost[busy]
        cost[busy[better]] = cost_busy[better]
        levels[busy[better]] = levels_busy[better]
    return cost.reshape(grid).astype(np.float32), levels.reshape(blocks.shape)


def _trim(x: Floats, s: int, step: float, lam: float, rates: Rates) -> tuple[Floats, npt.NDArray[np.int16]]:
    size = SIZES[s]
    diagonal = diagonal_index(size).reshape(-1)
    order = np.argsort(diagonal, kind="stable")
    d = diagonal[order]
    m = np.abs(x[:, order])
    q = np.floor(m + 0.5)
    square, worth = np.float32(step * step), np.float32(lam)
    zero, one = rates.zero[s][d] * worth, rates.one[s][d] * worth

    def price(level: Floats) -> Floats:
        bits = np.where(level > 0, one + (worth * rates.more) * np.log2(np.maximum(level, 1)), zero)
        return np.square(m - level) * square + bits

    best, value = price(q), q
    lower = np.maximum(q - 1, 0)
    other = price(lower)
    swap = other < best
    best, value = np.where(swap, other, best), np.where(swap, lower, value)
    # Cutting after diagonal e - 1 costs what is kept before it plus the energy beyond it.
    starts = np.searchsorted(d, np.arange(2 * size - 1))
    kept = np.add.reduceat(best, starts, axis=1)
    dropped = np.add.reduceat(np.square(m) * square, starts, axis=1)
    total = np.cumsum(kept, axis=1) + dropped.sum(axis=1, keepdims=True) - np.cumsum(dropped, axis=1)
    total += worth * rates.extent[s, 1 : 2 * size]
    cut = total.argmin(axis=1)
    value = np.where(d[None] <= cut[:, None], value, 0)
    levels = np.empty(x.shape, np.int16)
    levels[:, order] = np.where(x[:, order] < 0, -value, value).astype(np.int16)
    return total.min(axis=1), levels
