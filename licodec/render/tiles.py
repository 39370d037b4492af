"""Work in pieces that fit into a device's memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

import torch

from licodec.errors import LimitError
from licodec.model.geometry import BLEND
from licodec.render.window import Window

Made = TypeVar("Made")


class Tiles:
    """Rows worked on at a time: all, until that is more than there is memory for; then half as many from then on."""

    def __init__(self, rows: int) -> None:
        self.rows = max(rows, BLEND)

    def each(self, rows: int, work: Callable[[slice], Made]) -> list[Made]:
        """What `work` makes of 0..rows, stretch by stretch. Raises LimitError when not even 16 rows fit."""
        out, top = [], 0
        while top < rows:
            part = slice(top, min(top + self.rows, rows))
            try:
                out.append(work(part))
            except torch.OutOfMemoryError as error:
                self._halve(part, error)
                continue
            top = part.stop
        return out

    def of(self, window: Window, work: Callable[[Window], Made]) -> Iterator[tuple[Window, Made]]:
        """(tile, what `work` made of it) for tiles that make up a window."""

        def tile(part: slice) -> tuple[Window, Made]:
            piece = replace(window, top=window.top + part.start, bottom=window.top + part.stop)
            return piece, work(piece)

        yield from self.each(window.bottom - window.top, tile)

    def _halve(self, part: slice, error: torch.OutOfMemoryError) -> None:
        rows = min(self.rows, part.stop - part.start)
        if rows <= BLEND:
            raise _too_small() from error
        # In whole cells, where tiles may meet.
        self.rows = -(-rows // 2 // BLEND) * BLEND


class Squares:
    """Squares of a grid, worked on one by one; of half the side from then on when there is not enough memory.

    For what depends on surroundings: whatever part of a picture is asked for, the same squares are computed, and the
    same samples come out, to the last bit.
    """

    def __init__(self, side: int) -> None:
        self.side = side

    def each(self, window: Window, work: Callable[[Window, Window], None]) -> None:
        """Call `work` with every square that a window touches, and what of the window lies in it.

        Raises LimitError when not even squares of 16 samples fit.
        """
        while True:
            try:
                for square in self._touched(window):
                    work(square, square & window)
                return
            except torch.OutOfMemoryError as error:
                if self.side <= BLEND:
                    raise _too_small() from error
                self.side //= 2

    def _touched(self, window: Window) -> Iterator[Window]:
        side = self.side
        for top in range(window.top // side * side, window.bottom, side):
            for left in range(window.left // side * side, window.right, side):
                yield Window(top, top + side, left, left + side)


def surroundings(planes: torch.Tensor, square: Window, part: Window, side: int, reach: int) -> torch.Tensor:
    """[..., side + 2 reach, side + 2 reach] a square of planes [..., rows, columns] and what its samples depend on.

    Beyond the planes the nearest edge sample counts. Nothing is read that `part` of the square does not depend on.
    """
    across = torch.arange(-reach, side + reach, device=planes.device)
    rows, columns = (
        (across + start).clip_(max(low - reach, 0), min(high + reach, size) - 1)
        for start, low, high, size in zip(
            (square.top, square.left), (part.top, part.left), (part.bottom, part.right), planes.shape[-2:], strict=True
        )
    )
    return planes[..., rows[:, None], columns]


def _too_small() -> LimitError:
    return LimitError(f"the GPU's memory is too small for {BLEND} rows of a picture: use --device cpu")
