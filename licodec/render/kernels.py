"""The renderer's inner loops on the CPU, compiled: each passes over its samples once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba.core import config, types
from numba.extending import intrinsic

from licodec.jit import compiled

Floats = npt.NDArray[np.float32]


@intrinsic  # type: ignore[misc]
def _fused(_context: Any, a: Any, b: Any, c: Any) -> Any:
    """a * b + c, rounded once."""
    single = types.float32

    def generate(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    return single(single, single, single), generate


def _plain(a: np.float32, b: np.float32, c: np.float32) -> np.float32:
    """The same without a compiler: the product is exact in 53 bits."""
    return np.float32(np.float64(a) * np.float64(b) + np.float64(c))


_fma = _plain if config.DISABLE_JIT else _fused


@compiled
def warp(
    plane: Floats,
    vectors: npt.NDArray[np.int32],
    weights: tuple[Floats, Floats],
    cell: tuple[int, int],
    corner: tuple[int, int],
    lines: Floats,
    out: Floats,
) -> None:
    """Read a plane along the motion vectors of cells: bicubic; outside, the nearest edge sample.

    To the last bit what `cv2.remap` makes of these positions where it has fused multiply-adds, at a third of its cost:
    a cell has one phase, so that rows are filtered, then columns.

    Args:
        plane: [rows, columns] the whole reference.
        vectors: [rows, columns, 2] (x, y) of every cell of the picture, in steps.
        weights: [steps a sample, 4] of the phases along x, and along y.
        cell: (samples across, samples down) of a cell.
        corner: (row, column) in the plane of what is wanted: those of a cell.
        lines: [down + 3, columns] room to work in.
        out: [rows, columns] what is wanted.
    """
    height, width = plane.shape
    rows, columns = out.shape
    across, down = cell
    top, left = corner
    steps_x, steps_y = len(weights[0]), len(weights[1])
    for y0 in range(0, rows, down):
        y1 = min(y0 + down, rows)
        r = (top + y0) // down
        x0 = 0
        while x0 < columns:
            c = (left + x0) // across
            vx, vy = vectors[r, c, 0], vectors[r, c, 1]
            x1 = x0 + across
            c += 1
            # Cells side by side that move alike are read as one.
            while x1 < columns and vectors[r, c, 0] == vx and vectors[r, c, 1] == vy:
                x1 += across
                c += 1
            x1 = min(x1, columns)
            sx, sy = vx // steps_x - 1, vy // steps_y - 1
            phase_x, phase_y = vx - (sx + 1) * steps_x, vy - (sy + 1) * steps_y
            a0, a1, a2, a3 = weights[0][phase_x]
            b0, b1, b2, b3 = weights[1][phase_y]
            sx += left
            sy += top
            inner0 = min(max(x0, -sx), x1)
            inner1 = max(min(x1, width - 3 - sx), inner0)
            first, last = (1, y1 - y0 + 1) if phase_y == 0 else (0, y1 - y0 + 3)
            for j in range(first, last):
                source = plane[min(max(y0 + sy + j, 0), height - 1)]
                line = out[y0 + j - 1] if phase_y == 0 else lines[j]
                for edge in range(2):
                    for x in range(x0 if edge == 0 else inner1, inner0 if edge == 0 else x1):
                        s0, s1 = source[_within(x + sx, width)], source[_within(x + sx + 1, width)]
                        s2, s3 = source[_within(x + sx + 2, width)], source[_within(x + sx + 3, width)]
                        line[x] = _fma(s3, a3, _fma(s2, a2, _fma(s1, a1, s0 * a0)))
                n = inner1 - inner0
                if n == 0:
                    continue
                read, made = source[inner0 + sx : inner1 + sx + 3], line[inner0:inner1]
                if phase_x == 0:
                    for x in range(n):
                        made[x] = read[x + 1]
                else:
                    for x in range(n):
                        made[x] = _fma(read[x + 3], a3, _fma(read[x + 2], a2, _fma(read[x + 1], a1, read[x] * a0)))
            if phase_y:
                for y in range(y0, y1):
                    l0, l1 = lines[y - y0, x0:x1], lines[y - y0 + 1, x0:x1]
                    l2, l3, made = lines[y - y0 + 2, x0:x1], lines[y - y0 + 3, x0:x1], out[y, x0:x1]
                    for x in range(x1 - x0):
                        made[x] = _fma(l3[x], b3, _fma(l2[x], b2, _fma(l1[x], b1, l0[x] * b0)))
            x0 = x1


@compiled
def _within(index: int, length: int) -> int:
    return min(max(index, 0), length - 1)


@compiled
def blend(first: Floats, second: Floats, share: Floats, cell: tuple[int, int], corner: tuple[int, int]) -> None:
    """first becomes first - second, second becomes second + share * (first - second).

    share: of the first, for every cell of the picture of (across, down) samples; corner: (row, column) in the picture
    of these planes' first sample.
    """
    across, down = cell
    top, left = corner
    columns = first.shape[1]
    for y in range(first.shape[0]):
        shares, x = share[(top + y) // down], 0
        while x < columns:
            c = (left + x) // across
            end = min((c + 1) * across - left, columns)
            a, b, s = first[y, x:end], second[y, x:end], shares[c]
            for k in range(end - x):
                a[k] -= b[k]
                b[k] += s * a[k]
            x = end


@compiled
def add(plane: Floats, other: Floats, peak: float, out: Floats) -> None:
    """plane + other, clipped to 0..peak."""
    for y in range(plane.shape[0]):
        p, q, o = plane[y], other[y], out[y]
        for x in range(plane.shape[1]):
            o[x] = min(max(p[x] + q[x], np.float32(0)), np.float32(peak))


@compiled
def add_weighed(plane: Floats, weights: Floats, step: tuple[int, int], out: Floats) -> None:
    """Add a plane times [rows / 2, columns / 2] weights of 2 x 2 luma samples; step: (x, y) of a sample in those."""
    fx, fy = 2 // step[0], 2 // step[1]
    for y in range(plane.shape[0]):
        source, factors, made = plane[y], weights[y // fy], out[y]
        for i in range(fx):
            for c in range((len(source) - i + fx - 1) // fx):
                made[c * fx + i] += source[c * fx + i] * factors[c]


@compiled
def codes(plane: Floats, scale: float, peak: float, out: npt.NDArray) -> None:
    """Samples times a scale, rounded to nearest (halves to even) and clipped to 0..peak."""
    for y in range(plane.shape[0]):
        source, made = plane[y], out[y]
        for x in range(plane.shape[1]):
            made[x] = min(max(np.rint(source[x] * np.float32(scale)), np.float32(0)), np.float32(peak))
