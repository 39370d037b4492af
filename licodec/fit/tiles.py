"""Sums over tiles of samples, in vector instructions: what a motion search does all day.

numba leaves loops of 8 or 16 samples to scalar instructions, a tenth as fast. These are written for LLVM itself, in
terms that every processor has; nothing is checked here, so callers see to it that tiles lie within their planes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from licodec.model.motion import NODE

_Lanes = Any
"""A vector of LLVM."""

PATCH_ROWS, PATCH_COLUMNS = 8, 16
"""Tile of `patch_error`."""


class _Plane:
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

    def row(self, r: int, columns: int) -> _Lanes:
        """[columns] samples of a row as 16-bit integers."""
        wide, kind = (ir.VectorType(ir.IntType(bits), columns) for bits in (16, self._bits))
        place = self._builder.mul(self._stride, ir.Constant(self._stride.type, r))
        start = self._builder.gep(self._from, [place])
        lanes = self._builder.load(self._builder.bitcast(start, kind.as_pointer()), align=1)
        return lanes if self._bits == 16 else self._builder.zext(lanes, wide)


def _products(builder: ir.IRBuilder, a: _Lanes, b: _Lanes) -> _Lanes:
    """[n / 2] sums of two neighbours' products, of [n] 16-bit integers: one instruction on most processors."""
    count, number = a.type.count, ir.IntType(32)
    wide, half = ir.VectorType(number, count), ir.VectorType(number, count // 2)
    made = builder.mul(builder.sext(a, wide), builder.sext(b, wide))
    even, odd = (builder.shuffle_vector(made, made, ir.Constant(half, list(range(k, count, 2)))) for k in (0, 1))
    return builder.add(even, odd)


def _total(builder: ir.IRBuilder, rows: Sequence[_Lanes]) -> ir.Value:
    """Sum of all that is in vectors of 32-bit integers, as 64 bits."""
    lanes = rows[0]
    for row in rows[1:]:
        lanes = builder.add(lanes, row)
    kind = ir.FunctionType(ir.IntType(32), [lanes.type])
    name = f"llvm.vector.reduce.add.v{lanes.type.count}i32"
    total = builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [lanes])
    return builder.sext(total, ir.IntType(64))


def _error(rows: int, columns: int) -> Callable[..., Any]:
    def typed(typing: Any, here: Any, y: Any, x: Any, there: Any, v: Any, u: Any, row: Any, column: Any) -> Any:
        def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
            a = _Plane(context, builder, signature.args[0], args[0], args[1:3])
            b = _Plane(context, builder, signature.args[3], args[3], args[4:8])
            apart = [builder.sub(a.row(r, columns), b.row(r, columns)) for r in range(rows)]
            return _total(builder, [_products(builder, d, d) for d in apart])

        place = (types.int64,)
        return types.int64(here, *place * 2, there, *place * 4), generate

    return typed


patch_error = intrinsic(_error(PATCH_ROWS, PATCH_COLUMNS))
"""(here, y, x, there, v, u, row, column) -> squared error of here[y:, x:] predicted by there[v, u, row:, column:].

here: [rows, columns] uint8; there: [UNIT, UNIT, rows, columns] uint8; of PATCH_ROWS x PATCH_COLUMNS samples, int64.
"""
cell_error = intrinsic(_error(NODE, NODE))
"""The same of NODE x NODE samples."""


@intrinsic
def cell_products(
    typing: Any, here: Any, y: Any, x: Any, there: Any, v: Any, u: Any, row: Any, column: Any, errors: Any
) -> Any:
    """(sum d d, sum d e) of a cell as `cell_error` takes it, int64.

    d: error of this prediction; e: errors[y:, x:] [rows, columns] int16, of another one.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        a = _Plane(context, builder, signature.args[0], args[0], args[1:3])
        b = _Plane(context, builder, signature.args[3], args[3], args[4:8])
        c = _Plane(context, builder, signature.args[8], args[8], args[1:3])
        pairs = [(builder.sub(a.row(r, NODE), b.row(r, NODE)), c.row(r, NODE)) for r in range(NODE)]
        sums = [_products(builder, d, d) for d, _ in pairs], [_products(builder, d, e) for d, e in pairs]
        return context.make_tuple(builder, signature.return_type, [_total(builder, rows) for rows in sums])

    place = (types.int64,)
    return types.UniTuple(types.int64, 2)(here, *place * 2, there, *place * 4, errors), generate
