"""3 x 3 convolution of few channels on the CPU, in vector instructions: the inner loop of the synthesis network.

Vectors lie along a row, so that weights are what is repeated, and channels need no padding. Every sum is made in one
order, each product added with one rounding: the same bits on every processor, on any number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import binding, ir
from numba.core import cgutils, config, types
from numba.extending import intrinsic

from licodec.jit import compiled

Floats = npt.NDArray[np.float32]

TILE = 4
"""Channels that are computed at once."""
_VECTORS = 3
"""Along a row, of each channel: twelve sums, nearly as many as there are registers for."""
_LANES = 16 if binding.get_host_cpu_features().get("avx512f") else 8
_SPAN = _LANES * _VECTORS
BORDER = 1
"""Zeros before the first place of a row, and as many behind the last one."""

_float, _long = ir.FloatType(), ir.IntType(64)
_lanes = ir.VectorType(_float, _LANES)


def width_of(columns: int) -> int:
    """Floats of a row of `columns` places: with its borders, and room for the last span."""
    return 2 * BORDER + -(-columns // _SPAN) * _SPAN


@intrinsic
def _vectorised(typing: Any, rows: Any, slots: Any, column: Any, weights: Any, bias: Any, first: Any, low: Any) -> Any:
    arguments = (rows, slots, types.int64, weights, bias, types.int64, types.float32)
    return types.void(*arguments), _emit


def _emit(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
    """See `_tile`."""
    kinds = signature.args
    source, target = (
        context.make_array(kind)(context, builder, value)
        for kind, value in zip(kinds[0], cgutils.unpack_tuple(builder, args[0], 2), strict=True)
    )
    *above, into = cgutils.unpack_tuple(builder, args[1], 4)
    column, first, low = args[2], args[5], args[6]
    weights = context.make_array(kinds[3])(context, builder, args[3])
    bias = context.make_array(kinds[4])(context, builder, args[4])

    def at(array: Any, *index: ir.Value) -> ir.Value:
        """Address of array[index, ...]."""
        place: ir.Value = _long(0)
        for i, stride in zip(index, cgutils.unpack_tuple(builder, array.strides), strict=False):
            place = builder.add(place, builder.mul(i, stride))
        start = builder.gep(builder.bitcast(array.data, ir.IntType(8).as_pointer()), [place])
        return builder.bitcast(start, _float.as_pointer())

    def lanes_at(address: ir.Value, offset: int) -> ir.Value:
        return builder.bitcast(builder.gep(address, [_long(offset)]), _lanes.as_pointer())

    def repeated(number: ir.Value) -> ir.Value:
        one = builder.insert_element(ir.Constant(_lanes, ir.Undefined), number, ir.IntType(32)(0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), _LANES), [0] * _LANES)
        return builder.shuffle_vector(one, one, zeros)

    fma_type = ir.FunctionType(_lanes, [_lanes] * 3)
    fma = cgutils.get_or_insert_function(builder.module, fma_type, f"llvm.fma.v{_LANES}f32")
    sums = [[cgutils.alloca_once(builder, _lanes) for _ in range(_VECTORS)] for _ in range(TILE)]
    for k, mine in enumerate(sums):
        start = repeated(builder.load(at(bias, builder.add(first, _long(k)))))
        for one in mine:
            builder.store(start, one)
    inputs = cgutils.unpack_tuple(builder, source.shape)[1]
    lines = [at(source, slot, _long(0), column) for slot in above]
    step = builder.sdiv(cgutils.unpack_tuple(builder, source.strides)[1], _long(4))
    outputs = builder.sdiv(cgutils.unpack_tuple(builder, weights.strides)[2], _long(4))
    with cgutils.for_range(builder, inputs) as loop:
        here = [builder.gep(line, [builder.mul(loop.index, step)]) for line in lines]
        kernel = at(weights, loop.index, _long(0), _long(0), first)
        for place in range(9):
            dy, dx = divmod(place, 3)
            read = [builder.load(lanes_at(here[dy], dx + _LANES * v), align=4) for v in range(_VECTORS)]
            factors = builder.gep(kernel, [builder.mul(outputs, _long(place))])
            for k, mine in enumerate(sums):
                factor = repeated(builder.load(builder.gep(factors, [_long(k)])))
                for lanes, one in zip(read, mine, strict=True):
                    builder.store(builder.call(fma, [factor, lanes, builder.load(one)]), one)
    for k, mine in enumerate(sums):
        line = at(target, into, builder.add(first, _long(k)), column)
        for v, one in enumerate(mine):
            made, least = builder.load(one), repeated(low)
            made = builder.select(builder.fcmp_ordered(">", made, least), made, least)
            builder.store(made, lanes_at(line, BORDER + _LANES * v), align=4)
    return context.get_dummy_value()


def _plain(
    rows: tuple[Floats, Floats],
    slots: tuple[int, int, int, int],
    column: int,
    weights: Floats,
    bias: Floats,
    first: int,
    low: np.float32,
) -> None:
    """The same without a compiler; a product's last bit may differ."""
    source, target = rows
    part = slice(first, first + TILE)
    out = np.repeat(bias[part, None], _SPAN, axis=1)
    for dy, slot in enumerate(slots[:3]):
        for dx in range(3):
            out += weights[:, dy, dx, part].T @ source[slot, :, column + dx : column + dx + _SPAN]
    target[slots[3], part, column + BORDER : column + BORDER + _SPAN] = np.maximum(out, low)


_tile: Callable[..., None] = _plain if config.DISABLE_JIT else _vectorised
"""(rows, slots, column, weights, bias, first, low): a span of places of a row, TILE channels from `first` on; arguments
else as `convolve_row` has them. Nothing is checked here."""


@compiled
def convolve_row(
    rows: tuple[Floats, Floats],
    slots: tuple[int, int, int, int],
    columns: int,
    weights: Floats,
    bias: Floats,
    low: np.float32,
) -> None:
    """A row of `columns` places of all outputs, which are a multiple of TILE.

    Args:
        rows: what is read [slots, inputs, width_of(columns)] and what is written [slots, outputs, the same].
        slots: those of the rows above, here and below, and that of the row written.
        weights: [inputs, 3, 3, outputs] (down, across).
        bias: [outputs]
        low: what is less becomes that.
    """
    target = rows[1]
    for column in range(0, columns, _SPAN):
        for first in range(0, len(bias), TILE):
            _tile(rows, slots, column, weights, bias, first, low)
    # What lies beside the picture is nothing to the next layer.
    for k in range(len(bias)):
        line = target[slots[3], k]
        for column in range(columns + BORDER, len(line)):
            line[column] = 0
