"""The renderer's inner loops on the CPU, compiled: each passes over its samples once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba.core import config, types
from numba.extending import intrinsic

from licodec.jit import compiled

Floats = npt.NDArray[np.float32]

_SQUARES = 64
"""Written at a time: as many channels of them as there are stay in the first-level cache."""


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
def blend(first: Floats, second: Floats, share: Floats) -> None:
    """first becomes first - second, second becomes second + share * (first - second)."""
    for y in range(first.shape[0]):
        a, b, s = first[y], second[y], share[y]
        for x in range(first.shape[1]):
            a[x] -= b[x]
            b[x] += s[x] * a[x]


@compiled
def add(plane: Floats, other: Floats, peak: float, out: Floats) -> None:
    """plane + other, clipped to 0..peak."""
    for y in range(plane.shape[0]):
        p, q, o = plane[y], other[y], out[y]
        for x in range(plane.shape[1]):
            o[x] = min(max(p[x] + q[x], np.float32(0)), np.float32(peak))


@compiled
def pack(
    planes: tuple[Floats, Floats, Floats],
    apart: Floats,
    residual: Floats,
    phases: tuple[Floats, Floats],
    step: tuple[int, int],
    scale: float,
    out: Floats,
) -> None:
    """`licodec.model.synthesis.network_input` of a window and the phases, [rows, columns, channels].

    planes: all three, or luma and two empty ones; apart: empty for none; phases: [2, rows] and [2, columns];
    step: (x, y) luma samples of a chroma sample.
    """
    y, u, v = planes
    down, across = phases
    for r in range(out.shape[0]):
        for start in range(0, out.shape[1], _SQUARES):
            part = out[r, start : start + _SQUARES]
            _fold(y, r, start, 2, 2, 128.0, scale, False, part, 0)
            channel = 4
            if u.size:
                fx, fy = 2 // step[0], 2 // step[1]
                _fold(u, r, start, fx, fy, 128.0, scale, False, part, channel)
                _fold(v, r, start, fx, fy, 128.0, scale, False, part, channel + fx * fy)
                channel += 2 * fx * fy
            if apart.size:
                _fold(apart, r, start, 2, 2, 0.0, scale, True, part, channel)
            else:
                part[:, channel : channel + 4] = 0
            _fold(residual, r, start, 2, 2, 0.0, scale, False, part, channel + 4)
            for c in range(len(part)):
                four = part[c, channel + 8 :]
                four[0], four[1] = down[0, r], down[1, r]
                four[2], four[3] = across[0, start + c], across[1, start + c]


@compiled
def _fold(
    plane: Floats,
    row: int,
    first: int,
    fx: int,
    fy: int,
    offset: float,
    scale: float,
    absolute: bool,
    out: Floats,
    channel: int,
) -> None:
    """Squares of fx x fy samples, of a row from the first on, into that many channels; odd edges repeat."""
    rows, columns = plane.shape
    shift, factor = np.float32(offset), np.float32(scale)
    if fx * fy == 4 and 2 * row + 1 < rows and 2 * (first + len(out)) <= columns:
        _fold_four(plane[2 * row, 2 * first :], plane[2 * row + 1, 2 * first :], shift, factor, absolute, out, channel)
        return
    for y in range(fy):
        source = plane[min(row * fy + y, rows - 1)]
        for x in range(fx):
            for c in range(len(out)):
                value = source[min((first + c) * fx + x, columns - 1)] - shift
                if absolute:
                    value = abs(value)
                out[c, channel + y * fx + x] = value * factor


@compiled
def _fold_four(
    top: Floats, bottom: Floats, shift: np.float32, factor: np.float32, absolute: bool, out: Floats, channel: int
) -> None:
    """Nearly all that there is to fold: twice as fast a square at a time."""
    for c in range(len(out)):
        four = out[c, channel : channel + 4]
        a, b, d, e = top[2 * c] - shift, top[2 * c + 1] - shift, bottom[2 * c] - shift, bottom[2 * c + 1] - shift
        if absolute:
            a, b, d, e = abs(a), abs(b), abs(d), abs(e)
        four[0], four[1], four[2], four[3] = a * factor, b * factor, d * factor, e * factor


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
def unpack(
    packed: Floats,
    planes: tuple[Floats, Floats, Floats],
    corner: tuple[int, int],
    step: tuple[int, int],
    scale: float,
    peak: float,
    out: tuple[Floats, Floats, Floats],
) -> None:
    """Planes plus what [rows, columns, content] holds for them, times a scale, clipped to 0..peak; in a window.

    corner: (row, column) of the window in `packed`; planes, out: the window of each; two empty ones for luma alone.
    """
    fx, fy = 2 // step[0], 2 // step[1]
    _unfold(packed, planes[0], corner, 2, 2, 0, scale, peak, out[0])
    if planes[1].size:
        _unfold(packed, planes[1], corner, fx, fy, 4, scale, peak, out[1])
        _unfold(packed, planes[2], corner, fx, fy, 4 + fx * fy, scale, peak, out[2])


@compiled
def _unfold(
    packed: Floats,
    plane: Floats,
    corner: tuple[int, int],
    fx: int,
    fy: int,
    channel: int,
    scale: float,
    peak: float,
    out: Floats,
) -> None:
    for y in range(plane.shape[0]):
        source, given, made = packed[corner[0] + y // fy, corner[1] :], plane[y], out[y]
        for i in range(fx):
            k = channel + y % fy * fx + i
            for c in range((len(made) - i + fx - 1) // fx):
                value = given[c * fx + i] + source[c, k] * np.float32(scale)
                made[c * fx + i] = min(max(value, np.float32(0)), np.float32(peak))


@compiled
def codes(plane: Floats, scale: float, peak: float, out: npt.NDArray) -> None:
    """Samples times a scale, rounded to nearest (halves to even) and clipped to 0..peak."""
    for y in range(plane.shape[0]):
        source, made = plane[y], out[y]
        for x in range(plane.shape[1]):
            made[x] = min(max(np.rint(source[x] * np.float32(scale)), np.float32(0)), np.float32(peak))
