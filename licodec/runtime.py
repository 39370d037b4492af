"""Threads and devices, chosen at run time. torch is loaded only for what needs it: that takes two seconds."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TypeVar

from licodec.errors import UnsupportedError, UsageError

_Item = TypeVar("_Item")
_Made = TypeVar("_Made")

MAX_THREADS = 1024
_SAMPLES_AT_ONCE = 1 << 25
"""Of pictures made at once: about a GiB with all that they are made of."""


_said = list[int]()
"""What `use_threads` said last, if anything."""


def use_threads(threads: int | None) -> int:
    """Let torch and OpenCV use `threads` CPU threads (None: all that this process may use); returns their number."""
    import cv2

    if threads is not None and not 1 <= threads <= MAX_THREADS:
        raise UsageError(f"threads is {threads}, outside 1..{MAX_THREADS}")
    count = threads or len(os.sched_getaffinity(0))
    _said[:] = [count]
    cv2.setNumThreads(count)
    if "torch" in sys.modules:
        load_torch()
    return count


def load_torch() -> None:
    """Load torch, if it is not yet, with the threads that `use_threads` said."""
    import torch

    for count in _said:
        torch.set_num_threads(count)


def pictures_at_once(samples: int, pictures: int, threads: int) -> int:
    """How many pictures of so many samples are to be made at once on a CPU, each with its share of the threads.

    A picture is made in many short steps, of which few gain from a second thread.
    """
    return max(1, min(threads, pictures, _SAMPLES_AT_ONCE // samples))


@contextmanager
def sharing_threads(count: int) -> Iterator[None]:
    """Let torch and OpenCV use `count` threads for a while: what is left for each of several that work at once."""
    before = next(iter(_said), None)
    use_threads(count)
    try:
        yield
    finally:
        use_threads(before)


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """torch, if it is loaded, with one thread for each product: of small ones a thread for each picture makes more."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def in_order(work: Callable[[_Item], _Made], items: Iterable[_Item], threads: int, ahead: int) -> Iterator[_Made]:
    """What `work` makes of each item, in their order; the next `ahead` are made in threads while the caller goes on.

    An error of `work` is raised in its place. Nobody is waited for when the caller wants no more.
    """
    remaining, pool = iter(items), ThreadPoolExecutor(threads)
    waiting = deque(pool.submit(work, item) for item in islice(remaining, ahead))
    try:
        while waiting:
            made = waiting.popleft().result()
            waiting.extend(pool.submit(work, item) for item in islice(remaining, 1))
            yield made
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def pictures_in_order(work: Callable[[_Item], _Made], items: Iterable[_Item], pictures: int) -> Iterator[_Made]:
    """`in_order` for pictures of which so many are made at once; one more is begun, so that no thread waits while the
    caller takes a picture.
    """
    return in_order(work, items, pictures, pictures + 1)


def release_memory() -> None:
    """Give what was freed back to the system (glibc keeps it, in pieces that the next stage cannot all use)."""
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)


def pick_device(device: str) -> str:
    """`auto`, `cpu`, `cuda` or `cuda:n` to a device that is there."""
    if device == "cpu" or (device == "auto" and not _has_driver()):
        return "cpu"
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cuda(:\d+)?", device):
        raise UsageError(f"device {device!r} is not one of auto, cpu, cuda, cuda:n")
    if not torch.cuda.is_available():
        raise UnsupportedError(f"device {device} is not available: this PyTorch sees no CUDA device; use --device cpu")
    index = int(device[5:]) if ":" in device else 0
    if index >= torch.cuda.device_count():
        raise UnsupportedError(f"device {device} is not there: this machine has {torch.cuda.device_count()}")
    return device


@lru_cache(maxsize=1)
def _has_driver() -> bool:
    """Whether a GPU's driver is there, without which torch sees none: NVIDIA's, or AMD's kernel device."""
    for library in ("libcuda.so.1", "nvcuda.dll"):
        with suppress(OSError):
            ctypes.CDLL(library)
            return True
    return Path("/dev/kfd").exists()
