"""`Motion corrections` and `Blend map`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from licodec.entropy.reference.grids import Grid, binned
from licodec.entropy.reference.mixing import Model, RangeDecoder
from licodec.errors import DamagedFileError

CORRECTION_LIMIT = 8190
Pair = tuple[int, int]


class MotionSyntax:
    """Corrections of one field after the other, each a grid of quadtrees."""

    def __init__(self, coder: RangeDecoder) -> None:
        self._coder = coder
        self._nonzero = Model("motion.nonzero", [8 * 100, 8 * 40, 8 * 8, 8 * 20, 8 * 100], 8)
        self._split = Model("motion.split", [8 * 12, 8 * 10, 8 * 24, 8 * 100], 8)
        self._size = Model("motion.size", [16 * 64, 16 * 10 * 12, 16 * 8 * 12, 16 * 10 * 12, 16 * 640], 12, 16)
        self._escape = Model("motion.escape", [24])
        self._base = self._vectors = np.zeros((0, 0, 2), int)
        self._sign = Model("motion.sign", [16 * 36, 36, 16 * 54])

    def decode(self, base: Grid, shapes: Sequence[tuple[int, int]], level: int, second: int) -> list[Grid]:
        """[rows, columns, 2] corrections of each depth, finest first, of a field that starts from `base`."""
        self._level, self._second = level, second
        self._out = [np.zeros((*shape, 2), np.int16) for shape in shapes]
        self._splits = [np.zeros(shape, int) for shape in shapes]
        first = self._vectors - self._base
        self._base, self._vectors = base.astype(int), base.astype(int)
        self._twin = self._base + 2 * first if second else self._base
        for r, c in np.ndindex(shapes[3]):
            self._node(3, r, c)
        return self._out

    def _node(self, depth: int, r: int, c: int) -> None:
        if r >= self._out[depth].shape[0] or c >= self._out[depth].shape[1]:
            return
        n, kind = 1 << depth, 2 * depth + self._second
        y, x = n * r, n * c
        last_y, last_x = min(y + n, self._vectors.shape[0]), min(x + n, self._vectors.shape[1])
        middle = (y + last_y) // 2, (x + last_x) // 2
        edges = (x > 0) + 2 * (y > 0)
        west, north = self._apart(middle[0], x, 0, 1), self._apart(y, middle[1], 1, 0)
        twin = (self._twin[middle] - self._vectors[middle]).tolist()
        left, up, third = (binned(abs(a) + abs(b), 10) for a, b in (west, north, twin))
        near = sum(
            int(np.abs(self._out[depth][v, u].astype(int)).sum())
            for v, u in ((r, c - 1), (r - 1, c))
            if v >= 0 and u >= 0
        )
        vector = (0, 0)
        if self._nonzero.decode(
            self._coder,
            [
                (10 * kind + left) * 10 + up,
                (10 * kind + binned(near, 10)) * 4 + edges,
                8 * kind + self._level,
                (10 * kind + min(left, up)) * 2 + (west == north),
                (10 * kind + third) * 10 + min(left, up),
            ],
            kind,
        ):
            first = self._component(2 * kind, west[0], north[0], twin[0], 0, 0)
            vector = first, self._component(2 * kind + 1, west[1], north[1], twin[1], first, int(first == 0))
            self._out[depth][r, c] = vector
            self._vectors[y:last_y, x:last_x] += vector
        if not depth:
            return
        west, north = self._apart(middle[0], x, 0, 1), self._apart(y, middle[1], 1, 0)
        left, up = (binned(abs(a) + abs(b), 10) for a, b in (west, north))
        splits = self._splits[depth]
        friends = int(splits[r, c - 1] if c else 0) + int(splits[r - 1, c] if r else 0)
        splits[r, c] = self._split.decode(
            self._coder,
            [
                (3 * kind + friends) * 4 + edges,
                10 * kind + binned(abs(vector[0]) + abs(vector[1]), 10),
                (8 * kind + self._level) * 3 + friends,
                (10 * kind + left) * 10 + up,
            ],
            kind,
        )
        if splits[r, c]:
            for v in (2 * r, 2 * r + 1):
                for u in (2 * c, 2 * c + 1):
                    self._node(depth - 1, v, u)

    def _apart(self, y: int, x: int, up: int, left: int) -> Pair:
        """What the cell so far up and to the left has more than (y, x); (0, 0) outside the grid."""
        if y < up or x < left:
            return 0, 0
        dx, dy = (self._vectors[y - up, x - left] - self._vectors[y, x]).tolist()
        return dx, dy

    def _component(self, kind: int, west: int, north: int, twin: int, other: int, floor: int) -> int:
        magnitude = floor
        while magnitude < 12 + floor:
            place = magnitude - floor
            toward = [min(max(abs(a) - magnitude, -3), 4) + 3 for a in (west, north, twin)]
            more = self._size.decode(
                self._coder,
                [
                    (8 * kind + toward[0]) * 8 + toward[1],
                    (10 * kind + min(abs(other), 9)) * 12 + place,
                    (8 * kind + self._level) * 12 + place,
                    (10 * kind + binned(min(abs(west), abs(north)), 10)) * 12 + place,
                    ((8 * kind + toward[2]) * 10 + binned(abs(twin), 10)) * 8 + min(toward[:2]),
                ],
                place,
                kind,
            )
            if not more:
                break
            magnitude += 1
        else:
            magnitude += self._escape.decode_escape(self._coder)
        if magnitude > CORRECTION_LIMIT:
            raise DamagedFileError("motion correction out of range")
        if not magnitude:
            return 0
        context = 4 * (3 * (_sign(west) + 1) + _sign(north) + 1) + 2 * (abs(west) == magnitude)
        context += abs(north) == magnitude
        signs = 3 * (_sign(west) + 1) + _sign(north) + 1
        third = 3 * (abs(twin) == magnitude) + _sign(twin) + 1
        contexts = [36 * kind + context, context, (9 * kind + signs) * 6 + third]
        return -magnitude if self._sign.decode(self._coder, contexts) else magnitude


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)


class StartSyntax:
    """0: the base field, 1: nothing, for each 64 x 64 tree."""

    def __init__(self, coder: RangeDecoder) -> None:
        self._coder = coder
        self._still = Model("start.still", [48, 64], 3)

    def decode(self, shape: tuple[int, int], level: int, first: Grid | None) -> Grid:
        """[rows, columns]; first: those of the first field, for the second one."""
        starts = np.zeros(shape, np.uint8)
        for r, c in np.ndindex(*shape):
            a, b, d, e = (
                int(starts[y, x]) if y >= 0 and 0 <= x < shape[1] else 0
                for y, x in ((r, c - 1), (r - 1, c), (r - 1, c - 1), (r - 1, c + 1))
            )
            twin = 0 if first is None else 1 + int(first[r, c])
            kind = 2 * level + (first is not None)
            starts[r, c] = self._still.decode(
                self._coder, [16 * twin + 8 * a + 4 * b + 2 * d + e, 4 * kind + 2 * a + b], twin
            )
        return starts


class BlendSyntax:
    """0: both references alike, 1: the first, 2: the second, for each 16 x 16 cell."""

    def __init__(self, coder: RangeDecoder) -> None:
        self._coder = coder
        self._single = Model("blend.single", [81, 72, 45], 5, 8)
        self._which = Model("blend.which", [81, 72])

    def decode(self, shape: tuple[int, int], level: int) -> Grid:
        """[rows, columns]"""
        modes = np.zeros(shape, np.uint8)

        def at(r: int, c: int) -> int:
            return int(modes[r, c]) if r >= 0 and 0 <= c < shape[1] else 0

        for r, c in np.ndindex(shape):
            near = at(r, c - 1), at(r - 1, c), at(r - 1, c - 1), at(r - 1, c + 1)
            around = ((near[0] * 3 + near[1]) * 3 + near[2]) * 3 + near[3]
            beside = (3 * level + near[0]) * 3 + near[1]
            some = sum(mode > 0 for mode in near)
            far = 3 * at(r, c - 2) + at(r - 2, c)
            if self._single.decode(self._coder, [around, beside, 5 * far + some], some, level):
                modes[r, c] = 1 + self._which.decode(self._coder, [around, beside])
        return modes
