"""`licodec verify`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from licodec.cli import options, progress
from licodec.cli.console import say
from licodec.errors import DamagedFileError, LimitError, UnsupportedError

if TYPE_CHECKING:
    from licodec.container import Problem


@click.command()
@click.argument("file", type=click.Path())
@click.option("--fast", is_flag=True, help="Check structure and checksums only, not every coded symbol.")
@options.limits
@options.json_output
@options.quiet
def verify(*, file: str, fast: bool, limits: tuple[tuple[str, int], ...], as_json: bool, quiet: bool) -> None:
    """Check that a .linr file is sound; the exit status is 3 when it is not.

    Each fault is told with its chunk, its place in the file and the time range that it costs.
    """
    with progress.reporter("verify", as_json=as_json, quiet=True) as report:
        from licodec.container import verify as check

        allowed = options.read_limits(limits)
        problems = check(file, allowed)
        if not fast:
            from licodec.decoder import verify_symbols

            try:
                problems += verify_symbols(file, limits=allowed)
            except (UnsupportedError, LimitError):
                if not problems:  # damage is the more useful answer
                    raise
            problems.sort(key=lambda problem: problem.offset)
        fields = {"path": file, "ok": not problems, "symbols_checked": not fast}
        report.result("", {**fields, "problems": [problem_fields(problem) for problem in problems]})
    if not as_json and not quiet:
        for problem in problems:
            say(f"{file}: {problem}")
        if not problems:
            say(f"{file}: sound" + (" (symbols not checked)" if fast else ""))
    if problems:
        raise DamagedFileError(f"{file}: {len(problems)} fault(s) found")


def problem_fields(problem: Problem) -> dict[str, Any]:
    """A problem for `--json`; `start` and `end` in seconds where they are known."""
    times = {
        name: None if time is None else float(time) for name, time in (("start", problem.start), ("end", problem.end))
    }
    return {"chunk": problem.kind or None, "offset": problem.offset, "what": problem.what, **times}
