"""Fuzzes every target: python tests/fuzz/run.py [--seconds 60] [--out benchmarks/results] [TARGET ...]

By atheris (libFuzzer with the coverage of licodec's Python code) where it is installed, as `.[dev]` does where it has
wheels; otherwise by a small driver that mutates the corpus without looking at coverage. With --keep the smallest inputs
that reach something new are added to the corpus. Findings are written to fuzz-findings/, and make this end with
status 1. A release gets 30 minutes: --seconds 1800 --out benchmarks/results.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CORPUS = HERE / "corpus"
NAMES = ("container", "sealed", "header", "config", "entropy", "agreement", "player", "meaning")
LONGEST = 4096
"""Bytes of an input."""
KEPT = 30
"""New inputs that --keep adds for a target."""
_ATHERIS = """
import sys, atheris
sys.path[:0] = [{root!r}, {tests!r}]
with atheris.instrument_imports(include=['licodec', 'fuzz'], exclude={compiled!r}):
    from fuzz import targets
target = targets.TARGETS[{name!r}]
atheris.Setup(sys.argv, lambda data: targets.run(target, data) and None)
atheris.Fuzz()
"""


def _compiled() -> list[str]:
    """Modules with functions for numba, which must find them as they were written: atheris rewrites what it watches."""
    paths = [path for path in (ROOT / "licodec").rglob("*.py") if "@compiled" in path.read_text()]
    # The slow decoder would be slower still, and is not what is looked into.
    paths += (ROOT / "licodec/entropy/reference").glob("*.py")
    return [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths]


def by_atheris(name: str, seconds: int, keep: bool, findings: Path) -> dict[str, object]:
    """Fuzz one target in a process of its own; what was done and found."""
    program = _ATHERIS.format(root=str(ROOT), tests=str(HERE.parent), compiled=_compiled(), name=name)
    before = set(findings.glob(f"{name}-*"))
    with tempfile.TemporaryDirectory() as scratch:
        grown = Path(scratch) / "corpus"
        grown.mkdir()
        command = [sys.executable, "-c", program, str(grown), str(CORPUS / name), f"-max_total_time={seconds}"]
        command += [
            f"-max_len={LONGEST}",
            "-timeout=60",
            "-report_slow_units=60",
            "-rss_limit_mb=3072",
            "-print_final_stats=1",
            "-seed=1",
        ]
        command += [f"-artifact_prefix={findings}/{name}-"]
        started = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        took = time.monotonic() - started
        found = sorted(p.name for p in set(findings.glob(f"{name}-*")) - before)
        if done.returncode and not found:
            raise SystemExit(f"{name}: {done.stderr[-2000:]}")
        if found:
            print(done.stderr[-6000:], file=sys.stderr)
        if keep:
            for new in sorted(grown.iterdir(), key=lambda path: path.stat().st_size)[:KEPT]:
                (CORPUS / name / new.name[:16]).write_bytes(new.read_bytes())
    stats = dict(re.findall(r"stat::(\w+):\s+(\d+)", done.stderr))
    return {"executions": int(stats.get("number_of_executed_units", 0)), "seconds": round(took), "findings": found}


def by_mutation(name: str, seconds: float, findings: Path, most: int | None = None, seed: int = 1) -> dict[str, object]:
    """The same without coverage: changes of the corpus at random."""
    sys.path[:0] = [str(ROOT), str(HERE.parent)]
    from fuzz.targets import TARGETS, run

    random, counts, found = Random(f"{name}{seed}"), Counter[str](), []
    seeds = [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]
    started = time.monotonic()
    while time.monotonic() - started < seconds and counts.total() != most:
        data = mutated(seeds, random)
        try:
            counts[run(TARGETS[name], data)] += 1
        except Exception as error:
            counts["fault"] += 1
            path = findings / f"{name}-{type(error).__name__}-{counts['fault']}"
            path.write_bytes(data)
            found.append(path.name)
    took = round(time.monotonic() - started)
    return {"executions": counts.total(), "seconds": took, "findings": found, "outcomes": dict(counts)}


def mutated(seeds: list[bytes], random: Random) -> bytes:
    """One of the seeds with a few changes: bits, interesting bytes, cuts, repeats, a piece of another."""
    data = bytearray(random.choice(seeds))
    for _ in range(random.choice((1, 1, 2, 3, 8))):
        at = random.randrange(len(data) + 1)
        match random.randrange(7):
            case 0 if data:
                data[at % len(data)] ^= 1 << random.randrange(8)
            case 1 if data:
                data[at % len(data)] = random.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF, random.randrange(256)))
            case 2:
                del data[at : at + random.choice((1, 2, 4, 16))]
            case 3:
                data[at:at] = random.randbytes(random.choice((1, 2, 4, 8)))
            case 4:
                piece = data[at : at + random.randrange(1, 32)]
                data[at:at] = piece * random.choice((1, 2, 20))
            case 5:
                other = random.choice(seeds)
                start = random.randrange(len(other) + 1)
                data[at : at + 8] = other[start : start + random.randrange(1, 64)]
            case _:
                data[at:] = b""
    return bytes(data[:LONGEST])


def main() -> int:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(NAMES))
    parser.add_argument("--seconds", type=int, default=60, help="for all targets together")
    parser.add_argument("--jobs", type=int, default=1, help="targets fuzzed at once (by atheris)")
    parser.add_argument("--out", type=Path, help="a folder for fuzz.json")
    parser.add_argument("--keep", action="store_true", help="let the corpus grow")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"))
    options = parser.parse_args()
    names = options.targets or NAMES
    options.findings.mkdir(exist_ok=True)
    has_atheris = importlib.util.find_spec("atheris") is not None
    report: dict[str, object] = {"driver": "atheris" if has_atheris else "mutation", "seconds": options.seconds}
    failed = 0
    jobs = min(options.jobs, len(names)) if has_atheris else 1
    each = max(1, options.seconds * jobs // len(names))

    def fuzz(name: str) -> dict[str, object]:
        if has_atheris:
            return by_atheris(name, each, options.keep, options.findings)
        return by_mutation(name, each, options.findings)

    with ThreadPoolExecutor(jobs) as pool:
        results = dict(zip(names, pool.map(fuzz, names), strict=True))
    for name, result in results.items():
        print(name, json.dumps(result), flush=True)
        failed += len(result["findings"])  # type: ignore[arg-type]
        report[name] = result
    if options.out:
        (options.out / "fuzz.json").write_text(json.dumps(report, indent=1) + "\n")
    if not failed:
        with os.scandir(options.findings) as left:
            empty = not any(left)
        if empty:
            options.findings.rmdir()
    bad = sum(bool(report[name]["findings"]) for name in names)  # type: ignore[index]
    print(f"{len(names) - bad} passed, {bad} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
