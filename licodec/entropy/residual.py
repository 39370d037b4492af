"""Syntax of the residual: block sizes, extents and cosine coefficients of a batch of pictures.

A batch holds pictures that do not depend on each other, so that one pass of the context mixer serves
them all. Everything a context looks at is an integer that the decoder has already.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from licodec.entropy.coder import BitCoder, Ints
from licodec.entropy.mixing import BinaryModel, MagnitudeModel, bits_of, code_raw
from licodec.errors import DamagedFileError
from licodec.model.cosine import CELL, SIZES, diagonals

AnyArray = npt.NDArray[Any]

MAX_LEVELS = 8
"""Pyramid levels with contexts of their own; deeper ones share the last."""

# Extents (number of coded anti-diagonals) in classes: first value and number of extra bits of each.
_CLASS_START = np.array([0, 1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33])
_CLASS_EXTRA = np.array([0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 5])
_CLASS_OF = np.searchsorted(_CLASS_START, np.arange(65), side="right") - 1
CLASSES = len(_CLASS_START)

_MAGNITUDE_CAP = 14
_LEVEL_LIMIT = 32767


def _log_bins(limit: int, bins: int) -> Ints:
    """0, 1, 2, 3-4, 5-6, 7-9, ...: a table from 0..limit to about logarithmic bins."""
    edges, edge = [0, 1, 2], 2.0
    while len(edges) < bins:
        edge = max(edge * 1.45, edges[-1] + 1)
        edges.append(int(edge))
    return np.minimum(np.searchsorted(edges, np.arange(limit + 1), side="right") - 1, bins - 1)


_NEAR = _log_bins(512, 12)
_FAR = _log_bins(512, 8)


@dataclass
class ResidualSymbols:
    """Residual of a batch of pictures in one plane group (luma, or both chroma planes)."""

    sizes: npt.NDArray[np.uint8]
    """[pictures, rows / 8, columns / 8] size index of the block that covers each cell."""
    levels: npt.NDArray[np.int16]
    """[pictures, planes, rows, columns] quantised coefficients, each block in its own place."""


@dataclass(frozen=True)
class Rates:
    """Estimated bits of the residual's syntax at one level of the pyramid; `kind` is size index * planes + plane."""

    split: AnyArray
    """[size index (1, 2; 0 unused), 0 or 1] of a split flag."""
    coded: AnyArray
    """[kind, activity of the references (bin of `near_bin`), 0 or 1] whether a block holds anything."""
    extent: AnyArray
    """[kind, 65] of the extent of a block that does."""
    nonzero: AnyArray
    """[kind, diagonal, magnitudes near (bin), 0 or 1] whether a coefficient is zero."""
    magnitude: AnyArray
    """[kind, magnitudes near (bin), 15] of a magnitude and its sign; of larger ones, that of the last."""


def near_bin(values: AnyArray) -> Ints:
    """Bin (0..11) of a sum of activities or magnitudes."""
    return _NEAR[np.minimum(values, 512)]


def _extents(symbols: ResidualSymbols) -> list[Ints]:
    """For each size: [pictures, planes, rows / size, columns / size] coded diagonals of its blocks, 0 elsewhere."""
    pictures, planes, rows, columns = symbols.levels.shape
    picture, plane, y, x = np.nonzero(symbols.levels)
    size = symbols.sizes[picture, y // CELL, x // CELL]
    out = []
    for s, n in enumerate(SIZES):
        extent = np.zeros((pictures, planes, rows // n, columns // n), np.int64)
        mine = size == s
        i, p, v, u = picture[mine], plane[mine], y[mine], x[mine]
        np.maximum.at(extent, (i, p, v // n, u // n), v % n + u % n + 1)
        out.append(extent)
    return out


def _spread(values: AnyArray, factor: int) -> AnyArray:
    return np.repeat(np.repeat(values, factor, axis=-2), factor, axis=-1)


def pool(cells: AnyArray, factor: int) -> Ints:
    """Mean times 4 (integer) of factor x factor cells."""
    rows, columns = cells.shape[-2:]
    view = cells.reshape(*cells.shape[:-2], rows // factor, factor, columns // factor, factor)
    pooled: Ints = view.sum(axis=(-3, -1), dtype=np.int64) * 4 // (factor * factor)
    return pooled


def _around(values: Ints) -> Ints:
    """Sum over the four neighbours, and half of it again from the diagonals, zero outside."""
    p = np.pad(values, [(0, 0)] * (values.ndim - 2) + [(1, 1), (1, 1)])
    cross = p[..., :-2, 1:-1] + p[..., 2:, 1:-1] + p[..., 1:-1, :-2] + p[..., 1:-1, 2:]
    corners = p[..., :-2, :-2] + p[..., :-2, 2:] + p[..., 2:, :-2] + p[..., 2:, 2:]
    return cross + (corners >> 1)


def _phases(shape: tuple[int, ...]) -> list[npt.NDArray[np.bool_]]:
    """The cells of a grid in four interleaved passes: each pass has decoded neighbours on all sides."""
    y = np.arange(shape[-2])[:, None] % 2
    x = np.arange(shape[-1])[None] % 2
    return [(y == a) & (x == b) for a, b in ((0, 0), (1, 1), (0, 1), (1, 0))]


class ResidualCoder:
    """Codes the residual of one plane group; its models learn over a whole segment."""

    def __init__(self, planes: int) -> None:
        lv, pl = MAX_LEVELS, planes
        self._planes = planes
        self._split = BinaryModel([2 * lv * 4 * 12, 2 * 4 * 12 * 8, 2 * 12 * 12], 2 * 4)
        self._coded = BinaryModel([3 * pl * lv * 4, 3 * pl * 4 * 12, 3 * pl * 12 * 8, 3 * pl * 12 * 12], 12 * pl)
        self._extent = MagnitudeModel([3 * pl * lv, 3 * pl * 12, 3 * pl * 12], CLASSES - 2, 1)
        self._extra = BinaryModel([CLASSES * 8], 1)
        self._nonzero = BinaryModel(
            [3 * pl * 64 * 12, 3 * pl * 12 * 12 * 4, pl * 1024 * 3, 3 * pl * 12 * 12, lv * 64 * 3 * pl], 12
        )
        self._above = MagnitudeModel([3 * pl * 12, 64 * pl, 12 * 8], _MAGNITUDE_CAP, 1)

    def models(self) -> dict[str, BinaryModel]:
        """The adaptive models by name."""
        return {
            "split": self._split,
            "coded": self._coded,
            "extra": self._extra,
            "nonzero": self._nonzero,
            **self._extent.models("extent"),
            **self._above.models("above"),
        }

    def rates(self, level: int) -> Rates:
        """Estimates from what the models have seen so far, each from the context that says most."""
        level, kinds = min(level, MAX_LEVELS - 1), 3 * self._planes

        split = self._split.probabilities(0, (2, MAX_LEVELS, 48), (2,))[:, level]
        coded = self._coded.probabilities(2, (kinds, 12, 8), (2,))
        classes = self._extent.bits(0).reshape(kinds, MAX_LEVELS, -1)[:, level]
        extents = np.arange(1, 65)
        extent = classes[:, np.minimum(_CLASS_OF[extents], CLASSES - 2) - 1] + _CLASS_EXTRA[_CLASS_OF[extents]]
        magnitude = self._above.bits(0).reshape(kinds, 12, -1)
        return Rates(
            bits_of(np.array([0.5, split[1], split[0]])),
            bits_of(coded),
            np.pad(extent, [(0, 0), (1, 0)]).astype(np.float32),
            bits_of(self._nonzero.probabilities(0, (kinds, 64, 12))),
            np.pad(magnitude + 1, [(0, 0), (0, 0), (1, 0)]).astype(np.float32),
        )

    def code(
        self,
        coder: BitCoder,
        symbols: ResidualSymbols,
        level: int,
        past: npt.NDArray[np.uint8],
        guide: npt.NDArray[np.uint8] | None,
    ) -> npt.NDArray[np.uint8]:
        """Code a batch in place (a decoder fills in `symbols`) and return its activity.

        `past`: [pictures, 2, rows / 8, columns / 8] activity of the two references (0 where none);
        `guide`: the same shape less the second axis, activity of the luma under this chroma.
        """
        level = min(level, MAX_LEVELS - 1)
        before = past.sum(axis=1, dtype=np.int64)
        below = np.zeros_like(before) if guide is None else guide.astype(np.int64)
        self._code_sizes(coder, symbols.sizes, level, before, below)
        act, extents = self._code_extents(coder, symbols, level, before, below)
        self._code_levels(coder, symbols, level, act, extents)
        return act

    def _code_sizes(self, coder: BitCoder, sizes: npt.NDArray[np.uint8], level: int, before: Ints, below: Ints) -> None:
        open_ = np.ones(sizes[:, ::4, ::4].shape, bool)
        if coder.decoding:
            sizes[:] = 2
        for depth, factor in enumerate((4, 2)):
            split = np.zeros(open_.shape, np.int64)
            wanted = (sizes[:, ::factor, ::factor] < 2 - depth).astype(np.int64)
            b = _NEAR[np.minimum(pool(before, factor), 512)]
            g = _NEAR[np.minimum(pool(below, factor), 512)]
            for phase, mask in enumerate(_phases(open_.shape)):
                at = np.nonzero(open_ & mask)
                near = np.minimum(_around(split * 2)[at], 11)
                kind = depth * 4 + phase
                bits = self._split.code(
                    coder,
                    [
                        (depth * MAX_LEVELS + level) * 48 + phase * 12 + near,
                        ((depth * 4 + phase) * 12 + b[at]) * 8 + np.minimum(near, 7),
                        (depth * 12 + g[at]) * 12 + b[at],
                    ],
                    np.full(len(at[0]), kind),
                    None if coder.decoding else wanted[at].astype(np.int32),
                )
                split[at] = bits
            if coder.decoding:
                sizes[_spread(split, factor).astype(bool)] = 1 - depth
            open_ = _spread(split, 2).astype(bool) if depth == 0 else open_

    def _code_extents(
        self, coder: BitCoder, symbols: ResidualSymbols, level: int, before: Ints, below: Ints
    ) -> tuple[npt.NDArray[np.uint8], list[tuple[Ints, ...]]]:
        """The activity; for each size the coded blocks: (picture, plane, block row, block column, extent)."""
        pictures, planes, rows, columns = symbols.levels.shape
        act = np.zeros((pictures, planes, rows // CELL, columns // CELL), np.int64)
        found: list[tuple[Ints, ...]] = [()] * 3
        wanted_extents = None if coder.decoding else _extents(symbols)
        for s in (2, 1, 0):
            factor = SIZES[s] // CELL
            chosen = symbols.sizes[:, ::factor, ::factor] == s
            extent = np.zeros((pictures, planes, *chosen.shape[1:]), np.int64)
            wanted = None if wanted_extents is None else wanted_extents[s]
            b = _NEAR[np.minimum(pool(before, factor), 512)]
            g = _NEAR[np.minimum(pool(below, factor), 512)]
            for p in range(planes):
                other = pool(act[:, 0], factor) if p else None
                for phase, mask in enumerate(_phases(chosen.shape)):
                    at = np.nonzero(chosen & mask)
                    near = _NEAR[np.minimum(_around(pool(act[:, p], factor))[at] // 4, 512)]
                    under = g[at] if other is None else _NEAR[np.minimum(other[at] * 2, 512)]
                    kind = s * planes + p
                    value = self._code_extent(
                        coder,
                        kind,
                        level,
                        phase,
                        near,
                        b[at],
                        under,
                        len(at[0]),
                        None if wanted is None else wanted[:, p][at],
                    )
                    extent[:, p][at] = value
                    block = np.zeros(chosen.shape, np.int64)
                    block[at] = _CLASS_OF[value]
                    act[:, p] += _spread(block, factor)
            coded = np.nonzero(extent)
            found[s] = (*coded, extent[coded])
        return act.astype(np.uint8), found

    def _code_extent(
        self,
        coder: BitCoder,
        kind: int,
        level: int,
        phase: int,
        near: Ints,
        before: Ints,
        under: Ints,
        count: int,
        wanted: Ints | None,
    ) -> Ints:
        coded = self._coded.code(
            coder,
            [
                np.full(count, (kind * MAX_LEVELS + level) * 4 + phase),
                (kind * 4 + phase) * 12 + near,
                (kind * 12 + before) * 8 + np.minimum(near, 7),
                (kind * 12 + under) * 12 + near,
            ],
            np.full(count, (kind % self._planes) * 12 + kind // self._planes * 4 + phase),
            None if wanted is None else (wanted > 0).astype(np.int32),
        ).astype(bool)
        value = np.zeros(count, np.int64)
        n = int(coded.sum())
        if not n:
            return value
        classes = None if wanted is None else _CLASS_OF[wanted[coded]]
        got = 1 + self._extent.code(
            coder,
            [np.full(n, kind * MAX_LEVELS + level), kind * 12 + near[coded], kind * 12 + under[coded]],
            np.zeros(n, np.int64),
            None if classes is None else classes - 1,
        )
        if got.max() >= CLASSES:
            raise DamagedFileError(f"a block has extent class {got.max()} of {CLASSES}")
        extra = np.zeros(n, np.int64)
        rest = None if wanted is None else wanted[coded] - _CLASS_START[classes]
        for bit in range(4, -1, -1):
            active = np.flatnonzero(_CLASS_EXTRA[got] > bit)
            bits = self._extra.code(
                coder,
                [got[active] * 8 + bit],
                np.zeros(len(active), np.int64),
                None if rest is None else (rest[active] >> bit & 1).astype(np.int32),
            )
            extra[active] |= bits.astype(np.int64) << bit
        value[coded] = _CLASS_START[got] + extra
        most = 2 * SIZES[kind // self._planes] - 1
        if value.max() > most:
            raise DamagedFileError(f"a block has {value.max()} coded diagonals, over {most}")
        return value

    def _code_levels(
        self,
        coder: BitCoder,
        symbols: ResidualSymbols,
        level: int,
        act: npt.NDArray[np.uint8],
        blocks: list[tuple[Ints, ...]],
    ) -> None:
        pictures, planes, rows, columns = symbols.levels.shape
        # Magnitudes with a margin of two, so that looking up and left needs no bounds.
        stride = columns + 2
        plane_size = (rows + 2) * stride
        size = np.concatenate([np.full(len(blocks[s][0]), s) for s in range(3)]).astype(np.int64)
        if not len(size):
            return
        picture, plane, down, across, extent = (
            np.concatenate([blocks[s][i] for s in range(3)]).astype(np.int64) for i in range(5)
        )
        edge = np.array(SIZES)[size]
        base = (picture * planes + plane) * plane_size + (down * edge + 2) * stride + across * edge + 2
        magnitude = np.zeros(pictures * planes * plane_size, np.int64)
        source = np.zeros((pictures, planes, rows + 2, stride), np.int64)
        if not coder.decoding:
            source[:, :, 2:, 2:] = symbols.levels
        signed = source.reshape(-1)
        around = _around(act.astype(np.int64))
        cell = edge // CELL
        energy = _FAR[np.minimum(around[picture, plane, down * cell, across * cell] // 4, 512)]
        for d in range(int(extent.max())):
            alive = np.flatnonzero(extent > d)
            parts = []
            for s in range(3):
                members = alive[size[alive] == s]
                if not len(members):
                    continue
                v, u = diagonals(SIZES[s])[d]
                owner = np.repeat(members, len(v))
                parts.append(np.stack([owner, np.tile(v, len(members)), np.tile(u, len(members))]))
            owner, v, u = np.concatenate(parts, axis=1)
            self._code_diagonal(
                coder,
                d,
                level,
                size[owner],
                plane[owner],
                extent[owner],
                energy[owner],
                v,
                u,
                base[owner] + v * stride + u,
                stride,
                magnitude,
                signed,
            )
        if coder.decoding:
            symbols.levels[:] = source[:, :, 2:, 2:]

    def _code_diagonal(
        self,
        coder: BitCoder,
        d: int,
        level: int,
        size: Ints,
        plane: Ints,
        extent: Ints,
        energy: Ints,
        v: Ints,
        u: Ints,
        at: Ints,
        stride: int,
        magnitude: Ints,
        signed: Ints,
    ) -> None:
        # Neighbours outside the block belong to another block: masked.
        left, up = magnitude[at - 1] * (u > 0), magnitude[at - stride] * (v > 0)
        corner = magnitude[at - stride - 1] * ((u > 0) & (v > 0))
        left2, up2 = magnitude[at - 2] * (u > 1), magnitude[at - 2 * stride] * (v > 1)
        near = _NEAR[np.minimum(2 * (left + up) + corner + left2 + up2, 512)]
        kind = size * self._planes + plane
        togo = np.minimum(extent - d - 1, 11)
        dd = min(d, 63)
        axis = np.where(u == 0, 0, np.where(v == 0, 1, np.where(u > v, 2, 3)))
        reach = _FAR[extent]
        place = np.minimum(v, 31) * 32 + np.minimum(u, 31)
        values = None if coder.decoding else signed[at]
        contexts = [
            (kind * 64 + dd) * 12 + near,
            ((kind * 12 + togo) * 12 + near) * 4 + axis,
            (plane * 1024 + place) * 3 + size,
            (kind * 12 + np.minimum(energy, 11)) * 12 + reach,
            (level * 64 + dd) * 3 * self._planes + kind,
        ]
        nonzero = self._nonzero.code(
            coder, contexts, near, None if values is None else (values != 0).astype(np.int32)
        ).astype(bool)
        hits = np.flatnonzero(nonzero)
        m = 1 + self._above.code(
            coder,
            [kind[hits] * 12 + near[hits], plane[hits] * 64 + dd, near[hits] * 8 + energy[hits]],
            np.zeros(len(hits), np.int64),
            None if values is None else np.abs(values[hits]) - 1,
        )
        negative = code_raw(coder, len(hits), None if values is None else (values[hits] < 0).astype(np.int32))
        if m.max(initial=0) > _LEVEL_LIMIT:
            raise DamagedFileError(f"a coefficient is {m.max()}, over {_LEVEL_LIMIT}")
        magnitude[at[hits]] = m
        if coder.decoding:
            signed[at[hits]] = np.where(negative.astype(bool), -m, m)
