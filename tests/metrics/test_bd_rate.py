"""BD-rate of curves whose answer is known."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licodec.metrics.bd_rate import bd_rate

CURVE = [(0.01, 32.0), (0.02, 34.5), (0.05, 37.0), (0.1, 39.0), (0.2, 40.5)]


@pytest.mark.parametrize("method", ["akima", "pchip"])
@given(st.floats(0.2, 5))
def test_rates_scaled_by_a_factor_differ_by_that_factor(method, factor: float) -> None:
    result = bd_rate(CURVE, [(rate * factor, quality) for rate, quality in CURVE], method)
    assert result.percent == pytest.approx(100 * (factor - 1), rel=1e-6, abs=1e-6)
    assert result.overlap == 1


def test_order_and_number_of_points_do_not_matter() -> None:
    assert bd_rate(CURVE, CURVE[:0:-1]).percent == pytest.approx(0, abs=1)


def test_overlap_is_reported_and_nothing_shared_is_nan() -> None:
    higher = [(rate, quality + 8) for rate, quality in CURVE]
    assert bd_rate(CURVE, higher).overlap == pytest.approx((40.5 - 40) / (48.5 - 32))
    apart = bd_rate(CURVE, [(rate, quality + 20) for rate, quality in CURVE])
    assert math.isnan(apart.percent)
    assert apart.overlap == 0


@pytest.mark.parametrize(
    ("curve", "what"),
    [
        (CURVE[:3], "needs 4 points"),
        ([*CURVE, (0.3, 40.5)], "does not rise"),
        ([*CURVE, (0.3, 40.0)], "does not rise"),
        ([*CURVE, (0.2, 42.0)], "does not rise"),
        ([(0.0, 30.0), *CURVE], "does not rise"),
        ([*CURVE, (0.3, math.inf)], "does not rise"),
    ],
)
def test_curves_without_an_inverse_are_refused(curve, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        bd_rate(CURVE, curve)
