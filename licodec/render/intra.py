"""What intra blocks ask of a window."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from licodec.jit import compiled
from licodec.model.geometry import Geometry
from licodec.model.intra import INTER, QUARTER, Bytes, Ranks, order
from licodec.model.symbols import PictureSymbols
from licodec.render.window import Window


def reach(window: Window, geometry: Geometry, symbols: PictureSymbols) -> Window:
    """What intra blocks in a window are predicted from, and what those blocks are, and so on."""
    before = None
    while window != before:
        before = window
        for g, modes in enumerate(symbols.modes):
            if not modes.any():
                continue
            step = geometry.step(geometry.groups[g][0])
            rows, columns = window.of(step)
            found = np.array([rows.start, rows.stop, columns.start, columns.stop])
            _reach(found, symbols.sizes[g], modes, order(*modes.shape))
            top, bottom, left, right = (int(end) for end in found)
            part = Window(step[1] * top, step[1] * bottom, step[0] * left, step[0] * right)
            window = (window | part).in_cells(geometry)
    return window


@compiled
def _reach(found: npt.NDArray[np.int64], sizes: Bytes, modes: Bytes, places: Ranks) -> None:
    for k in range(len(places) - 1, -1, -1):
        q, p = places[k] // modes.shape[1], places[k] % modes.shape[1]
        n = QUARTER << int(sizes[q // 2, p // 2])
        y, x = QUARTER * q, QUARTER * p
        if modes[q, p] == INTER or y % n or x % n:
            continue
        if y < found[1] and y + n > found[0] and x < found[3] and x + n > found[2]:
            found[0], found[1] = min(found[0], y - 1), max(found[1], y + 2 * n)
            found[2], found[3] = min(found[2], x - 1), max(found[3], x + 2 * n)
