"""Where samples read their reference."""

from __future__ import annotations

import numpy.typing as npt

from licodec.model.geometry import Floats
from licodec.model.motion import NODE
from licodec.render.warp import sample_positions, to_samples


def positions(field: npt.NDArray, shape: tuple[int, int], step: tuple[int, int]) -> Floats:
    """[rows, columns, 2] of a plane of `shape`, along a motion field [node rows, node columns, 2]."""
    cells = to_samples(field, step).repeat(NODE // step[1], axis=0).repeat(NODE // step[0], axis=1)
    moved = cells[: shape[0], : shape[1]]
    return moved + sample_positions(shape)
