"""The program `licodec`: its commands, and what becomes of errors."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import NoReturn

import click
from click.shell_completion import shell_complete

from licodec import __version__
from licodec.cli import signals
from licodec.cli.compare import compare
from licodec.cli.console import let_go, tell
from licodec.cli.decode import decode
from licodec.cli.encode import encode
from licodec.cli.failures import explain
from licodec.cli.index import index
from licodec.cli.info import info
from licodec.cli.models import models
from licodec.cli.realign import realign
from licodec.cli.search import search
from licodec.cli.shots import shots
from licodec.cli.similar import similar
from licodec.cli.verify import verify

DEBUG = "LICODEC_DEBUG"

# Threads that wait must sleep: OpenMP's default is to spin, and on a busy machine that costs three times the run.
# Read when PyTorch is loaded, which is later.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

EPILOG = """\b
Exit status: 0 success, 2 wrong usage, 3 damaged file, 4 unsupported input, 5 over a limit,
6 target out of reach, 1 fault of licodec itself (LICODEC_DEBUG=1 shows its traceback),
130 interrupted.
"""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}, epilog=EPILOG)
@click.version_option(__version__, message="licodec %(version)s")
def cli() -> None:
    """A video codec whose file is a function: decode it at any size and any time."""


for command in (encode, decode, info, verify, compare, realign, search, shots, similar, index, models):
    cli.add_command(command)


def main() -> NoReturn:
    """Entry point of the program."""
    signals.install()
    # A name or a title with characters that the terminal lacks must not end in a traceback.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    if instruction := os.environ.get("_LICODEC_COMPLETE"):
        sys.exit(shell_complete(cli, {}, "licodec", "_LICODEC_COMPLETE", instruction))
    status = run(sys.argv[1:])
    signals.settle()
    sys.exit(status)


def run(arguments: Sequence[str]) -> int:
    """Run one command line; its exit status."""
    debug = os.environ.get(DEBUG, "0") not in ("", "0")
    if not debug:
        warnings.simplefilter("ignore")  # those of libraries speak to programmers
    try:
        status = _invoke(arguments)
        sys.stdout.flush()  # a full disk must be noticed here, not while Python shuts down
        return status
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except (Exception, KeyboardInterrupt) as error:
        failure = explain(error)
        if debug:
            traceback.print_exc()
        if not failure.is_quiet:
            tell(f"licodec: error: {failure.message}")
        let_go(sys.stdout)
        return failure.status


def _invoke(arguments: Sequence[str]) -> int:
    """As `click.Command.main` does it, which would also end the process on some errors."""
    try:
        with cli.make_context("licodec", list(arguments)) as context:
            cli.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    return 0


if __name__ == "__main__":
    main()
