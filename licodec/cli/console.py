"""Writing to the standard streams, and leaving a standard stream that nobody reads any more."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Any

import click


def tell(text: str) -> None:
    """A line, or several, to people. Never fails: no encode may be lost because its log cannot be written."""
    try:
        click.echo(safe(text), err=True)
    except OSError:
        let_go(sys.stderr)


def say(text: str) -> None:
    """A line, or several, on standard output. Raises OSError, which names it."""
    try:
        click.echo(safe(text))
    except OSError as error:
        error.filename = error.filename or "standard output"
        raise


def safe(text: str) -> str:
    """Text without anything that could steer a terminal, line ends apart."""
    from licodec.container import printable

    return "\n".join(printable(part) for part in text.split("\n"))


def let_go(stream: Any) -> None:
    """Send what a broken stream still holds nowhere: Python would flush it at exit, and complain."""
    try:
        stream.flush()
    except OSError:
        with contextlib.suppress(OSError), Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), stream.fileno())
