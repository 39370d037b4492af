"""Compiled functions: what numba keeps on disk must not outlive a change of the source."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

import licodec


def modules() -> list[ModuleType]:
    found = pkgutil.walk_packages(licodec.__path__, "licodec.")
    return [importlib.import_module(m.name) for m in found]


def test_compiled_functions_call_only_those_of_their_own_file() -> None:
    checked = 0
    for module in modules():
        for function in vars(module).values():
            body = getattr(function, "py_func", None)
            if body is None or body.__module__ != module.__name__:
                continue
            checked += 1
            for name in body.__code__.co_names:
                called = getattr(body.__globals__.get(name), "py_func", None)
                assert called is None or called.__module__ == module.__name__, f"{module.__name__}.{name}"
    assert checked >= 10
