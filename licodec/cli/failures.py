"""Every way to fail, as one line and an exit status.

0    success; also when a program that was sent frames has seen enough
1    a fault in licodec itself
2    usage: a bad option, a missing input, an output that exists or cannot be written
3    the file is damaged
4    the input needs something that this version cannot do
5    over a limit of memory or compute
6    the target of size, rate, quality or time cannot be reached
130  interrupted by Ctrl-C (143 by a termination signal)
141  the reader of standard output has ended
"""

from __future__ import annotations

from dataclasses import dataclass

import click

from licodec.errors import LicodecError

_KINDS = {
    0: "closed",
    141: "closed",
    1: "internal",
    2: "usage",
    3: "damaged",
    4: "unsupported",
    5: "limit",
    6: "target",
}


@dataclass(frozen=True)
class Failure:
    """What is told of an error."""

    status: int
    """Exit status."""
    message: str
    """One line, without anything that could steer a terminal."""

    @property
    def kind(self) -> str:
        """The status as a word, for `--json`."""
        return _KINDS.get(self.status, "interrupted")

    @property
    def is_quiet(self) -> bool:
        """Whether nothing went wrong: somebody downstream has read enough."""
        return self.kind == "closed"


def explain(error: BaseException) -> Failure:
    """What to tell of any exception."""
    from licodec.container import printable

    status, message = _explain(error)
    return Failure(status, printable(" ".join(message.split("\n"))))


def _explain(error: BaseException) -> tuple[int, str]:
    if isinstance(error, LicodecError):
        return error.exit_status, str(error)
    if isinstance(error, click.ClickException):
        return _explain_usage(error)
    if isinstance(error, KeyboardInterrupt):
        return getattr(error, "status", 130), "interrupted"
    if isinstance(error, BrokenPipeError):
        return 141, "the reader of the output has ended"
    # torch raises a class of its own for a full GPU; to name it by import would load torch for every error.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return 5, "out of memory"
    if isinstance(error, OSError):
        reason = error.strerror or str(error)
        return 2, f"{error.filename}: {reason}" if error.filename else reason
    first_line = str(error).strip().partition("\n")[0]  # torch appends pages to its own
    return 1, (
        f"internal error: {type(error).__name__}: {first_line} "
        "(this is a fault of licodec: please report it; run again with LICODEC_DEBUG=1 for the traceback)"
    )


def _explain_usage(error: click.ClickException) -> tuple[int, str]:
    message = error.format_message().rstrip(".")
    if isinstance(error, click.BadParameter) and error.param and not isinstance(error, click.MissingParameter):
        message = f"{max(error.param.opts, key=len)}: {error.message.rstrip('.')}"
    if isinstance(error, click.UsageError) and error.ctx:
        message += f" (see '{error.ctx.command_path} --help')"
    return 2, message
