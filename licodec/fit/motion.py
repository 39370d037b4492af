"""Motion search: vectors by matching, then the quadtree of corrections that is worth its bits.

A field is a quadtree on cells of 64, 32, 16 and 8 samples, whose vectors are a base plus the corrections on the way
down. Candidates for the sum of corrections at a node are what fits its own cells, what fits the nodes above, and
nothing. The choice that is best for all nodes together, (cost of the remaining error) + lambda (bits), is found
exactly among these, from the leaves up.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from licodec.entropy.motion import MotionRates
from licodec.fit.matching import match, phases, to_bytes
from licodec.fit.motion_kernels import OWN, Trees, best_trees
from licodec.jit import compiled
from licodec.model.geometry import Floats
from licodec.model.motion import LIMIT, Vectors, level_shapes

Steps = list[npt.NDArray[np.int16]]


def search_field(
    luma: Floats,
    reference: Floats,
    base: Vectors,
    bit_worth: float,
    share: float,
    sweeps: int,
    first: Floats | None,
    rates: MotionRates,
) -> Steps:
    """Corrections, finest level first, of the field from a picture's luma to a reference's.

    Args:
        luma: of the picture.
        reference: luma that it is predicted from.
        base: what the field is without corrections.
        bit_worth: squared error that a bit is worth.
        share: part of the prediction's error that shows in the end.
        sweeps: of the matching over the picture at full size.
        first: the prediction from the other reference, if that is known: then each cell takes the better of the two,
            or their mean.
        rates: estimated bits of the corrections.
    """
    here, there = to_bytes(luma), phases(to_bytes(reference))
    # Differences of any two of these are corrections that can be coded.
    wanted = np.clip(match(here, there, base, bit_worth, sweeps) - base, -LIMIT, LIMIT)
    shapes = level_shapes(*luma.shape)
    own = tuple(_own_candidates(wanted, *shape, 1 << depth) for depth, shape in enumerate(shapes))
    steps = tuple(np.zeros((*shape, 2), np.int16) for shape in shapes)
    errors = np.empty((0, 0), np.int16) if first is None else np.rint(luma - first).astype(np.int16)
    bits = rates.nonzero, rates.size, rates.split
    best_trees(here, there, errors, base, own, steps, float(bit_worth), share, *bits, Trees.room())
    return list(steps)


def _own_candidates(wanted: Vectors, rows: int, columns: int, reach: int) -> npt.NDArray[np.int32]:
    """[rows, columns, OWN, 2] of each node of reach x reach cells."""
    out = np.empty((rows, columns, OWN, 2), np.int32)
    _gather(wanted, reach, np.empty((reach * reach, 2), np.int32), out)
    return out


@compiled
def _gather(wanted: Vectors, reach: int, cells: npt.NDArray[np.int32], out: npt.NDArray[np.int32]) -> None:
    for r in range(out.shape[0]):
        for c in range(out.shape[1]):
            n = 0
            for y in range(r * reach, min((r + 1) * reach, wanted.shape[0])):
                for x in range(c * reach, min((c + 1) * reach, wanted.shape[1])):
                    cells[n, 0], cells[n, 1] = wanted[y, x, 0], wanted[y, x, 1]
                    n += 1
            most = -1
            for i in range(n):
                alike = 0
                for j in range(n):
                    alike += abs(cells[i, 0] - cells[j, 0]) + abs(cells[i, 1] - cells[j, 1]) <= 1
                if alike > most:
                    most = alike
                    out[r, c, 1, 0], out[r, c, 1, 1] = cells[i, 0], cells[i, 1]
            for axis in range(2):
                out[r, c, 0, axis] = _median(cells, n, axis)


@compiled
def _median(cells: npt.NDArray[np.int32], n: int, axis: int) -> np.int32:
    """Of the first n, along an axis; of two the lower."""
    for i in range(n):
        below = upto = 0
        for j in range(n):
            below += cells[j, axis] < cells[i, axis]
            upto += cells[j, axis] <= cells[i, axis]
        if below <= (n - 1) // 2 < upto:
            return cells[i, axis]
    return np.int32(0)
