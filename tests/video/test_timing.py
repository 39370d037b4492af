"""Timestamps: kept when they are sound, repaired when they are not."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from licodec.video.timing import Clock, frame_step, with_durations

TICKS = st.integers(-(10**12), 10**12)


def run(stamps, time_base=Fraction(1, 1000), step=40, least=1):
    clock = Clock(time_base, step, least)
    return [clock.next(stamp) for stamp in stamps], clock.repairs


@given(st.lists(TICKS, unique=True).map(sorted))
def test_increasing_timestamps_are_untouched(stamps):
    assert run(stamps) == (stamps, 0)


@given(st.lists(st.none() | TICKS, max_size=40), st.integers(1, 100))
def test_the_result_always_increases(stamps, step):
    out, repairs = run(stamps, step=step)
    assert all(a < b for a, b in pairwise(out))
    assert (repairs == 0) == (out == stamps)


def test_one_false_timestamp_moves_nothing_else():
    assert run([0, 40, 120, 80, 160, 200]) == ([0, 40, 120, 121, 160, 200], 1)
    assert run([0, 40, 40, 80]) == ([0, 40, 41, 80], 1)


def test_a_new_start_of_the_clock_goes_on_after_the_old():
    assert run([5000, 5040, 0, 40, 80]) == ([5000, 5040, 5080, 5120, 5160], 1)


def test_missing_timestamps_follow_the_rate():
    assert run([None, None, None]) == ([0, 40, 80], 3)
    assert run([7, None, 100]) == ([7, 47, 100], 1)


def test_equal_timestamps_where_they_are_allowed():
    assert run([5, 5, 4, 9], least=0) == ([5, 5, 5, 9], 1)


def test_frame_step():
    assert frame_step(Fraction(30000, 1001), Fraction(1, 30000)) == 1001
    assert frame_step(None, Fraction(1, 12800)) == 512
    assert frame_step(Fraction(1000), Fraction(1, 25)) == 1


def test_durations_reach_to_the_next_frame():
    planes = (np.zeros((1, 1), np.uint8),)
    frames = list(with_durations([(planes, 0, 1), (planes, 30, 1), (planes, 35, 9)]))
    assert [(f.pts, f.duration) for f in frames] == [(0, 30), (30, 5), (35, 9)]
    assert [f.duration for f in with_durations([(planes, 3, 0)])] == [1]
    assert list(with_durations([])) == []
