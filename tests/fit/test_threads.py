"""Work for idle threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import cv2
import pytest

from licodec.fit.threads import each


@pytest.fixture(params=[1, 2, 5])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = cv2.getNumThreads()
    cv2.setNumThreads(request.param)
    yield request.param
    cv2.setNumThreads(before)


def test_results_are_in_the_order_of_the_items(threads: int) -> None:
    assert each(lambda x: x * x, range(20)) == [x * x for x in range(20)]
    assert each(lambda x: x, []) == []


def test_an_error_reaches_the_caller(threads: int) -> None:
    def work(x: int) -> float:
        return 1 / (x - 3)

    with pytest.raises(ZeroDivisionError):
        each(work, range(8))


def test_work_may_ask_for_threads_itself(threads: int) -> None:
    """With all helpers busy, too: nobody waits for what nobody does."""

    def inner(x: int) -> int:
        return sum(each(lambda y: x * y, range(4)))

    def outer(x: int) -> int:
        return sum(each(inner, range(x, x + 4)))

    assert each(outer, range(6)) == [sum(6 * y for y in range(x, x + 4)) for x in range(6)]


def test_threads_work_at_the_same_time() -> None:
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    try:
        both = threading.Barrier(2, timeout=30)
        each(lambda _: both.wait(), range(2))
    finally:
        cv2.setNumThreads(before)
