"""Where samples read their reference, and what is read there: by the specification, in float64."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from licodec.model.geometry import Floats
from licodec.model.motion import NODE
from licodec.render.warp import sample_positions, to_samples


def positions(field: npt.NDArray, shape: tuple[int, int], step: tuple[int, int]) -> Floats:
    """[rows, columns, 2] of a plane of `shape`, along a motion field [node rows, node columns, 2]."""
    cells = to_samples(field, step).repeat(NODE // step[1], axis=0).repeat(NODE // step[0], axis=1)
    moved = cells[: shape[0], : shape[1]]
    return moved + sample_positions(shape)


def lanczos(fraction: float) -> np.ndarray:
    """Of the samples -3 to 4, at multiples of 1/256 and in between."""

    def exactly(x: float) -> np.ndarray:
        d = np.arange(-3, 5) - x
        values = np.where(np.abs(d) < 4, np.sinc(d) * np.sinc(d / 4), 0)
        return values / values.sum()

    place = fraction * 256
    below = np.floor(place)
    return exactly(below / 256) + (place - below) * (exactly((below + 1) / 256) - exactly(below / 256))


def read_sample(plane: Floats, y: float, x: float) -> float:
    """Of a plane as fine as luma."""
    rows, columns = plane.shape
    top, left = int(np.floor(y)), int(np.floor(x))
    j, i = (np.clip(first + np.arange(-3, 5), 0, n - 1) for first, n in ((top, rows), (left, columns)))
    return float(lanczos(y - top) @ plane[np.ix_(j, i)].astype(np.float64) @ lanczos(x - left))
