"""Compiled functions: what numba keeps on disk must not outlive a change of the source."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from licodec.fit import quadtree

CALLED = """
from licodec.jit import inlined

@inlined
def called(x):
    return x + {}
"""
BETWEEN = """
from licodec.jit import compiled
from licodec_called import called

@compiled
def between(x):
    return called(x)
"""
CALLING = """
from licodec.jit import compiled
from licodec_between import between

@compiled
def calling(x):
    return between(x)

print(calling(1), sum(calling.stats.cache_hits.values()))
"""


def run(where: Path) -> list[int]:
    """The numbers that `main.py` prints."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(["", str(where), *sys.path])}
    done = subprocess.run(
        [sys.executable, str(where / "main.py")], env=environment, capture_output=True, text=True, check=True
    )
    return [int(word) for word in done.stdout.split()]


def test_what_is_kept_is_made_anew_when_a_called_file_changes(tmp_path: Path) -> None:
    (tmp_path / "licodec_called.py").write_text(CALLED.format(1))
    (tmp_path / "licodec_between.py").write_text(BETWEEN)
    (tmp_path / "licodec_calling.py").write_text(CALLING)
    (tmp_path / "main.py").write_text("import licodec_calling\n")
    assert run(tmp_path) == [2, 0]
    assert run(tmp_path) == [2, 1]
    (tmp_path / "licodec_called.py").write_text(CALLED.format(10))
    assert run(tmp_path) == [11, 0]


KEPT = """
from licodec.jit import compiled

@compiled
def kept(x):
    return x + x
"""
AT_ONCE = """
from pathlib import Path
from licodec_kept import kept

files = kept._cache._cache_file
before = files._load_index()
kept(1)
# Another process that read the index before that, and has another type.
files._save_index(before)
kept(1.5)
print(len(files._load_index()), len(list(Path(files._cache_path).glob("*.nbc"))))
"""


def test_code_for_different_types_never_has_the_same_file(tmp_path: Path) -> None:
    (tmp_path / "licodec_kept.py").write_text(KEPT)
    (tmp_path / "main.py").write_text(AT_ONCE)
    # The index has one of the two, and there are two files.
    assert run(tmp_path) == [1, 2]


def test_intrinsics_count_as_called() -> None:
    stamp = quadtree.best_trees._cache._cache_file._source_stamp  # type: ignore[attr-defined]
    assert {"licodec.fit.tiles", "licodec.fit.motion_kernels"} <= {part[0] for part in stamp[1:]}


def test_inlined_functions_are_still_functions() -> None:
    bits = quadtree._bits(0, 0, np.array([1.5, 9], np.float32), np.ones((2, 4), np.float32))
    assert bits == 1.5
