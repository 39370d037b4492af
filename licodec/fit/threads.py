"""Work for idle threads: near the top of the pyramid there are fewer pictures than threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

import cv2

_Item = TypeVar("_Item")
_Made = TypeVar("_Made")


def each(work: Callable[[_Item], _Made], items: Iterable[_Item]) -> list[_Made]:
    """What `work` makes of each item, on as many threads as OpenCV may use (`runtime.use_threads`).

    The calling thread works, too, and waits for nobody who has not begun: `work` may itself call this.
    """
    waiting = list(items)
    count, threads = len(waiting), cv2.getNumThreads()
    if min(count, threads) < 2:
        return [work(item) for item in waiting]
    made: dict[int, _Made] = {}
    # Taking the next one is a single step for the interpreter, so each is taken once.
    places = iter(range(count))

    def some() -> None:
        for i in places:
            made[i] = work(waiting[i])

    helpers = [_helpers(threads).submit(some) for _ in range(min(count, threads) - 1)]
    try:
        some()
    finally:
        for helper in [helper for helper in helpers if not helper.cancel()]:
            helper.result()
    return [made[i] for i in range(count)]


@lru_cache(maxsize=1)
def _helpers(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads - 1)
