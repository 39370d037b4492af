"""Intra blocks: which modes they would be predicted with and at what cost, and their levels."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from licodec.fit.blocks import Bytes, Floats, Levels, Terms
from licodec.fit.intra_kernels import Ground, Room, Weights, code_blocks, try_blocks
from licodec.fit.threads import each
from licodec.model.cosine import SIZES, to_blocks
from licodec.model.intra import INTER, PLANAR, QUARTER, RAYS, order, ranks

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
    luma: Floats,
    first: bool,
) -> list[IntraBlocks]:
    """Intra blocks of each size index.

    made: [planes, rows, columns] about what blocks will be predicted from; prediction: what references say; inter: for
    each size index [down, across] the costs that are to be beaten; luma: for chroma [rows, columns] luma
    `under_chroma`, or about that; first: whether all blocks will be intra, so that only those before one are known.
    """
    worth, planes = _worth_a_trial(source, prediction, shape, inter), len(source)
    known = np.full((source.shape[1] // QUARTER, source.shape[2] // QUARTER), PLANAR if first else INTER, np.uint8)
    ground = Ground(made, shape, source, luma, known, ranks(*known.shape), RAYS, Weights.of(terms, planes))

    def tried(s: int) -> IntraBlocks:
        cost, modes = np.full(inter[s].shape, np.inf, np.float32), np.full(inter[s].shape, INTER, np.uint8)
        at = np.nonzero(worth[s])
        least, best = np.empty(len(at[0]), np.float32), np.empty(len(at[0]), np.uint8)
        corners = (np.stack(at, axis=1) * SIZES[s]).astype(np.int32)
        try_blocks(ground, corners, s, Room.of(s, planes), least, best)
        cost[at], modes[at] = least + _INTRA_BITS, best
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
    made: Floats,
    source: Floats,
    shape: tuple[int, int],
    sizes: Bytes,
    modes: Bytes,
    levels: Levels,
    terms: Terms,
    luma: Floats,
) -> None:
    """Choose the levels of the intra blocks, and their modes once more, now that what is around them is known.

    made: [planes, rows, columns] with all other blocks in it; `made`, `modes` and `levels` are changed in place; luma:
    for chroma [rows, columns] luma `under_chroma`.
    """
    planes, quarters = len(made), modes.shape
    ground = Ground(made, shape, source, luma, modes, ranks(*quarters), RAYS, Weights.of(terms, planes))
    rooms = tuple(Room.of(s, planes) for s in range(len(SIZES)))
    code_blocks(ground, sizes, levels, order(*quarters), rooms)
