"""The best quadtrees of corrections, as machine code.

Of two fields one is given: then what a vector is worth hangs on how the two predictions are blended, which is said for
BLEND x BLEND samples at a time. The costs of the cells are kept for each way, and every block of cells takes the best.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from licodec.fit.motion_kernels import Other, Phases, Samples, bits_by_blend
from licodec.jit import compiled, inlined
from licodec.model.geometry import BLEND, Floats
from licodec.model.motion import LEVELS, LIMIT, NODE, Vectors

WAYS = 3
"""Of blending: the mean of two predictions, one alone, the other alone."""
MODE_BITS = 4.0
"""Bits of saying that one prediction counts alone."""
OWN = 2
"""Candidates of a node's own: the median of its cells and the commonest of them."""
NEXT = 2
"""Candidates of a root besides: what the cells to its left and above it move by."""
_NEXT_BITS = np.float32(2.0)
"""Of one of these, beyond the flag of a correction: the coder knows them."""
assert BLEND == 2 * NODE
_ALL = 1 + NEXT + OWN * (LEVELS - 1) + 1
"""Candidates of a cell: no correction; those of its nodes from the coarsest down; what fits itself."""


class Trees(NamedTuple):
    """What `best_trees` works in: of the candidates at the nodes of each depth under a root."""

    sums: npt.NDArray[np.int32]
    """[depths, rows, columns, candidates, 2], of which `_count(depth)` count."""
    first: npt.NDArray[np.int32]
    """[depths, rows, columns, candidates] the first candidate that is the same: no other is looked at."""
    cells: Floats
    """[WAYS, rows, columns, candidates] cost of a cell with each way of blending."""
    leaf: Floats
    """Cost of a node's cells if it is not split."""
    best: Floats
    """Least cost; of these two nothing at depth 0."""
    chosen: npt.NDArray[np.int32]
    """The candidate of a node given that of the node above."""
    picked: npt.NDArray[np.int32]
    """[WAYS, rows, columns] the same of cells, given one candidate and with each way of blending."""
    split: npt.NDArray[np.bool_]
    """Whether that is the least."""

    @staticmethod
    def room() -> Trees:
        """For a tree."""
        shape = (LEVELS, 1 << (LEVELS - 1), 1 << (LEVELS - 1), _ALL)
        return Trees(
            np.zeros((*shape, 2), np.int32),
            np.zeros(shape, np.int32),
            np.zeros((WAYS, *shape[1:]), np.float32),
            np.zeros(shape, np.float32),
            np.zeros(shape, np.float32),
            np.zeros(shape, np.int32),
            np.zeros((WAYS, *shape[1:3]), np.int32),
            np.zeros(shape, np.bool_),
        )


@compiled
def best_trees(
    luma: Samples,
    there: Phases,
    other: Other,
    base: Vectors,
    own: tuple[npt.NDArray[np.int32], ...],
    steps: tuple[npt.NDArray[np.int16], ...],
    costs: Floats,
    asked: npt.NDArray[np.bool_],
    vectors: Vectors,
    beside: bool,
    nonzero: Floats,
    magnitude: Floats,
    divided: Floats,
    trees: Trees,
) -> None:
    """Set the corrections `steps` of the trees `asked` for, finest level first, and these trees' `costs`.

    vectors: the field so far, in which they are set, too; beside: whether the candidates NEXT are looked at; before
    `trees`: the fields of `MotionRates`.
    """
    size = 1 << (LEVELS - 1)
    sums, first, cells, leaf, best, chosen, picked, split = trees
    ways = WAYS if other.bits.size else 1
    for r in range(own[LEVELS - 1].shape[0]):
        for c in range(own[LEVELS - 1].shape[1]):
            if not asked[r, c]:
                continue
            if beside:
                _gather_next(sums, first, base, vectors, r, c)
            for d in range(LEVELS - 1, -1, -1):
                side = size >> d
                for y in range(side):
                    for x in range(side):
                        _gather(sums, first, own[d], d, r * side + y, c * side + x, y, x)
            for y in range(size):
                for x in range(size):
                    _cell_costs(
                        luma,
                        there,
                        other,
                        base,
                        sums,
                        first,
                        cells,
                        r * size + y,
                        c * size + x,
                        y,
                        x,
                    )
            _add_up(cells, first, leaf, ways)
            for d in range(1, LEVELS):
                side = size >> d
                for y in range(side):
                    for x in range(side):
                        for i in range(_count(d)):
                            if first[d, y, x, i] != i:
                                continue
                            if d > 1:
                                parts = _parts(sums, first, best[d - 1], chosen[d - 1], d, y, x, i, nonzero, magnitude)
                            else:
                                parts = _blended_parts(
                                    sums, first, cells, chosen[0], picked, y, x, i, ways, nonzero, magnitude
                                )
                            parts += divided[d, 1]
                            whole = leaf[d, y, x, i] + divided[d, 0]
                            split[d, y, x, i] = parts < whole
                            best[d, y, x, i] = min(parts, whole)
            top = LEVELS - 1
            root, least = 0, 3e38
            for i in range(_count(top)):
                if first[top, 0, 0, i] != i:
                    continue
                if 0 < i <= NEXT:
                    cost = best[top, 0, 0, i] + nonzero[top, 1] + _NEXT_BITS
                else:
                    x, y = sums[top, 0, 0, i, 0], sums[top, 0, 0, i, 1]
                    cost = best[top, 0, 0, i] + _bits(x, y, nonzero[top], magnitude[top])
                if cost < least:
                    root, least = i, cost
            costs[r, c] = least
            # From the root down: what was chosen given what was chosen above.
            chosen[top, 0, 0, 0] = root
            steps[top][r, c, 0], steps[top][r, c, 1] = sums[top, 0, 0, root, 0], sums[top, 0, 0, root, 1]
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
            for y in range(r * size, min((r + 1) * size, base.shape[0])):
                for x in range(c * size, min((c + 1) * size, base.shape[1])):
                    for axis in range(2):
                        vectors[y, x, axis] = base[y, x, axis]
                        for d in range(LEVELS):
                            vectors[y, x, axis] += steps[d][y >> d, x >> d, axis]


@inlined
def _count(d: int) -> int:
    """Candidates of a node of depth d."""
    return 1 + NEXT + OWN * (LEVELS - d) if d else _ALL


@compiled
def _gather_next(
    sums: npt.NDArray[np.int32], first: npt.NDArray[np.int32], base: Vectors, vectors: Vectors, r: int, c: int
) -> None:
    """The candidates NEXT of a root, as the coder sees them: corrections by which it moves as the cells do that are
    beside the middle of its left and upper edge.
    """
    size, top = 1 << (LEVELS - 1), LEVELS - 1
    y, x = r * size, c * size
    middle, centre = (y + min(y + size, base.shape[0])) >> 1, (x + min(x + size, base.shape[1])) >> 1
    for axis in range(2):
        west = vectors[middle, x - 1, axis] - base[middle, x, axis] if x else 0
        north = vectors[y - 1, centre, axis] - base[y, centre, axis] if y else 0
        sums[top, 0, 0, 1, axis] = min(max(west, -LIMIT), LIMIT)
        sums[top, 0, 0, 2, axis] = min(max(north, -LIMIT), LIMIT)
    for k in range(1, 1 + NEXT):
        first[top, 0, 0, k] = _first_alike(sums[top, 0, 0], k)


@inlined
def _first_alike(sums: npt.NDArray[np.int32], k: int) -> int:
    """Of [candidates, 2], the first that is the same as the k-th."""
    i = 0
    while sums[i, 0] != sums[k, 0] or sums[i, 1] != sums[k, 1]:
        i += 1
    return i


@compiled
def _gather(
    sums: npt.NDArray[np.int32],
    first: npt.NDArray[np.int32],
    own: npt.NDArray[np.int32],
    d: int,
    row: int,
    column: int,
    y: int,
    x: int,
) -> None:
    """Candidates of a node, those of the node above and then its own, and which of them were there before."""
    above = _count(d + 1)
    if d < LEVELS - 1:
        for k in range(above):
            first[d, y, x, k] = first[d + 1, y // 2, x // 2, k]
            for axis in range(2):
                sums[d, y, x, k, axis] = sums[d + 1, y // 2, x // 2, k, axis]
    inside = row < own.shape[0] and column < own.shape[1]
    for k in range(above, above + (OWN if d else 1)):
        for axis in range(2):
            sums[d, y, x, k, axis] = own[row, column, k - above, axis] if inside else 0
        first[d, y, x, k] = _first_alike(sums[d, y, x], k)


@compiled
def _cell_costs(
    luma: Samples,
    there: Phases,
    other: Other,
    base: Vectors,
    sums: npt.NDArray[np.int32],
    first: npt.NDArray[np.int32],
    cells: Floats,
    row: int,
    column: int,
    y: int,
    x: int,
) -> None:
    """Cost of a cell's error with each candidate and way of blending."""
    if row >= base.shape[0] or column >= base.shape[1]:
        cells[:, y, x] = 0
        return
    for i in range(_ALL):
        if first[0, y, x, i] != i:
            continue
        found = bits_by_blend(luma, there, other, base, row, column, sums[0, y, x, i, 0], sums[0, y, x, i, 1])
        for way in range(WAYS if other.bits.size else 1):
            cells[way, y, x, i] = found[way]


@compiled
def _add_up(cells: Floats, first: npt.NDArray[np.int32], leaf: Floats, ways: int) -> None:
    """Costs of nodes that are not split: of their blocks, each blended the best way."""
    leaf[1:] = 0
    for y in range(leaf.shape[1] // 2):
        for x in range(leaf.shape[2] // 2):
            for i in range(_count(1)):
                if first[1, y, x, i] != i:
                    continue
                least = 3e38
                for way in range(ways):
                    cost = cells[way, 2 * y, 2 * x, i] + cells[way, 2 * y, 2 * x + 1, i]
                    cost += cells[way, 2 * y + 1, 2 * x, i] + cells[way, 2 * y + 1, 2 * x + 1, i]
                    least = min(least, cost + _way_bits(way))
                for d in range(1, LEVELS):
                    if i < _count(d):
                        leaf[d, y >> (d - 1), x >> (d - 1), i] += least


@inlined
def _way_bits(way: int) -> float:
    return MODE_BITS if way else 0.0


@compiled
def _blended_parts(
    sums: npt.NDArray[np.int32],
    first: npt.NDArray[np.int32],
    cells: Floats,
    chosen: npt.NDArray[np.int32],
    picked: npt.NDArray[np.int32],
    y: int,
    x: int,
    i: int,
    ways: int,
    nonzero: Floats,
    magnitude: Floats,
) -> float:
    """Cost of a block's cells with vectors of their own, blended the best way; their candidates are `chosen`."""
    mean = other = alone = np.float32(0)
    for v in range(2 * y, 2 * y + 2):
        for u in range(2 * x, 2 * x + 2):
            a = b = c = np.float32(3e38)
            for j in range(_ALL):
                if first[0, v, u, j] != j:
                    continue
                price = _price(sums, 1, y, x, i, v, u, j, nonzero, magnitude)
                if cells[0, v, u, j] + price < a:
                    a, picked[0, v, u] = cells[0, v, u, j] + price, j
                if ways > 1:
                    if cells[1, v, u, j] + price < b:
                        b, picked[1, v, u] = cells[1, v, u, j] + price, j
                    if cells[2, v, u, j] + price < c:
                        c, picked[2, v, u] = cells[2, v, u, j] + price, j
            mean, other, alone = mean + a, other + b, alone + c
    way, least = 0, mean
    if ways > 1:
        if other + MODE_BITS < least:
            way, least = 1, other + MODE_BITS
        if alone + MODE_BITS < least:
            way, least = 2, alone + MODE_BITS
    for v in range(2 * y, 2 * y + 2):
        for u in range(2 * x, 2 * x + 2):
            chosen[v, u, i] = picked[way, v, u]
    return float(least)


@inlined
def _parts(
    sums: npt.NDArray[np.int32],
    first: npt.NDArray[np.int32],
    costs: Floats,
    chosen: npt.NDArray[np.int32],
    d: int,
    y: int,
    x: int,
    i: int,
    nonzero: Floats,
    magnitude: Floats,
) -> float:
    """Cost of a node's quarters, when it has candidate `i`; `costs` of each of theirs, which of them is `chosen`."""
    total = 0.0
    for v in range(2 * y, 2 * y + 2):
        for u in range(2 * x, 2 * x + 2):
            least = 3e38
            for j in range(_count(d - 1)):
                if first[d - 1, v, u, j] != j:
                    continue
                cost = costs[v, u, j] + _price(sums, d, y, x, i, v, u, j, nonzero, magnitude)
                if cost < least:
                    least, chosen[v, u, i] = cost, j
            total += least
    return total


@inlined
def _price(
    sums: npt.NDArray[np.int32],
    d: int,
    y: int,
    x: int,
    i: int,
    v: int,
    u: int,
    j: int,
    nonzero: Floats,
    magnitude: Floats,
) -> np.float32:
    """What it costs that a quarter has candidate `j` where its node has `i`."""
    dx = sums[d - 1, v, u, j, 0] - sums[d, y, x, i, 0]
    dy = sums[d - 1, v, u, j, 1] - sums[d, y, x, i, 1]
    return np.float32(_bits(dx, dy, nonzero[d - 1], magnitude[d - 1]))


@inlined
def _bits(x: int, y: int, nonzero: Floats, magnitude: Floats) -> float:
    """About what coding a correction costs: bits of its flag [0 or 1], and of each axis' magnitude [2, 13]."""
    if x == 0 and y == 0:
        return nonzero[0]
    return nonzero[1] + _size_bits(abs(x), magnitude[0]) + _size_bits(abs(y), magnitude[1])


@compiled
def correction_bits(corrections: npt.NDArray[np.int16], nonzero: Floats, magnitude: Floats, bits: Floats) -> None:
    """Set [rows, columns] `bits` of the corrections [rows, columns, 2] of a depth; rates as in `MotionRates`."""
    for r in range(bits.shape[0]):
        for c in range(bits.shape[1]):
            bits[r, c] = _bits(corrections[r, c, 0], corrections[r, c, 1], nonzero, magnitude)


@inlined
def _size_bits(m: int, magnitude: Floats) -> float:
    last = len(magnitude) - 1
    # Beyond the table as Exp-Golomb codes go.
    return magnitude[m] if m < last else magnitude[last] + 2 * math.log2(m - last + 1)
