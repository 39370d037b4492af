"""Syntax of motion corrections and of the blend between two references."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from licodec.entropy.coder import BitCoder, Ints
from licodec.entropy.kernels import MAX_LEVELS, log_bins
from licodec.entropy.mixing import BinaryModel, MagnitudeModel, bits_of, code_raw
from licodec.errors import DamagedFileError
from licodec.model.motion import LEVELS, LIMIT

Floats = npt.NDArray[np.floating[Any]]

_NEAR = log_bins(512, 10)


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


@dataclass(frozen=True)
class MotionRates:
    """Estimated bits of the corrections of one field at one level of the pyramid."""

    nonzero: Floats
    """[LEVELS, 0 or 1] whether a node has a correction, finest first."""
    size: Floats
    """[LEVELS, 2 axes, 13] of a component's magnitude and its sign; more from 12 on."""
    split: Floats
    """[LEVELS, 0 or 1] whether finer nodes under a node have any (0 for the finest)."""


class MotionCoder:
    """Codes the hierarchical corrections of a batch of fields as quadtrees from the coarsest nodes down."""

    def __init__(self) -> None:
        k = LEVELS * 2
        self._nonzero = BinaryModel([k * 4 * 10, k * 10 * 10, k * MAX_LEVELS], k)
        self._split = BinaryModel([k * 4 * 8, k * 10, k * MAX_LEVELS * 3], k)
        self._size = MagnitudeModel([k * 2 * 10, k * 2 * 10, k * 2 * MAX_LEVELS], 12)

    def models(self) -> dict[str, BinaryModel]:
        """The adaptive models by name."""
        return {"nonzero": self._nonzero, "split": self._split, **self._size.models("size")}

    def rates(self, level: int, second: int) -> MotionRates:
        """Estimates from what the models have seen so far; `second`: which reference."""
        level, kinds = min(level, MAX_LEVELS - 1), np.arange(second, 2 * LEVELS, 2)
        nonzero = self._nonzero.probabilities(2, (-1, MAX_LEVELS))[kinds, level]
        split = self._split.probabilities(2, (-1, MAX_LEVELS, 3), (2,))[kinds, level]
        size = self._size.bits(2).reshape(-1, 2, MAX_LEVELS, 12)[kinds, :, level]
        # Every magnitude but 0 has a sign; 12 and more begin with the bits of 11 and go on.
        size = np.concatenate([size, size[..., -1:] + 1], axis=-1) + (np.arange(13) > 0)
        return MotionRates(bits_of(nonzero), size.astype(np.float32), bits_of(split))

    def code(self, coder: BitCoder, corrections: Sequence[npt.NDArray[np.int16]], level: int, second: int) -> None:
        """Code in place [fields, rows, columns, 2] corrections, finest level first; `second`: which reference."""
        level = min(level, MAX_LEVELS - 1)
        below = None if coder.decoding else _has_below(corrections)
        open_ = np.ones(corrections[-1].shape[:3], bool)
        parent = np.zeros(corrections[-1].shape[:3], np.int64)
        for depth in range(LEVELS - 1, -1, -1):
            step = corrections[depth]
            kind = depth * 2 + second
            size = np.zeros(open_.shape, np.int64)
            split = np.zeros(open_.shape, np.int64)
            for phase, mask in enumerate(_phases(open_.shape)):
                at = np.nonzero(open_ & mask)
                near = _NEAR[np.minimum(_around(size)[at], 512)]
                high = _NEAR[np.minimum(parent[at], 512)]
                values = None if coder.decoding else step[at].astype(np.int64)
                got = self._vectors(coder, kind, level, phase, near, high, values)
                if coder.decoding:
                    step[at] = got
                size[at] = np.abs(got).sum(axis=1)
                if depth:
                    own = _NEAR[np.minimum(size[at], 512)]
                    friends = np.minimum(_around(split * 2)[at] >> 1, 7)
                    split[at] = self._split.code(
                        coder,
                        [
                            (kind * 4 + phase) * 8 + friends,
                            kind * 10 + own,
                            (kind * MAX_LEVELS + level) * 3 + np.minimum(high, 2),
                        ],
                        np.full(len(own), kind),
                        None if below is None else below[depth][at].astype(np.int32),
                    )
            if depth:
                rows, columns = corrections[depth - 1].shape[1:3]
                open_ = _double(split, rows, columns).astype(bool)
                parent = _double(size + parent // 2, rows, columns)

    def _vectors(
        self, coder: BitCoder, kind: int, level: int, phase: int, near: Ints, high: Ints, values: Ints | None
    ) -> Ints:
        count = len(near)
        some = self._nonzero.code(
            coder,
            [
                (kind * 4 + phase) * 10 + near,
                (kind * 10 + near) * 10 + high,
                np.full(count, kind * MAX_LEVELS + level),
            ],
            np.full(count, kind),
            None if values is None else (values != 0).any(axis=1).astype(np.int32),
        ).astype(bool)
        out = np.zeros((count, 2), np.int64)
        hit = np.flatnonzero(some)
        for axis in range(2):
            # x may be zero; y may not be when x is, and that one case is taken out of its range.
            floor = (out[hit, 0] == 0).astype(np.int64) if axis else np.zeros(len(hit), np.int64)
            k = kind * 2 + axis
            m = floor + self._size.code(
                coder,
                [
                    k * 10 + near[hit],
                    k * 10 + np.minimum(np.abs(out[hit, 0]), 9),
                    np.full(len(hit), k * MAX_LEVELS + level),
                ],
                None if values is None else np.abs(values[hit, axis]) - floor,
            )
            signed = np.flatnonzero(m)
            minus = code_raw(
                coder,
                len(signed),
                None if values is None else (values[hit[signed], axis] < 0).astype(np.int32),
            )
            m[signed] = np.where(minus.astype(bool), -m[signed], m[signed])
            out[hit, axis] = m
        if np.abs(out).max(initial=0) > 2 * LIMIT:
            raise DamagedFileError(f"a motion correction is {np.abs(out).max()}, over {2 * LIMIT}")
        return out


def _double(values: Ints, rows: int, columns: int) -> Ints:
    return np.repeat(np.repeat(values, 2, axis=1), 2, axis=2)[:, :rows, :columns]


def _has_below(corrections: Sequence[npt.NDArray[np.int16]]) -> list[npt.NDArray[np.bool_]]:
    """For each level: does any finer node under this one carry a correction?"""
    flags: list[npt.NDArray[np.bool_]] = [np.zeros(corrections[0].shape[:3], bool)]
    for depth in range(1, LEVELS):
        fine = np.asarray(flags[-1] | (corrections[depth - 1] != 0).any(axis=-1))
        rows, columns = corrections[depth].shape[1:3]
        fine = np.pad(fine, [(0, 0), (0, 2 * rows - fine.shape[1]), (0, 2 * columns - fine.shape[2])])
        flags.append(np.asarray(fine.reshape(len(fine), rows, 2, columns, 2).any(axis=(2, 4))))
    return flags


class BlendCoder:
    """Codes, for each 16 x 16 cell, 0: both references alike, 1: the first, 2: the second."""

    def __init__(self) -> None:
        self._single = BinaryModel([4 * 12 * MAX_LEVELS, 12 * 12])
        self._which = BinaryModel([4 * 5 * 5, MAX_LEVELS])

    def models(self) -> dict[str, BinaryModel]:
        """The adaptive models by name."""
        return {"single": self._single, "which": self._which}

    def code(self, coder: BitCoder, modes: npt.NDArray[np.uint8], level: int) -> None:
        """Code [pictures, rows, columns] modes in place."""
        level = min(level, MAX_LEVELS - 1)
        for phase, mask in enumerate(_phases(modes.shape)):
            at = np.nonzero(np.broadcast_to(mask, modes.shape))
            seen = np.isin(_phase_index(modes.shape), range(phase))
            one, two = _around(2 * ((modes == 1) & seen)), _around(2 * ((modes == 2) & seen))
            near = np.minimum((one + two)[at] >> 1, 11)
            values = None if coder.decoding else modes[at]
            single = self._single.code(
                coder,
                [
                    (phase * 12 + near) * MAX_LEVELS + level,
                    np.minimum(one[at], 11) * 12 + np.minimum(two[at], 11),
                ],
                np.zeros(len(near), np.int64),
                None if values is None else (values > 0).astype(np.int32),
            ).astype(bool)
            hit = np.flatnonzero(single)
            first, second = np.minimum(one[at][hit] >> 1, 4), np.minimum(two[at][hit] >> 1, 4)
            which = self._which.code(
                coder,
                [(phase * 5 + first) * 5 + second, np.full(len(hit), level)],
                np.zeros(len(hit), np.int64),
                None if values is None else (values[hit] == 2).astype(np.int32),
            )
            if coder.decoding:
                out = np.zeros(len(near), np.uint8)
                out[hit] = 1 + which
                modes[at] = out


def _phase_index(shape: tuple[int, ...]) -> Ints:
    index = np.zeros(shape[-2:], np.int64)
    for phase, mask in enumerate(_phases(shape)):
        index[mask] = phase
    return index
