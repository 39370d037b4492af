"""Reading a reference cell by cell at any fraction of a sample: Lanczos' kernel of eight samples.

The weights of the samples -3 to 4 around a position x between two are

    l(d) = sinc(d) sinc(d / 4),  d = k - x,  divided by their sum,

at 1/256 of a sample exactly, between those by linear interpolation. A cell is read at one fraction: its rows are
filtered, then its columns. `torch_cells` has the same in tensors.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.core import cgutils, config, types
from numba.extending import intrinsic

from licodec.jit import compiled, inlined
from licodec.model.motion import NODE, UNIT

Floats = npt.NDArray[np.float32]
Vectors = npt.NDArray[np.int32]

TAPS = 8
BEFORE = 3
"""Samples that are read before the one at or before a position."""
FRACTIONS = 256
SMALL = NODE // 2
"""Samples a side of the cells that `follow_moved` reads."""


def _weights() -> Floats:
    """[fractions + 1, taps]"""
    d = np.arange(TAPS) - BEFORE - np.arange(FRACTIONS + 1)[:, None] / FRACTIONS
    values = np.where(np.abs(d) < TAPS // 2, np.sinc(d) * np.sinc(d / (TAPS // 2)), 0)
    # At whole samples all but one are 0, but for what sin(pi) is away from that.
    return np.round(values / values.sum(axis=1, keepdims=True), 12).astype(np.float32)


WEIGHTS = _weights()
PHASES = np.ascontiguousarray(WEIGHTS[:: FRACTIONS // UNIT])
"""[fractions of a vector + 1, taps]"""


def _reading(size: int) -> Any:
    """A compiled function that reads `size` x `size` samples in vector instructions, without a store in between.

    (plane, start, across, down, out, at): of `plane` from the flat index `start` on with [taps] weights, to `out` from
    the flat index `at` on; both [rows, columns], contiguous.
    """
    if config.DISABLE_JIT:
        return _plainly(size)
    vector = ir.VectorType(ir.FloatType(), size)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, start, *weights, target, at = arguments
        kind = ir.FunctionType(vector, [vector] * 3)
        fma = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{size}f32")

        def array(value: Any, index: int) -> Any:
            return context.make_array(signature.args[index])(context, builder, value)

        def width(found: Any) -> Any:
            return builder.extract_value(found.shape, 1)

        def broadcast(data: Any, k: int) -> Any:
            number = builder.load(builder.gep(data, [ir.IntType(64)(k)]))
            first = builder.insert_element(ir.Constant(vector, ir.Undefined), number, ir.IntType(32)(0))
            zeros = ir.Constant(ir.VectorType(ir.IntType(32), size), None)
            return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), zeros)

        def weighed(a: Any, value: Any, total: Any) -> Any:
            return builder.fmul(a, value) if total is None else builder.call(fma, [a, value, total])

        def place(data: Any, index: Any) -> Any:
            return builder.bitcast(builder.gep(data, [index]), vector.as_pointer())

        read, made = array(source, 0), array(target, 4)
        across, down = ([broadcast(array(w, 2 + i).data, k) for k in range(TAPS)] for i, w in enumerate(weights))
        totals: list[Any] = [None] * size
        for j in range(size + TAPS - 1):
            row = builder.add(start, builder.mul(width(read), ir.IntType(64)(j)))
            line = None
            for k in range(TAPS):
                samples = builder.load(place(read.data, builder.add(row, ir.IntType(64)(k))), align=4)
                line = weighed(across[k], samples, line)
            for k in range(TAPS):
                if 0 <= j - k < size:
                    totals[j - k] = weighed(down[k], line, totals[j - k])
            if j >= TAPS - 1:
                y = j - TAPS + 1
                index = builder.add(at, builder.mul(width(made), ir.IntType(64)(y)))
                builder.store(totals[y], place(made.data, index), align=4)
        return context.get_dummy_value()

    def typed(_context: Any, plane: Any, start: Any, across: Any, down: Any, out: Any, at: Any) -> Any:
        return types.void(plane, types.int64, across, down, out, types.int64), generate

    return intrinsic(typed)


def _plainly(size: int) -> Any:
    """The same without a compiler."""

    def read(plane: Floats, start: int, across: Floats, down: Floats, out: Floats, at: int) -> None:
        (y, x), (row, column) = divmod(start, plane.shape[1]), divmod(at, out.shape[1])
        patch = plane[y : y + size + TAPS - 1, x : x + size + TAPS - 1]
        lines = sum(across[k] * patch[:, k : k + size] for k in range(TAPS))
        out[row : row + size, column : column + size] = sum(down[k] * lines[k : k + size] for k in range(TAPS))

    return read


_read_cell, _read_small = _reading(NODE), _reading(SMALL)


def follow(plane: Floats, vectors: Vectors, corner: tuple[int, int], shape: tuple[int, int]) -> Floats:
    """A part of a picture's plane (of luma's size) as its reference has it, along the motion vectors of cells.

    Args:
        plane: [rows, columns] the whole reference; outside, the nearest edge sample.
        vectors: [rows / 8, columns / 8, 2] (x, y) of every cell of the picture, in steps.
        corner: (row, column) in the plane of what is wanted: those of a cell.
        shape: (rows, columns) of it.
    """
    out, cell = np.empty(shape, np.float32), np.empty((NODE, NODE), np.float32)
    patch = np.empty((NODE + TAPS - 1, NODE + TAPS - 1), np.float32)
    _follow(np.ascontiguousarray(plane), vectors, PHASES, corner, patch, cell, out)
    return out


@compiled
def _follow(
    plane: Floats, vectors: Vectors, phases: Floats, corner: tuple[int, int], patch: Floats, cell: Floats, out: Floats
) -> None:
    rows, columns = out.shape
    for y in range(0, rows, NODE):
        for x in range(0, columns, NODE):
            vector = vectors[(corner[0] + y) // NODE, (corner[1] + x) // NODE]
            right, down = vector[0] // UNIT, vector[1] // UNIT
            across, along = phases[vector[0] - right * UNIT], phases[vector[1] - down * UNIT]
            top, left = corner[0] + y + down - BEFORE, corner[1] + x + right - BEFORE
            if _inside(plane, top, left, NODE) and y + NODE <= rows and x + NODE <= columns:
                _read_cell(plane, top * plane.shape[1] + left, across, along, out, y * columns + x)
                continue
            _gather(plane, top, left, patch)
            _read_cell(patch, 0, across, along, cell, 0)
            _put(cell, out, y, x)


def follow_moved(
    plane: Floats, vectors: Vectors, moves: Floats, sign: int, corner: tuple[int, int], out: Floats
) -> None:
    """Read anew what moves, in place: `sign` times [rows / 4, columns / 4, 2] (x, y) samples beside the vectors.

    plane, vectors, corner: as in `follow`; out: [rows, columns] what that makes of them.
    """
    cell, weights = np.empty((SMALL, SMALL), np.float32), np.empty((2, TAPS), np.float32)
    patch = np.empty((SMALL + TAPS - 1, SMALL + TAPS - 1), np.float32)
    plane = np.ascontiguousarray(plane)
    _follow_moved(plane, vectors, WEIGHTS, moves, np.float32(sign), corner, weights, patch, cell, out)


@compiled
def _follow_moved(
    plane: Floats,
    vectors: Vectors,
    table: Floats,
    moves: Floats,
    sign: np.float32,
    corner: tuple[int, int],
    weights: Floats,
    patch: Floats,
    cell: Floats,
    out: Floats,
) -> None:
    rows, columns = out.shape
    across, along = weights[0], weights[1]
    for r in range(moves.shape[0]):
        for c in range(moves.shape[1]):
            if moves[r, c, 0] == 0 and moves[r, c, 1] == 0:
                continue
            y, x = r * SMALL, c * SMALL
            vector = vectors[(corner[0] + y) // NODE, (corner[1] + x) // NODE]
            at_x = np.float32(vector[0]) / np.float32(UNIT) + sign * moves[r, c, 0]
            at_y = np.float32(vector[1]) / np.float32(UNIT) + sign * moves[r, c, 1]
            left = corner[1] + x + _between(at_x, table, across) - BEFORE
            top = corner[0] + y + _between(at_y, table, along) - BEFORE
            if _inside(plane, top, left, SMALL) and y + SMALL <= rows and x + SMALL <= columns:
                _read_small(plane, top * plane.shape[1] + left, across, along, out, y * columns + x)
                continue
            _gather(plane, top, left, patch)
            _read_small(patch, 0, across, along, cell, 0)
            _put(cell, out, y, x)


@inlined
def _between(at: np.float32, table: Floats, weights: Floats) -> int:
    """The whole sample at or before a position, and the weights of those around it."""
    whole = math.floor(at)
    place = np.float32(at - whole) * np.float32(FRACTIONS)
    k = min(int(place), FRACTIONS - 1)
    share = np.float32(place - k)
    low, high = table[k], table[k + 1]
    for i in range(TAPS):
        weights[i] = low[i] + share * (high[i] - low[i])
    return int(whole)


@inlined
def _inside(plane: Floats, top: int, left: int, size: int) -> bool:
    """Whether all that a cell of so many samples reads from (top, left) on lies in the plane."""
    reach = size + TAPS - 1
    return top >= 0 and left >= 0 and top + reach <= plane.shape[0] and left + reach <= plane.shape[1]


@compiled
def _gather(plane: Floats, top: int, left: int, patch: Floats) -> None:
    """A patch of the plane from (top, left) on; outside, the nearest edge sample."""
    for j in range(patch.shape[0]):
        for i in range(patch.shape[1]):
            row, column = min(max(top + j, 0), plane.shape[0] - 1), min(max(left + i, 0), plane.shape[1] - 1)
            patch[j, i] = plane[row, column]


@compiled
def _put(cell: Floats, out: Floats, row: int, column: int) -> None:
    """What there is room for of a cell."""
    for j in range(min(cell.shape[0], out.shape[0] - row)):
        for i in range(min(cell.shape[1], out.shape[1] - column)):
            out[row + j, column + i] = cell[j, i]
