"""The loops of the motion search as machine code: matching patches, and the best quadtree of corrections."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from licodec.jit import compiled
from licodec.model.geometry import Floats
from licodec.model.motion import LEVELS, LIMIT, NODE, UNIT, Vectors

Samples = npt.NDArray[np.uint8]
"""[rows, columns]"""
Ints = npt.NDArray[np.int64]
Phases = npt.NDArray[np.uint8]
"""[UNIT, UNIT, rows, columns] the plane read at each fraction (y, x) of a sample, with BORDER on all sides."""

BORDER = 32
"""Samples that the reference is continued by beyond its edges."""
_WALKS = 4
"""Steps of one length in a row."""
_MARGIN = 4
"""Samples by which a patch is larger than the cell of its node, on each side."""
_KNEE = 8.0
"""Squared error of a cell, in units of lambda, up to which nothing is coded for it and all of it is paid."""
_SLOPE = 6.0
"""Beyond it the residual takes over: cost of error and bits together, in lambda, for each e-fold of the error (both
measured on three clips; twice or half as much changes less than 1%)."""
MODE_BITS = 4.0
"""Bits of saying that one prediction counts alone."""
OWN = 2
"""Candidates of a node's own: the median of its cells and the commonest of them."""
_ALL = 1 + OWN * (LEVELS - 1) + 1
"""Candidates of a cell: no correction; those of its nodes from the coarsest down; what fits itself."""


@compiled
def sweep(
    luma: Samples,
    there: Phases,
    start: Vectors,
    vectors: Vectors,
    bit_worth: float,
    backwards: bool,
    stride: int,
    tried: Ints,
) -> None:
    """Improve every node's vector in turn; `stride`: samples of the largest step; tried: [5, 2] room."""
    rows, columns = vectors.shape[:2]
    one = 1 if backwards else -1
    for i in range(rows * columns):
        k = rows * columns - 1 - i if backwards else i
        r, c = k // columns, k % columns
        tried[0, 0], tried[0, 1] = start[r, c, 0], start[r, c, 1]
        count = 1
        for dr, dc in ((0, one), (one, 0), (one, -one)):
            if 0 <= r + dr < rows and 0 <= c + dc < columns:
                tried[count, 0], tried[count, 1] = vectors[r + dr, c + dc, 0], vectors[r + dr, c + dc, 1]
                count += 1
        # What the neighbours that were just improved say is what a vector is expected to be.
        first = min(1, count - 1)
        ex = int(tried[first:count, 0].sum()) // (count - first)
        ey = int(tried[first:count, 1].sum()) // (count - first)
        tried[count, 0], tried[count, 1] = ex, ey
        bx, by = int(vectors[r, c, 0]), int(vectors[r, c, 1])
        best = _cost(luma, there, r, c, bx, by, ex, ey, bit_worth, 3e38)
        for t in range(count + 1):
            x, y = int(tried[t, 0]), int(tried[t, 1])
            if x != bx or y != by:
                found = _cost(luma, there, r, c, x, y, ex, ey, bit_worth, best)
                if found < best:
                    best, bx, by = found, x, y
        step = stride * UNIT
        while step:
            for _ in range(_WALKS):
                cx, cy = bx, by
                for dy, dx in ((0, -1), (0, 1), (-1, 0), (1, 0)):
                    x, y = cx + dx * step, cy + dy * step
                    found = _cost(luma, there, r, c, x, y, ex, ey, bit_worth, best)
                    if found < best:
                        best, bx, by = found, x, y
                if bx == cx and by == cy:
                    break
            step //= 2
        vectors[r, c, 0], vectors[r, c, 1] = bx, by


@compiled
def _cost(
    luma: Samples,
    there: Phases,
    r: int,
    c: int,
    x: int,
    y: int,
    expected_x: int,
    expected_y: int,
    bit_worth: float,
    limit: float,
) -> float:
    """Error of a node's patch with a vector, and about what the vector costs; more than `limit` need not be exact."""
    price = bit_worth * _smoothness(x - expected_x, y - expected_y)
    return _patch(luma, there, r, c, x, y, limit - price) + price


@compiled
def _smoothness(x: int, y: int) -> float:
    """About what a difference of vectors costs."""
    m = abs(x) + abs(y)
    bits = 0.0
    while m:
        bits += 2.0
        m >>= 1
    return bits


@compiled
def _patch(luma: Samples, there: Phases, r: int, c: int, x: int, y: int, limit: float) -> float:
    """Squared error of the patch around a node, scaled to the cell of the node; more than `limit` need not be exact."""
    rows, columns = luma.shape
    if abs(x) > LIMIT or abs(y) > LIMIT:
        return 3e38
    y0, y1 = max(r * NODE - _MARGIN, 0), min((r + 1) * NODE + _MARGIN, rows)
    x0, x1 = max(c * NODE - _MARGIN, 0), min((c + 1) * NODE + _MARGIN, columns)
    scale = NODE * NODE / ((y1 - y0) * (x1 - x0))
    return squared_error(luma, there, y0, y1, x0, x1, x, y, limit / scale) * scale


@compiled
def squared_error(
    luma: Samples, there: Phases, y0: int, y1: int, x0: int, x1: int, x: int, y: int, limit: float
) -> float:
    """Squared error of luma[y0:y1, x0:x1] predicted with the vector (x, y); more than `limit` need not be exact."""
    oy, ox = offset(y >> 2, y0, y1, luma.shape[0]), offset(x >> 2, x0, x1, luma.shape[1])
    plane = there[y & 3, x & 3]
    total = np.int64(0)
    for v in range(y0, y1):
        here, other = luma[v, x0:x1], plane[v + oy, x0 + ox : x1 + ox]
        row = np.int32(0)
        for u in range(x1 - x0):
            d = np.int32(here[u]) - np.int32(other[u])
            row += d * d
        total += row
        if total > limit:
            break
    return float(total)


@compiled
def offset(move: int, first: int, last: int, length: int) -> int:
    """Where the samples first..last, moved, begin in a plane with its border, less `first`.

    Nothing new lies further out than the border: what is beyond it is moved back.
    """
    return min(max(move, -BORDER - first), length + BORDER - last) + BORDER


class Trees(NamedTuple):
    """What `best_trees` works in: of the candidates at the nodes of each depth under a root."""

    sums: npt.NDArray[np.int32]
    """[depths, rows, columns, candidates, 2], of which `_count(depth)` count."""
    leaf: Floats
    """Cost of a node's cells if it is not split."""
    best: Floats
    """Least cost."""
    chosen: npt.NDArray[np.int32]
    """The candidate of a node given that of the node above."""
    split: npt.NDArray[np.bool_]
    """Whether that is the least."""

    @staticmethod
    def room() -> Trees:
        """For a tree."""
        shape = (LEVELS, 1 << (LEVELS - 1), 1 << (LEVELS - 1), _ALL)
        return Trees(
            np.zeros((*shape, 2), np.int32),
            np.zeros(shape, np.float32),
            np.zeros(shape, np.float32),
            np.zeros(shape, np.int32),
            np.zeros(shape, np.bool_),
        )


@compiled
def best_trees(
    luma: Samples,
    there: Phases,
    errors: npt.NDArray[np.int16],
    base: Vectors,
    own: tuple[npt.NDArray[np.int32], ...],
    steps: tuple[npt.NDArray[np.int16], ...],
    bit_worth: float,
    share: float,
    nonzero: Floats,
    magnitude: Floats,
    divided: Floats,
    trees: Trees,
) -> None:
    """Set the corrections `steps` of every tree, finest level first; before `trees`: the fields of `MotionRates`."""
    size = 1 << (LEVELS - 1)
    sums, leaf, best, chosen, split = trees
    for r in range(own[LEVELS - 1].shape[0]):
        for c in range(own[LEVELS - 1].shape[1]):
            for d in range(LEVELS - 1, -1, -1):
                side = size >> d
                for y in range(side):
                    for x in range(side):
                        _gather(sums, own[d], d, r * side + y, c * side + x, y, x)
            for y in range(size):
                for x in range(size):
                    _cell_costs(
                        luma, there, errors, base, sums, leaf, r * size + y, c * size + x, y, x, share, bit_worth
                    )
            for y in range(size):
                for x in range(size):
                    for i in range(_ALL):
                        best[0, y, x, i] = leaf[0, y, x, i]
            for d in range(1, LEVELS):
                side = size >> d
                for y in range(side):
                    for x in range(side):
                        for i in range(_count(d)):
                            _node(sums, leaf, best, chosen, split, d, y, x, i, bit_worth, nonzero, magnitude, divided)
            top = LEVELS - 1
            first, least = 0, 3e38
            for i in range(_count(top)):
                cost = best[top, 0, 0, i] + bit_worth * _bits(
                    sums[top, 0, 0, i, 0], sums[top, 0, 0, i, 1], nonzero[top], magnitude[top]
                )
                if cost < least:
                    first, least = i, cost
            # From the root down: what was chosen given what was chosen above.
            chosen[top, 0, 0, 0] = first
            steps[top][r, c, 0], steps[top][r, c, 1] = sums[top, 0, 0, first, 0], sums[top, 0, 0, first, 1]
            for d in range(top, 0, -1):
                side = size >> d
                for y in range(2 * side):
                    for x in range(2 * side):
                        i = chosen[d, y // 2, x // 2, 0]
                        if i < 0 or not split[d, y // 2, x // 2, i]:
                            chosen[d - 1, y, x, 0] = -1
                            continue
                        j = chosen[d - 1, y, x, i]
                        row, column = r * 2 * side + y, c * 2 * side + x
                        if row < steps[d - 1].shape[0] and column < steps[d - 1].shape[1]:
                            for axis in range(2):
                                step = sums[d - 1, y, x, j, axis] - sums[d, y // 2, x // 2, i, axis]
                                steps[d - 1][row, column, axis] = step
                        chosen[d - 1, y, x, 0] = j


@compiled
def _count(d: int) -> int:
    """Candidates of a node of depth d."""
    return 1 + OWN * (LEVELS - d) if d else _ALL


@compiled
def _gather(
    sums: npt.NDArray[np.int32], own: npt.NDArray[np.int32], d: int, row: int, column: int, y: int, x: int
) -> None:
    """Candidates of a node: those of the node above, then its own."""
    above = _count(d + 1)
    if d < LEVELS - 1:
        for k in range(above):
            for axis in range(2):
                sums[d, y, x, k, axis] = sums[d + 1, y // 2, x // 2, k, axis]
    inside = row < own.shape[0] and column < own.shape[1]
    for k in range(OWN if d else 1):
        for axis in range(2):
            sums[d, y, x, above + k, axis] = own[row, column, k, axis] if inside else 0


@compiled
def _cell_costs(
    luma: Samples,
    there: Phases,
    errors: npt.NDArray[np.int16],
    base: Vectors,
    sums: npt.NDArray[np.int32],
    leaf: Floats,
    row: int,
    column: int,
    y: int,
    x: int,
    share: float,
    bit_worth: float,
) -> None:
    """Cost of a cell's error with each candidate, for it and added up for the nodes above."""
    knee = _KNEE * bit_worth
    if row >= base.shape[0] or column >= base.shape[1]:
        leaf[0, y, x] = 0
    else:
        y0, y1 = row * NODE, min((row + 1) * NODE, luma.shape[0])
        x0, x1 = column * NODE, min((column + 1) * NODE, luma.shape[1])
        for i in range(_ALL):
            known = -1
            for j in range(i):
                if sums[0, y, x, i, 0] == sums[0, y, x, j, 0] and sums[0, y, x, i, 1] == sums[0, y, x, j, 1]:
                    known = j
                    break
            if known >= 0:
                leaf[0, y, x, i] = leaf[0, y, x, known]
                continue
            vx = min(max(base[row, column, 0] + sums[0, y, x, i, 0], -LIMIT), LIMIT)
            vy = min(max(base[row, column, 1] + sums[0, y, x, i, 1], -LIMIT), LIMIT)
            if errors.size:
                error = share * _joint_error(luma, there, errors, y0, y1, x0, x1, vx, vy, bit_worth * MODE_BITS / share)
            else:
                error = share * squared_error(luma, there, y0, y1, x0, x1, vx, vy, 1e30)
            leaf[0, y, x, i] = error if error <= knee else knee + _SLOPE * bit_worth * math.log(error / knee)
    for d in range(1, LEVELS):
        first = (y >> d) << d == y and (x >> d) << d == x
        for i in range(_count(d)):
            leaf[d, y >> d, x >> d, i] = (0 if first else leaf[d, y >> d, x >> d, i]) + leaf[0, y, x, i]


@compiled
def _joint_error(
    luma: Samples,
    there: Phases,
    errors: npt.NDArray[np.int16],
    y0: int,
    y1: int,
    x0: int,
    x1: int,
    x: int,
    y: int,
    mode: float,
) -> float:
    """Squared error of the mean of the first prediction and this one, or of one alone with the price of saying so."""
    oy, ox = offset(y >> 2, y0, y1, luma.shape[0]), offset(x >> 2, x0, x1, luma.shape[1])
    plane = there[y & 3, x & 3]
    one, two, both = np.int64(0), np.int64(0), np.int64(0)
    for v in range(y0, y1):
        here, other, error = luma[v, x0:x1], plane[v + oy, x0 + ox : x1 + ox], errors[v, x0:x1]
        a, b, c = np.int32(0), np.int32(0), np.int32(0)
        for u in range(x1 - x0):
            e = np.int32(error[u])
            d = np.int32(here[u]) - np.int32(other[u])
            a += e * e
            b += d * d
            c += (d + e) * (d + e)
        one, two, both = one + a, two + b, both + c
    return min(both / 4, min(one, two) + mode)


@compiled
def _node(
    sums: npt.NDArray[np.int32],
    leaf: Floats,
    best: Floats,
    chosen: npt.NDArray[np.int32],
    split: npt.NDArray[np.bool_],
    d: int,
    y: int,
    x: int,
    i: int,
    bit_worth: float,
    nonzero: Floats,
    magnitude: Floats,
    divided: Floats,
) -> None:
    """Cost of a node with candidate `i`: as it is, or split."""
    parts = bit_worth * divided[d, 1]
    for v in range(2 * y, 2 * y + 2):
        for u in range(2 * x, 2 * x + 2):
            least = 3e38
            for j in range(_count(d - 1)):
                dx = sums[d - 1, v, u, j, 0] - sums[d, y, x, i, 0]
                dy = sums[d - 1, v, u, j, 1] - sums[d, y, x, i, 1]
                cost = best[d - 1, v, u, j] + bit_worth * _bits(dx, dy, nonzero[d - 1], magnitude[d - 1])
                if cost < least:
                    least, chosen[d - 1, v, u, i] = cost, j
            parts += least
    whole = leaf[d, y, x, i] + bit_worth * divided[d, 0]
    split[d, y, x, i] = parts < whole
    best[d, y, x, i] = min(parts, whole)


@compiled
def _bits(x: int, y: int, nonzero: Floats, magnitude: Floats) -> float:
    """About what coding a correction costs: bits of its flag [0 or 1], and of each axis' magnitude [2, 13]."""
    if x == 0 and y == 0:
        return nonzero[0]
    return nonzero[1] + _size_bits(abs(x), magnitude[0]) + _size_bits(abs(y), magnitude[1])


@compiled
def _size_bits(m: int, magnitude: Floats) -> float:
    last = len(magnitude) - 1
    # Beyond the table as Exp-Golomb codes go.
    return magnitude[m] if m < last else magnitude[last] + 2 * math.log2(m - last + 1)
