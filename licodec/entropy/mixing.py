"""Integer context mixing for binary decisions, in whole arrays at a time.

Each decision has a few contexts, one per table. A table keeps, for each of its contexts, how often
a 0 and a 1 were seen. The tables' predictions are mixed in the logistic domain with integer weights
(as in Mahoney's PAQ mixers), and tables and weights learn after every block of decisions. All of it is
integer arithmetic on arrays, so the same bits come out on every machine; because a block's contexts are
known before the block, its loops are machine code (`kernels`).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, localcontext

import numpy as np
import numpy.typing as npt

from licodec.entropy import kernels
from licodec.entropy.coder import HALF, PROB_ONE, BitCoder, Bits, Ints

_STRETCH_MAX = 2047
_FIRST_BLOCK = 256


def _squash_table() -> Ints:
    """round(65536 / (1 + exp(-x / 256))) for x = -2047..2047, by decimal arithmetic (no libm)."""
    with localcontext() as context:
        context.prec = 40
        values = [
            int((Decimal(PROB_ONE) / (1 + (Decimal(-x) / 256).exp())).to_integral_value())
            for x in range(-_STRETCH_MAX, _STRETCH_MAX + 1)
        ]
    return np.clip(np.array(values, np.int64), 24, PROB_ONE - 24)


_SQUASH = _squash_table()
# stretch(p) for p = 0..4095 (12-bit probability): the x whose squash is nearest from below.
_STRETCH = np.clip(
    np.searchsorted(_SQUASH, (np.arange(kernels.SHARES) * 16 + 8)) - _STRETCH_MAX, -_STRETCH_MAX, _STRETCH_MAX
)


def bits_of(one: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """[..., 0 or 1] bits of a decision whose probability of a 1 is `one`."""
    return -np.log2(np.stack([1 - one, one], axis=-1)).astype(np.float32)


class BinaryModel:
    """Predicts a kind of binary decision from `len(sizes)` contexts each, and learns as it goes."""

    def __init__(self, sizes: Sequence[int], selectors: int = 1) -> None:
        """`sizes`: number of contexts of each table; `selectors`: number of mixing-weight sets."""
        self._offsets = [0, *np.cumsum(sizes[:-1]).tolist()]
        total = sum(sizes)
        self._ones = np.zeros(total, np.int64)
        self._seen = np.zeros(total, np.int64)
        self._stretched = np.zeros(total, np.int64)
        # Start a little above the plain average: several agreeing predictions are worth more than one.
        start = (1 << kernels.WEIGHT_BITS) * 5 // (4 * len(sizes))
        self._weights = np.full((len(sizes), selectors), start, np.int64)
        self._experience = 0

    def code(
        self,
        coder: BitCoder,
        contexts: Sequence[npt.NDArray[np.integer]] | Ints,
        selector: npt.NDArray[np.integer],
        values: Bits | None,
    ) -> Bits:
        """Code the decisions of one pass; all contexts must be known before it begins."""
        count = len(selector)
        if not count:
            return np.empty(0, np.int32)
        rows = np.empty((len(self._offsets), count), np.int64)
        for row, context, offset in zip(rows, contexts, self._offsets, strict=True):
            np.add(context, offset, out=row, casting="unsafe")
        sets = np.ascontiguousarray(selector, np.int64)
        out = np.empty(count, np.int32)
        start = 0
        while start < count:
            # A block no longer than all that was seen before: the first ones are short and teach quickly.
            stop = min(count, start + max(_FIRST_BLOCK, self._experience))
            block = slice(start, stop)
            out[block] = self._code_block(coder, rows[:, block], sets[block], None if values is None else values[block])
            start = stop
        return out

    def _code_block(self, coder: BitCoder, rows: Ints, sets: Ints, values: Bits | None) -> Bits:
        p1 = kernels.predict(rows, sets, self._stretched, self._weights, _SQUASH)
        bits = coder.bits(p1, values)
        self._experience += len(bits)
        kernels.learn(rows, sets, p1, bits, self._seen, self._ones, self._stretched, self._weights, _STRETCH)
        return bits

    def probabilities(
        self, table: int, shape: tuple[int, ...] = (-1,), over: tuple[int, ...] = ()
    ) -> npt.NDArray[np.float64]:
        """Of a 1, for the contexts of a table: an estimate for an encoder's decisions, not what is coded with.

        shape: of the contexts; over: axes of it that do not matter, whose decisions are counted together.
        """
        end = self._offsets[table + 1] if table + 1 < len(self._offsets) else len(self._seen)
        mine = slice(self._offsets[table], end)
        seen, ones = (counts[mine].reshape(shape).sum(axis=over) for counts in (self._seen, self._ones))
        # Half a 0 and half a 1 more than were seen.
        return np.asarray((2 * ones + 1) / (2 * seen + 2))

    def state(self) -> tuple[Ints, Ints, Ints]:
        """(times seen, ones among them, mixing weights): copies, for building priors."""
        return self._seen.copy(), self._ones.copy(), self._weights.copy()

    def restore(self, seen: Ints, ones: Ints, weights: Ints) -> None:
        """Start from a state instead of from nothing."""
        if seen.shape != self._seen.shape or ones.shape != seen.shape or weights.shape != self._weights.shape:
            raise ValueError("a prior does not fit its model")
        self._seen, self._ones, self._weights = seen.copy(), ones.copy(), weights.copy()
        self._stretched = kernels.stretch_all(self._ones, self._seen, _STRETCH)
        self._experience = int(seen[: self._offsets[1] if len(self._offsets) > 1 else None].sum())


def code_raw(coder: BitCoder, count: int, values: Bits | None) -> Bits:
    """Code `count` decisions of probability one half."""
    return coder.bits(np.full(count, HALF, np.int64), values)


class MagnitudeModel:
    """Non-negative integers above a known floor: unary up to `cap`, then Exp-Golomb bits."""

    def __init__(self, sizes: Sequence[int], cap: int, selectors: int = 1) -> None:
        """Each context of `sizes` is kept once for each of the `cap` unary places."""
        self._cap = cap
        self._unary = BinaryModel([s * cap for s in sizes], selectors * cap)
        self._escape = BinaryModel([24], 1)

    def bits(self, table: int) -> npt.NDArray[np.float64]:
        """[contexts of a table, cap] estimated bits of each value below the cap."""
        more = self._unary.probabilities(table).reshape(-1, self._cap)
        upto = np.cumsum(-np.log2(more), axis=1) + np.log2(more)
        return upto - np.log2(1 - more)

    def models(self, name: str) -> dict[str, BinaryModel]:
        """The adaptive models by name."""
        return {name: self._unary, f"{name}.escape": self._escape}

    def code(
        self,
        coder: BitCoder,
        contexts: Sequence[npt.NDArray[np.integer]],
        selector: npt.NDArray[np.integer],
        values: npt.NDArray[np.integer] | None,
    ) -> Ints:
        """Code one value per entry of `selector`."""
        count = len(selector)
        out = np.zeros(count, np.int64)
        # One row per table, then the sets: what changes from place to place is one number added to all of it.
        rows = np.empty((len(contexts) + 1, count), np.int64)
        for row, context in zip(rows, (*contexts, selector), strict=True):
            np.multiply(context, self._cap, out=row, casting="unsafe")
        alive = np.arange(count)
        for place in range(self._cap):
            if not len(alive):
                return out
            here = (rows if len(alive) == count else rows[:, alive]) + place
            wanted = None if values is None else (values[alive] > place).astype(np.int32)
            more = self._unary.code(coder, here[:-1], here[-1], wanted)
            alive = alive[more != 0]
            out[alive] += 1
        if len(alive):
            out[alive] += self._code_escape(coder, None if values is None else values[alive] - self._cap, len(alive))
        return out

    def _code_escape(self, coder: BitCoder, values: npt.NDArray[np.integer] | None, count: int) -> Ints:
        """Exp-Golomb of order 0: the number of bits of value + 1 in unary, then those bits."""
        length = np.zeros(count, np.int64)
        target = None if values is None else np.frexp((values + 1).astype(np.float64))[1].astype(np.int64) - 1
        alive = np.arange(count)
        for place in range(23):
            more = self._escape.code(
                coder,
                [np.full(len(alive), place)],
                np.zeros(len(alive), np.int64),
                None if target is None else (target[alive] > place).astype(np.int32),
            )
            alive = alive[more.astype(bool)]
            length[alive] += 1
            if not len(alive):
                break
        result = np.ones(count, np.int64)
        for place in range(int(length.max(initial=0))):
            active = np.flatnonzero(length > place)
            shift = length[active] - 1 - place
            bits = code_raw(
                coder,
                len(active),
                None if values is None else ((values[active] + 1) >> shift & 1).astype(np.int32),
            )
            result[active] = result[active] * 2 + bits
        return result - 1
