"""Motion search: vectors by matching, then the quadtree of corrections that is worth its bits.

A field is a quadtree on cells of 64, 32, 16 and 8 samples, whose vectors are a base plus the corrections on the way
down. Candidates for the sum of corrections at a node are what fits its own cells, what fits the nodes above, and
nothing. The choice that is best for all nodes together, by bits of motion and about those of what it leaves
(`hadamard`), is found exactly among these, from the leaves up.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from licodec.entropy.motion import MotionRates
from licodec.fit.hadamard import Spectra, bits_of_cells, spectra
from licodec.fit.matching import Reference, match, to_bytes, whole
from licodec.fit.motion_kernels import Other
from licodec.fit.quadtree import OWN, Trees, best_trees
from licodec.fit.refine import refine
from licodec.jit import compiled
from licodec.model.geometry import Floats
from licodec.model.motion import LEVELS, LIMIT, Steps, Vectors, level_shapes, of_trees

_STILL_BITS = 1.0
"""Of starting from nothing, more than of starting from the base field."""


class FieldSearch:
    """The field from a picture's luma to a reference's."""

    def __init__(
        self, luma: Floats, reference: Reference, start: Vectors, bit_worth: float, *, sweeps: int, refine: bool
    ) -> None:
        """Match patches.

        Args:
            luma: of the picture.
            reference: what it is predicted from.
            start: vectors to begin with.
            bit_worth: squared error that a bit is worth.
            sweeps: of the matching over the picture at full size.
            refine: look once more for the vectors of cells over 8 samples, each as a whole.
        """
        self.luma, self._refine = luma, refine
        here, self._there = to_bytes(luma), reference.scales[0]
        self._here = whole(here)
        self._matched = match(here, reference, start, bit_worth, sweeps)

    def corrections(
        self, base: Vectors, scale: np.float32, other: Spectra | None, rates: MotionRates
    ) -> tuple[npt.NDArray[np.uint8], Steps]:
        """What each tree starts from, and its corrections, finest level first.

        Args:
            base: the base field.
            scale: of `scale_of`, for the part of the prediction's error that shows in the end.
            other: of the errors of the prediction from the other reference (`left_by`), if that is known: then each
                block of cells takes the better of the two, or their mean.
            rates: estimated bits of the corrections.
        """
        known = self._other(other, scale)
        vectors = base.copy()
        costs, steps = self._trees(base, known, rates, np.ones(level_shapes(*self.luma.shape)[-1], np.bool_), vectors)
        starts = np.zeros(costs.shape, np.uint8)
        asked = _in_trees((base != 0).any(axis=-1)) & (costs > _STILL_BITS)
        if asked.any():
            others, still = self._trees(np.zeros_like(base), known, rates, asked, vectors)
            starts |= others + _STILL_BITS < costs
            for depth, (step, instead) in enumerate(zip(steps, still, strict=True)):
                np.copyto(step, instead, where=of_trees(starts, step.shape, depth)[..., None] != 0)
        return starts, steps

    def _trees(
        self,
        base: Vectors,
        other: Other,
        rates: MotionRates,
        asked: npt.NDArray[np.bool_],
        vectors: Vectors,
    ) -> tuple[Floats, Steps]:
        """Costs of the trees `asked` for with corrections of `base`, and these; infinite and none of the others.

        vectors: the field so far, in which they are set.
        """
        # Differences of any two of these are corrections that can be coded.
        wanted = np.clip(self._matched - base, -LIMIT, LIMIT)
        shapes = level_shapes(*self.luma.shape)
        own = tuple(_own_candidates(wanted, *shape, 1 << depth) for depth, shape in enumerate(shapes))
        if self._refine:
            refine(self._here, self._there, other, base, own, asked)
        steps = tuple(np.zeros((*shape, 2), np.int16) for shape in shapes)
        costs = np.full(shapes[-1], np.inf, np.float32)
        best_trees(
            self._here,
            self._there,
            other,
            base,
            own,
            steps,
            costs,
            asked,
            vectors,
            # What is looked for once more begins with what lies beside it; then it is of no use as it stands.
            not self._refine,
            rates.nonzero,
            rates.size,
            rates.split,
            Trees.room(),
        )
        return costs, list(steps)

    def _other(self, found: Spectra | None, scale: np.float32) -> Other:
        if found is None:
            return Other(np.zeros(self._here.shape, np.int16), np.empty((0, 0), np.float32), scale)
        return Other(found, bits_of_cells(found, found, scale)[0], scale)


def left_by(luma: Floats, prediction: Floats) -> Spectra:
    """Of the errors of a prediction."""
    return spectra(whole(np.rint(luma - prediction).astype(np.int16)))


def _in_trees(cells: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """[rows / 8, columns / 8] in which trees there is a cell."""
    rows, columns = (np.arange(0, n, 1 << (LEVELS - 1)) for n in cells.shape)
    return np.logical_or.reduceat(np.logical_or.reduceat(cells, rows, axis=0), columns, axis=1)


def _own_candidates(wanted: Vectors, rows: int, columns: int, reach: int) -> npt.NDArray[np.int32]:
    """[rows, columns, OWN, 2] of each node of reach x reach cells."""
    out = np.empty((rows, columns, OWN, 2), np.int32)
    _gather(wanted, reach, np.empty((2, reach * reach), np.int32), out)
    return out


@compiled
def _gather(wanted: Vectors, reach: int, cells: npt.NDArray[np.int32], out: npt.NDArray[np.int32]) -> None:
    xs, ys = cells
    for r in range(out.shape[0]):
        for c in range(out.shape[1]):
            n = 0
            for y in range(r * reach, min((r + 1) * reach, wanted.shape[0])):
                for x in range(c * reach, min((c + 1) * reach, wanted.shape[1])):
                    xs[n], ys[n] = wanted[y, x, 0], wanted[y, x, 1]
                    n += 1
            most = np.int32(-1)
            for i in range(n):
                alike, x, y = np.int32(0), xs[i], ys[i]
                for j in range(n):
                    alike += np.int32(abs(xs[j] - x) + abs(ys[j] - y) <= 1)
                if alike > most:
                    most = alike
                    out[r, c, 1, 0], out[r, c, 1, 1] = x, y
            out[r, c, 0, 0], out[r, c, 0, 1] = _median(xs, n), _median(ys, n)


@compiled
def _median(values: npt.NDArray[np.int32], n: int) -> np.int32:
    """Of the first n; of two the lower."""
    for i in range(n):
        below, upto, value = np.int32(0), np.int32(0), values[i]
        for j in range(n):
            below += np.int32(values[j] < value)
            upto += np.int32(values[j] <= value)
        if below <= (n - 1) // 2 < upto:
            return value
    return np.int32(0)
