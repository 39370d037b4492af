"""Work for idle threads: anchors are alone in their batch, and half of an encode is spent on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import cv2

_Item = TypeVar("_Item")
_Made = TypeVar("_Made")


def each(work: Callable[[_Item], _Made], items: Iterable[_Item]) -> list[_Made]:
    """What `work` makes of each item, on as many threads as OpenCV may use (`runtime.use_threads`)."""
    threads = cv2.getNumThreads()
    if threads < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, items))
