"""What is written down of each measured point: one JSON object a line, appended as soon as it is known."""

from __future__ import annotations

import json
import math
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

ROOT = Path(__file__).parents[1]


class Keyed(Protocol):
    """A measured row, which says what makes two of them the same measurement."""

    @property
    def key(self) -> Any: ...


Row = TypeVar("Row", bound=Keyed)


@dataclass(frozen=True)
class Result:
    """One clip through one codec at one setting."""

    clip: str
    """Clip name, crop and cut included."""
    digest: str
    """Start of the SHA-256 of the frames that were encoded."""
    codec: str
    """Codec name."""
    preset: str
    """Its preset."""
    point: float
    """Its CRF."""
    width: int
    """Luma samples a row."""
    height: int
    """Luma rows."""
    frames: int
    """Frames encoded."""
    bytes: int
    """Bytes that count; see `benchmarks.codecs.Encoded.size`."""
    file_bytes: int
    """Bytes of the file on disk."""
    bpp: float
    """Bits that count for each luma sample."""
    encode_seconds: float
    """Wall time."""
    encode_cpu_seconds: float
    """CPU time of all threads."""
    metrics: dict[str, float]
    """`licodec.metrics.compare.Comparison.summary`, of the decoded file against the y4m."""
    command: str
    """The encode."""
    run: str
    """The benchmark's own command line."""
    machine: str
    """CPU and how many of them were used."""
    versions: str
    """Of PyAV, FFmpeg's libavcodec and PyTorch."""
    commit: str
    """Of this repository; `+` behind it if files were changed."""

    @property
    def key(self) -> tuple[str, str, str, str, float]:
        """What makes two results the same point."""
        return (self.clip, self.digest, self.codec, self.preset, self.point)

    @property
    def label(self) -> str:
        """Codec and preset, as in tables."""
        return f"{self.codec} {self.preset}"

    def quality(self, metric: str) -> float:
        """A value of `metrics`; MS-SSIM in dB, -10 log10(1 - x), on which equal steps look about equal."""
        value = self.metrics[metric]
        return -10 * math.log10(max(1 - value, 1e-10)) if metric.startswith("ms_ssim") else value


def read(path: Path) -> list[Result]:
    """Results of a JSONL file in order of their points; of two for the same point the later one counts."""
    return sorted(read_rows(path, Result), key=lambda result: result.key)


def read_rows(path: Path, kind: type[Row]) -> list[Row]:
    """Rows of a JSONL file; of two with the same key the later one counts."""
    lines = path.read_text().splitlines() if path.exists() else []
    return list({row.key: row for row in (kind(**json.loads(line)) for line in lines)}.values())


def append(path: Path, result: DataclassInstance) -> None:
    """Add one line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(asdict(result)) + "\n")


def command_line(benchmark: str, arguments: Sequence[str] | None) -> str:
    """What was typed to run a module of `benchmarks`; of folders of this machine only the last name."""
    words = []
    for word in sys.argv[1:] if arguments is None else arguments:
        option, sign, value = word.rpartition("=")
        words.append(f"{option}{sign}{Path(value).name}" if Path(value).is_absolute() else word)
    return shlex.join(["python", "-m", f"benchmarks.{benchmark}", *words])


_VECTORS = {"amx_bf16": "AMX", "avx512_bf16": "AVX512-bf16", "avx512f": "AVX512", "avx2": "AVX2"}
"""Linux's names of vector instructions, the most capable first."""


def machine() -> str:
    """CPU model with the widest vector instructions, by which times differ twofold between processors of one name, and
    the number of CPUs that this process may use.
    """
    model, found = platform.processor() or platform.machine(), set[str]()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        fields = dict(line.split(":", 1) for line in cpuinfo.read_text().splitlines() if ":" in line)
        about = {key.strip(): value.strip() for key, value in fields.items()}
        model, found = about.get("model name", model), set(about.get("flags", "").split())
    known = [name for flag, name in _VECTORS.items() if flag in found]
    return ", ".join([model, *known[:1], f"{cpus()} CPUs"])


def cpus() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def versions() -> str:
    """Versions that decide what the encoders do."""
    import av

    libavcodec = ".".join(map(str, av.library_versions["libavcodec"]))
    return f"av {version('av')}, libavcodec {libavcodec}, torch {version('torch')}"


def commit() -> str:
    """Short hash of this repository's commit, with `+` if tracked files were changed; `none` outside git."""
    head = _git("rev-parse", "--short", "HEAD")
    return head + ("+" if _git("status", "--porcelain", "-uno") else "") if head else "none"


def _git(*arguments: Sequence[str] | str) -> str:
    done = subprocess.run(["git", *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""
