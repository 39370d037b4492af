"""Motion fields: integer arithmetic that every machine repeats, and positions that single precision holds."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from render.reading import positions

from licodec.model.motion import (
    LEVELS,
    LIMIT,
    NODE,
    UNIT,
    Field,
    base_field,
    clip,
    compose,
    fields,
    level_shapes,
    scaled,
    spread,
)
from licodec.model.pyramid import Picture, pyramid

SIDES = st.integers(1, 6)


def vectors(rows: int, columns: int, most: int = LIMIT) -> st.SearchStrategy[np.ndarray]:
    return arrays(np.int32, (rows, columns, 2), elements=st.integers(-most, most))


def constant(x: int, y: int, shape: tuple[int, int] = (2, 3)) -> np.ndarray:
    return np.broadcast_to(np.array([x, y], np.int32), (*shape, 2)).copy()


@settings(max_examples=40)
@given(st.data(), SIDES, SIDES)
def test_spread_repeats_each_node(data: st.DataObject, rows: int, columns: int) -> None:
    nodes = data.draw(vectors(rows, columns))
    shape = (2 * rows - data.draw(st.integers(0, 1)), 2 * columns - data.draw(st.integers(0, 1)))
    fine = spread(nodes, shape)
    assert fine.shape == (*shape, 2)
    for y, x in np.ndindex(shape):
        assert (fine[y, x] == nodes[y // 2, x // 2]).all()


@given(st.integers(-LIMIT, LIMIT), st.integers(-LIMIT, LIMIT))
def test_a_constant_field_stays_constant_at_every_level(x: int, y: int) -> None:
    shapes = level_shapes(5 * NODE, 7 * NODE)
    steps = [np.zeros((*s, 2), np.int16) for s in shapes]
    steps[-1][:] = (x, y)
    np.testing.assert_array_equal(compose(steps), constant(x, y, shapes[0]))


@settings(max_examples=25)
@given(st.data())
def test_compose_adds_each_level_to_the_coarser_ones(data: st.DataObject) -> None:
    shapes = level_shapes(data.draw(st.integers(1, 100)), data.draw(st.integers(1, 100)))
    steps = [data.draw(vectors(*s, most=300)).astype(np.int16) for s in shapes]
    found = compose(steps)
    for y, x in np.ndindex(shapes[0]):
        assert (found[y, x] == sum(steps[d][y >> d, x >> d].astype(int) for d in range(LEVELS))).all()


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_every_level_has_a_node_for_each_part_of_the_picture(height: int, width: int) -> None:
    shapes = level_shapes(height, width)
    assert len(shapes) == LEVELS
    for depth, (rows, columns) in enumerate(shapes):
        reach = NODE << depth
        assert (rows - 1) * reach < height <= rows * reach
        assert (columns - 1) * reach < width <= columns * reach


@given(st.integers(-LIMIT, LIMIT), st.integers(-64, 64), st.integers(-64, 64).filter(bool))
def test_scaled_rounds_the_exact_quotient_halves_up(value: int, numerator: int, denominator: int) -> None:
    expected = (Fraction(value * numerator, denominator) + Fraction(1, 2)).__floor__()
    assert scaled(np.array([[[value, 0]]], np.int32), numerator, denominator)[0, 0].tolist() == [expected, 0]


@pytest.mark.parametrize(
    ("value", "numerator", "denominator", "expected"),
    [(1, 1, 2, 1), (-1, 1, 2, 0), (-3, 1, 2, -1), (3, -1, 2, -1), (3, 1, -2, -1), (-5, 1, 3, -2), (7, -3, -3, 7)],
)
def test_scaled_by_hand(value: int, numerator: int, denominator: int, expected: int) -> None:
    assert scaled(constant(value, value), numerator, denominator).tolist() == constant(expected, expected).tolist()


def test_clip_keeps_components_inside_the_limit() -> None:
    assert clip(constant(5000, -5000, (1, 1))).tolist() == [[[LIMIT, -LIMIT]]]


# What a field is expected to be before anything is coded.


def test_the_second_field_continues_the_first_evenly() -> None:
    own = [Field(4, constant(-8, 6))]
    expected = base_field(Picture(6, 2, (4, 10)), own, {}, (2, 3))
    np.testing.assert_array_equal(expected, constant(16, -12))


def test_an_anchor_continues_the_motion_of_the_anchor_before_it() -> None:
    known = {4: [Field(0, constant(-8, 4))]}
    expected = base_field(Picture(10, 1, (4, 0)), [], known, (2, 3))
    np.testing.assert_array_equal(expected, constant(-12, 6))


def test_the_first_anchor_expects_no_motion() -> None:
    assert not base_field(Picture(4, 1, (0, 0)), [], {0: []}, (2, 3)).any()


def test_the_second_reference_of_an_anchor_lies_further_back_on_the_same_line() -> None:
    own = [Field(4, constant(-6, 3))]
    expected = base_field(Picture(10, 1, (4, 0)), own, {}, (2, 3))
    np.testing.assert_array_equal(expected, constant(-10, 5))


def test_a_picture_between_takes_its_share_of_the_motion_between_its_references() -> None:
    """From 8 into 0 it is (-8, 16): a quarter of it leads from 2 back into 0."""
    known = {8: [Field(0, constant(-8, 16))], 0: []}
    expected = base_field(Picture(2, 2, (0, 8)), [], known, (2, 3))
    np.testing.assert_array_equal(expected, constant(-2, 4))


def test_motion_known_the_other_way_round_changes_its_sign() -> None:
    known = {4: [Field(0, constant(9, 9)), Field(8, constant(8, -16))], 8: [Field(0, constant(1, 1))]}
    expected = base_field(Picture(6, 3, (4, 8)), [], known, (2, 3))
    np.testing.assert_array_equal(expected, constant(-4, 8))


def test_references_without_motion_between_them_say_nothing() -> None:
    known = {0: [], 8: [Field(16, constant(9, 9))]}
    assert not base_field(Picture(4, 2, (0, 8)), [], known, (2, 3)).any()


def test_even_motion_is_predicted_for_the_whole_pyramid_from_its_first_field() -> None:
    """Once the first anchor's field is coded, no other correction is needed, whatever the distances."""
    shapes = level_shapes(16, 24)
    known: dict[int, list[Field]] = {0: []}
    for batch in pyramid((8, 5))[1:]:
        for picture in batch:
            count = len(set(picture.refs))
            steps = [[np.zeros((*s, 2), np.int16) for s in shapes] for _ in range(count)]
            if picture.frame == 8:
                steps[0][-1][:] = (-5 * 8, 3 * 8)
            starts = [np.zeros(shapes[-1], np.uint8) for _ in range(count)]
            known[picture.frame] = fields(picture, starts, steps, known, shapes[0])
    for frame, found in known.items():
        for field in found:
            distance = field.target - frame
            np.testing.assert_array_equal(field.vectors, constant(5 * distance, -3 * distance, shapes[0]))


def test_trees_that_start_from_nothing_have_their_corrections_alone() -> None:
    """Fields of 64 and 16 samples down, 64 and 64 and 8 across: two rows of three trees, of which two start so."""
    shapes = level_shapes(80, 136)
    steps = [np.zeros((*s, 2), np.int16) for s in shapes]
    steps[-1][:] = (1, 2)
    starts = np.zeros(shapes[-1], np.uint8)
    starts[0, 1] = starts[1, 2] = 1
    known = {4: [Field(0, constant(-8, 4, shapes[0]))]}
    picture = Picture(8, 1, (4, 4))
    (field,) = fields(picture, [starts], [steps], known, shapes[0])
    for r, c in np.ndindex(shapes[0]):
        still = starts[r // 8, c // 8]
        assert field.vectors[r, c].tolist() == ([1, 2] if still else [-7, 6])


def test_corrections_beyond_the_limit_are_clipped() -> None:
    steps = [[np.zeros((*s, 2), np.int16) for s in level_shapes(16, 24)]]
    steps[0][0][0, 0] = (9000, -9000)
    (field,) = fields(Picture(1, 1, (0, 0)), [np.zeros((1, 1), np.uint8)], steps, {0: []}, (2, 3))
    assert field.vectors[0, 0].tolist() == [LIMIT, -LIMIT]


# Where samples read.


@settings(max_examples=30)
@given(st.data(), st.sampled_from([(1, 1), (2, 1), (2, 2)]))
def test_positions_are_the_exact_rational_numbers(data: st.DataObject, subsampling: tuple[int, int]) -> None:
    """Float32 holds them without rounding, so every machine reads its references at the same places."""
    sx, sy = subsampling
    rows, columns = data.draw(SIDES), data.draw(SIDES)
    field = data.draw(vectors(rows, columns))
    shape = (rows * NODE // sy, columns * NODE // sx)
    found = positions(field, shape, subsampling)
    assert found.dtype == np.float32
    ys, xs = data.draw(st.integers(0, shape[0] - 1)), data.draw(st.integers(0, shape[1] - 1))
    for y, x in [(0, 0), (shape[0] - 1, shape[1] - 1), (ys, xs)]:
        for k, (at, side) in enumerate([(x, sx), (y, sy)]):
            expected = at + Fraction(int(field[y * sy // NODE, x * sx // NODE, k]), UNIT * side)
            assert Fraction(float(found[y, x, k])) == expected


def test_positions_are_exact_at_the_far_corner_of_the_largest_picture() -> None:
    nodes = np.full((1, 16384 // NODE, 2), LIMIT, np.int32)
    nodes[:, ::2] = -LIMIT
    found = positions(nodes, (NODE, 16384), (1, 1))
    for x in range(16384 - 40, 16384):
        expected = x + Fraction(int(nodes[0, x // NODE, 0]), UNIT)
        assert Fraction(float(found[3, x, 0])) == expected
