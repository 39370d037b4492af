"""Timestamps and durations, repaired where a file gives none or false ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

from licodec.video.info import Frame, Plane

# A step back of more than this is a new start of the clock, as where two recordings were joined; a
# smaller one is a single false timestamp.
_RESTART = Fraction(1)


class Clock:
    """Makes timestamps increase; leaves them alone where they already do."""

    def __init__(self, time_base: Fraction, step: int, least: int = 1) -> None:
        """`step`: ticks to the next frame where nothing is known; `least`: ticks between two at least."""
        self._restart = _RESTART / time_base
        self._step = step
        self._least = least
        self._last: int | None = None
        self._offset = 0
        self.repairs = 0
        """How many timestamps were missing or did not increase."""

    def next(self, pts: int | None) -> int:
        """The timestamp to use for one that reads `pts`; None: the file has none. Ticks."""
        if pts is None:
            self.repairs += 1
            pts = 0 if self._last is None else self._last + self._step
        else:
            pts += self._offset
            if self._last is not None and pts < self._last + self._least:
                self.repairs += 1
                if self._last - pts > self._restart:
                    self._offset += self._last + self._step - pts
                    pts = self._last + self._step
                else:
                    pts = self._last + self._least
        self._last = pts
        return pts


def frame_step(rate: Fraction | None, time_base: Fraction) -> int:
    """Ticks between two frames at `rate` frames a second (None or 0: 25), at least 1."""
    return max(1, round(1 / ((rate or 25) * time_base)))


def with_durations(pictures: Iterable[tuple[tuple[Plane, ...], int, int]]) -> Iterator[Frame]:
    """(planes, pts, own duration) to frames that each last until the next; the last has its own duration."""
    held: tuple[tuple[Plane, ...], int, int] | None = None
    for picture in pictures:
        if held is not None:
            yield Frame(held[0], held[1], picture[1] - held[1])
        held = picture
    if held is not None:
        yield Frame(held[0], held[1], max(1, held[2]))
