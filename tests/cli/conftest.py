"""The program as its users run it, and stand-ins for what it calls."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from licodec.cli.main import run as run_here
from licodec.container import LinrWriter
from licodec.video.info import VideoInfo

ROOT = Path(__file__).parents[2]
LICODEC = [sys.executable, "-m", "licodec.cli.main"]
Run = Callable[..., subprocess.CompletedProcess[str]]


def environment(**changes: str) -> dict[str, str]:
    """The variables of a child process: it finds this checkout, and nothing changes its output."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("LICODEC_")}
    return plain | {"PYTHONPATH": str(ROOT), "COLUMNS": "100"} | changes


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run `licodec ARGUMENTS...` in `tmp_path`: a process of its own, through the real entry point."""

    def call(*arguments: object, env: dict[str, str] | None = None, **options: Any) -> Any:
        return subprocess.run(
            [*LICODEC, *map(str, arguments)],
            **{"capture_output": True, "text": True, "timeout": 240, "cwd": tmp_path} | options,
            env=environment(**(env or {})),
            check=False,
        )

    return call


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """As `run`, but in this process: for long rows of cases, each of which would load torch again."""
    monkeypatch.delenv("LICODEC_DEBUG", raising=False)

    def inside(*arguments: object, cwd: Path = tmp_path) -> subprocess.CompletedProcess[str]:
        monkeypatch.chdir(cwd)
        words = [str(argument) for argument in arguments]
        capfd.readouterr()
        status = run_here(words)
        return subprocess.CompletedProcess(words, status, *capfd.readouterr())

    return inside


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """A file whose container is sound and whose segments hold nothing that could be decoded."""
    path = tmp_path / "sample.linr"
    info = VideoInfo(64, 48, primaries=1, transfer=1, matrix=1)
    with LinrWriter(path, info, b"conf") as writer:
        writer.add_segment(b"first", range(0, 5), [1] * 5)
        writer.add_segment(b"second", [5, 6, 9], [1, 3, 2])
        writer.add_ancillary("encS", b'{"preset": "fast"}\x1b[2J')
        writer.finish()
    return path


@pytest.fixture(scope="session")
def encoded(clip: Path, sound_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with clip.mp4, sound.mkv, clip.linr and sound.linr, encoded by the program itself."""
    folder = tmp_path_factory.mktemp("encoded")
    for source in (clip, sound_clip):
        shutil.copy(source, folder)
        subprocess.run(
            [
                *LICODEC,
                "encode",
                source.name,
                f"{source.stem}.linr",
                "--preset",
                "ultrafast",
                "--max-time",
                "1s",
            ],
            cwd=folder,
            env=environment(),
            timeout=240,
            check=True,
        )
    return folder


def events(text: str) -> list[dict[str, Any]]:
    """The objects of `--json` output; fails where a line is not strict JSON."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    return [json.loads(line, parse_constant=refuse) for line in text.splitlines()]


def one_error(result: subprocess.CompletedProcess[str], status: int) -> str:
    """The message of a run that failed as it should: with this status, in one line, without a traceback."""
    assert result.returncode == status, result.stderr
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("licodec: error: ")
    return lines[0].removeprefix("licodec: error: ")
