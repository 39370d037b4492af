"""In which order the pictures of a segment are decided on."""

from __future__ import annotations

import pytest

from licodec.fit.closed_loop import with_next_anchor
from licodec.model.pyramid import Picture, pyramid


@pytest.mark.parametrize("groups", [(), (1,), (16,), (16, 16, 5), (2, 1, 1, 3), (1, 8, 1, 8, 2)])
def test_every_picture_comes_behind_what_it_is_predicted_from(groups: tuple[int, ...]) -> None:
    known = set[int]()
    for batch, ahead in with_next_anchor(pyramid(groups)):
        new = [picture for picture in (*batch, *ahead) if picture.frame not in known]
        assert all(set(picture.refs) <= known for picture in new)
        known |= {picture.frame for picture in new}
    assert known == set(range(sum(groups) + 1))


def test_the_next_anchor_is_decided_on_with_the_middle_of_the_group_before() -> None:
    beside: dict[int, list[Picture]] = {b[0].frame: a for b, a in with_next_anchor(pyramid((4, 4, 1, 4))) if a}
    assert {middle: [p.frame for p in anchors] for middle, anchors in beside.items()} == {2: [8], 6: [9]}


def test_batches_stay_in_coding_order() -> None:
    batches = pyramid((8, 8, 3), 2)
    assert [batch for batch, _ in with_next_anchor(batches)] == batches
