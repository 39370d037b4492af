"""`Residual`: block sizes, extents and coefficients of one plane group of a picture."""

from __future__ import annotations

from functools import cache
from math import cos, pi, sqrt

import numpy as np

from licodec.entropy.reference.grids import Grid, binned
from licodec.entropy.reference.mixing import Model, RangeDecoder
from licodec.errors import DamagedFileError

CLASS_START = (0, 1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33)
CLASS_EXTRA = (0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 5)
LEVEL_LIMIT = 16383
NEXT_STATE = ((0, 2), (2, 0), (1, 3), (3, 1))
SEAM_SCALE = (6, 8, 11, 16)


def _mean4(grid: Grid, y: int, x: int, f: int) -> int:
    """Four times the mean of f x f cells, rounded down."""
    return 4 * int(grid[y : y + f, x : x + f].sum(dtype=int)) // (f * f)


class ResidualSyntax:
    """Decodes the residual of one picture after the other."""

    def __init__(self, coder: RangeDecoder, planes: int, part: str) -> None:
        self._coder, self._planes = coder, planes
        kinds = 8 * planes
        twins, place, along, bandwise = planes * 16 * 12, 4096 * planes, kinds * 12 * 24, kinds * 12 * 12
        seams, pulled = kinds * 288, kinds * 144
        self._split = Model(f"{part}split", [216, 108, 432, 432], 9, 24)
        self._intra = Model(f"{part}intra", [128, 288, 32, 384], 8, 8)
        self._mode = Model(f"{part}mode", [32 * n for n in (441, 84, 21, 21, 8)], 5, 8)
        self._coded = Model(f"{part}coded", [kinds * 32, *[kinds * 144] * 5], kinds, 12)
        self._extent = Model(f"{part}extent", [10 * kinds * n for n in (8, 12, 12, 144, 144, 32)], 10, kinds)
        self._extra = Model(f"{part}extra", [96])
        self._nonzero = Model(
            f"{part}nonzero",
            [
                *(kinds * 64 * 36, kinds * 12 * 12 * 12, place, kinds * 144, 3 * twins, 3 * along, bandwise),
                *(12 * seams, 3 * 12 * kinds * 12),
            ],
            144,
            kinds * 64,
        )
        self._above = Model(
            f"{part}above",
            [14 * n for n in (kinds * 24, kinds * 144, 2 * twins, place, along, bandwise, seams)],
            28,
            kinds * 12,
        )
        self._escape = Model(f"{part}escape", [24])
        self._sign = Model(f"{part}sign", [4 * seams, 3 * pulled, 60], 4, 12)

    def decode(self, past: Grid, guide: Grid, lead: Grid, level: int) -> tuple[Grid, Grid, Grid, Grid]:
        """A picture's sizes [rows / 8, columns / 8], modes [rows / 4, columns / 4], levels [planes, rows, columns] and
        activity.

        `past`, `guide`: [rows / 8, columns / 8]; `lead`: [rows / 4, columns / 4].
        """
        rows, columns = past.shape
        self._past, self._guide, self._lead, self._level = past, guide, lead, level
        self._modes = np.zeros((2 * rows, 2 * columns), np.uint8)
        self._sizes = np.full(past.shape, 3, np.uint8)
        self._quarters = np.zeros((self._planes, 2 * rows, 2 * columns), np.uint8)
        self._levels = np.zeros((self._planes, 8 * rows, 8 * columns), np.int16)
        self._below = np.zeros((self._planes, 8 * columns), np.int64)
        self._right = np.zeros((self._planes, 8 * rows), np.int64)
        for y in range(0, rows, 4):
            for x in range(0, columns, 4):
                self._tree(3, y, x)
        activity = self._quarters.reshape(self._planes, rows, 2, columns, 2).max(axis=(2, 4))
        return self._sizes, self._modes, self._levels, activity

    def _tree(self, s: int, y: int, x: int) -> None:
        """A block of size index s at cell (y, x), or the four that it is split into."""
        if self._is_split(s, y, x):
            if s == 1:
                self._sizes[y, x] = 0
                for v in (2 * y, 2 * y + 1):
                    for u in (2 * x, 2 * x + 1):
                        self._blocks(0, v, u)
                return
            half = 1 << s - 2
            for v in (y, y + half):
                for u in (x, x + half):
                    self._tree(s - 1, v, u)
            return
        f = 1 << s - 1
        self._sizes[y : y + f, x : x + f] = s
        self._blocks(s, 2 * y, 2 * x)

    def _blocks(self, s: int, y: int, x: int) -> None:
        f = 1 << s
        mode = self._modes[y : y + f, x : x + f] = self._decode_mode(s, y, x)
        for plane in range(self._planes):
            self._block(plane, s, y, x, mode > 0)

    def _decode_mode(self, s: int, y: int, x: int) -> int:
        f, level = 1 << s, self._level
        left = int(self._modes[y, x - 1]) if x else 0
        up = int(self._modes[y - 1, x]) if y else 0
        lead = int(self._lead[y + f // 2, x + f // 2])
        led, around, near = int(lead > 0), 2 * (left > 0) + (up > 0), binned(sum(self._beside(0, y, x, f)))
        before = binned(_mean4(self._past, y // 2, x // 2, max(f // 2, 1)))
        intra = self._intra.decode(
            self._coder,
            [
                (8 * s + level) * 4 + around,
                (12 * led + before) * 12 + near,
                (2 * s + led) * 4 + around,
                (12 * level + near) * 4 + around,
            ],
            2 * s + led,
            level,
        )
        node = 1
        for digit in range(5 if intra else 0):
            contexts = [21 * left + up, 4 * lead + s, left, up, 4 * (level > 0) + s]
            node = 2 * node + self._mode.decode(self._coder, [32 * c + node for c in contexts], 4 - digit, 2 * s + led)
        if intra and (node - 31 > 20 or (node - 31 == 3 and self._planes == 1)):
            raise DamagedFileError("mode out of range")
        return node - 31 if intra else 0

    def _is_split(self, s: int, y: int, x: int) -> int:
        depth, f = 3 - s, 1 << s - 1
        left = 0 if x == 0 else 1 + int(self._sizes[y, x - 1] < s)
        up = 0 if y == 0 else 1 + int(self._sizes[y - 1, x] < s)
        smaller = (left == 2) + (up == 2)
        before, under = binned(_mean4(self._past, y, x, f)), binned(_mean4(self._guide, y, x, f))
        near = binned(sum(self._beside(0, 2 * y, 2 * x, 2 * f)))
        return self._split.decode(
            self._coder,
            [
                (8 * depth + self._level) * 9 + 3 * left + up,
                (12 * depth + before) * 3 + smaller,
                (12 * depth + under) * 12 + before,
                (12 * depth + near) * 12 + before,
            ],
            3 * depth + smaller,
            8 * depth + self._level,
        )

    def _beside(self, plane: int, y: int, x: int, f: int) -> tuple[int, int]:
        """Four times the mean activity of the quarters of cells to the left and of those above."""
        activity = self._quarters[plane].astype(int)
        left = activity[y : y + f, x - 1].sum() if x else 0
        up = activity[y - 1, x : x + f].sum() if y else 0
        return int(left) * 4 // f, int(up) * 4 // f

    def _block(self, plane: int, s: int, y: int, x: int, intra: bool) -> None:
        f, kind, level = 1 << s, (s + 4 * intra) * self._planes + plane, self._level
        left, up = self._beside(plane, y, x, f)
        past, guide = (_mean4(grid, y // 2, x // 2, max(f // 2, 1)) for grid in (self._past, self._guide))
        near, before = binned(left + up), binned(past)
        under = binned(8 * int(self._quarters[0, y, x]) if plane else guide)
        n, upper_edge, left_edge = 4 * f, self._below[plane, 4 * x :][: 4 * f], self._right[plane, 4 * y :][: 4 * f]
        gaps = [[0] * n if intra else _forward(s, edge) for edge in (upper_edge, left_edge)]
        width = [binned(sum(map(abs, gap)) * SEAM_SCALE[s] >> 9) for gap in gaps]
        seam = (12 * kind + width[0]) * 12 + width[1]
        wide = max((k for k in range(n) if max(abs(g[k]) for g in gaps) * SEAM_SCALE[s] >> 8 > 5), default=0)
        coded = self._coded.decode(
            self._coder,
            [
                (8 * kind + level) * 4 + 2 * (left > 0) + (up > 0),
                (12 * kind + near) * 12 + before,
                (12 * kind + under) * 12 + near,
                (12 * kind + binned(left)) * 12 + binned(up),
                (12 * kind + under) * 12 + before,
                seam,
            ],
            kind,
            near,
        )
        upper_edge[:] = left_edge[:] = 0
        if not coded:
            return
        class_ = 1
        while class_ < 11 and self._extent.decode(
            self._coder,
            [
                10 * c + class_ - 1
                for c in (
                    *(8 * kind + level, 12 * kind + near, 12 * kind + under, (12 * kind + before) * 12 + near),
                    *(seam, 32 * kind + wide),
                )
            ],
            class_ - 1,
            kind,
        ):
            class_ += 1
        extent = 0
        for bit in reversed(range(CLASS_EXTRA[class_])):
            extent += self._extra.decode(self._coder, [8 * class_ + bit]) << bit
        extent += CLASS_START[class_]
        if extent > 8 * f - 1:
            raise DamagedFileError("extent out of range")
        self._quarters[plane, y : y + f, x : x + f] = class_
        self._coefficients(plane, kind, s, 4 * y, 4 * x, extent, binned(left + up + past), gaps)
        if intra:
            return
        block = self._levels[plane, 4 * y :, 4 * x :][:n, :n].astype(int).tolist()
        last = [-_edge(s, k) if k % 2 else _edge(s, k) for k in range(n)]
        upper_edge[:] = _backward(s, [sum(block[v][u] * last[v] for v in range(n)) for u in range(n)])
        left_edge[:] = _backward(s, [sum(block[v][u] * last[u] for u in range(n)) for v in range(n)])

    def _coefficients(
        self, plane: int, kind: int, s: int, y: int, x: int, extent: int, energy: int, gaps: list[list[int]]
    ) -> None:
        n = 4 << s
        block = self._levels[plane, y : y + n, x : x + n]
        sum_before, state = 0, 0
        for d in range(extent):
            togo, total = min(extent - d - 1, 11), 0
            for v in range(max(0, d - n + 1), min(d, n - 1) + 1):
                u = d - v
                near = binned(_near(block, v, u))
                twins = (16 * plane + self._twins(plane, n, y, x, v, u)) * 12 + near
                place = (1024 * plane + 32 * v + u) * 4 + s
                ahead = 12 + min(min(d, n - 1) - v, 11) if togo == 0 else binned(sum_before)
                along = (12 * kind + binned(total)) * 24 + ahead
                bandwise = (12 * kind + min(d, 11)) * 12 + togo
                odd, third = state // 2, max(state - 1, 0)
                upper, left = (gap[k] * SEAM_SCALE[s] >> 8 for gap, k in zip(gaps, (u, v), strict=True))
                seams = 2 * ((12 * kind + binned(abs(upper))) * 12 + binned(abs(left))) + ((upper > 0) == (left > 0))
                pull = binned(abs(upper + left))
                nonzero = self._nonzero.decode(
                    self._coder,
                    [
                        ((64 * kind + d) * 12 + near) * 3 + third,
                        (((12 * kind + togo) * 12 + near) * 4 + _axis(v, u)) * 3 + third,
                        place,
                        (12 * kind + energy) * 12 + binned(extent),
                        3 * twins + third,
                        3 * along + third,
                        bandwise,
                        (4 * seams + _axis(v, u)) * 3 + third,
                        ((12 * kind + pull) * 12 + near) * 3 + third,
                    ],
                    3 * (4 * near + s) + third,
                    64 * kind + d,
                )
                if not nonzero:
                    state = NEXT_STATE[state][0]
                    continue
                wide = (12 * kind + binned(sum_before)) * 12 + togo
                contexts = [2 * (12 * kind + near) + odd, wide, 2 * twins + odd, place, along, bandwise, seams]
                magnitude = self._magnitude(contexts, odd, 12 * kind + near)
                if magnitude > LEVEL_LIMIT:
                    raise DamagedFileError("coefficient out of range")
                against, few = int(upper + left < 0), min(magnitude, 3) - 1
                other = int(self._levels[0, y + v, x + u]) if plane else 0
                alike = 2 * min((abs(other) + 1) // 2, 2) - 1 + (int(other < 0) ^ against) if other else 0
                signs = [
                    4 * seams + _axis(v, u),
                    ((12 * kind + pull) * 3 + few) * 12 + togo,
                    (4 * alike + _axis(v, u)) * 3 + few,
                ]
                level = 2 * magnitude - odd
                if self._sign.decode(self._coder, signs, _axis(v, u), pull) != against:
                    level = -level
                block[v, u] = level
                gaps[0][u] -= level * _edge(s, v) >> 4
                gaps[1][v] -= level * _edge(s, u) >> 4
                total += magnitude
                state = NEXT_STATE[state][magnitude % 2]
            sum_before = total

    def _twins(self, plane: int, n: int, y: int, x: int, v: int, u: int) -> int:
        """What lies at the same place of the blocks beside, or of the other chroma plane: two magnitudes to 3."""

        def at(layer: int, row: int, column: int) -> int:
            return min((abs(int(self._levels[layer, row, column])) + 1) // 2, 3) if row >= 0 and column >= 0 else 0

        if plane:
            return 4 * at(0, y + v, x + u) + at(0, y + min(v + 1, n - 1), x + u)
        return 4 * at(0, y + v, x + u - n if x else -1) + at(0, y + v - n if y else -1, x + u)

    def _magnitude(self, contexts: list[int], odd: int, other: int) -> int:
        magnitude = 1
        while magnitude < 15 and self._above.decode(
            self._coder, [14 * c + magnitude - 1 for c in contexts], 2 * (magnitude - 1) + odd, other
        ):
            magnitude += 1
        if magnitude < 15:
            return magnitude
        return magnitude + self._escape.decode_escape(self._coder)


@cache
def _cosine(s: int, k: int, i: int) -> int:
    n = 4 << s
    return round(4096 * sqrt((2 if k else 1) / n) * cos(pi * k * (2 * i + 1) / (2 * n)))


def _edge(s: int, k: int) -> int:
    return round(4096 * sqrt((2 if k else 1) / (4 << s)))


def _forward(s: int, samples: Grid) -> list[int]:
    n = 4 << s
    return [sum(_cosine(s, k, i) * int(samples[i]) for i in range(n) if samples[i]) >> 12 for k in range(n)]


def _backward(s: int, transform: list[int]) -> list[int]:
    n = 4 << s
    return [sum(_cosine(s, k, i) * transform[k] for k in range(n) if transform[k]) >> 16 for i in range(n)]


def _axis(v: int, u: int) -> int:
    if u == 0:
        return 0
    if v == 0:
        return 1
    return 2 if u > v else 3


def _near(block: Grid, v: int, u: int) -> int:
    """Weighted magnitudes left of and above a coefficient, inside its block."""

    def at(row: int, column: int) -> int:
        return (abs(int(block[row, column])) + 1) // 2 if row >= 0 and column >= 0 else 0

    return 2 * (at(v, u - 1) + at(v - 1, u)) + at(v - 1, u - 1) + at(v, u - 2) + at(v - 2, u)
