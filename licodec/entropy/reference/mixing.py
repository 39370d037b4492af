"""The range decoder, the context mixer and what it starts from, one decision at a time."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, localcontext
from functools import lru_cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt
import zstandard

from licodec.container import ByteReader
from licodec.errors import DamagedFileError

Decision = tuple[Sequence[int], int]
"""A context for each table, and the set of mixing weights."""
State = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""Times seen and ones among them for all contexts of all tables; weights [table, set]."""

_64 = (1 << 64) - 1


class RangeDecoder:
    """`Range decoder`: little-endian 32-bit words in, decisions out; words after the end are 0."""

    def __init__(self, data: bytes) -> None:
        self._words = np.frombuffer(data, "<u4").tolist()
        self._read = 0
        self._low, self._range = 0, _64
        self._point = self._next() << 32 | self._next()

    def _next(self) -> int:
        self._read += 1
        return int(self._words[self._read - 1]) if self._read <= len(self._words) else 0

    def bit(self, p1: int) -> int:
        """One decision that is a 1 with probability p1 / 2^16."""
        zero = ((65536 - p1) * (2**24 - 2) >> 16) + 1
        scale = self._range >> 24
        quantile = (self._point - self._low & _64) // scale
        if quantile >= 1 << 24:
            raise DamagedFileError("the range-coded part is not one that an encoder makes")
        bit = int(quantile >= zero)
        if bit:
            self._low = self._low + scale * zero & _64
            self._range = scale * (2**24 - zero)
        else:
            self._range = scale * zero
        if self._range < 1 << 32:
            self._range = self._range << 32
            self._low = self._low << 32 & _64
            self._point = self._point << 32 & _64 | self._next()
        return bit

    def finish(self) -> None:
        """After the last decision: every word was read, and they are the ones that an encoder ends with."""
        begun = self._range != _64
        if self._read < len(self._words) or (begun and (self._point - self._low & _64) >= 2**33 - 1):
            raise DamagedFileError("the range-coded part does not end with its last symbol")


def squash_table() -> list[int]:
    """`Squash and stretch`: entry x + 2047 is squash(x)."""
    with localcontext() as context:
        context.prec = 40
        exact = [65536 / (1 + (Decimal(-x) / 256).exp()) for x in range(-2047, 2048)]
        return [min(max(int(value.to_integral_value()), 24), 65536 - 24) for value in exact]


def stretch_table(squash: list[int]) -> list[int]:
    """`Squash and stretch`: for each p the smallest x with squash(x) >= 16 p + 8."""
    table, x = [], -2047
    for p in range(4096):
        while x < 2047 and squash[x + 2047] < 16 * p + 8:
            x += 1
        table.append(x)
    return table


SQUASH = squash_table()
STRETCH = stretch_table(SQUASH)


def stretch(seen: int, ones: int) -> int:
    """Prediction of a context that was seen."""
    return STRETCH[min(((2 * ones + 1) << 12) // (2 * seen + 2), 4095)]


@lru_cache(maxsize=1)
def priors() -> dict[str, State]:
    """`Priors`: the file, by model."""
    data = (files("licodec.entropy") / "priors.bin").read_bytes()
    reader = ByteReader(zstandard.ZstdDecompressor().decompress(data))
    states = {}
    for _ in range(reader.varint()):
        name = reader.raw(reader.u8()).decode()
        count = reader.varint()
        seen, ones = (np.frombuffer(reader.raw(count), np.uint8).astype(np.int64) for _ in range(2))
        shape = reader.varint(), reader.varint()
        weights = np.frombuffer(reader.raw(2 * shape[0] * shape[1]), "<i2").astype(np.int64)
        states[name] = (seen, ones, 256 * weights.reshape(shape))
    return states


class Model:
    """`Context mixer`: predicts one kind of decision from a context in each of several tables."""

    def __init__(self, name: str, sizes: Sequence[int], sets: int = 1) -> None:
        self.seen = [[0] * size for size in sizes]
        self.ones = [[0] * size for size in sizes]
        self.inputs = [[0] * size for size in sizes]
        self.weights = [[65536 * 5 // (4 * len(sizes))] * len(sizes) for _ in range(sets)]
        self.experience = 0
        if name in priors():
            self._restore(*priors()[name])

    def _restore(
        self, seen: npt.NDArray[np.int64], ones: npt.NDArray[np.int64], weights: npt.NDArray[np.int64]
    ) -> None:
        first = 0
        for table in range(len(self.seen)):
            size = len(self.seen[table])
            self.seen[table] = seen[first : first + size].tolist()
            self.ones[table] = ones[first : first + size].tolist()
            self.inputs[table] = [stretch(n, k) for n, k in zip(self.seen[table], self.ones[table], strict=True)]
            first += size
        self.weights = weights.T.tolist()
        self.experience = sum(self.seen[0])

    def decode(self, coder: RangeDecoder, decisions: Sequence[Decision]) -> list[int]:
        """One pass: decisions whose contexts do not depend on each other."""
        bits: list[int] = []
        while len(bits) < len(decisions):
            block = decisions[len(bits) : len(bits) + max(256, self.experience)]
            bits += self._decode_block(coder, block)
        return bits

    def _decode_block(self, coder: RangeDecoder, block: Sequence[Decision]) -> list[int]:
        bits = []
        slopes = [[0] * len(self.seen) for _ in self.weights]
        used = [0] * len(self.weights)
        for contexts, which in block:
            inputs = [self.inputs[table][context] for table, context in enumerate(contexts)]
            mixed = sum(x * w for x, w in zip(inputs, self.weights[which], strict=True)) >> 16
            p1 = SQUASH[min(max(mixed, -2047), 2047) + 2047]
            bit = coder.bit(p1)
            for table, x in enumerate(inputs):
                slopes[which][table] += ((bit << 16) - p1) * x
            used[which] += 1
            bits.append(bit)
        self._learn_weights(slopes, used)
        for bit, (contexts, _) in zip(bits, block, strict=True):
            for table, context in enumerate(contexts):
                self.seen[table][context] += 1
                self.ones[table][context] += bit
        for contexts, _ in block:
            for table, context in enumerate(contexts):
                self._refresh(table, context)
        self.experience += len(block)
        return bits

    def _learn_weights(self, slopes: list[list[int]], used: list[int]) -> None:
        for which, count in enumerate(used):
            for table in range(len(self.seen)) if count else ():
                change = slopes[which][table] // count * min(count, 512) >> 17
                self.weights[which][table] = min(max(self.weights[which][table] + change, 0), 4 << 16)

    def _refresh(self, table: int, context: int) -> None:
        n, k = self.seen[table][context], self.ones[table][context]
        while n > 1023:
            n, k = n >> 1, k >> 1
        self.seen[table][context], self.ones[table][context] = n, k
        self.inputs[table][context] = stretch(n, k)


class Magnitude:
    """`Magnitudes`: unary decisions up to `cap`, then an Exp-Golomb code."""

    def __init__(self, name: str, sizes: Sequence[int], cap: int) -> None:
        self._cap = cap
        self._unary = Model(name, [size * cap for size in sizes], cap)
        self._escape = Model(f"{name}.escape", [24])

    def decode(self, coder: RangeDecoder, contexts: Sequence[Sequence[int]]) -> list[int]:
        """One value for each entry of `contexts`, place by place."""
        values = [0] * len(contexts)
        open_ = list(range(len(contexts)))
        for place in range(self._cap):
            decisions = [([c * self._cap + place for c in contexts[i]], place) for i in open_]
            open_ = [i for i, bit in zip(open_, self._unary.decode(coder, decisions), strict=True) if bit]
            for i in open_:
                values[i] += 1
        for i, rest in zip(open_, self._decode_escapes(coder, len(open_)), strict=True):
            values[i] += rest
        return values

    def _decode_escapes(self, coder: RangeDecoder, count: int) -> list[int]:
        lengths, values = [0] * count, [1] * count
        open_ = list(range(count))
        for place in range(23):
            more = self._escape.decode(coder, [([place], 0)] * len(open_))
            open_ = [i for i, bit in zip(open_, more, strict=True) if bit]
            for i in open_:
                lengths[i] += 1
        for place in range(max(lengths, default=0)):
            for i in range(count):
                if place < lengths[i]:
                    values[i] = 2 * values[i] + coder.bit(1 << 15)
        return [value - 1 for value in values]


def decode_signs(coder: RangeDecoder, magnitudes: Sequence[int]) -> list[int]:
    """One raw decision for each magnitude that is not 0; a 1 makes it negative."""
    return [-m if m and coder.bit(1 << 15) else m for m in magnitudes]
