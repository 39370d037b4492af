"""Loops that NumPy has no words for, compiled by numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """`function` as machine code, made at its first call and kept on disk where numba finds a place to write.

    It must not make arrays: those that it is given, and views of them, are used without counting references, which
    would take half of the time of small functions (an atomic operation each). Assigning an array to a part of another
    makes one, too (in case they overlap): that takes a loop.

    It runs without the interpreter's lock. Integers wrap at 64 bits as NumPy's do. What is kept is made anew when the
    file of `function` changes, but not when that of another one does: what calls each other belongs into one file.
    """
    options = {"nogil": True, "_nrt": False}
    try:
        cached: _Function = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no directory that numba could keep it in
        uncached: _Function = numba.njit(**options)(function)
        return uncached
    return cached
