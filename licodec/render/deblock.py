"""Deblocking: the edges of transform blocks and of motion cells that show are smoothed, inside the prediction loop.

The decisions of HEVC's filter (ITU-T H.265, 8.7.2) with every threshold made a ramp: planes that differ by rounding, as
those of two machines do, must not come out differently. It runs across all left edges of a plane's cells, then across
all upper ones; no sample is read by two edges of a direction.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from licodec.jit import compiled
from licodec.model.cosine import CELL
from licodec.model.geometry import Floats, Geometry
from licodec.model.motion import UNIT, Field
from licodec.model.symbols import PictureSymbols

WINDOW = 8
"""Samples that an edge looks at, half of them on each side."""
_INTRA = 1.25
"""Strength of the edges of a picture without references; others have 1."""


def strengths(
    geometry: Geometry, group: int, fields: Sequence[Field], symbols: PictureSymbols
) -> tuple[Floats, Floats]:
    """[rows / 8, columns / 8] of a plane group: strength of the edge left of each cell, and of the one above it.

    An edge counts where two blocks meet of which one is coded, or two vectors a sample or more apart.
    """
    sizes, levels = symbols.sizes[group].astype(np.int64), symbols.levels[group]
    y, x = np.ogrid[: sizes.shape[0], : sizes.shape[1]]
    _, row, column = np.unravel_index(levels.index, levels.shape)
    row, column = row // CELL, column // CELL
    size = sizes[row, column]
    coded = np.zeros(sizes.shape, bool)
    coded[row >> size << size, column >> size << size] = True
    coded = coded[y >> sizes << sizes, x >> sizes << sizes]
    inside = (1 << sizes) - 1
    left = (x & inside == 0) & (coded | np.roll(coded, 1, axis=1))
    above = (y & inside == 0) & (coded | np.roll(coded, 1, axis=0))
    step = geometry.step(geometry.groups[group][0])
    for field in fields:
        vectors = field.vectors[:: step[1], :: step[0]].astype(np.int32)
        missing = [(0, max(0, n - m)) for n, m in zip(sizes.shape, vectors.shape, strict=False)]
        vectors = np.pad(vectors, [*missing, (0, 0)], mode="edge")
        left |= _apart(vectors, 1, step)
        above |= _apart(vectors, 0, step)
    strength = np.float32(1.0 if fields else _INTRA)
    return left * strength, above * strength


def _apart(vectors: npt.NDArray[np.int32], axis: int, step: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Where a vector is a sample of the plane or more away from the one before it."""
    apart: npt.NDArray[np.bool_] = (np.abs(vectors - np.roll(vectors, 1, axis)) >= np.multiply(step, UNIT)).any(axis=-1)
    return apart


def limits(step: float) -> tuple[float, float]:
    """(most that an edge may move a sample, unevenness from which on it is taken for a picture's own)."""
    return 0.2 * step, 3.0 * step ** (2 / 3)


@compiled
def smooth(plane: Floats, strength: Floats, most: float, uneven: float) -> None:
    """Smooth the left edges of a plane's cells, in place; the transposes of plane and strengths do the upper ones."""
    rows, columns = plane.shape
    half = WINDOW // 2
    for y in range(rows):
        for c in range(1, (columns - half) // CELL + 1):
            s = strength[y // CELL, c]
            if s == 0:
                continue
            x = c * CELL
            p3, p2, p1, p0 = plane[y, x - 4], plane[y, x - 3], plane[y, x - 2], plane[y, x - 1]
            q0, q1, q2, q3 = plane[y, x], plane[y, x + 1], plane[y, x + 2], plane[y, x + 3]
            bend_p, bend_q = abs(p2 - 2 * p1 + p0), abs(q2 - 2 * q1 + q0)
            gate = _ramp(bend_p + bend_q, 0.6 * uneven)
            if gate == 0:
                continue
            t = s * most
            flat = _ramp(bend_p + bend_q, uneven / 6) * _ramp(abs(p3 - p0) + abs(q3 - q0), uneven / 6)
            strong = gate * flat * _ramp(abs(q0 - p0), 3 * t)
            jump = (9 * (q0 - p0) - 3 * (q1 - p1)) / 16
            weak = (gate - strong) * _ramp(abs(jump), 12 * t)
            jump = _limit(jump, t)
            weak_p, weak_q = weak * _ramp(bend_p, uneven / 9), weak * _ramp(bend_q, uneven / 9)
            plane[y, x - 1] += weak * jump + strong * _limit((p2 + 2 * p1 - 6 * p0 + 2 * q0 + q1) / 8, 2 * t)
            plane[y, x] += strong * _limit((q2 + 2 * q1 - 6 * q0 + 2 * p0 + p1) / 8, 2 * t) - weak * jump
            plane[y, x - 2] += weak_p * _limit((p2 - 2 * p1 + p0 + 2 * jump) / 4, t / 2)
            plane[y, x + 1] += weak_q * _limit((q2 - 2 * q1 + q0 - 2 * jump) / 4, t / 2)
            if strong > 0:
                plane[y, x - 2] += strong * _limit((p2 - 3 * p1 + p0 + q0) / 4, 2 * t)
                plane[y, x + 1] += strong * _limit((q2 - 3 * q1 + q0 + p0) / 4, 2 * t)
                plane[y, x - 3] += strong * _limit((2 * p3 - 5 * p2 + p1 + p0 + q0) / 8, 2 * t)
                plane[y, x + 2] += strong * _limit((2 * q3 - 5 * q2 + q1 + q0 + p0) / 8, 2 * t)


@compiled
def _ramp(value: float, end: float) -> float:
    """1 up to half of `end`, then falling, 0 from `end` on."""
    return min(max(2 - 2 * value / end, 0.0), 1.0)


@compiled
def _limit(value: float, most: float) -> float:
    return min(max(value, -most), most)
