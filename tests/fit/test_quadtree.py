"""Candidates of trees."""

from __future__ import annotations

import numpy as np

from licodec.fit.quadtree import NEXT, Trees, _gather_next
from licodec.model.motion import LEVELS

TOP = LEVELS - 1


def test_a_tree_may_move_as_the_cells_beside_it_do() -> None:
    """By corrections of its own base, at the middle of its edges; at the picture's edge by none."""
    random = np.random.default_rng(1)
    base, vectors = (random.integers(-50, 51, (13, 20, 2)).astype(np.int32) for _ in range(2))
    trees = Trees.room()

    def candidates(r: int, c: int) -> np.ndarray:
        _gather_next(trees.sums, trees.first, base, vectors, r, c)
        return trees.sums[TOP, 0, 0, 1 : 1 + NEXT].copy()

    west, north = candidates(1, 1)
    # The lower row of trees has five cells of eight, whose middle is the third.
    np.testing.assert_array_equal(west, vectors[10, 7] - base[10, 8])
    np.testing.assert_array_equal(north, vectors[7, 12] - base[8, 12])
    assert list(trees.first[TOP, 0, 0, 1 : 1 + NEXT]) == [1, 2]
    assert not candidates(0, 0).any()
    assert list(trees.first[TOP, 0, 0, 1 : 1 + NEXT]) == [0, 0]

    vectors[10, 7] = vectors[7, 12] + base[10, 8] - base[8, 12]
    candidates(1, 1)
    assert list(trees.first[TOP, 0, 0, 1 : 1 + NEXT]) == [1, 1]
