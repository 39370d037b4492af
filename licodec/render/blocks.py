"""Which blocks of a picture's residual hold anything, and what: most hold nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from licodec.model.cosine import CELL, SIZES, Ints
from licodec.model.symbols import SparseLevels


@dataclass(frozen=True)
class Blocks:
    """The occupied blocks of one size, and the levels in them."""

    size: int
    """Samples a side."""
    place: Ints
    """[3, blocks] plane, row and column of each, counted in blocks of this size."""
    index: Ints
    """[levels] where each level is in a flat array [blocks, size, size]."""
    value: npt.NDArray[np.int16]
    """[levels]"""


def occupied(
    sizes: npt.NDArray[np.uint8], levels: SparseLevels, corner: tuple[int, int], shape: tuple[int, int]
) -> Iterator[Blocks]:
    """The occupied blocks of each size that has any, in a part of the planes.

    `sizes`: [rows / 8, columns / 8] size index of each cell. `corner`: (row, column) of the part, and of a block of the
    largest size; `shape`: its (rows, columns). Places are counted from there.
    """
    planes, rows, columns = levels.shape
    plane, rest = np.divmod(levels.index, rows * columns)
    y, x = np.divmod(rest, columns)
    value = levels.value
    if shape != (rows, columns):
        inside = (y >= corner[0]) & (y < corner[0] + shape[0]) & (x >= corner[1]) & (x < corner[1] + shape[1])
        plane, y, x, value = plane[inside], y[inside], x[inside], value[inside]
    kind = sizes[y // CELL, x // CELL]
    y, x = y - corner[0], x - corner[1]
    for s, size in enumerate(SIZES):
        chosen = np.flatnonzero(kind == s)
        if not len(chosen):
            continue
        down, v = np.divmod(y[chosen], size)
        across, u = np.divmod(x[chosen], size)
        at = (plane[chosen], down, across)
        number = np.zeros((planes, shape[0] // size, shape[1] // size), np.int64)
        number[at] = 1
        place = np.nonzero(number)
        number[place] = np.arange(len(place[0]))
        yield Blocks(size, np.stack(place), (number[at] * size + v) * size + u, value[chosen])
