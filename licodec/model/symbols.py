"""What a file says, as integers: the symbols of a segment and of each of its pictures."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from licodec.model.cosine import SIZES
from licodec.model.geometry import Geometry
from licodec.model.pyramid import Picture
from licodec.quant.steps import QUANTISER_MAX, step_of

FILTER_WEIGHTS = 12
"""Of a plane group's loop filter."""
FILTER_MAX = 63
"""Largest magnitude of one: what differs by rounding must not be far apart behind a chain of filters."""


@dataclass(frozen=True)
class SparseLevels:
    """Integer coefficients of a plane group, of which few are not zero."""

    shape: tuple[int, int, int]
    """(planes, rows, columns)"""
    index: npt.NDArray[np.int32]
    """Flat positions of the nonzero levels, rising."""
    value: npt.NDArray[np.int16]
    """Their values."""

    @staticmethod
    def of(levels: npt.NDArray[np.int16]) -> SparseLevels:
        """From a dense array [planes, rows, columns]."""
        index = np.flatnonzero(levels != 0).astype(np.int32)  # of booleans: several times faster than of integers
        planes, rows, columns = levels.shape
        return SparseLevels((planes, rows, columns), index, levels.reshape(-1)[index])

    def dense(self) -> npt.NDArray[np.int16]:
        """[planes, rows, columns]"""
        out = np.zeros(self.shape, np.int16)
        out.reshape(-1)[self.index] = self.value
        return out


@dataclass
class PictureSymbols:
    """One picture of the default profile."""

    quantiser: int
    """Added to the level's quantiser index."""
    starts: list[npt.NDArray[np.uint8]]
    """For each distinct reference: [rows / 64, columns / 64] what vectors start from: 0 the base field, 1 nothing."""
    corrections: list[list[npt.NDArray[np.int16]]]
    """For each distinct reference: motion corrections [rows, columns, 2] of each level, finest first."""
    blend: npt.NDArray[np.uint8] | None
    """[rows / 16, columns / 16] 0: mean of both references, 1: the first, 2: the second; None with fewer than two."""
    filters: npt.NDArray[np.int32]
    """[plane groups, 12] weights of the loop filter: of limited differences, then of whole ones."""
    sizes: list[npt.NDArray[np.uint8]]
    """For each plane group: [rows / 8, columns / 8] block size index of each cell."""
    modes: list[npt.NDArray[np.uint8]]
    """For each plane group: [rows / 4, columns / 4] how the block over each quarter of a cell is predicted: 0 from the
    references, or from what is around it in one of the ways of `render.intra`."""
    levels: list[SparseLevels]
    """For each plane group: the quantised cosine coefficients, each block in its own place."""

    @staticmethod
    def blank(geometry: Geometry, picture: Picture) -> PictureSymbols:
        """All zeros: the prediction itself."""
        references = len(set(picture.refs))
        return PictureSymbols(
            quantiser=0,
            starts=[np.zeros(geometry.node_shapes[-1], np.uint8) for _ in range(references)],
            corrections=[
                [np.zeros((*shape, 2), np.int16) for shape in geometry.node_shapes] for _ in range(references)
            ],
            blend=np.zeros(geometry.blend_shape, np.uint8) if references == 2 else None,
            filters=np.zeros((len(geometry.groups), FILTER_WEIGHTS), np.int32),
            sizes=[np.full(geometry.cells(g), len(SIZES) - 1, np.uint8) for g in range(len(geometry.groups))],
            modes=[
                np.zeros((2 * geometry.cells(g)[0], 2 * geometry.cells(g)[1]), np.uint8)
                for g in range(len(geometry.groups))
            ],
            levels=[
                SparseLevels((len(planes), *geometry.padded(g)), np.empty(0, np.int32), np.empty(0, np.int16))
                for g, planes in enumerate(geometry.groups)
            ],
        )


@dataclass(frozen=True)
class NetworkSymbols:
    """The synthesis network of a segment."""

    weights: list[npt.NDArray[np.int32]]
    """Quantised parameters, in `parameter_shapes` order."""
    steps: list[int]
    """For each of these tensors k: its step is 2^(-k / 4)."""
    latents: npt.NDArray[np.int32]
    """[frames, latent_dim] quantised z_t."""


@dataclass
class SegmentSymbols:
    """One segment of the default profile."""

    groups: tuple[int, ...]
    """Distances between anchors."""
    quantisers: npt.NDArray[np.uint8]
    """[levels of the pyramid, plane groups] quantiser index of each level."""
    network: NetworkSymbols | None = None
    """What corrects the pictures in the end, if anything does."""
    pictures: dict[int, PictureSymbols] = field(default_factory=dict)
    """By frame index."""

    @property
    def frames(self) -> int:
        """Number of frames."""
        return sum(self.groups) + 1

    def step(self, picture: Picture, group: int) -> float:
        """Quantisation step of a picture's coefficients."""
        level = min(picture.level, len(self.quantisers) - 1)
        index = int(self.quantisers[level, group]) + self.pictures[picture.frame].quantiser
        return step_of(min(max(index, 0), QUANTISER_MAX))
