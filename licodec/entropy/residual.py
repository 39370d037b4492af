"""Syntax of the residual: block sizes, extents and cosine coefficients of a picture, and what they would cost.

Everything a context looks at is an integer that the decoder has already. The loops are in `kernels`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt

from licodec.entropy.coder import BitCoder, Ints
from licodec.entropy.kernels import BIN, BINS, MAX_LEVELS
from licodec.entropy.mixing import BinaryModel, bits_of, unary_bits
from licodec.entropy.residual_kernels import (
    CELL,
    CLASS_EXTRA,
    CLASS_OF,
    CLASSES,
    MAGNITUDE_CAP,
    MODE_BITS,
    ResidualMixers,
    ResidualPicture,
    code_residual,
)
from licodec.model.intra import MODES

AnyArray = npt.NDArray[Any]

_PER_CELL = 96
"""Decisions about sizes and extents that a cell takes, at most."""
_AGREEMENT = 0.65
"""Weight of the logits by the mode to the left and by that above."""
_ESCAPED = 64
"""Decisions that a magnitude takes beyond the unary places, at most."""


@dataclass(frozen=True)
class Rates:
    """Estimated bits of the residual's syntax at one level of the pyramid; `kind` is
    (size index + 4 if intra) * planes + plane."""

    split: AnyArray
    """[size index (1 and up; 0 unused), 0 or 1] of a split flag."""
    coded: AnyArray
    """[kind, activity of the references (bin of `near_bin`), 0 or 1] whether a block holds anything."""
    extent: AnyArray
    """[kind, 65] of the extent of a block that does."""
    nonzero: AnyArray
    """[kind, diagonal, magnitudes near (bin), max(state - 1, 0), 0 or 1] whether a coefficient is zero."""
    magnitude: AnyArray
    """[kind, magnitudes near (bin), state / 2, 15] of a magnitude and its sign; of larger ones, that of the last."""
    mode: AnyArray
    """[mode to the left, mode above, mode] of an intra block's mode (0 of no block's)."""


def near_bin(values: AnyArray) -> Ints:
    """Bin (0..11) of a sum of activities or magnitudes."""
    return BIN[np.minimum(values, len(BIN) - 1)]


def pool(cells: AnyArray, factor: int) -> Ints:
    """Mean times 4 (integer) of factor x factor cells."""
    rows, columns = cells.shape[-2:]
    view = cells.reshape(*cells.shape[:-2], rows // factor, factor, columns // factor, factor)
    pooled: Ints = view.sum(axis=(-3, -1), dtype=np.int64) * 4 // (factor * factor)
    return pooled


def largest(cells: npt.NDArray[np.uint8], down: int, across: int) -> npt.NDArray[np.uint8]:
    """Of each down x across cells."""
    return reduce(np.maximum, [cells[..., i::down, j::across] for i in range(down) for j in range(across)])


class ResidualCoder:
    """Codes the residual of one plane group; its models learn over a whole segment."""

    def __init__(self, planes: int) -> None:
        kinds, places, cap = 8 * planes, CLASSES - 2, MAGNITUDE_CAP
        banded = kinds * BINS**2
        twins, place, along = planes * 16 * BINS, planes * 1024 * 4, 2 * banded
        self._kinds = kinds
        self._models = {
            "split": BinaryModel([3 * MAX_LEVELS * 9, 3 * BINS * 3, 3 * BINS**2, 3 * BINS**2], 9, 3 * MAX_LEVELS),
            "intra": BinaryModel([4 * MAX_LEVELS * 4, 2 * BINS**2, 4 * 2 * 4, MAX_LEVELS * BINS * 4], 8, MAX_LEVELS),
            "mode": BinaryModel(
                [32 * n for n in (MODES**2, 4 * MODES, MODES, MODES, 8)],
                MODE_BITS,
                8,
            ),
            "coded": BinaryModel([kinds * MAX_LEVELS * 4, *[banded] * 5], kinds, BINS),
            "extent": BinaryModel(
                [places * kinds * n for n in (MAX_LEVELS, BINS, BINS, BINS**2, BINS**2, 32)], places, kinds
            ),
            "extra": BinaryModel([CLASSES * 8]),
            "nonzero": BinaryModel(
                [
                    *(3 * kinds * 64 * BINS, 12 * banded, place, kinds * BINS**2, 3 * twins, 3 * along, banded),
                    *(24 * banded, 3 * banded),
                ],
                12 * BINS,
                kinds * 64,
            ),
            "above": BinaryModel(
                [cap * n for n in (2 * kinds * BINS, banded, 2 * twins, place, along, banded, 2 * banded)],
                2 * cap,
                kinds * BINS,
            ),
            "escape": BinaryModel([24]),
            "sign": BinaryModel([8 * banded, 3 * banded, 5 * 12], 4, BINS),
        }
        self._mixers = ResidualMixers(**{name: model.mixer for name, model in self._models.items()})

    def models(self) -> dict[str, BinaryModel]:
        """The adaptive models by name."""
        return self._models

    def rates(self, level: int) -> Rates:
        """Estimates from what the models have seen so far, each from the context that says most."""
        level, kinds = min(level, MAX_LEVELS - 1), self._kinds
        split = self._models["split"].probabilities(0, (3, MAX_LEVELS, 9), (2,))[:, level]
        coded = self._models["coded"].probabilities(1, (kinds, BINS, BINS), (1,))
        classes = unary_bits(self._models["extent"].probabilities(0).reshape(kinds, MAX_LEVELS, CLASSES - 2)[:, level])
        extents = np.arange(1, 65)
        extent = classes[:, np.minimum(CLASS_OF[extents], CLASSES - 2) - 1] + CLASS_EXTRA[CLASS_OF[extents]]
        magnitude = unary_bits(self._models["above"].probabilities(0).reshape(kinds, BINS, 2, MAGNITUDE_CAP))
        return Rates(
            bits_of(np.array([0.5, *split[::-1]])),
            bits_of(coded),
            np.pad(extent, [(0, 0), (1, 0)]).astype(np.float32),
            bits_of(self._models["nonzero"].probabilities(0, (kinds, 64, BINS, 3))),
            np.pad(magnitude + 1, [(0, 0), (0, 0), (0, 0), (1, 0)]).astype(np.float32),
            self._mode_bits(),
        )

    def _mode_bits(self) -> AnyArray:
        """Of `Rates`."""
        tables = [self._models["mode"].probabilities(table, (MODES, 1 << MODE_BITS)) for table in (2, 3)]
        left, above = (np.log(one / (1 - one)) for one in tables)
        # Two opinions that agree are more than one.
        bits = bits_of(1 / (1 + np.exp(-_AGREEMENT * (left[:, None] + above[None]))))
        out = np.zeros((MODES, MODES, MODES), np.float32)
        for mode in range(1, MODES):
            node = 1
            for bit in range(MODE_BITS - 1, -1, -1):
                digit = mode - 1 >> bit & 1
                out[..., mode] += bits[:, :, node, digit]
                node = 2 * node + digit
        return out

    def code(
        self,
        coder: BitCoder,
        sizes: npt.NDArray[np.uint8],
        modes: npt.NDArray[np.uint8],
        levels: npt.NDArray[np.int16],
        level: int,
        past: npt.NDArray[np.uint8],
        guide: npt.NDArray[np.uint8] | None,
        lead: npt.NDArray[np.uint8] | None,
    ) -> npt.NDArray[np.uint8]:
        """Code a picture in place (a decoder fills in `sizes` and zero `levels`) and return its activity.

        sizes: [rows / 8, columns / 8] size index of the block over each cell; levels: [planes, rows, columns]
        quantised coefficients, each block in its own place and on the trellis (`next_state`); level: of the pyramid;
        past: [2, rows / 8, columns / 8] activity of the two references (0 where none); guide: [rows / 8, columns / 8]
        that of the luma under this chroma. Activity: [planes, rows / 8, columns / 8], how many diagonals are coded, in
        classes; of four blocks in a cell the most.

        Raises:
            DamagedFileError: the stream is not one that an encoder makes.
        """
        rows, columns = sizes.shape
        quarters = np.zeros((len(levels), 2 * rows + 1, 2 * columns + 1), np.uint8)
        before = past.sum(axis=0, dtype=np.int64)
        guided = np.zeros_like(before) if guide is None else guide.astype(np.int64)
        below, beside = (np.zeros((len(levels), CELL * n), np.int64) for n in (columns, rows))
        level, gap = min(level, MAX_LEVELS - 1), np.zeros((2, 32), np.int64)
        led = np.zeros_like(modes) if lead is None else lead
        picture = ResidualPicture(sizes, modes, levels, quarters, before, guided, led, level, below, beside, gap)
        decisions = 0 if coder.decoding else _most_decisions(levels)
        code_residual(coder.stream(decisions), self._mixers, picture)
        coder.check()
        return largest(quarters[:, 1:, 1:], 2, 2)


def _most_decisions(levels: npt.NDArray[np.int16]) -> int:
    """That an encoder can make of these levels."""
    sizes = np.abs(levels[levels != 0].astype(np.int64))
    unary = int(np.minimum(sizes, MAGNITUDE_CAP + 1).sum()) + len(sizes)
    return levels.size * (1 + _PER_CELL // CELL**2) + unary + _ESCAPED * int((sizes > MAGNITUDE_CAP).sum())
