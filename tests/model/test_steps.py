"""Quantiser indices and the steps they stand for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licodec.fit.presets import Quality
from licodec.quant.steps import QUANTISER_MAX, quantiser_of, step_of, weight_index_of, weight_step_of


def test_every_index_is_the_nearest_to_its_own_step() -> None:
    indices = list(range(QUANTISER_MAX + 1))
    assert [quantiser_of(step_of(i)) for i in indices] == indices


def test_sixteen_indices_double_a_step() -> None:
    assert step_of(0) == 0.125
    assert step_of(16) == 0.25
    assert step_of(48) == 1.0
    assert step_of(QUANTISER_MAX) == pytest.approx(0.125 * 2 ** (223 / 16))


@given(st.floats(0.125, 1950))
def test_the_nearest_step_is_within_half_an_index(step: float) -> None:
    assert 2 ** (-1 / 32) * 0.999999 <= step_of(quantiser_of(step)) / step <= 2 ** (1 / 32) * 1.000001


@pytest.mark.parametrize(("step", "index"), [(1e-9, 0), (1e9, QUANTISER_MAX)])
def test_steps_out_of_range_take_the_last_index(step: float, index: int) -> None:
    assert quantiser_of(step) == index


def test_every_weight_index_is_the_nearest_to_its_own_step() -> None:
    assert [weight_step_of(i) for i in (0, 4, 10)] == [1.0, 0.5, 2.0**-2.5]
    assert [weight_index_of(weight_step_of(i)) for i in range(256)] == list(range(256))


@pytest.mark.parametrize(("step", "index"), [(100.0, 0), (1e-30, 255)])
def test_weight_steps_out_of_range_take_the_last_index(step: float, index: int) -> None:
    assert weight_index_of(step) == index


@given(st.floats(0, 45), st.integers(0, 7), st.integers(1, 64))
def test_six_crf_double_the_step_and_four_times_the_error_a_bit_must_save(
    crf: float, level: int, distance: int
) -> None:
    fine, coarse = Quality(crf, distance), Quality(crf + 6, distance)
    assert coarse.step(level) == pytest.approx(2 * fine.step(level))
    assert coarse.bit_worth(level) == pytest.approx(4 * fine.bit_worth(level))


@given(st.floats(0, 51), st.integers(1, 64))
def test_pictures_that_others_are_predicted_from_are_coded_no_coarser(crf: float, distance: int) -> None:
    quality = Quality(crf, distance)
    steps, importance = ([of(level) for level in range(10)] for of in (quality.step, quality.hangs_on))
    assert steps == sorted(steps)
    assert importance == sorted(importance, reverse=True)
