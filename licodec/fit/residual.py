"""Rate-distortion optimised quantisation of a residual: block sizes, extents and levels together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from licodec.jit import compiled
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
    residual: Floats, step: float, lam: float, rates: Rates
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
    cost, levels = np.empty(len(x), np.float32), np.zeros(x.shape, np.int16)
    _cheapest(
        x,
        lam / (step * step),
        _scan(size),
        rates.zero[s],
        rates.one[s],
        rates.more,
        rates.extent[s, : 2 * size],
        cost,
        levels,
    )
    return (cost * np.float32(step * step)).reshape(grid), levels.reshape(blocks.shape)


@cache
def _scan(size: int) -> npt.NDArray[np.int64]:
    """[coefficients, 2] flat position and diagonal, in the order of diagonals."""
    diagonal = diagonal_index(size).reshape(-1)
    order = np.argsort(diagonal, kind="stable")
    return np.stack([order, diagonal[order]], axis=1)


@compiled
def _cheapest(
    x: Floats,
    worth: float,
    scan: npt.NDArray[np.int64],
    zero: Floats,
    one: Floats,
    more: float,
    extent: Floats,
    cost: Floats,
    levels: npt.NDArray[np.int16],
) -> None:
    """Levels of each block [blocks, coefficients], in steps, and their cost in squared steps (error + worth * bits).

    Each coefficient is rounded, or one lower where that is cheaper; then the block is cut behind the diagonal where
    what is kept and what is dropped cost least together.
    """
    count, length = x.shape
    chosen = np.zeros(length, np.int64)
    for b in range(count):
        dropped, largest = np.float32(0), np.float32(0)
        for i in range(length):
            value = x[b, i]
            dropped += value * value
            largest = max(largest, abs(value))
        best, cut = dropped + worth * extent[0], 0
        # Nothing near a level of one: most blocks, most of the time.
        if largest > 0.55:
            kept, i = np.float32(0), 0
            while i < length:
                d = scan[i, 1]
                while i < length and scan[i, 1] == d:
                    m = abs(x[b, scan[i, 0]])
                    level = int(m + 0.5)
                    price = _price(m, level, worth, zero[d], one[d], more)
                    if level > 0:
                        lower = _price(m, level - 1, worth, zero[d], one[d], more)
                        if lower < price:
                            level, price = level - 1, lower
                    kept += price
                    dropped -= m * m
                    chosen[i] = level
                    i += 1
                total = kept + dropped + worth * extent[d + 1]
                if total < best:
                    best, cut = total, i
        cost[b] = best
        for i in range(cut):
            at = scan[i, 0]
            levels[b, at] = chosen[i] if x[b, at] >= 0 else -chosen[i]


@compiled
def _price(m: float, level: int, worth: float, zero: float, one: float, more: float) -> float:
    """Squared error and bits of a magnitude `m` coded as `level`."""
    error = (m - level) * (m - level)
    if level == 0:
        return error + worth * zero
    if level == 1:
        return error + worth * one
    return error + worth * (one + more * math.log2(level))
