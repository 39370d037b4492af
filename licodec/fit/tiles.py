"""Sums over tiles of samples, in vector instructions: what a motion search does all day.

numba leaves loops of 8 or 16 samples to scalar instructions, a tenth as fast. These are written for LLVM itself, in
terms that every processor has; nothing is checked here, so callers see to it that tiles lie within their planes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

Lanes = Any
"""A vector of LLVM."""

PATCH_ROWS, PATCH_COLUMNS = 8, 16
"""Tile of `patch_error`."""


class Plane:
    """The last two axes of a C-contiguous array, from a place on."""

    def __init__(self, context: Any, builder: ir.IRBuilder, kind: types.Array, value: ir.Value, at: Sequence[ir.Value]):
        array = context.make_array(kind)(context, builder, value)
        strides = cgutils.unpack_tuple(builder, array.strides, kind.ndim)
        byte = ir.IntType(8)
        place: ir.Value = ir.Constant(ir.IntType(64), 0)
        for index, stride in zip(at, strides, strict=True):
            place = builder.add(place, builder.mul(index, stride))
        self._builder, self._stride = builder, strides[-2]
        self._bits = kind.dtype.bitwidth
        self._from = builder.gep(builder.bitcast(array.data, byte.as_pointer()), [place])

    def row(self, r: int, columns: int) -> Lanes:
        """[columns] samples of a row as 16-bit integers."""
        lanes = self._builder.load(self._start(r, columns), align=1)
        return lanes if self._bits == 16 else self._builder.zext(lanes, ir.VectorType(ir.IntType(16), columns))

    def store(self, r: int, lanes: Lanes) -> None:
        """Set the first samples of a row."""
        self._builder.store(lanes, self._start(r, lanes.type.count), align=1)

    def _start(self, r: int, columns: int) -> ir.Value:
        place = self._builder.mul(self._stride, ir.Constant(self._stride.type, r))
        kind = ir.VectorType(ir.IntType(self._bits), columns)
        return self._builder.bitcast(self._builder.gep(self._from, [place]), kind.as_pointer())


def _squares(builder: ir.IRBuilder, lanes: Lanes) -> Lanes:
    """[n / 2] sums of two neighbours' squares, of [n] 16-bit integers: one instruction on most processors."""
    count, number = lanes.type.count, ir.IntType(32)
    wide, half = ir.VectorType(number, count), ir.VectorType(number, count // 2)
    extended = builder.sext(lanes, wide)
    made = builder.mul(extended, extended)
    even, odd = (builder.shuffle_vector(made, made, ir.Constant(half, list(range(k, count, 2)))) for k in (0, 1))
    return builder.add(even, odd)


def _total(builder: ir.IRBuilder, rows: Sequence[Lanes]) -> ir.Value:
    """Sum of all that is in vectors of 32-bit integers, as 64 bits."""
    lanes = rows[0]
    for row in rows[1:]:
        lanes = builder.add(lanes, row)
    kind = ir.FunctionType(ir.IntType(32), [lanes.type])
    name = f"llvm.vector.reduce.add.v{lanes.type.count}i32"
    total = builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [lanes])
    return builder.sext(total, ir.IntType(64))


@intrinsic
def patch_error(typing: Any, here: Any, y: Any, x: Any, there: Any, v: Any, u: Any, row: Any, column: Any) -> Any:
    """(here, y, x, there, v, u, row, column) -> squared error of here[y:, x:] predicted by there[v, u, row:, column:].

    here: [rows, columns] uint8; there: [UNIT, UNIT, rows, columns] uint8; of PATCH_ROWS x PATCH_COLUMNS samples, int64.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        a = Plane(context, builder, signature.args[0], args[0], args[1:3])
        b = Plane(context, builder, signature.args[3], args[3], args[4:8])
        apart = [builder.sub(a.row(r, PATCH_COLUMNS), b.row(r, PATCH_COLUMNS)) for r in range(PATCH_ROWS)]
        return _total(builder, [_squares(builder, d) for d in apart])

    place = (types.int64,)
    return types.int64(here, *place * 2, there, *place * 4), generate
