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
"""A context for each table, and the first set of mixing weights."""
State = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""Share of ones (22 bits) and times seen for all contexts of all tables; weights [set, input]."""

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


@lru_cache(maxsize=1)
def priors() -> dict[str, State]:
    """`Priors`: the file, by model."""
    data = (files("licodec.entropy") / "priors.bin").read_bytes()
    reader = ByteReader(zstandard.ZstdDecompressor().decompress(data))
    states = {}
    for _ in range(reader.varint()):
        name = reader.raw(reader.u8()).decode()
        count = reader.varint()
        share = np.frombuffer(reader.raw(2 * count), "<u2").astype(np.int64) * 4096
        seen = np.frombuffer(reader.raw(count), np.uint8).astype(np.int64)
        shape = reader.varint(), reader.varint()
        weights = np.frombuffer(reader.raw(2 * shape[0] * shape[1]), "<i2").astype(np.int64)
        states[name] = (share, seen, 256 * weights.reshape(shape))
    return states


class Model:
    """`Context mixer`: predicts one kind of decision from a context in each of several tables."""

    def __init__(self, name: str, sizes: Sequence[int], ones: int = 1, others: int = 1) -> None:
        self.slow = [[1 << 21] * size for size in sizes]
        self.fast = [[1 << 21] * size for size in sizes]
        self.seen = [[0] * size for size in sizes]
        start = 65536 * 5 // (8 * len(sizes))
        self.weights = [[start] * (2 * len(sizes)) for _ in range(ones)]
        self.weights += [[0] * (2 * len(sizes)) for _ in range(others)]
        self._ones = ones
        if name in priors():
            self._restore(*priors()[name])

    def _restore(
        self, share: npt.NDArray[np.int64], seen: npt.NDArray[np.int64], weights: npt.NDArray[np.int64]
    ) -> None:
        first = 0
        for table in range(len(self.seen)):
            size = len(self.seen[table])
            self.slow[table] = share[first : first + size].tolist()
            self.fast[table] = share[first : first + size].tolist()
            self.seen[table] = seen[first : first + size].tolist()
            first += size
        self.weights = weights.tolist()

    def decode(self, coder: RangeDecoder, contexts: Sequence[int], one: int = 0, other: int = 0) -> int:
        """One decision; `one` and `other`: sets of weights."""
        inputs = []
        for table, context in enumerate(contexts):
            inputs += [STRETCH[self.slow[table][context] >> 10], STRETCH[self.fast[table][context] >> 10]]
        first, second = self.weights[one], self.weights[self._ones + other]
        mixed = sum(x * (v + w) for x, v, w in zip(inputs, first, second, strict=True)) >> 16
        p1 = SQUASH[min(max(mixed, -2047), 2047) + 2047]
        bit = coder.bit(p1)
        for weights in (first, second):
            for i, x in enumerate(inputs):
                weights[i] += x * ((bit << 16) - p1) + (1 << 17) >> 18
        goal = (2**22 - 1) * bit
        for table, context in enumerate(contexts):
            n = self.seen[table][context]
            for shares, most in ((self.slow, 500), (self.fast, 8)):
                rate = 2**17 // (2 * min(n, most) + 3)
                shares[table][context] += (goal - shares[table][context]) * rate >> 16
            self.seen[table][context] = min(n + 1, 500)
        return bit

    def decode_escape(self, coder: RangeDecoder) -> int:
        """`Escapes`: Exp-Golomb, its length by decisions of this model."""
        length, value = 0, 1
        while length < 23 and self.decode(coder, [length]):
            length += 1
        for _ in range(length):
            value = 2 * value + coder.bit(1 << 15)
        return value - 1

    def decode_all(self, coder: RangeDecoder, decisions: Sequence[Decision]) -> list[int]:
        """Decisions whose contexts are known beforehand."""
        return [self.decode(coder, contexts, one) for contexts, one in decisions]


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
            open_ = [i for i, bit in zip(open_, self._unary.decode_all(coder, decisions), strict=True) if bit]
            for i in open_:
                values[i] += 1
        for i, rest in zip(open_, self._decode_escapes(coder, len(open_)), strict=True):
            values[i] += rest
        return values

    def _decode_escapes(self, coder: RangeDecoder, count: int) -> list[int]:
        lengths, values = [0] * count, [1] * count
        open_ = list(range(count))
        for place in range(23):
            more = self._escape.decode_all(coder, [([place], 0)] * len(open_))
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
