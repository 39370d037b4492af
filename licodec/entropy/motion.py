"""Syntax of motion corrections and of the blend between two references; the loops are in `kernels`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from licodec.entropy.coder import BitCoder
from licodec.entropy.kernels import MAX_LEVELS
from licodec.entropy.mixing import BinaryModel, bits_of, unary_bits
from licodec.entropy.motion_kernels import (
    MOTION_BINS,
    MOTION_CAP,
    BlendMixers,
    MotionField,
    MotionMixers,
    StartMixers,
    code_blend,
    code_motion,
    code_starts,
)
from licodec.model.motion import LEVELS, Vectors

Floats = npt.NDArray[np.floating[Any]]

_PER_NODE = 3 + 2 * (MOTION_CAP + 48)
"""Decisions that a node takes at most."""


@dataclass(frozen=True)
class MotionRates:
    """Estimated bits of the corrections of one field at one level of the pyramid."""

    nonzero: Floats
    """[LEVELS, 0 or 1] whether a node has a correction, finest first."""
    size: Floats
    """[LEVELS, 2 axes, 13] of a component's magnitude and its sign; more from 12 on."""
    split: Floats
    """[LEVELS, 0 or 1] whether finer nodes under a node have any (0 for the finest)."""


class MotionCoder:
    """Codes the hierarchical corrections of a field as quadtrees from the coarsest nodes down."""

    def __init__(self) -> None:
        kinds, bins = 2 * LEVELS, MOTION_BINS
        self._models = {
            "nonzero": BinaryModel(
                [kinds * bins**2, kinds * bins * 4, kinds * MAX_LEVELS, kinds * bins * 2, kinds * bins**2], kinds
            ),
            "split": BinaryModel([kinds * 12, kinds * bins, kinds * MAX_LEVELS * 3, kinds * bins**2], kinds),
            "size": BinaryModel(
                [2 * kinds * n for n in (64, bins * MOTION_CAP, MAX_LEVELS * MOTION_CAP, bins * MOTION_CAP, 64 * bins)],
                MOTION_CAP,
                2 * kinds,
            ),
            "escape": BinaryModel([24]),
            "sign": BinaryModel([2 * kinds * 36, 36, 2 * kinds * 54]),
        }
        self._mixers = MotionMixers(**{name: model.mixer for name, model in self._models.items()})

    def models(self) -> dict[str, BinaryModel]:
        """The adaptive models by name."""
        return self._models

    def rates(self, level: int, second: int) -> MotionRates:
        """Estimates from what the models have seen so far; `second`: which reference."""
        level, kinds = min(level, MAX_LEVELS - 1), np.arange(second, 2 * LEVELS, 2)
        nonzero = self._models["nonzero"].probabilities(2, (-1, MAX_LEVELS))[kinds, level]
        split = self._models["split"].probabilities(2, (-1, MAX_LEVELS, 3), (2,))[kinds, level]
        more = self._models["size"].probabilities(2).reshape(-1, 2, MAX_LEVELS, MOTION_CAP)
        size = unary_bits(more[kinds, :, level])
        # Every magnitude but 0 has a sign; 12 and more begin with the bits of 11 and go on.
        size = np.concatenate([size, size[..., -1:] + 1], axis=-1) + (np.arange(13) > 0)
        return MotionRates(bits_of(nonzero), size.astype(np.float32), bits_of(split))

    def code(
        self,
        coder: BitCoder,
        corrections: Sequence[npt.NDArray[np.int16]],
        level: int,
        base: Vectors,
        first: Vectors | None = None,
    ) -> Vectors:
        """Code in place [rows, columns, 2] corrections, finest level first, and return their sums on the finest nodes.

        base: what is corrected; first: for a second field, the sums of the first one.

        Raises:
            DamagedFileError: the stream is not one that an encoder makes.
        """
        blank = [np.zeros(c.shape[:2], np.uint8) for c in corrections]
        splits, vectors = tuple(blank if coder.decoding else subtrees(corrections)), base.copy()
        twin = base if first is None else base + 2 * first
        field = MotionField(
            tuple(corrections), splits, vectors, min(level, MAX_LEVELS - 1), int(first is not None), twin
        )
        nodes = sum(split.size for split in splits)
        code_motion(coder.stream(nodes * _PER_NODE), self._mixers, field)
        coder.check()
        return vectors - base


def subtrees(corrections: Sequence[npt.NDArray[np.int16]]) -> list[npt.NDArray[np.uint8]]:
    """For each level, finest first: [rows, columns] does any finer node under this one carry a correction?"""
    flags = [np.zeros(corrections[0].shape[:2], np.uint8)]
    for depth in range(1, LEVELS):
        fine = flags[-1] | (corrections[depth - 1] != 0).any(axis=-1)
        rows, columns = corrections[depth].shape[:2]
        fine = np.pad(fine, [(0, 2 * rows - fine.shape[0]), (0, 2 * columns - fine.shape[1])])
        flags.append(np.ascontiguousarray(fine.reshape(rows, 2, columns, 2).any(axis=(1, 3)), np.uint8))
    return flags


class StartCoder:
    """Codes, for each tree of 64 x 64 samples, what its vectors start from. 0: the base field, 1: nothing."""

    def __init__(self) -> None:
        self._models = {"still": BinaryModel([48, 2 * MAX_LEVELS * 4], 3)}
        self._mixers = StartMixers(**{name: model.mixer for name, model in self._models.items()})

    def models(self) -> dict[str, BinaryModel]:
        """The adaptive models by name."""
        return self._models

    def code(
        self,
        coder: BitCoder,
        starts: npt.NDArray[np.uint8],
        level: int,
        first: npt.NDArray[np.uint8] | None = None,
    ) -> None:
        """Code [rows, columns] in place; first: for a second field, those of the first one."""
        known = np.zeros((0, 0), np.uint8) if first is None else first
        kind = 2 * min(level, MAX_LEVELS - 1) + int(first is not None)
        code_starts(coder.stream(starts.size), self._mixers, starts, known, kind)
        coder.check()


class BlendCoder:
    """Codes, for each 16 x 16 cell, 0: both references alike, 1: the first, 2: the second."""

    def __init__(self) -> None:
        self._models = {
            "single": BinaryModel([81, MAX_LEVELS * 9, 45], 5, MAX_LEVELS),
            "which": BinaryModel([81, MAX_LEVELS * 9]),
        }
        self._mixers = BlendMixers(**{name: model.mixer for name, model in self._models.items()})

    def models(self) -> dict[str, BinaryModel]:
        """The adaptive models by name."""
        return self._models

    def code(self, coder: BitCoder, modes: npt.NDArray[np.uint8], level: int) -> None:
        """Code [rows, columns] modes in place."""
        code_blend(coder.stream(2 * modes.size), self._mixers, modes, min(level, MAX_LEVELS - 1))
        coder.check()
