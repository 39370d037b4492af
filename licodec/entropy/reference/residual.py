"""`Residual`: block sizes, extents and coefficients of one plane group."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from licodec.entropy.reference.grids import Grid, around, binned, cells, pooled
from licodec.entropy.reference.mixing import Magnitude, Model, RangeDecoder, decode_signs
from licodec.errors import DamagedFileError

SIZES = (8, 16, 32)
CLASS_START = (0, 1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33)
CLASS_EXTRA = (0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 5)
LEVEL_LIMIT = 32767


class Block(NamedTuple):
    """A block with coefficients."""

    picture: int
    plane: int
    y: int
    """Row of its first sample."""
    x: int
    size: int
    """Index into SIZES."""
    extent: int
    """Coded anti-diagonals."""


class ResidualSyntax:
    """Decodes the residual of a batch of pictures."""

    def __init__(self, coder: RangeDecoder, planes: int, part: str) -> None:
        self._coder, self._planes = coder, planes
        kinds = 3 * planes
        self._split = Model(f"{part}split", [2 * 8 * 4 * 12, 2 * 4 * 12 * 8, 2 * 12 * 12], 8)
        self._coded = Model(
            f"{part}coded", [kinds * 8 * 4, kinds * 4 * 12, kinds * 12 * 8, kinds * 12 * 12], 12 * planes
        )
        self._extent = Magnitude(f"{part}extent", [kinds * 8, kinds * 12, kinds * 12], 10)
        self._extra = Model(f"{part}extra", [12 * 8])
        self._nonzero = Model(
            f"{part}nonzero",
            [kinds * 64 * 12, kinds * 12 * 12 * 4, planes * 1024 * 3, kinds * 12 * 12, 8 * 64 * kinds],
            12,
        )
        self._above = Magnitude(f"{part}above", [kinds * 12, planes * 64, 12 * 8], 14)

    def decode(self, past: Grid, guide: Grid, level: int) -> tuple[Grid, Grid, Grid]:
        """Sizes [pictures, rows / 8, columns / 8], levels [pictures, planes, rows, columns] and activity.

        `past`, `guide`: [pictures, rows / 8, columns / 8].
        """
        sizes = self._decode_sizes(past, guide, level)
        activity, blocks = self._decode_extents(sizes, past, guide, level)
        return sizes, self._decode_levels(activity, blocks, level), activity

    def _decode_sizes(self, past: Grid, guide: Grid, level: int) -> Grid:
        pictures, rows, columns = past.shape
        sizes = np.full(past.shape, 2, np.uint8)
        for depth, factor in enumerate((4, 2)):
            shape = (pictures, rows // factor, columns // factor)
            split = np.zeros(shape, int)
            for phase in range(4):
                at = [(i, y, x) for i, y, x in cells(shape, phase) if sizes[i, y * factor, x * factor] == 2 - depth]
                decisions = []
                for i, y, x in at:
                    near = min(around(2 * split[i], y, x), 11)
                    before = binned(pooled(past[i], y, x, factor))
                    under = binned(pooled(guide[i], y, x, factor))
                    decisions.append(
                        (
                            [
                                ((depth * 8 + level) * 4 + phase) * 12 + near,
                                ((depth * 4 + phase) * 12 + before) * 8 + min(near, 7),
                                (depth * 12 + under) * 12 + before,
                            ],
                            depth * 4 + phase,
                        )
                    )
                for c, bit in zip(at, self._split.decode(self._coder, decisions), strict=True):
                    split[c] = bit
            for i, y, x in zip(*np.nonzero(split), strict=True):
                sizes[i, y * factor : (y + 1) * factor, x * factor : (x + 1) * factor] = 1 - depth
        return sizes

    def _decode_extents(self, sizes: Grid, past: Grid, guide: Grid, level: int) -> tuple[Grid, list[Block]]:
        pictures, rows, columns = sizes.shape
        activity = np.zeros((pictures, self._planes, rows, columns), np.uint8)
        blocks: list[Block] = []
        for size in (2, 1, 0):
            factor = SIZES[size] // 8
            found = []
            for plane in range(self._planes):
                for phase in range(4):
                    at = [
                        (i, y, x)
                        for i, y, x in cells((pictures, rows // factor, columns // factor), phase)
                        if sizes[i, y * factor, x * factor] == size
                    ]
                    pools = [_pool_all(picture[plane], factor) for picture in activity]
                    contexts = []
                    for i, y, x in at:
                        near = binned(around(pools[i], y, x) // 4)
                        before = binned(pooled(past[i], y, x, factor))
                        if plane:
                            under = binned(2 * pooled(activity[i, 0], y, x, factor))
                        else:
                            under = binned(pooled(guide[i], y, x, factor))
                        contexts.append((near, before, under))
                    for (i, y, x), (extent, class_) in zip(
                        at, self._extents(size, plane, level, phase, contexts), strict=True
                    ):
                        activity[i, plane, y * factor : (y + 1) * factor, x * factor : (x + 1) * factor] = class_
                        if extent:
                            found.append(Block(i, plane, y * SIZES[size], x * SIZES[size], size, extent))
            blocks = sorted(found) + blocks
        return activity, blocks

    def _extents(
        self, size: int, plane: int, level: int, phase: int, contexts: list[tuple[int, int, int]]
    ) -> list[tuple[int, int]]:
        """(extent, class) of each block of a pass."""
        kind = size * self._planes + plane
        coded = self._coded.decode(
            self._coder,
            [
                (
                    [
                        (kind * 8 + level) * 4 + phase,
                        (kind * 4 + phase) * 12 + near,
                        (kind * 12 + before) * 8 + min(near, 7),
                        (kind * 12 + under) * 12 + near,
                    ],
                    plane * 12 + size * 4 + phase,
                )
                for near, before, under in contexts
            ],
        )
        hit = [i for i, bit in enumerate(coded) if bit]
        classes = [
            1 + m
            for m in self._extent.decode(
                self._coder, [[kind * 8 + level, kind * 12 + contexts[i][0], kind * 12 + contexts[i][2]] for i in hit]
            )
        ]
        if max(classes, default=0) > 11:
            raise DamagedFileError("extent class out of range")
        extra = [0] * len(hit)
        for place in (4, 3, 2, 1, 0):
            open_ = [j for j, c in enumerate(classes) if CLASS_EXTRA[c] > place]
            bits = self._extra.decode(self._coder, [([classes[j] * 8 + place], 0) for j in open_])
            for j, bit in zip(open_, bits, strict=True):
                extra[j] += bit << place
        out = [(0, 0)] * len(contexts)
        for i, c, e in zip(hit, classes, extra, strict=True):
            if CLASS_START[c] + e > 2 * SIZES[size] - 1:
                raise DamagedFileError("extent out of range")
            out[i] = (CLASS_START[c] + e, c)
        return out

    def _decode_levels(self, activity: Grid, blocks: list[Block], level: int) -> Grid:
        pictures, planes, rows, columns = activity.shape
        levels = np.zeros((pictures, planes, 8 * rows, 8 * columns), np.int16)
        energy = [binned(around(activity[b.picture, b.plane].astype(int), b.y // 8, b.x // 8) // 4, 8) for b in blocks]
        for d in range(max((b.extent for b in blocks), default=0)):
            at = []
            contexts = []
            for b, e in zip(blocks, energy, strict=True):
                if b.extent <= d:
                    continue
                size = SIZES[b.size]
                kind = b.size * self._planes + b.plane
                block = levels[b.picture, b.plane, b.y : b.y + size, b.x : b.x + size]
                for v in range(max(0, d - size + 1), min(d, size - 1) + 1):
                    u = d - v
                    near = binned(_near(block, v, u))
                    at.append((b.picture, b.plane, b.y + v, b.x + u))
                    contexts.append(
                        (
                            [
                                (kind * 64 + d) * 12 + near,
                                ((kind * 12 + min(b.extent - d - 1, 11)) * 12 + near) * 4 + _axis(v, u),
                                (b.plane * 1024 + v * 32 + u) * 3 + b.size,
                                (kind * 12 + e) * 12 + binned(b.extent, 8),
                                (level * 64 + d) * 3 * self._planes + kind,
                            ],
                            [kind * 12 + near, b.plane * 64 + d, near * 8 + e],
                            near,
                        )
                    )
            nonzero = self._nonzero.decode(self._coder, [(first, near) for first, _, near in contexts])
            hit = [i for i, bit in enumerate(nonzero) if bit]
            magnitudes = [1 + m for m in self._above.decode(self._coder, [contexts[i][1] for i in hit])]
            for i, value in zip(hit, decode_signs(self._coder, magnitudes), strict=True):
                if abs(value) > LEVEL_LIMIT:
                    raise DamagedFileError("coefficient out of range")
                levels[at[i]] = value
        return levels


def _pool_all(grid: Grid, factor: int) -> Grid:
    shape = (grid.shape[0] // factor, grid.shape[1] // factor)
    return np.array([[pooled(grid, y, x, factor) for x in range(shape[1])] for y in range(shape[0])])


def _axis(v: int, u: int) -> int:
    if u == 0:
        return 0
    if v == 0:
        return 1
    return 2 if u > v else 3


def _near(block: Grid, v: int, u: int) -> int:
    """Weighted magnitudes left of and above a coefficient, inside its block."""

    def at(row: int, column: int) -> int:
        return abs(int(block[row, column])) if row >= 0 and column >= 0 else 0

    return 2 * (at(v, u - 1) + at(v - 1, u)) + at(v - 1, u - 1) + at(v, u - 2) + at(v - 2, u)
