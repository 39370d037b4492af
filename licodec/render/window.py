"""Which part of a picture is computed: what a region needs of a picture, and of those that it refers to."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from licodec.model.geometry import BLEND, Geometry
from licodec.model.motion import NODE, UNIT
from licodec.render.cells import BEFORE, TAPS

_FILTERS = 16
"""Luma samples around a place, a chroma cell, of which some decide how its edges are smoothed, and the edges of what
its loop filter reads."""
_CUBIC = 2
"""Samples around a position that bicubic reading takes, of the coarsest plane."""
_LANCZOS = TAPS - BEFORE - 1
"""Samples around a position that are read of a plane as fine as luma."""
_NETWORK = 6
"""Luma samples around a place that the synthesis network reads: three layers of 3 x 3, of 2 x 2 samples each."""
MOVED = 1
"""Luma samples, up or down and to either side, that motion is refined by at most (`render.bidirectional`)."""
_REFINEMENT = 5
"""Luma samples around a cell of motion that decide how it is refined: the cell beside it, and the slopes there."""
UPSAMPLER = 6
"""Luma samples around a place that `render.upsample` reads."""
FUSION = 8
"""Luma samples around a place that `render.fusion` reads: four layers of 3 x 3 at half the size."""


@dataclass(frozen=True)
class Window:
    """A rectangle of luma samples. Where pictures are computed, the first row and column are even, and in those that
    others refer to, of a blend cell.

    What is computed of a picture lies in arrays of the whole picture's size, of which the rest is not touched: places
    have one name everywhere, and a plane of 8K of which little is shown costs little.
    """

    top: int
    bottom: int
    left: int
    right: int

    @staticmethod
    def whole(geometry: Geometry) -> Window:
        """All of a picture."""
        rows, columns = geometry.shapes[0]
        return Window(0, rows, 0, columns)

    def of(self, step: tuple[int, int]) -> tuple[slice, slice]:
        """(rows, columns) of a plane with `step` (x, y) luma samples a sample."""
        sx, sy = step
        return slice(self.top // sy, -(-self.bottom // sy)), slice(self.left // sx, -(-self.right // sx))

    def shape(self, step: tuple[int, int]) -> tuple[int, int]:
        """(rows, columns) of what lies in such a plane."""
        rows, columns = self.of(step)
        return rows.stop - rows.start, columns.stop - columns.start

    def __contains__(self, other: Window) -> bool:
        return (
            self.top <= other.top
            and other.bottom <= self.bottom
            and self.left <= other.left
            and other.right <= self.right
        )

    def __or__(self, other: Window) -> Window:
        """The smallest window that holds both."""
        return Window(
            min(self.top, other.top),
            max(self.bottom, other.bottom),
            min(self.left, other.left),
            max(self.right, other.right),
        )

    def within(self, other: Window) -> Window:
        """The same place, counted from the corner of another window."""
        top, left = other.top, other.left
        return Window(self.top - top, self.bottom - top, self.left - left, self.right - left)

    def __and__(self, other: Window) -> Window:
        """What lies in both, which overlap."""
        return Window(
            max(self.top, other.top),
            min(self.bottom, other.bottom),
            max(self.left, other.left),
            min(self.right, other.right),
        )

    def read_by_network(self, geometry: Geometry) -> Window:
        """What the network reads to correct this."""
        return _cut(self, _NETWORK, 2, geometry)

    def read_by_fusion(self, geometry: Geometry) -> Window:
        """What is read of accounts of a picture to weigh them here."""
        return _cut(self, FUSION, 2, geometry)

    def coded(self, geometry: Geometry) -> Window:
        """What of a picture's content is needed to show this."""
        return _cut(self, _NETWORK, BLEND, geometry)

    def before_filters(self, geometry: Geometry) -> Window:
        """What is needed so that this is right behind deblocking and loop filter."""
        return _cut(self, _FILTERS, BLEND, geometry)

    def read_by_refinement(self, geometry: Geometry) -> Window:
        """What must be predicted so that motion refined between two references is right here."""
        return _cut(self, _REFINEMENT, BLEND, geometry)

    def in_cells(self, geometry: Geometry) -> Window:
        """This in whole cells, as far as there is a picture."""
        return _cut(self, 0, BLEND, geometry)

    def followed(self, vectors: npt.NDArray, geometry: Geometry) -> Window:
        """What this reads of a reference along motion vectors (quarter samples)."""
        rows, columns = vectors.shape[:2]
        y0, y1 = self.top // NODE, min(-(-self.bottom // NODE), rows)
        x0, x1 = self.left // NODE, min(-(-self.right // NODE), columns)
        part = np.asarray(vectors[y0:y1, x0:x1], np.float64) / UNIT
        x, y = NODE * np.arange(x0, x1), NODE * np.arange(y0, y1)
        across = (x + part[..., 0].min(axis=0)).min(), (x + part[..., 0].max(axis=0)).max() + NODE
        down = (y + part[..., 1].min(axis=1)).min(), (y + part[..., 1].max(axis=1)).max() + NODE
        sx, sy = geometry.subsampling
        margin = max((_CUBIC + 1) * max(sx, sy), _LANCZOS + 1 + MOVED)
        found = Window(math.floor(down[0]), math.ceil(down[1]), math.floor(across[0]), math.ceil(across[1]))
        return _cut(found, margin, BLEND, geometry)


def seen(region: tuple[float, float, float, float], size: tuple[int, int], geometry: Geometry) -> Window:
    """What is needed to read a region (x, y, width, height) in luma samples at a size (height, width)."""
    x, y, width, height = region
    coarse = max(geometry.subsampling)
    # Means take the samples of an output sample's area, bicubic reading two on each side.
    margin = coarse * (_CUBIC + 1 + math.ceil(max(width / size[1], height / size[0])))
    if size[1] > width or size[0] > height:
        margin = max(margin, _CUBIC + UPSAMPLER)
    found = Window(math.floor(y), math.ceil(y + height), math.floor(x), math.ceil(x + width))
    return _cut(found, margin, 2, geometry)


def union(windows: Iterable[Window]) -> Window:
    """The smallest window that holds all of at least one."""
    first, *others = windows
    for other in others:
        first |= other
    return first


def _cut(window: Window, margin: int, cell: int, geometry: Geometry) -> Window:
    """The window and a margin around it, in whole cells, as far as there is a picture; never empty."""
    rows, columns = geometry.shapes[0]

    def ends(low: int, high: int, length: int) -> tuple[int, int]:
        # What lies outside reads the nearest samples.
        low, high = min(max(low - margin, 0), length - 1), max(min(high + margin, length), 1)
        return low // cell * cell, min(-(-high // cell) * cell, length)

    return Window(*ends(window.top, window.bottom, rows), *ends(window.left, window.right, columns))
