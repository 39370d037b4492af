"""Loops that NumPy has no words for, compiled by numba."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numba

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """`function` as machine code, made at its first call and kept on disk where numba finds a place to write.

    It must not make arrays: those that it is given, and views of them, are used without counting references, which
    would take half of the time of small functions (an atomic operation each). Assigning an array to a part of another
    makes one, too (in case they overlap): that takes a loop.

    It runs without the interpreter's lock. Integers wrap at 64 bits as NumPy's do. What is kept is made anew when the
    file of `function` changes, or one that it has compiled functions or intrinsics from.
    """
    return _compiled(function)


def inlined(function: _Function) -> _Function:
    """The same, as a part of every compiled function that calls it.

    To hand an array over takes its address, shape and strides, one by one: longer than a small function may run.
    """
    return _compiled(function, forceinline=True)


def _compiled(function: _Function, **more: bool) -> _Function:
    options = {"nogil": True, "_nrt": False, **more}
    try:
        cached: _Function = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no directory that numba could keep it in
        uncached: _Function = numba.njit(**options)(function)
        return uncached
    # numba itself looks at the file of the function alone. These attributes are its own affair: a test holds them.
    # With NUMBA_DISABLE_JIT functions are what they were.
    if cached is not function:
        kept = cached._cache._cache_file  # type: ignore[attr-defined]
        kept._source_stamp = (kept._source_stamp, *_stamps(function.__globals__, {function.__module__}))
        kept.save = partial(_keep, kept)
    return cached


def _keep(kept: Any, key: object, data: object) -> None:
    """Write code, and where it is to the index.

    numba numbers the files of a function. Two processes at once may take the same number for different types, or for
    different states of the source; what the index says last would then find the code of the other.
    """
    named = hashlib.sha256(repr((kept._version, kept._source_stamp, key)).encode()).hexdigest()[:16]
    index = kept._load_index()
    index[key] = f"{Path(kept._index_name).stem}.{named}.nbc"
    kept._save_data(index[key], data)
    kept._save_index(index)


def _stamps(names: dict[str, Any], seen: set[str]) -> list[tuple[str, int, int]]:
    """(module, time, size) of each file with code that a module's compiled functions may call, but of those `seen`."""
    found = list[tuple[str, int, int]]()
    for value in names.values():
        code = getattr(value, "py_func", None) or getattr(value, "_defn", None)
        home = getattr(code, "__module__", None)
        if home is None or home in seen or not home.startswith(__package__):
            continue
        seen.add(home)
        module = sys.modules[home]
        state = Path(str(module.__file__)).stat()
        found += [(home, state.st_mtime_ns, state.st_size), *_stamps(vars(module), seen)]
    return sorted(found)
