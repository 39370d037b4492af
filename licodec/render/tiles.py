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
            raise LimitError(
                f"the GPU's memory is too small for {BLEND} rows of a picture: use --device cpu"
            ) from error
        # In whole cells, where tiles may meet.
        self.rows = -(-rows // 2 // BLEND) * BLEND
