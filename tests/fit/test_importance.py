"""Importance of cells: what is passed on along the motion, and what it changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from licodec.fit.importance import STRENGTH, cell_errors, error_weights, propagate, quantiser_offsets
from licodec.model.geometry import Geometry
from licodec.model.motion import NODE, UNIT, Field
from licodec.model.pyramid import Picture, pyramid

SHAPE = (4, 6)
ALL = np.ones(SHAPE, np.float32)
CHAIN = [Picture(0, 0, ()), Picture(1, 1, (0, 0)), Picture(2, 1, (1, 0))]
"""Frame 1 from frame 0, frame 2 from frame 1 alone (the tests give it one field)."""


def still(target: int, x: int = 0, y: int = 0) -> Field:
    """A field of one vector, in cells."""
    return Field(target, np.full((*SHAPE, 2), (x * NODE * UNIT, y * NODE * UNIT), np.int32))


def test_what_is_passed_on_whole_adds_up_along_a_chain() -> None:
    found = propagate(
        CHAIN, dict.fromkeys(range(3), ALL), {0: [], 1: [still(0)], 2: [still(1)]}, dict.fromkeys(range(3))
    )
    for frame, importance in ((0, 3), (1, 2), (2, 1)):
        np.testing.assert_allclose(found[frame], np.log2(importance), rtol=1e-6)


def test_what_is_coded_anew_gives_nothing_on() -> None:
    passed = {0: ALL, 1: ALL, 2: 0 * ALL}
    found = propagate(CHAIN, passed, {0: [], 1: [still(0)], 2: [still(1)]}, dict.fromkeys(range(3)))
    np.testing.assert_allclose(found[0], 1)
    np.testing.assert_allclose(found[1], 0)


def test_importance_follows_the_motion() -> None:
    found = propagate(CHAIN[:2], {0: ALL, 1: ALL}, {0: [], 1: [still(0, x=2, y=1)]}, {0: None, 1: None})
    importance = np.exp2(found[0])
    # Nothing points to the first row and the first two columns; what points beyond the edge goes to the last cells.
    assert (importance[0] == 1).all()
    assert (importance[:, :2] == 1).all()
    assert (importance[1:-1, 2:-1] == 2).all()
    assert importance[-1, -1] == 1 + 2 * 3


def test_halves_of_cells_are_shared_and_nothing_is_lost() -> None:
    half = Field(0, np.full((*SHAPE, 2), (NODE * UNIT // 2, NODE * UNIT // 4), np.int32))
    importance = np.exp2(propagate(CHAIN[:2], {0: ALL, 1: ALL}, {0: [], 1: [half]}, {0: None, 1: None})[0])
    assert importance[0, 0] == pytest.approx(1 + 0.5 * 0.75)
    assert importance.sum() == pytest.approx(2 * ALL.size)


def test_blended_pictures_give_each_reference_its_share() -> None:
    pictures = [Picture(0, 0, ()), Picture(2, 1, (0, 0)), Picture(1, 2, (0, 2))]
    blend = np.array([[0, 1, 2], [0, 1, 2]], np.uint8)
    fields = {0: [], 2: [still(0)], 1: [still(0), still(2)]}
    found = propagate(pictures, {0: ALL, 2: 0 * ALL, 1: ALL}, fields, {0: None, 2: None, 1: blend})
    np.testing.assert_allclose(np.exp2(found[0])[0], [1.5, 1.5, 2, 2, 1, 1])
    np.testing.assert_allclose(np.exp2(found[2])[0], [1.5, 1.5, 1, 1, 2, 2])


@given(st.integers(1, 40), st.integers(1, 40))
def test_cell_errors_keep_the_sum(rows: int, columns: int) -> None:
    difference = np.random.default_rng(rows).normal(size=(rows, columns)).astype(np.float32)
    errors = cell_errors(difference)
    assert errors.shape == (-(-rows // NODE), -(-columns // NODE))
    assert (errors - 1).sum() == pytest.approx(np.square(difference).sum(), rel=1e-3)


def test_pictures_that_matter_more_than_the_steps_of_their_level_are_for_are_quantised_finer() -> None:
    pictures = [p for batch in pyramid([4, 4]) for p in batch]
    matters = {4: 3.0, 8: 1.0}
    importance = {p.frame: np.full(SHAPE, matters.get(p.frame, 0.5), np.float32) for p in pictures}
    offsets = quantiser_offsets(pictures, importance, lambda level: 2.0 if level == 1 else 0.5)
    # The anchors are an octave over and under what is usual.
    assert offsets[8] == -offsets[4] == round(16 * STRENGTH)
    assert not any(offset for frame, offset in offsets.items() if frame not in matters)


@given(st.integers(1, 100), st.integers(1, 100), st.sampled_from([(1, 1), (2, 1), (2, 2)]))
def test_weights_fit_every_plane_and_are_even_where_importance_is(
    rows: int, columns: int, subsampling: tuple[int, int]
) -> None:
    across, down = subsampling
    chroma = (-(-rows // down), -(-columns // across))
    geometry = Geometry(((rows, columns), chroma, chroma), subsampling)
    for group in (0, 1):
        weights = error_weights(np.full(geometry.node_shapes[0], 2.5, np.float32), geometry, group)
        assert weights.shape == geometry.cells(group)
        np.testing.assert_allclose(weights, 1)


def test_what_matters_twice_as_much_weighs_more() -> None:
    geometry = Geometry(((32, 32),), (1, 1))
    importance = np.zeros((4, 4), np.float32)
    importance[:, 2:] = 1
    weights = error_weights(importance, geometry, 0)
    np.testing.assert_allclose(weights[:, 3] / weights[:, 0], 2 ** (2 * STRENGTH), rtol=1e-6)
