"""`Motion corrections` and `Blend map`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from licodec.entropy.reference.grids import Grid, around, binned, cells
from licodec.entropy.reference.mixing import Magnitude, Model, RangeDecoder, decode_signs
from licodec.errors import DamagedFileError

CORRECTION_LIMIT = 8190
Cells = list[tuple[int, int, int]]


class MotionSyntax:
    """Corrections of the fields of a batch, from the coarsest nodes down."""

    def __init__(self, coder: RangeDecoder) -> None:
        self._coder = coder
        self._nonzero = Model("motion.nonzero", [8 * 4 * 10, 8 * 10 * 10, 8 * 8], 8)
        self._split = Model("motion.split", [8 * 4 * 8, 8 * 10, 8 * 8 * 3], 8)
        self._size = Magnitude("motion.size", [16 * 10, 16 * 10, 16 * 8], 12)

    def decode(
        self, fields: int, shapes: Sequence[tuple[int, int]], level: int, second: int
    ) -> list[npt.NDArray[np.int16]]:
        """[fields, rows, columns, 2] corrections of each depth, finest first."""
        out = [np.zeros((fields, *shape, 2), np.int16) for shape in shapes]
        open_ = np.ones((fields, *shapes[3]), bool)
        parent = np.zeros((fields, *shapes[3]), int)
        for depth in (3, 2, 1, 0):
            kind = 2 * depth + second
            size = np.zeros(open_.shape, int)
            split = np.zeros(open_.shape, int)
            for phase in range(4):
                at = [c for c in cells(open_.shape, phase) if open_[c]]
                near = [binned(around(size[i], y, x), 10) for i, y, x in at]
                high = [binned(int(parent[c]), 10) for c in at]
                for c, vector in zip(at, self._vectors(kind, level, phase, near, high), strict=True):
                    out[depth][c] = vector
                    size[c] = abs(vector[0]) + abs(vector[1])
                if depth:
                    self._decode_splits(split, size, at, high, kind, level, phase)
            if depth:
                rows, columns = shapes[depth - 1]
                open_, parent = (
                    np.repeat(np.repeat(a, 2, axis=1), 2, axis=2)[:, :rows, :columns]
                    for a in (split.astype(bool), size + parent // 2)
                )
        return out

    def _vectors(
        self, kind: int, level: int, phase: int, near: Sequence[int], high: Sequence[int]
    ) -> list[tuple[int, int]]:
        some = self._nonzero.decode_all(
            self._coder,
            [
                ([(kind * 4 + phase) * 10 + n, (kind * 10 + n) * 10 + h, kind * 8 + level], kind)
                for n, h in zip(near, high, strict=True)
            ],
        )
        hit = [i for i, bit in enumerate(some) if bit]
        k = 2 * kind
        xs = decode_signs(
            self._coder, self._size.decode(self._coder, [[k * 10 + near[i], k * 10, k * 8 + level] for i in hit])
        )
        k += 1
        ys = self._size.decode(
            self._coder,
            [[k * 10 + near[i], k * 10 + min(abs(x), 9), k * 8 + level] for i, x in zip(hit, xs, strict=True)],
        )
        # Both components of a vector that is not zero cannot be 0, so 0 means 1 where x is 0.
        ys = decode_signs(self._coder, [y + (x == 0) for x, y in zip(xs, ys, strict=True)])
        out = [(0, 0)] * len(near)
        for i, x, y in zip(hit, xs, ys, strict=True):
            if max(abs(x), abs(y)) > CORRECTION_LIMIT:
                raise DamagedFileError("motion correction out of range")
            out[i] = (x, y)
        return out

    def _decode_splits(
        self, split: Grid, size: Grid, at: Cells, high: Sequence[int], kind: int, level: int, phase: int
    ) -> None:
        bits = self._split.decode_all(
            self._coder,
            [
                (
                    [
                        (kind * 4 + phase) * 8 + min(around(split[i], y, x), 7),
                        kind * 10 + binned(int(size[i, y, x]), 10),
                        (kind * 8 + level) * 3 + min(h, 2),
                    ],
                    kind,
                )
                for (i, y, x), h in zip(at, high, strict=True)
            ],
        )
        for c, bit in zip(at, bits, strict=True):
            split[c] = bit


class BlendSyntax:
    """0: both references alike, 1: the first, 2: the second, for each 16 x 16 cell."""

    def __init__(self, coder: RangeDecoder) -> None:
        self._coder = coder
        self._single = Model("blend.single", [4 * 12 * 8, 12 * 12])
        self._which = Model("blend.which", [4 * 5 * 5, 8])

    def decode(self, pictures: int, shape: tuple[int, int], level: int) -> npt.NDArray[np.uint8]:
        """[pictures, rows, columns]"""
        modes = np.zeros((pictures, *shape), np.uint8)
        for phase in range(4):
            at = list(cells(modes.shape, phase))
            ones = [around(2 * (modes[i] == 1), y, x) for i, y, x in at]
            twos = [around(2 * (modes[i] == 2), y, x) for i, y, x in at]
            single = self._single.decode_all(
                self._coder,
                [
                    ([(phase * 12 + min((one + two) // 2, 11)) * 8 + level, min(one, 11) * 12 + min(two, 11)], 0)
                    for one, two in zip(ones, twos, strict=True)
                ],
            )
            hit = [i for i, bit in enumerate(single) if bit]
            which = self._which.decode_all(
                self._coder, [([(phase * 5 + min(ones[i] // 2, 4)) * 5 + min(twos[i] // 2, 4), level], 0) for i in hit]
            )
            for i, bit in zip(hit, which, strict=True):
                modes[at[i]] = 1 + bit
        return modes
