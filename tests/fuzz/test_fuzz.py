"""The fuzzers' targets on their corpus, and on changes of it: `tests/fuzz/run.py` does it for as long as wanted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from . import run, targets


def test_every_target_has_a_corpus_that_is_small() -> None:
    assert set(targets.TARGETS) == set(run.NAMES) == {path.name for path in run.CORPUS.iterdir()}
    assert sum(path.stat().st_size for path in run.CORPUS.rglob("*") if path.is_file()) < 300_000


@pytest.mark.parametrize("name", run.NAMES)
def test_the_corpus(name: str) -> None:
    outcomes = set()
    for path in sorted((run.CORPUS / name).iterdir()):
        outcomes.add(targets.run(targets.TARGETS[name], path.read_bytes()))
    assert "read" in outcomes, "nothing in it is sound, so little of what is behind can be reached"


@pytest.mark.parametrize("name", run.NAMES)
def test_changes_of_it(name: str, tmp_path: Path) -> None:
    most = {"header": 3000, "config": 3000, "container": 300, "sealed": 300}.get(name, 25)
    report = run.by_mutation(name, 60, tmp_path, most)
    print(name, report)
    assert report["executions"] == most
    assert report["findings"] == []


def test_a_fault_is_found_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(data: bytes) -> None:
        if len(data) % 7 == 3:
            raise IndexError("not one of the file's own errors")

    monkeypatch.setitem(targets.TARGETS, "config", faulty)
    report = run.by_mutation("config", 60, tmp_path, 300)
    assert report["findings"]
    assert all(len((tmp_path / name).read_bytes()) % 7 == 3 for name in report["findings"])  # type: ignore[attr-defined]


def test_mutations_are_reproducible_and_bounded() -> None:
    seeds = [b"abc", bytes(4000)]
    first, second = (Random(1) for _ in range(2))
    some = [run.mutated(seeds, first) for _ in range(200)]
    assert some == [run.mutated(seeds, second) for _ in range(200)]
    assert len(set(some)) > 100
    assert max(map(len, some)) <= run.LONGEST


def test_the_command_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            Path(run.__file__),
            "config",
            "--seconds",
            "1",
            "--out",
            tmp_path,
            "--findings",
            tmp_path / "f",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "1 passed, 0 failed"), done.stderr
    assert (tmp_path / "fuzz.json").exists()
    assert not (tmp_path / "f").exists()
