from __future__ import annotations

import math
import os
import pty
import subprocess
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from licodec.cli.progress import JsonReporter, LogReporter, Reporter, clock_time, line
from licodec.errors import DamagedFileError

from .conftest import environment, events

SHOWN = "fit  segment 2/5  step 120/400  37.42 dB  812 kb/s  1:23  ETA 4:10"


@dataclass(frozen=True)
class Step:
    """The fields of `licodec.encoder.Progress`, without its imports."""

    stage: str = "fit"
    segment: int = 1
    segments: int | None = 5
    step: int = 120
    steps: int = 400
    psnr: float | None = 37.421
    kbps: float | None = 812.3
    elapsed: float = 83.0
    eta: float | None = 250.0


class FakeClock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_line() -> None:
    assert line(Step()) == SHOWN


def test_a_line_of_what_is_known() -> None:
    step = Step(segments=None, step=0, steps=0, psnr=None, kbps=None, eta=None)
    assert line(step) == "fit  segment 2  1:23"
    assert line(Step(stage="decode", segments=1, psnr=None, kbps=None)) == "decode  step 120/400  1:23  ETA 4:10"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00"),
        (59.6, "1:00"),
        (3599.9, "1:00:00"),
        (3723, "1:02:03"),
        (-1, "0:00"),
        (math.inf, "?"),
        (math.nan, "?"),
    ],
)
def test_clock_times(seconds: float, text: str) -> None:
    assert clock_time(seconds) == text


def test_a_log_has_a_line_every_five_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    clock = FakeClock()
    with LogReporter(clock) as report:
        for tenth in range(120):
            clock.now = tenth / 10
            report.progress(Step(elapsed=clock.now))
        report.warn("this\x1b[2Jthat")
        report.result("done", {})
    out, errors = capsys.readouterr()
    assert out == ""
    lines = errors.splitlines()
    assert [text.split("  ")[5] for text in lines[:3]] == ["0:00", "0:05", "0:10"]
    assert lines[3:] == ["licodec: warning: this\\x1b[2Jthat", "done"]


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with Reporter() as report:
        report.progress(Step())
        report.warn("x")
        report.result("x", {})
    assert capsys.readouterr() == ("", "")


def test_json_is_as_promised(capsys: pytest.CaptureFixture[str]) -> None:
    clock = FakeClock()
    with JsonReporter("encode", clock) as report:
        for tenth in range(11):
            clock.now = tenth / 10
            report.progress(Step(psnr=math.inf, elapsed=clock.now))
        report.warn("Tschüß\x1b")
        report.result("", {"rate": Fraction(30000, 1001), "path": Path("a"), "list": (math.nan, None)})
    out, errors = capsys.readouterr()
    assert errors == ""
    assert out.isascii()
    assert out.isprintable() or "\x1b" not in out
    *steps, warning, result = events(out)
    assert [step["elapsed"] for step in steps] == [0, 0.5, 1.0]
    assert steps[0] == {**vars(Step()), "event": "progress", "psnr": None, "elapsed": 0}
    assert warning == {"event": "warning", "message": "Tschüß\x1b"}
    assert result == {
        "event": "result",
        "command": "encode",
        "rate": "30000/1001",
        "path": "a",
        "list": [None, None],
    }


def test_json_ends_with_the_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DamagedFileError), JsonReporter("decode"):
        raise DamagedFileError("a.linr: cut short")
    with pytest.raises(BrokenPipeError), JsonReporter("decode"):
        raise BrokenPipeError
    assert events(capsys.readouterr().out) == [
        {
            "event": "error",
            "command": "decode",
            "kind": "damaged",
            "exit_status": 3,
            "message": "a.linr: cut short",
        }
    ]


@pytest.mark.parametrize("columns", (80, 130))
def test_a_terminal_shows_one_line_that_changes(tmp_path: Path, columns: int) -> None:
    """In a pseudo-terminal: the line appears, the cursor comes back, the summary stays."""
    program = tmp_path / "program.py"
    program.write_text(
        "import time\n"
        "from types import SimpleNamespace as Step\n"
        "from licodec.cli.progress import TerminalReporter, reporter\n"
        "report = reporter('encode', as_json=False, quiet=False)\n"
        "assert type(report) is TerminalReporter\n"
        f"step = Step(**{vars(Step())!r})\n"
        "with report:\n"
        "    report.progress(step)\n"
        "    report.warn('look')\n"
        "    time.sleep(0.3)\n"
        "    report.result('the end', {})\n"
    )
    output = _in_terminal([sys.executable, str(program)], columns)
    assert SHOWN in output
    assert "licodec: warning: look" in output
    assert output.rstrip().endswith("the end")
    assert output.rindex("\x1b[?25h") > output.rindex("\x1b[?25l")  # the cursor is shown again


def _in_terminal(command: list[str], columns: int) -> str:
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        command,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=environment(COLUMNS=str(columns), TERM="xterm"),
    )
    os.close(terminal)
    output = b""
    while chunk := _read(controller):
        output += chunk
    os.close(controller)
    assert process.wait(timeout=30) == 0, output
    return output.decode()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # how Linux says that the terminal's last user has left
        return b""


def test_fields_of_the_api() -> None:
    """What is printed here is what the encoder gives."""
    from licodec.encoder import Progress

    fields: Any = Progress.__dataclass_fields__
    assert list(fields) == list(Step.__dataclass_fields__)
