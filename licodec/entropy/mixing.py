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
from licodec.entropy.coder import Ints

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


def unary_bits(more: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """[..., cap] estimated bits of each value below the cap, from the probability at each place that there is more."""
    upto = np.cumsum(-np.log2(more), axis=-1) + np.log2(more)
    return np.asarray(upto - np.log2(1 - more))
