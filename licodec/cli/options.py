"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from licodec.cli import values

if TYPE_CHECKING:
    from licodec.container import Limits

Command = TypeVar("Command", bound=Callable[..., Any])


def overwrite(command: Command) -> Command:
    """`-y`"""
    return click.option("-y", "--overwrite", is_flag=True, help="Replace outputs that exist already.")(command)


def json_output(command: Command) -> Command:
    """`--json`"""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")(command)


def quiet(command: Command) -> Command:
    """`-q`"""
    return click.option("-q", "--quiet", is_flag=True, help="Tell nothing but errors.")(command)


def compute(command: Command) -> Command:
    """`--device` and `--threads`"""
    command = click.option("--threads", type=values.THREADS, help="CPU threads.  [default: one a core]")(command)
    return click.option(
        "--device",
        type=values.DEVICE,
        default="auto",
        show_default=True,
        help="auto, cpu, cuda or cuda:N; auto is the GPU where there is one.",
    )(command)


def semantics(help: str, **options: Any) -> Callable[[Command], Command]:
    """`--semantics`"""
    return click.option("--semantics", metavar="EMBEDDER", help=help, **options)


def weight(command: Command) -> Command:
    """`--semantics-weight`"""
    return click.option(
        "--semantics-weight",
        type=values.WEIGHT,
        help="lambda: what an error of the vectors, 1 - cos, is worth in squared error of the picture.  "
        "[default: 0.002]",
    )(command)


def read_limits(pairs: tuple[tuple[str, int], ...]) -> Limits:
    """What `--limit` asks for."""
    from licodec.container import Limits

    return Limits(**dict(pairs))


def limits(command: Command) -> Command:
    """`--limit`, repeatable"""
    return click.option(
        "--limit",
        "limits",
        type=values.LIMIT,
        multiple=True,
        help="Raise a limit, such as max_width=20000, for a file that you trust.  [repeatable]",
    )(command)
