"""Rate-distortion optimised quantisation: block sizes and modes by an independent quantiser, then the levels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from licodec.entropy.residual import Rates
from licodec.fit.blocks import Blocks, Bytes, Floats, Levels, Terms
from licodec.fit.intra import IntraBlocks, code_intra, try_intra
from licodec.fit.threads import each
from licodec.model.cosine import CELL, SIZES, forward, inverse, to_blocks
from licodec.model.geometry import PEAK
from licodec.model.intra import INTER, QUARTER
from licodec.model.symbols import SparseLevels
from licodec.quant.steps import coefficients_of
from licodec.render.blocks import occupied


@dataclass(frozen=True)
class Coded:
    """A plane group of a picture, as symbols."""

    sizes: Bytes
    """[rows / 8, columns / 8] size index of the block over each cell."""
    modes: Bytes
    """[rows / 4, columns / 4] how the block over each quarter of a cell is predicted."""
    levels: Levels
    """[planes, rows, columns]"""
    made: Floats | None
    """[planes, rows, columns] the picture before its filters, where intra blocks may be predicted from it."""


class Inter(NamedTuple):
    """What the blocks of a plane group would be if all of the prediction were taken; of each size index."""

    blocks: list[Blocks]
    costs: list[Floats]
    """[down, across]"""

    @staticmethod
    def of(source: Floats, prediction: Floats, terms: Terms) -> Inter:
        """source, prediction: [planes, rows, columns], padded."""
        residual = source - prediction

        def blocks_of(s: int) -> Blocks:
            size = SIZES[s]
            x = to_blocks(forward(residual, size), size)
            down, across = x.shape[1:3]
            at = np.divmod(np.arange(down * across), across)
            return Blocks(x.reshape(len(x), -1, size, size), s, at, terms)

        blocks = each(blocks_of, range(len(SIZES)))
        return Inter(blocks, [b.cost.reshape(terms.worth[s].shape) for s, b in enumerate(blocks)])


def quantise(
    inter: Inter,
    source: Floats,
    prediction: Floats,
    shape: tuple[int, int],
    terms: Terms,
    intra: Sequence[IntraBlocks] | None,
    luma: Floats,
) -> Coded:
    """Choose block sizes, modes and levels of padded planes.

    source, prediction: [planes, rows, columns], of which `shape` (rows, columns) is not padding; intra: of each size
    index, what blocks would be if they were predicted from what is around them (None: none may be); luma: for chroma
    [rows, columns] luma `under_chroma`.
    """
    costs = _costs(inter, intra)
    sizes, _ = _cheapest_tree(costs, terms.rates)
    modes = np.full((2 * sizes.shape[0], 2 * sizes.shape[1]), INTER, np.uint8)
    levels = np.zeros(source.shape, np.int16)
    for s, trial in enumerate(intra or []):
        n = SIZES[s] // QUARTER
        found = np.where(_of_size(sizes, s) & (trial.cost == costs[s]), trial.modes, INTER)
        modes |= found.repeat(n, axis=0).repeat(n, axis=1)
    for s, blocks in enumerate(inter.blocks):
        n = SIZES[s] // QUARTER
        chosen = _of_size(sizes, s) & (modes[::n, ::n] == INTER)
        to_blocks(levels, SIZES[s])[:, chosen] = blocks.levels(np.flatnonzero(chosen))
    # Nothing is predicted from chroma but its own intra blocks.
    if intra is None or (luma.size and not modes.any()):
        return Coded(sizes, modes, levels, None)
    made = np.clip(prediction + _samples(levels, sizes, lambda found: coefficients_of(found, terms.step)), 0, PEAK)
    code_intra(made, source, shape, sizes, modes, levels, terms, luma)
    return Coded(sizes, modes, levels, made)


def intra_blocks(
    inter: Inter,
    source: Floats,
    prediction: Floats,
    shape: tuple[int, int],
    terms: Terms,
    luma: Floats,
    *,
    first: bool,
) -> list[IntraBlocks]:
    """What blocks of each size index would be if they were intra; arguments as in `quantise`.

    first: whether there are no references. What is around a block is not known before that is coded: it will be about
    what it is without intra blocks.
    """
    sizes, _ = _cheapest_tree(inter.costs, terms.rates)
    plain = np.zeros(source.shape, np.int16)
    for s, blocks in enumerate(inter.blocks):
        _put(blocks.plain, plain, s, _of_size(sizes, s))
    made = np.clip(prediction + _samples(plain, sizes, lambda found: found * np.float32(terms.step)), 0, PEAK)
    return try_intra(made, source, prediction, shape, inter.costs, terms, luma, first)


def least_costs(inter: Inter, terms: Terms, intra: Sequence[IntraBlocks] | None, largest: int) -> Floats:
    """[down, across] what each block of size index `largest` costs at least, in bits, errors counted, if none is
    larger.
    """
    return _cheapest_tree(_costs(inter, intra)[: largest + 1], terms.rates)[1]


def _costs(inter: Inter, intra: Sequence[IntraBlocks] | None) -> list[Floats]:
    """Of blocks that may be either."""
    if intra is None:
        return inter.costs
    return [np.minimum(cost, trial.cost) for cost, trial in zip(inter.costs, intra, strict=True)]


def _cheapest_tree(costs: list[Floats], rates: Rates) -> tuple[Bytes, Floats]:
    """Sizes [rows / 8, columns / 8], from the leaves up: a block is split when its quarters are cheaper together; and
    the costs of the largest blocks.

    costs: for each size index, up to that of the largest, [down, across] of its blocks.
    """
    best = costs[0]
    sizes = np.zeros((best.shape[0] // 2, best.shape[1] // 2), np.uint8)
    for s in range(1, len(costs)):
        parts = best.reshape(best.shape[0] // 2, 2, best.shape[1] // 2, 2).sum(axis=(1, 3)) + rates.split[s, 1]
        whole = costs[s] + rates.split[s, 0]
        joined = whole <= parts
        best = np.where(joined, whole, parts)
        factor = SIZES[s] // CELL
        sizes[np.repeat(np.repeat(joined, factor, 0), factor, 1)] = s
    return sizes, best


def _of_size(sizes: Bytes, s: int) -> npt.NDArray[np.bool_]:
    """[down, across] which blocks of a size index there are."""
    n = max(SIZES[s] // CELL, 1)
    found = sizes[::n, ::n] == s
    n = max(CELL // SIZES[s], 1)
    return found.repeat(n, axis=0).repeat(n, axis=1)


def _put(blocks: Levels, planes: Levels, s: int, chosen: npt.NDArray[np.bool_]) -> None:
    """Blocks of a size index, those that are `chosen` [down, across] of all of them, into planes."""
    size = SIZES[s]
    to_blocks(planes, size)[:, chosen] = blocks.reshape(len(planes), *chosen.shape, size, size)[:, chosen]


def _samples(levels: Levels, sizes: Bytes, sized: Callable[[Levels], Floats]) -> Floats:
    """[planes, rows, columns] what blocks of these sizes hold; `sized`: the coefficients that levels stand for."""
    out = np.zeros(levels.shape, np.float32)
    for blocks in occupied(sizes, SparseLevels.of(levels), (0, 0), levels.shape[1:]):
        coefficients = np.zeros((blocks.place.shape[1], blocks.size, blocks.size), np.float32)
        coefficients.reshape(-1)[blocks.index] = sized(blocks.value)
        to_blocks(out, blocks.size)[tuple(blocks.place)] = inverse(coefficients)
    return out
