"""The order of coding: every frame once, references first, and motion between all neighbours."""

from __future__ import annotations

from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licodec.fit.segment import split_groups
from licodec.model.pyramid import Picture, pyramid

GROUPS = st.lists(st.integers(1, 40), max_size=6).map(tuple)


def in_coding_order(groups: tuple[int, ...]) -> list[Picture]:
    return [picture for batch in pyramid(groups) for picture in batch]


@given(GROUPS)
def test_every_frame_is_coded_exactly_once(groups: tuple[int, ...]) -> None:
    assert sorted(p.frame for p in in_coding_order(groups)) == list(range(sum(groups) + 1))


@given(GROUPS)
def test_a_batch_needs_only_earlier_batches(groups: tuple[int, ...]) -> None:
    known: set[int] = set()
    for batch in pyramid(groups):
        assert batch
        assert len({p.level for p in batch}) == 1
        for picture in batch:
            assert known.issuperset(picture.refs)
        known |= {p.frame for p in batch}


@given(GROUPS)
def test_anchors_stand_where_the_groups_end(groups: tuple[int, ...]) -> None:
    anchors = list(accumulate(groups, initial=0))
    pictures = in_coding_order(groups)
    assert [p.frame for p in pictures if p.level == 0] == anchors[:1]
    chain = [p for p in pictures if p.level == 1]
    assert [p.frame for p in chain] == anchors[1:]
    assert [p.refs for p in chain] == [(anchors[i], anchors[max(0, i - 1)]) for i in range(len(groups))]


@given(GROUPS)
def test_what_lies_between_is_predicted_from_both_sides_and_near_the_middle(groups: tuple[int, ...]) -> None:
    levels = {p.frame: p.level for p in in_coding_order(groups)}
    for picture in in_coding_order(groups):
        if picture.level < 2:
            continue
        past, future = picture.refs
        assert past < picture.frame < future
        assert 0 <= (future - picture.frame) - (picture.frame - past) <= 1
        if picture.level == 2:
            assert max(levels[past], levels[future]) <= 1
        else:
            assert max(levels[past], levels[future]) == picture.level - 1


@given(GROUPS)
def test_levels_grow_with_the_logarithm_of_the_distance(groups: tuple[int, ...]) -> None:
    deepest = max(p.level for p in in_coding_order(groups))
    assert deepest == max(((g - 1).bit_length() + 1 for g in groups), default=0)


@given(GROUPS)
def test_neighbours_always_have_motion_between_them(groups: tuple[int, ...]) -> None:
    """Interpolation in time follows it: one of two neighbours refers to the other."""
    refs = {p.frame: p.refs for p in in_coding_order(groups)}
    for a, b in pairwise(range(sum(groups) + 1)):
        assert b in refs[a] or a in refs[b]


@given(GROUPS)
def test_the_last_batch_ends_the_last_group(groups: tuple[int, ...]) -> None:
    first = sum(groups) - groups[-1] if groups else 0
    assert all(first <= p.frame <= sum(groups) for p in pyramid(groups)[-1])


@given(GROUPS, st.integers(1, 9))
def test_large_batches_are_split_in_order(groups: tuple[int, ...], most: int) -> None:
    split = pyramid(groups, most)
    assert all(1 <= len(batch) <= most and len({p.level for p in batch}) == 1 for batch in split)
    assert [p for batch in split for p in batch] == in_coding_order(groups)
    # No batch is split that need not be.
    assert len(split) == sum(-(-len(batch) // most) for batch in pyramid(groups))


def test_a_still_is_one_picture_without_references() -> None:
    assert pyramid(()) == [[Picture(0, 0, ())]]


def test_a_group_of_four_by_hand() -> None:
    assert pyramid((4,)) == [
        [Picture(0, 0, ())],
        [Picture(4, 1, (0, 0))],
        [Picture(2, 2, (0, 4))],
        [Picture(1, 3, (0, 2)), Picture(3, 3, (2, 4))],
    ]


@given(st.integers(1, 500), st.integers(1, 64))
def test_split_groups_are_full_but_for_the_last(frames: int, distance: int) -> None:
    groups = split_groups(frames, distance)
    assert sum(groups) == frames - 1
    if groups:
        assert set(groups[:-1]) <= {distance}
        assert 1 <= groups[-1] <= distance
        # No fewer groups could keep to the distance.
        assert (len(groups) - 1) * distance < frames - 1


def test_anchors_of_long_segments_are_farther_apart() -> None:
    assert split_groups(95) == (16,) * 5 + (14,)
    assert split_groups(96) == (32, 32, 31)


@pytest.mark.parametrize("frames", [0, 1])
def test_no_groups_without_a_second_frame(frames: int) -> None:
    assert split_groups(frames, 16) == ()
