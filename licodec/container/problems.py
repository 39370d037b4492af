"""What is wrong with a file, and where."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from licodec.errors import DamagedFileError


@dataclass(frozen=True)
class Problem:
    """One fault, as `licodec verify` reports it."""

    kind: str
    """Type of the chunk; `""` when the fault is in no particular chunk (at byte 0: in the whole file)."""
    offset: int
    """Byte of the file at which the chunk, or the fault, begins."""
    what: str
    """What is wrong with it."""
    start: Fraction | None = None
    """Where pictures are lost: seconds from which on, as far as the times are known."""
    end: Fraction | None = None
    """Where pictures are lost: seconds up to which, as far as the times are known."""

    def __str__(self) -> str:
        if not self.kind and not self.offset:
            return self.what
        place = f"{self.kind} at byte {self.offset}" if self.kind else f"byte {self.offset}"
        if self.start is not None or self.end is not None:
            first = "the start" if self.start is None else f"{float(self.start):.3f} s"
            last = "the end" if self.end is None else f"{float(self.end):.3f} s"
            place += f" ({first} to {last})"
        return f"{place}: {self.what}"


class ChunkError(DamagedFileError):
    """Damage at a known place of a file."""

    def __init__(self, file: str, problem: Problem) -> None:
        # What is no .linr file at all gets no better by a report on it.
        advice = "; run 'licodec verify' for a full report" if problem.kind or problem.offset else ""
        super().__init__(f"{file}: {problem}{advice}")
        self.problem = problem
        """The same in parts."""


def printable(text: str) -> str:
    """`text` with whatever could steer a terminal written as an escape."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
