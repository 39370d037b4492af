"""Integer context mixing for binary decisions.

Each decision has a few contexts, one per table. A table keeps, for each of its contexts, the share of ones among the
decisions it saw, twice: with a slow and with a fast rate. Their logits are mixed with integer weights (as in Mahoney's
PAQ mixers), of which each decision chooses two sets that add up, and shares and weights learn from every decision. All
of it is integer arithmetic, so the same bits come out on every machine; the loops are machine code (`kernels`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from licodec.entropy import kernels
from licodec.entropy.coder import BitCoder, Bits, Ints
from licodec.entropy.logistic import PROB_ONE

State = tuple[Ints, Ints, Ints]
"""Share of ones (22 bits) and times seen for all contexts of all tables; weights [sets, 2 tables]."""


def bits_of(one: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """[..., 0 or 1] bits of a decision whose probability of a 1 is `one`."""
    return -np.log2(np.stack([1 - one, one], axis=-1)).astype(np.float32)


class BinaryModel:
    """Predicts a kind of binary decision from `len(sizes)` contexts each, and learns as it goes."""

    def __init__(self, sizes: Sequence[int], selectors: int = 1, others: int = 1) -> None:
        """`sizes`: number of contexts of each table; `selectors`, `others`: sets of weights to choose one each from."""
        self.sizes = tuple(sizes)
        self._first = np.array([0, *np.cumsum(sizes)], np.int64)
        shares = np.zeros((sum(sizes), 3), np.int32)
        shares[:, :2] = 1 << (kernels.SHARE_BITS - 1)
        weights = np.zeros((selectors + others, 2 * len(sizes)), np.int64)
        # A little above the plain average: several agreeing predictions are worth more than one.
        weights[:selectors] = (1 << kernels.WEIGHT_BITS) * 5 // (8 * len(sizes))
        self.selectors = selectors
        self.mixer = kernels.Mixer(shares, weights, self._first[:-1], np.zeros(2 * len(sizes), np.int64))

    def code(
        self, coder: BitCoder, contexts: Sequence[npt.NDArray[np.integer]], one: Ints, values: Bits | None
    ) -> Bits:
        """Code decisions whose contexts do not depend on each other; an encoder takes them from `values`.

        contexts: for each table [decisions]; one: [decisions] set of weights; the other set is the first.
        """
        bits = np.zeros(len(one), np.int32) if values is None else values.astype(np.int32)
        if len(bits):
            rows = np.stack(contexts, axis=1).astype(np.int64)
            kernels.code_pass(coder.stream(len(bits)), self.mixer, rows, one.astype(np.int64), self.selectors, bits)
            coder.check()
        return bits

    def probabilities(
        self, table: int, shape: tuple[int, ...] = (-1,), over: tuple[int, ...] = ()
    ) -> npt.NDArray[np.float64]:
        """Of a 1, for the contexts of a table: an estimate for an encoder's decisions, not what is coded with.

        shape: of the contexts; over: axes of it that do not matter, whose decisions are counted together.
        """
        mine = self.mixer.shares[self._first[table] : self._first[table + 1]].astype(np.float64)
        share, seen = (column.reshape(shape) for column in (mine[:, 0] / (1 << kernels.SHARE_BITS), mine[:, 2]))
        # Half a 0 and half a 1 more than were seen.
        return np.asarray(((share * seen).sum(axis=over) + 0.5) / (seen.sum(axis=over) + 1))

    def state(self) -> State:
        """Copies, for building priors."""
        shares = self.mixer.shares.astype(np.int64)
        return shares[:, 0], shares[:, 2], self.mixer.weights.copy()

    def restore(self, share: Ints, seen: Ints, weights: Ints) -> None:
        """Start from a state instead of from nothing."""
        shares, mine = self.mixer.shares, self.mixer.weights
        if share.shape != shares.shape[:1] or seen.shape != share.shape or weights.shape != mine.shape:
            raise ValueError("a prior does not fit its model")
        shares[:, 0] = shares[:, 1] = share
        shares[:, 2] = seen
        mine[:] = weights


def code_raw(coder: BitCoder, count: int, values: Bits | None) -> Bits:
    """Code `count` decisions of probability one half."""
    bits = np.zeros(count, np.int32) if values is None else values.astype(np.int32)
    kernels.code_known(coder.stream(count), np.full(count, PROB_ONE // 2), bits)
    return bits


class MagnitudeModel:
    """Non-negative integers above a known floor: unary up to `cap`, then Exp-Golomb bits."""

    def __init__(self, sizes: Sequence[int], cap: int) -> None:
        """Each context of `sizes` is kept once for each of the `cap` unary places."""
        self._cap = cap
        self._unary = BinaryModel([s * cap for s in sizes], cap)
        self._escape = BinaryModel([24])

    def bits(self, table: int) -> npt.NDArray[np.float64]:
        """[contexts of a table, cap] estimated bits of each value below the cap."""
        return unary_bits(self._unary.probabilities(table).reshape(-1, self._cap))

    def models(self, name: str) -> dict[str, BinaryModel]:
        """The adaptive models by name."""
        return {name: self._unary, f"{name}.escape": self._escape}

    def code(
        self, coder: BitCoder, contexts: Sequence[npt.NDArray[np.integer]], values: npt.NDArray[np.integer] | None
    ) -> Ints:
        """Code one value per entry of the contexts of each table."""
        count = len(contexts[0])
        out = np.zeros(count, np.int64)
        rows = [context * self._cap for context in contexts]
        alive = np.arange(count)
        for place in range(self._cap):
            if not len(alive):
                return out
            wanted = None if values is None else (values[alive] > place).astype(np.int32)
            here = [row[alive] + place for row in rows]
            more = self._unary.code(coder, here, np.full(len(alive), place), wanted)
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
        for place in range(kernels.ESCAPE_PLACES):
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


def unary_bits(more: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """[..., cap] estimated bits of each value below the cap, from the probability at each place that there is more."""
    upto = np.cumsum(-np.log2(more), axis=-1) + np.log2(more)
    return np.asarray(upto - np.log2(1 - more))
