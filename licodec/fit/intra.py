"""Intra blocks: which modes they would be predicted with and at what cost, and their levels, wave after wave."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from licodec.fit.blocks import Blocks, Bytes, Floats, Ints, Levels, Places, Terms
from licodec.fit.threads import each
from licodec.model.cosine import SIZES, forward_blocks, inverse, to_blocks
from licodec.model.geometry import PEAK
from licodec.model.intra import INTER, PLANAR, QUARTER, leftovers, waves
from licodec.quant.steps import coefficients_of

_TRIED = 3
"""Modes of a block, by what they leave, that are tried with its transform."""
_INTRA_BITS = 8.0
"""Of being intra: of a mode, and of what contexts lose that know the blocks beside (5 to 12 differ by .2%)."""
_LEAST_BITS = 10.0
"""Blocks that cost no more are not worth a trial."""
_LEAST_ERROR = 0.05
"""Nor are those that references leave less of, as a part of their variance: 1% of what intra blocks gain."""
_CLOSE = 1.3
"""Nor are others over or under blocks of 8 (of 32: 16) samples that cost this many times as much if they are intra."""


@dataclass(frozen=True)
class IntraBlocks:
    """What all blocks of one size would be if they were intra; [down, across]."""

    cost: Floats
    """In bits, errors counted; infinite where it was not worth a trial."""
    modes: Bytes
    """The best ones."""


def try_intra(
    made: Floats,
    source: Floats,
    prediction: Floats,
    shape: tuple[int, int],
    inter: list[Floats],
    terms: Terms,
    first: bool,
) -> list[IntraBlocks]:
    """Intra blocks of each size index.

    made: [planes, rows, columns] about what blocks will be predicted from; prediction: what references say; inter: for
    each size index [down, across] the costs that are to be beaten; first: whether all blocks will be intra, so that
    only those before one are known.
    """
    worth = _worth_a_trial(source, prediction, shape, inter)
    known = np.full((source.shape[1] // QUARTER, source.shape[2] // QUARTER), PLANAR if first else INTER, np.uint8)

    def tried(s: int) -> IntraBlocks:
        cost, modes = np.full(inter[s].shape, np.inf, np.float32), np.full(inter[s].shape, INTER, np.uint8)
        down, across = np.nonzero(worth[s])
        if len(down):
            at = down, across
            trials = _Trials.of(made, source, shape, known, s, at, terms)
            best, least = trials.best()
            cost[at], modes[at] = least + _INTRA_BITS, trials.modes[np.arange(len(best)), best]
        return IntraBlocks(cost, modes)

    eights = tried(1)
    close = eights.cost < _CLOSE * inter[1]
    worth[0] &= close.repeat(2, axis=0).repeat(2, axis=1)
    worth[2] &= to_blocks(close, 2).any(axis=(2, 3))

    def smaller() -> list[IntraBlocks]:
        return [tried(0), eights]

    def larger() -> list[IntraBlocks]:
        sixteens = tried(2)
        worth[3] &= to_blocks(sixteens.cost < _CLOSE * inter[2], 2).any(axis=(2, 3))
        return [sixteens, tried(3)]

    return [blocks for found in each(lambda part: part(), (smaller, larger)) for blocks in found]


def _worth_a_trial(
    source: Floats, prediction: Floats, shape: tuple[int, int], inter: list[Floats]
) -> list[npt.NDArray[np.bool_]]:
    """For each size index [down, across] which blocks: dear ones of which references leave much."""
    found = []
    means = [_smaller(planes, QUARTER) for planes in (source, np.square(source), np.square(source - prediction))]
    for cost, size in zip(inter, SIZES, strict=True):
        mean, square, error = means
        down, across = (size * np.arange(count) < length for count, length in zip(cost.shape, shape, strict=True))
        much = error.sum(axis=0) > _LEAST_ERROR * (square - np.square(mean)).sum(axis=0)
        found.append((cost > _LEAST_BITS) & much & down[:, None] & across)
        means = [_smaller(planes, 2) for planes in means] if size < SIZES[-1] else means
    return found


def _smaller(planes: Floats, factor: int) -> Floats:
    """[planes, rows / factor, columns / factor] means of factor x factor samples."""
    shape = planes.shape[2] // factor, planes.shape[1] // factor
    return np.stack([cv2.resize(plane, shape, interpolation=cv2.INTER_AREA) for plane in planes])


def code_intra(
    made: Floats, source: Floats, shape: tuple[int, int], sizes: Bytes, modes: Bytes, levels: Levels, terms: Terms
) -> None:
    """Choose the levels of the intra blocks, and their modes once more, now that what is around them is known.

    made: [planes, rows, columns] with all other blocks in it; `made`, `modes` and `levels` are changed in place.
    """
    for wave in waves(sizes, modes):
        for s, corners in enumerate(wave):
            if not len(corners):
                continue
            size, n = SIZES[s], SIZES[s] // QUARTER
            at = corners[:, 0] // size, corners[:, 1] // size
            trials = _Trials.of(made, source, shape, modes, s, at, terms)
            best, _ = trials.best()
            which = np.arange(len(best))
            to_blocks(modes, n)[at] = trials.modes[which, best][:, None, None]
            chosen = trials.blocks.levels(which * _TRIED + best)
            to_blocks(levels, size)[:, *at] = chosen
            predicted = to_blocks(source, size)[:, *at] - trials.rest[:, which, best]
            there = predicted + inverse(coefficients_of(chosen, terms.step))
            to_blocks(made, size)[:, *at] = np.clip(there, 0, PEAK)


@dataclass(frozen=True)
class _Trials:
    """Some blocks of one size, each with the modes that leave least."""

    modes: Bytes
    """[blocks, _TRIED]"""
    rest: Floats
    """[planes, blocks, _TRIED, size, size] what they leave."""
    blocks: Blocks
    """All of them, block after block."""

    @staticmethod
    def of(
        made: Floats, source: Floats, shape: tuple[int, int], known: Bytes, s: int, at: Places, terms: Terms
    ) -> _Trials:
        corners = (np.stack(at, axis=1) * SIZES[s]).astype(np.int32)
        modes, rest = leftovers(made[:, : shape[0], : shape[1]], source, known, corners, s, _TRIED)
        spectra = forward_blocks(rest).reshape(len(rest), -1, *rest.shape[3:])
        places = at[0].repeat(_TRIED), at[1].repeat(_TRIED)
        return _Trials(modes, rest, Blocks(spectra, s, places, terms, intra=True))

    def best(self) -> tuple[Ints, Floats]:
        """[blocks] which of the tried modes is cheapest, and what it costs."""
        cost = self.blocks.cost.reshape(self.modes.shape)
        best = cost.argmin(axis=1)
        return best, cost[np.arange(len(best)), best]
