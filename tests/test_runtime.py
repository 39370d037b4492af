"""Work in threads whose results come in order."""

from __future__ import annotations

import itertools
import threading

import pytest

from licodec.runtime import in_order


def test_results_come_in_the_order_of_the_items_whoever_is_first() -> None:
    second = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert second.wait(30), "the next one is made meanwhile"
        if item == 1:
            second.set()
        return item * item

    assert list(in_order(work, range(5), 2, 3)) == [0, 1, 4, 9, 16]


def test_no_more_is_begun_than_was_said() -> None:
    begun = []
    made = in_order(begun.append, itertools.count(), 1, 3)
    next(made)
    made.close()
    assert begun == sorted(begun)
    assert len(begun) <= 4


def test_an_error_comes_in_its_place() -> None:
    made = in_order(lambda item: 6 // item, [2, 1, 0, 3], 2, 4)
    assert [next(made), next(made)] == [3, 6]
    with pytest.raises(ZeroDivisionError):
        next(made)
    assert list(made) == []
