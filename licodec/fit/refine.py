"""A second look at the vectors of nodes over several cells, each as a whole, as machine code."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from licodec.fit.motion_kernels import Other, Phases, Samples, bits_by_blend
from licodec.fit.quadtree import OWN
from licodec.jit import compiled, inlined
from licodec.model.motion import LEVELS, Vectors

_WALKS = 4
"""Steps of a candidate at most."""
_LEAST_BITS = 0.5
"""That the error of a cell must cost for a node's vector to be looked for once more."""


@compiled
def refine(
    luma: Samples,
    there: Phases,
    other: Other,
    base: Vectors,
    own: tuple[npt.NDArray[np.int32], ...],
    asked: npt.NDArray[np.bool_],
) -> None:
    """Move the last of the candidates `own` of nodes over the cells to where it predicts its cells best.

    From the coarsest nodes down, each begins with the best of its own, of those of the nodes over it, to the left and
    above, and of none at all, and goes on in single steps. In the trees `asked` for, and where errors cost something.
    """
    # Tree by tree: what one reads of the reference stays in the processor's cache.
    for row in range(asked.shape[0]):
        for column in range(asked.shape[1]):
            if not asked[row, column]:
                continue
            for d in range(LEVELS - 1, 0, -1):
                side = 1 << (LEVELS - 1 - d)
                for r in range(row * side, min((row + 1) * side, own[d].shape[0])):
                    for c in range(column * side, min((column + 1) * side, own[d].shape[1])):
                        _refine_node(luma, there, other, base, own, d, r, c)


@compiled
def _refine_node(
    luma: Samples,
    there: Phases,
    other: Other,
    base: Vectors,
    own: tuple[npt.NDArray[np.int32], ...],
    d: int,
    r: int,
    c: int,
) -> None:
    nodes, last = own[d], OWN - 1
    x, y = nodes[r, c, last, 0], nodes[r, c, last, 1]
    best = _node_bits(luma, there, other, base, d, r, c, x, y, 3e38)
    if best < _LEAST_BITS * (1 << 2 * d):
        return
    for k in range(5):
        nx, ny = _beginning(own, d, r, c, k)
        if nx != x or ny != y:
            found = _node_bits(luma, there, other, base, d, r, c, nx, ny, best)
            if found < best:
                best, x, y = found, nx, ny
    bx, by = x, y
    for _ in range(_WALKS):
        cx, cy = x, y
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            # Not back to where it came from.
            if cx + dx == bx and cy + dy == by:
                continue
            found = _node_bits(luma, there, other, base, d, r, c, cx + dx, cy + dy, best)
            if found < best:
                best, x, y = found, cx + dx, cy + dy
        if x == cx and y == cy:
            break
        bx, by = cx, cy
    nodes[r, c, last, 0], nodes[r, c, last, 1] = x, y


@inlined
def _beginning(own: tuple[npt.NDArray[np.int32], ...], d: int, r: int, c: int, k: int) -> tuple[int, int]:
    """The k-th of what a node's candidate may begin with besides itself."""
    nodes, which = own[d], OWN - 1
    if k == 0:
        return 0, 0
    if k == 1:
        which = 0
    elif k == 2 and d < LEVELS - 1:
        nodes, r, c = own[d + 1], r >> 1, c >> 1
    elif k == 3:
        c = max(c - 1, 0)
    else:
        r = max(r - 1, 0)
    return nodes[r, c, which, 0], nodes[r, c, which, 1]


@inlined
def _node_bits(
    luma: Samples,
    there: Phases,
    other: Other,
    base: Vectors,
    d: int,
    r: int,
    c: int,
    x: int,
    y: int,
    limit: float,
) -> float:
    """What errors of the cells of a node cost with a correction, each blended its best way; over `limit` not exact."""
    total, reach = 0.0, 1 << d
    for row in range(r * reach, min((r + 1) * reach, base.shape[0])):
        for column in range(c * reach, min((c + 1) * reach, base.shape[1])):
            total += min(bits_by_blend(luma, there, other, base, row, column, x, y))
            if total > limit:
                return total
    return total
