"""The search of a rate factor, on curves that stand in for encodes."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from licodec.errors import TargetError
from licodec.fit.rate_control import Target, search_crf
from licodec.fit.settings import CRF_RANGE

TRIALS = 9
Curve = Callable[[float], float]


def size_curve(middle: float, slope: float, bend: float) -> Curve:
    """Log bytes over CRF: falls everywhere, faster or slower towards the end."""
    return lambda crf: middle - slope * (crf - 25) + slope * bend * ((crf - 25) / 50) ** 2 * 25


def counted(curve: Curve) -> tuple[Curve, list[float]]:
    trials: list[float] = []

    def measure(crf: float) -> float:
        trials.append(crf)
        return curve(crf)

    return measure, trials


SIZES = st.builds(size_curve, st.floats(5, 16), st.floats(0.05, 0.3), st.floats(-0.8, 0.8))
PLACES = st.floats(1, 50)
"""The rate factor at which the target lies."""


@given(SIZES, PLACES)
def test_an_exact_size_is_met_from_below_within_3_percent(curve: Curve, place: float) -> None:
    goal = math.exp(curve(place))
    measure, trials = counted(curve)
    found = math.exp(curve(search_crf(Target.size(goal, exact=True), measure)))
    assert 0.969 * goal <= found <= goal
    assert len(trials) <= TRIALS


@given(SIZES, PLACES)
def test_a_bitrate_is_met_within_3_percent_either_way(curve: Curve, place: float) -> None:
    goal = math.exp(curve(place))
    measure, trials = counted(curve)
    found = math.exp(curve(search_crf(Target.size(goal, exact=False), measure)))
    assert 0.969 * goal <= found <= 1.031 * goal
    assert len(trials) <= TRIALS


@given(st.floats(30, 50), st.floats(0.2, 0.9), st.floats(-0.8, 0.8), PLACES)
def test_a_psnr_is_met_within_a_tenth(middle: float, slope: float, bend: float, place: float) -> None:
    curve = size_curve(middle, slope, bend)
    measure, trials = counted(curve)
    found = curve(search_crf(Target.psnr(curve(place)), measure))
    assert found == pytest.approx(curve(place), abs=0.1001)
    assert len(trials) <= TRIALS


@given(SIZES, PLACES)
def test_the_rate_factor_found_is_one_that_was_measured(curve: Curve, place: float) -> None:
    measure, trials = counted(curve)
    crf = search_crf(Target.size(math.exp(curve(place)), exact=False), measure)
    assert crf in trials
    assert all(CRF_RANGE[0] <= c <= CRF_RANGE[1] for c in trials)


@given(SIZES, PLACES)
def test_no_rate_factor_is_measured_twice(curve: Curve, place: float) -> None:
    measure, trials = counted(curve)
    search_crf(Target.size(math.exp(curve(place)), exact=True), measure)
    assert len(set(trials)) == len(trials)


def test_a_good_start_needs_one_trial() -> None:
    curve = size_curve(10, 0.1, 0)
    measure, trials = counted(curve)
    assert search_crf(Target.size(math.exp(curve(33)), exact=False), measure, start=33) == 33
    assert trials == [33]


@given(SIZES, st.floats(0.01, 3), st.sampled_from(["too small", "too large", "size too small"]))
@example(size_curve(5.0, 0.10683579712791914, 0.10546875), 0.107421875, "too large")  # .015 was near enough to stop at
def test_what_no_rate_factor_gives_is_a_target_error(curve: Curve, beyond: float, case: str) -> None:
    """Beyond either end of the range, by 1% to a factor of 20."""
    end = CRF_RANGE[0] if case == "too large" else CRF_RANGE[1]
    goal = math.exp(curve(end) + 0.05 + beyond if case == "too large" else curve(end) - 0.04 - beyond)
    measure, trials = counted(curve)
    with pytest.raises(TargetError):
        search_crf(Target.size(goal, exact=case.startswith("size")), measure)
    assert len(trials) <= TRIALS
    # It was tried where it would have been nearest.
    assert end in trials


def test_a_size_that_no_file_fills_gives_the_best_file() -> None:
    """Nobody wants an error because their picture fits into less."""
    curve = size_curve(10, 0.1, 0)
    assert search_crf(Target.size(1e9, exact=True), curve) == CRF_RANGE[0]


def test_the_error_names_the_target_the_nearest_and_what_to_do() -> None:
    with pytest.raises(TargetError) as caught:
        search_crf(Target.size(1000, exact=True), size_curve(math.log(5000), 0.01, 0))
    text = str(caught.value)
    assert "size of 985 bytes" not in text  # what was asked for, not what is aimed at
    assert "1,000 bytes" in text
    assert "crf 51, gives 3,855 bytes" in text
    assert "choose another target" in text
    assert "\n" not in text


def test_the_error_of_a_psnr_is_in_decibels() -> None:
    with pytest.raises(TargetError, match=r"PSNR of 60\.00 dB cannot be reached: the nearest .* gives 42\.00 dB"):
        search_crf(Target.psnr(60), lambda crf: 42 - 0.5 * crf)


@given(st.floats(6, 45), st.floats(0.05, 1.0), st.floats(0.1, 0.9))
def test_where_the_curve_jumps_over_a_size_the_largest_file_below_it_is_taken(
    where: float, jump: float, share: float
) -> None:
    """It jumps where the network stops to be worth its bits; a user gets a file all the same, never too large."""

    def curve(crf: float) -> float:
        return 10 - 0.1 * crf - (jump if crf > where else 0.0)

    below = curve(where + 1e-9)
    goal = below + share * jump
    measure, trials = counted(curve)
    found = curve(search_crf(Target.size(math.exp(goal), exact=True), measure))
    assert min(below, goal) - 0.031 <= found <= goal
    assert len(trials) <= TRIALS


def test_a_jump_over_the_band_is_left_for_where_the_curve_passes_it_again() -> None:
    """As on a clip of a few blocks: 38 dB is jumped over at CRF 36.8, and met between 35.9 and 36.3 alone."""

    def quality(crf: float) -> float:
        return 38.0 if 35.9 < crf < 36.3 else 50 - crf / 3 + (0.5 if crf < 36.8 else -0.5)

    assert 35.9 < search_crf(Target.psnr(38), quality) < 36.3
