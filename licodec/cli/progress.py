"""What a command tells while it runs and at its end.

For people, on standard error: one line that is drawn again and again on a terminal, otherwise a new line
about every five seconds. `--quiet` tells only errors.

For programs, `--json` on standard output. This is a promise; versions `1.x` only add to it:

- Standard output carries one JSON object a line, in ASCII, and nothing else. Every object has `event`.
- `progress` (encode, decode, realign, index): at most about two a second, in order. Fields: `stage`, `segment`,
  `segments`, `step`, `steps`, `psnr` in dB, `kbps`, `elapsed` and `eta` in seconds. `segment` counts from 0. What is
  not known is null.
- `warning`: `message`.
- The last line is `result`, or `error` when the command fails after its options were understood. `result`
  has `command` and the fields of that command. `error` has `command`, `kind`, `exit_status` and `message`;
  the message is also the line on standard error. `info`, `verify`, `compare`, `shots`, `similar` and
  `models verify` print the last line only.
- `verify` and `decode --salvage` give a `result` with `problems` and exit with 3 when they have found damage.
- Numbers are finite. What cannot be measured is null. Fractions are strings such as `30000/1001`.
- Readers skip events and fields that they do not know.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from licodec.cli.console import safe, say, tell
from licodec.cli.failures import explain

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from licodec.encoder import Progress

LOG_SECONDS = 5.0
JSON_SECONDS = 0.5

Clock = Callable[[], float]


class Reporter:
    """Tells nothing: what `--quiet` asks for, and the interface of the others. Use as a context manager."""

    def progress(self, progress: Progress) -> None:
        """Tell how far it is; called as often as there is news, from one thread."""

    def warn(self, message: str) -> None:
        """Tell something the user should know, but that stops nothing."""

    def result(self, summary: str, fields: Mapping[str, Any]) -> None:
        """Tell the outcome: `summary` to people, `fields` to programs."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class LogReporter(Reporter):
    """Plain lines, for logs and pipes."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._due = _Throttle(LOG_SECONDS, clock)

    def progress(self, progress: Progress) -> None:
        if self._due():
            tell(f"licodec: {line(progress)}")

    def warn(self, message: str) -> None:
        tell(f"licodec: warning: {message}")

    def result(self, summary: str, fields: Mapping[str, Any]) -> None:
        tell(summary)


class TerminalReporter(LogReporter):
    """One line that changes in place, with a bar."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
        from rich.table import Column

        super().__init__()
        console = Console(stderr=True, highlight=False)
        text = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True))
        columns = [SpinnerColumn(), text, BarColumn(bar_width=20)]
        # The figures say more than the bar where there is no room for both.
        self._bar: Bar = Progress(*columns[: 3 if console.width >= 100 else 2], console=console, transient=True)
        self._task = self._bar.add_task("starting", total=None)

    def progress(self, progress: Progress) -> None:
        # Time is the one measure that all stages share, so a bar of it never jumps back between them.
        total = None if progress.eta is None else progress.elapsed + progress.eta
        self._bar.update(self._task, description=line(progress), completed=progress.elapsed, total=total)

    def warn(self, message: str) -> None:
        self._bar.console.print(f"licodec: warning: {safe(message)}", markup=False)

    def result(self, summary: str, fields: Mapping[str, Any]) -> None:
        self._bar.stop()
        super().result(summary, fields)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()


class JsonReporter(Reporter):
    """Lines of JSON as promised above."""

    def __init__(self, command: str, clock: Clock = time.monotonic) -> None:
        self._command = command
        self._due = _Throttle(JSON_SECONDS, clock)

    def progress(self, progress: Progress) -> None:
        if self._due():
            self._emit("progress", vars(progress))

    def warn(self, message: str) -> None:
        self._emit("warning", {"message": message})

    def result(self, summary: str, fields: Mapping[str, Any]) -> None:
        self._emit("result", {"command": self._command, **fields})

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or (failure := explain(error)).is_quiet:
            return
        fields = {"kind": failure.kind, "exit_status": failure.status, "message": failure.message}
        self._emit("error", {"command": self._command, **fields})

    def _emit(self, event: str, fields: Mapping[str, Any]) -> None:
        say(json.dumps(_plain({"event": event, **fields}), allow_nan=False))


def reporter(command: str, *, as_json: bool, quiet: bool) -> Reporter:
    """The reporter that the options and the terminal ask for."""
    if as_json:
        return JsonReporter(command)
    if quiet:
        return Reporter()
    return TerminalReporter() if sys.stderr.isatty() else LogReporter()


def line(progress: Progress) -> str:
    """`fit  segment 2/5  step 120/400  37.42 dB  812 kb/s  1:23  ETA 4:10`"""
    parts = [safe(progress.stage)]
    if progress.segments is None or progress.segments > 1:
        total = "" if progress.segments is None else f"/{progress.segments}"
        parts.append(f"segment {progress.segment + 1}{total}")
    if progress.steps:
        parts.append(f"step {progress.step}/{progress.steps}")
    if progress.psnr is not None:
        parts.append(f"{progress.psnr:.2f} dB")
    if progress.kbps is not None:
        parts.append(f"{progress.kbps:.0f} kb/s")
    parts.append(clock_time(progress.elapsed))
    if progress.eta is not None:
        parts.append(f"ETA {clock_time(progress.eta)}")
    return "  ".join(parts)


def clock_time(seconds: float) -> str:
    """`1:23` or `1:02:03`; `?` for what is no finite time."""
    if not math.isfinite(seconds):
        return "?"
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class _Throttle:
    """True at the first call, and then at most once in `interval` seconds."""

    def __init__(self, interval: float, clock: Clock) -> None:
        self._interval, self._clock = interval, clock
        self._next = -math.inf

    def __call__(self) -> bool:
        now = self._clock()
        if now < self._next:
            return False
        self._next = now + self._interval
        return True


def _plain(value: Any) -> Any:
    """`value` as JSON can hold it."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}"
    return str(value) if isinstance(value, Path) else value
