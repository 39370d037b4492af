"""Every reader gets the same integers from these files, and the same pictures within a code value."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import licodec
from licodec.container import LinrReader, verify
from licodec.entropy.reference import decode_segment
from licodec.model.config import profile_name
from licodec.runtime import use_threads

from .check import FOLDER, MANIFEST, distance, files, integers, sha256, tolerance

ROOT = Path(__file__).parents[2]
KNOWN = json.loads(MANIFEST.read_text())
NAMES = sorted(KNOWN)
FEATURES = {
    "profiles": lambda r: profile_name(r.conf),
    "formats": lambda r: r.info.chroma,
    "depths": lambda r: r.info.bit_depth,
    "rotations": lambda r: r.info.rotation,
    "odd sizes": lambda r: bool(r.info.width % 2 and r.info.height % 2),
    "sides of one sample": lambda r: (r.info.width == 1, r.info.height == 1),
    "several segments": lambda r: len(r.segments) > 1,
    "variable rates": lambda r: len({b - a for a, b in zip(r.pts, r.pts[1:], strict=False)}) > 1,
    "copied streams": lambda r: bool(r.ancillary("auxS")),
    "heads": lambda r: len(r.ancillary("semL")),
    "unknown chunks": lambda r: bool(r.ancillary("zzzz")),
}


def path_of(name: str) -> Path:
    return FOLDER / f"{name}.linr"


@pytest.fixture(autouse=True)
def one_thread_afterwards() -> object:
    yield
    use_threads(1)


def test_nothing_is_missing_and_the_folder_is_small() -> None:
    assert sorted(path.stem for path in files()) == NAMES
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 300_000


@pytest.mark.parametrize("feature", FEATURES)
def test_the_files_differ_in_every_feature(feature: str) -> None:
    found = set()
    for path in files():
        with LinrReader(path) as reader:
            found.add(FEATURES[feature](reader))
    assert len(found) >= {"formats": 5, "depths": 3, "sides of one sample": 4, "rotations": 3}.get(feature, 2), found


def test_some_keep_their_network_and_some_drop_it() -> None:
    kept = set()
    for path in files():
        with licodec.open(path) as video:
            player = video._player(0)
            if hasattr(player, "_network"):
                kept.add(player._network is not None)
    assert kept == {False, True}


@pytest.mark.parametrize("name", NAMES)
def test_integers(name: str) -> None:
    assert verify(path_of(name)) == []
    assert path_of(name).stat().st_size == KNOWN[name]["bytes"]
    assert integers(path_of(name)) == KNOWN[name]["integers"]


@pytest.mark.parametrize("name", NAMES)
def test_the_slow_decoder_agrees_bit_for_bit(name: str) -> None:
    assert integers(path_of(name), reference=True) == KNOWN[name]["integers"]


@pytest.mark.parametrize("threads", sorted({1, 2, len(os.sched_getaffinity(0))}))
def test_pictures(threads: int) -> None:
    use_threads(threads)
    for path in files():
        with LinrReader(path) as reader:
            depth = reader.info.bit_depth
        apart = distance(path)
        assert apart["max"] <= tolerance(depth), (path.stem, apart)
        assert apart["rms"] < 0.1, (path.stem, apart)
        assert apart["others"] < 2 ** (depth - 8), (path.stem, apart)


def elsewhere(names: list[str], threads: int = 1, **variables: str) -> None:
    """All of it in another process, which takes these variables for the truth about its processor."""
    program = "\n".join(
        [
            "import runpy, sys, torch",
            "print(torch.backends.cpu.get_cpu_capability(), file=sys.stderr)",
            "runpy.run_path(sys.argv[0], run_name='__main__')",
        ]
    )
    script = str(Path(__file__).with_name("check.py"))
    start = f"import sys; sys.argv = [{script!r}, *sys.argv[1:]]\n{program}"
    done = subprocess.run(
        [sys.executable, "-c", start, "--threads", str(threads), *names],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    if wanted := variables.get("ATEN_CPU_CAPABILITY"):
        assert wanted.upper() in done.stderr.splitlines()[0].upper()
    report = json.loads(done.stdout)
    assert sorted(report) == sorted(names or NAMES)
    for name, found in report.items():
        with LinrReader(path_of(name)) as reader:
            allowed = tolerance(reader.info.bit_depth)
        assert found["exact"], name
        assert found["max"] <= allowed, (name, found)
    print({name: found for name, found in report.items() if found["max"]})


OLDEST = {
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "OPENCV_CPU_DISABLE": "AVX,FP16,AVX2,FMA3",
    "NPY_DISABLE_CPU_FEATURES": "AVX2,FMA3",
    "MKL_CBWR": "COMPATIBLE",
}
"""What each library takes for the least processor."""
NEWER = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_CBWR": "AVX2"}


def test_on_the_least_processor_with_two_threads() -> None:
    elsewhere([], 2, **OLDEST)


def test_without_compiled_loops() -> None:
    elsewhere(["420-8", "paper-gray"], NUMBA_DISABLE_JIT="1")


@pytest.mark.slow
@pytest.mark.parametrize(
    "variables",
    [{}, NEWER, {"NUMBA_CPU_NAME": "generic"}, {"NUMBA_DISABLE_JIT": "1"}, *({k: v} for k, v in OLDEST.items())],
    ids=str,
)
@pytest.mark.parametrize("threads", [1, 2])
def test_on_other_processors(variables: dict[str, str], threads: int) -> None:
    elsewhere([], threads, **variables)


@pytest.mark.needs_cuda
@pytest.mark.parametrize("name", NAMES)
def test_on_a_gpu(name: str) -> None:
    with LinrReader(path_of(name)) as reader:
        depth = reader.info.bit_depth
    assert distance(path_of(name), "cuda")["max"] <= tolerance(depth)


def test_the_comparison_sees_a_difference() -> None:
    """One symbol, one shape or one type of thing less is another digest."""
    with LinrReader(path_of("gray-8")) as reader:
        from licodec.container import ByteReader
        from licodec.model.config import ModelConfig
        from licodec.model.geometry import Geometry

        conf = ByteReader(reader.conf)
        conf.u8()
        config = ModelConfig.from_reader(conf)
        payload, geometry = reader.read_segment(0), Geometry.of(reader.info)
        symbols = decode_segment(payload, geometry, config, len(reader.pts))
    before = sha256(symbols)
    symbols.pictures[0].quantiser += 1
    assert sha256(symbols) != before
    symbols.pictures[0].quantiser -= 1
    assert sha256(symbols) == before
    assert sha256(np.zeros((2, 3), np.int16)) != sha256(np.zeros((3, 2), np.int16))
