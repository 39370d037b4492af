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
from licodec.render.window import Window

WINDOW = 8
"""Samples that an edge looks at, half of them on each side."""
_INTRA = 1.25
"""Strength of the edges of a picture without references; others have 1."""


def strengths(
    geometry: Geometry, group: int, fields: Sequence[Field], symbols: PictureSymbols, window: Window | None = None
) -> tuple[Floats, Floats]:
    """[rows / 8, columns / 8] of a plane group: strength of the edge left of each cell, and of the one above it.

    An edge counts where two blocks meet of which one is coded or intra, or two vectors a sample or more apart; the
    plane's own left and upper edge never does. `window`: of the cells in it (default: all of them).
    """
    sizes, levels = symbols.sizes[group], symbols.levels[group]
    step = geometry.step(geometry.groups[group][0])
    part = (slice(0, sizes.shape[0]), slice(0, sizes.shape[1]))
    if window is not None and window != Window.whole(geometry):
        rows, columns = window.of(step)
        part = slice(rows.start // CELL, -(-rows.stop // CELL)), slice(columns.start // CELL, -(-columns.stop // CELL))
    left = np.zeros((part[0].stop - part[0].start, part[1].stop - part[1].start), np.float32)
    above = np.zeros_like(left)
    corner, strength = (part[0].start, part[1].start), 1.0 if fields else _INTRA
    coded = np.zeros(sizes.shape, np.bool_)
    _mark_coded(sizes, symbols.modes[group], levels.index, levels.shape, corner, strength, coded, left, above)
    for field in fields:
        _mark_apart(field.vectors, step, (step[0] * UNIT, step[1] * UNIT), corner, strength, left, above)
    return left, above


@compiled
def _mark_coded(
    sizes: npt.NDArray[np.uint8],
    modes: npt.NDArray[np.uint8],
    index: npt.NDArray[np.int32],
    shape: tuple[int, int, int],
    corner: tuple[int, int],
    strength: float,
    coded: npt.NDArray[np.bool_],
    left: Floats,
    above: Floats,
) -> None:
    """The edges of blocks that are intra or have levels (they are found in `coded`), and of their neighbours."""
    for y in range(sizes.shape[0]):
        for x in range(sizes.shape[1]):
            if modes[2 * y, 2 * x] or modes[2 * y, 2 * x + 1] or modes[2 * y + 1, 2 * x] or modes[2 * y + 1, 2 * x + 1]:
                size = _cells(sizes[y, x])
                coded[y >> size << size, x >> size << size] = True
    _, rows, columns = shape
    for place in index:
        y, x = place // columns % rows // CELL, place % columns // CELL
        size = _cells(sizes[y, x])
        coded[y >> size << size, x >> size << size] = True
    for r in range(left.shape[0]):
        for c in range(left.shape[1]):
            y, x = r + corner[0], c + corner[1]
            size = _cells(sizes[y, x])
            first_y, first_x = y >> size << size, x >> size << size
            own = coded[first_y, first_x]
            if x == first_x and x > 0:
                size = _cells(sizes[y, x - 1])
                if own or coded[y >> size << size, (x - 1) >> size << size]:
                    left[r, c] = strength
            if y == first_y and y > 0:
                size = _cells(sizes[y - 1, x])
                if own or coded[(y - 1) >> size << size, x >> size << size]:
                    above[r, c] = strength


@compiled
def _cells(size: np.uint8) -> np.int64:
    """log2 of the cells a side that a block of a size index is in."""
    return np.int64(max(int(size), 1) - 1)


@compiled
def _mark_apart(
    vectors: npt.NDArray[np.int32],
    step: tuple[int, int],
    sample: tuple[int, int],
    corner: tuple[int, int],
    strength: float,
    left: Floats,
    above: Floats,
) -> None:
    """The edges where a vector is a sample of the plane or more away from the one before it."""
    last_y, last_x = (vectors.shape[0] - 1) // step[1], (vectors.shape[1] - 1) // step[0]
    for r in range(left.shape[0]):
        y = min(r + corner[0], last_y)
        for c in range(left.shape[1]):
            x = min(c + corner[1], last_x)
            vx, vy = vectors[y * step[1], x * step[0], 0], vectors[y * step[1], x * step[0], 1]
            if 0 < x == c + corner[1]:
                ux, uy = vectors[y * step[1], (x - 1) * step[0], 0], vectors[y * step[1], (x - 1) * step[0], 1]
                if abs(vx - ux) >= sample[0] or abs(vy - uy) >= sample[1]:
                    left[r, c] = strength
            if 0 < y == r + corner[0]:
                ux, uy = vectors[(y - 1) * step[1], x * step[0], 0], vectors[(y - 1) * step[1], x * step[0], 1]
                if abs(vx - ux) >= sample[0] or abs(vy - uy) >= sample[1]:
                    above[r, c] = strength


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
