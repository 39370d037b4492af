"""About what the error of a cell costs, by its Hadamard transform, in vector instructions (see `tiles`).

A squared error alone tells little: what is spread over a cell costs many small levels, or is left as it is, and what is
smooth costs one. The transform is orthonormal up to a factor of NODE, and adds and subtracts alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from licodec.fit.tiles import Lanes, Plane
from licodec.jit import compiled
from licodec.model.motion import NODE

KNEE = 3.0
"""Squared coefficient, in units of lambda, up to which nothing is coded for it and all of it is paid."""
SLOPE = 0.4
"""Beyond it the residual takes over: bits, errors counted, for each doubling of the square."""
assert NODE == 8

Spectra = npt.NDArray[np.int16]
"""[rows, columns] of whole cells, each transformed, times NODE, its axes exchanged."""
Floats = npt.NDArray[np.float32]


def scale_of(bit_worth: float) -> np.float32:
    """What squared coefficients are multiplied by to be in bits; bit_worth: squared error that a bit is worth."""
    return np.float32(1 / (NODE * NODE * bit_worth))


def spectra(errors: npt.NDArray[np.int16]) -> Spectra:
    """Of [rows, columns] errors, whole cells, up to 256 in magnitude: sums of two transforms fit, too."""
    out = np.empty_like(errors)
    _transform_cells(errors, out)
    return out


def bits_of_cells(first: Spectra, second: Spectra, scale: np.float32) -> Floats:
    """[3, rows / 8, columns / 8] what the errors of the mean of two predictions, of the first and of the second alone
    cost, in bits.
    """
    out = np.empty((3, first.shape[0] // NODE, first.shape[1] // NODE), np.float32)
    _all_cell_bits(first, second, scale, out)
    return out


@compiled
def _transform_cells(errors: npt.NDArray[np.int16], out: Spectra) -> None:
    for y in range(0, errors.shape[0], NODE):
        for x in range(0, errors.shape[1], NODE):
            _transform(errors, y, x, out)


@compiled
def _all_cell_bits(first: Spectra, second: Spectra, scale: np.float32, out: Floats) -> None:
    for r in range(out.shape[1]):
        for c in range(out.shape[2]):
            out[0, r, c], out[1, r, c], out[2, r, c] = _spectra_bits(first, second, r * NODE, c * NODE, scale)


@intrinsic
def _transform(typing: Any, errors: Any, y: Any, x: Any, out: Any) -> Any:
    """Set out[y:, x:] to the transform of errors[y:, x:]."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        source, target = (Plane(context, builder, signature.args[i], args[i], args[1:3]) for i in (0, 3))
        for r, row in enumerate(_transformed(builder, [source.row(r, NODE) for r in range(NODE)])):
            target.store(r, row)
        return context.get_dummy_value()

    return types.void(errors, types.int64, types.int64, out), generate


@intrinsic
def _spectra_bits(typing: Any, one: Any, another: Any, y: Any, x: Any, scale: Any) -> Any:
    """Bits of the cell at (y, x): (of the mean of two predictions, of the one, of the other), float32."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        planes = [Plane(context, builder, signature.args[i], args[i], args[2:4]) for i in (0, 1)]
        first, second = ([plane.row(r, NODE) for r in range(NODE)] for plane in planes)
        bits = [
            _mean_bits(builder, first, second, args[4]),
            *(_bits(builder, rows, args[4]) for rows in (first, second)),
        ]
        return context.make_tuple(builder, signature.return_type, bits)

    return types.UniTuple(types.float32, 3)(one, another, types.int64, types.int64, types.float32), generate


@intrinsic
def cell_bits(
    typing: Any, here: Any, y: Any, x: Any, there: Any, v: Any, u: Any, row: Any, column: Any, other: Any, scale: Any
) -> Any:
    """What the error of here[y:, x:] predicted by there[v, u, row:, column:] costs, in bits, float32: (of the mean of
    this prediction and another one, of this one alone).

    here: [rows, columns] uint8; there: [UNIT, UNIT, rows, columns] uint8; other: `Spectra` of the other one's errors,
    all zeros if there is none; scale: of `scale_of`, float32.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        a = Plane(context, builder, signature.args[0], args[0], args[1:3])
        b = Plane(context, builder, signature.args[3], args[3], args[4:8])
        c = Plane(context, builder, signature.args[8], args[8], args[1:3])
        own = _transformed(builder, [builder.sub(a.row(r, NODE), b.row(r, NODE)) for r in range(NODE)])
        others = [c.row(r, NODE) for r in range(NODE)]
        made = [_mean_bits(builder, own, others, args[9]), _bits(builder, own, args[9])]
        return context.make_tuple(builder, signature.return_type, made)

    place = (types.int64,)
    return types.UniTuple(types.float32, 2)(here, *place * 2, there, *place * 4, other, types.float32), generate


def _transformed(builder: ir.IRBuilder, rows: Sequence[Lanes]) -> list[Lanes]:
    return _butterflies(builder, _transposed(builder, _butterflies(builder, rows)))


def _butterflies(builder: ir.IRBuilder, rows: Sequence[Lanes]) -> list[Lanes]:
    """Sums and differences across vectors."""
    out, reach = list(rows), 1
    while reach < NODE:
        for i in range(NODE):
            if not i & reach:
                a, b = out[i], out[i + reach]
                out[i], out[i + reach] = builder.add(a, b), builder.sub(a, b)
        reach *= 2
    return out


def _transposed(builder: ir.IRBuilder, rows: Sequence[Lanes]) -> list[Lanes]:
    """Lanes become vectors."""
    out, half = list(rows), NODE // 2
    order = ir.VectorType(ir.IntType(32), NODE)
    parts = [ir.Constant(order, [i // 2 + NODE * (i % 2) + first for i in range(NODE)]) for first in (0, half)]
    # The first half interleaved with the second: the highest bit of a place becomes its lowest. Thrice is a transpose.
    for _ in range(NODE.bit_length() - 1):
        out = [builder.shuffle_vector(out[i], out[i + half], part) for i in range(half) for part in parts]
    return out


def _mean_bits(builder: ir.IRBuilder, one: Sequence[Lanes], another: Sequence[Lanes], scale: ir.Value) -> ir.Value:
    quarter = builder.fmul(scale, ir.Constant(ir.FloatType(), 0.25))
    return _bits(builder, [builder.add(a, b) for a, b in zip(one, another, strict=True)], quarter)


def _bits(builder: ir.IRBuilder, rows: Sequence[Lanes], scale: ir.Value) -> ir.Value:
    """Sum over coefficients of z = scale * square up to the knee, and of KNEE + SLOPE log2(z / KNEE) beyond."""
    count = 2 * NODE
    number, whole = (ir.VectorType(kind, count) for kind in (ir.FloatType(), ir.IntType(32)))

    def constant(value: float) -> Lanes:
        return ir.Constant(number, [value] * count)

    def log2(value: Lanes) -> Lanes:
        """A number's exponent and fraction as they stand: its logarithm, plus 127, less at most .09."""
        return builder.fmul(builder.sitofp(builder.bitcast(value, whole), number), constant(2.0**-23))

    at_first, everywhere = ir.Constant(ir.IntType(32), 0), ir.Constant(whole, [0] * count)
    scales = builder.shuffle_vector(builder.insert_element(constant(0), scale, at_first), constant(0), everywhere)
    joined, knee, total = ir.Constant(whole, list(range(count))), constant(KNEE), constant(0)
    for a, b in zip(rows[::2], rows[1::2], strict=True):
        x = builder.sitofp(builder.shuffle_vector(a, b, joined), number)
        z = builder.fmul(builder.fmul(x, x), scales)
        over = builder.fcmp_ordered(">", z, knee)
        more = builder.fsub(log2(builder.select(over, z, knee)), log2(knee))
        total = builder.fadd(total, builder.fadd(builder.select(over, knee, z), builder.fmul(more, constant(SLOPE))))
    kind = ir.FunctionType(ir.FloatType(), [ir.FloatType(), number])
    sum_of = cgutils.get_or_insert_function(builder.module, kind, f"llvm.vector.reduce.fadd.v{count}f32")
    return builder.call(sum_of, [ir.Constant(ir.FloatType(), 0.0), total], fastmath=["reassoc"])
