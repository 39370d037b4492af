"""Fitting the loop filter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from licodec.fit.loop_filter import fit_filter
from licodec.model.symbols import FILTER_MAX, FILTER_WEIGHTS
from licodec.quant.steps import FILTER_STEP
from licodec.render.loop_filter import filtered, limit

STEP = 20.0
NONE = np.zeros(FILTER_WEIGHTS, np.int32)


def rough(seed: int, shape: tuple[int, int] = (60, 70)) -> np.ndarray:
    return np.random.default_rng(seed).normal(128, 6, shape).astype(np.float32)


def behind(plane: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return filtered(plane, (weights * FILTER_STEP).astype(np.float32), limit(STEP))


def error(weights: np.ndarray, planes: list[np.ndarray], wanted: list[np.ndarray]) -> float:
    return sum(
        float(np.square(behind(plane, weights) - goal).sum()) for plane, goal in zip(planes, wanted, strict=True)
    )


@pytest.mark.parametrize("last", [NONE, np.arange(-6, 6, dtype=np.int32)])
def test_a_filter_is_found_again(last: np.ndarray) -> None:
    """Over two planes, whatever it is coded after."""
    made = np.array([9, -4, 20, 0, 12, 7, -3, 0, 5, -8, 1, 2], np.int32)
    planes = [rough(0), rough(1)]
    found = fit_filter([behind(p, made) for p in planes], planes, STEP, 1e-9, last)
    assert found.dtype == np.int32
    # Least squares shrink a little where weights are hard to tell apart.
    np.testing.assert_allclose(found, made, atol=1)


def test_bits_that_are_worth_much_are_not_spent() -> None:
    plane, last = rough(2), np.array([5, 0, -3, *[0] * 9], np.int32)
    np.testing.assert_array_equal(fit_filter([plane + 1], [plane], STEP, 1e9, last), last)


def test_it_is_the_noise_of_coding_that_goes() -> None:
    random = np.random.default_rng(3)
    clean = np.repeat(np.repeat(random.uniform(60, 200, (6, 7)), 10, axis=0), 10, axis=1).astype(np.float32)
    coded = clean + random.normal(0, 2, clean.shape).astype(np.float32)
    found = fit_filter([clean], [coded], STEP, 1.0, NONE)
    assert error(found, [coded], [clean]) < 0.5 * error(NONE, [coded], [clean])


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.floats(1e-3, 1e6), st.sampled_from([(1, 1), (2, 3), (17, 5), (40, 40)]))
def test_what_is_found_costs_no_more_than_no_change(seed: int, worth: float, shape: tuple[int, int]) -> None:
    random = np.random.default_rng(seed)
    plane = rough(seed, shape)
    wanted = plane + random.normal(0, 3, shape).astype(np.float32)
    last = random.integers(-FILTER_MAX, FILTER_MAX + 1, FILTER_WEIGHTS, np.int32)
    found = fit_filter([wanted], [plane], STEP, worth, last)
    assert np.abs(found).max() <= FILTER_MAX
    gain = error(last, [plane], [wanted]) - error(found, [plane], [wanted])
    # A changed weight takes three bits or more, where one that stays takes a third of one; samples clip at the ends.
    assert gain >= worth * 2.7 * np.count_nonzero(found != last) - 0.02 * error(last, [plane], [wanted]) - 1e-3


def test_a_flat_picture_has_nothing_to_fit() -> None:
    flat = np.full((20, 20), 50, np.float32)
    np.testing.assert_array_equal(fit_filter([flat + 3], [flat], STEP, 1.0, NONE), NONE)
