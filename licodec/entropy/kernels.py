"""The inner loops of the context mixer, as machine code: integers in, the same integers out on every machine.

Arrays: `stretched`, `seen`, `ones` hold one entry per context of all tables; `weights` [tables, sets]; `rows`
[tables, decisions] are indices into the former, `sets` [decisions] into the latter. All are int64.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from licodec.entropy.coder import PROB_ONE
from licodec.jit import compiled

Ints = npt.NDArray[np.int64]

SHARES = 4096
"""Probabilities that a context can have."""
WEIGHT_BITS = 16
"""Binary places of the mixing weights."""
_WEIGHT_LIMIT = 4 << WEIGHT_BITS
_RATE_BITS = 17
"""The step of the weights is the gradient shifted right by this."""
_COUNT_LIMIT = 1023
"""Times that a context counts; beyond it both of its counts are halved."""
_MOST_STEPS = 512
"""Decisions of a block that count for a set's step: the mean gradient times so many, at most."""


@compiled
def predict(rows: Ints, sets: Ints, stretched: Ints, weights: Ints, squash: Ints) -> Ints:
    """p1 of each decision, in 1..65535."""
    tables, count = rows.shape
    middle = len(squash) // 2
    out = np.empty(count, np.int64)
    for i in range(count):
        mixed = 0
        for t in range(tables):
            mixed += stretched[rows[t, i]] * weights[t, sets[i]]
        out[i] = squash[min(max(mixed >> WEIGHT_BITS, -middle), middle) + middle]
    return out


@compiled
def learn(
    rows: Ints,
    sets: Ints,
    p1: Ints,
    bits: npt.NDArray[np.int32],
    seen: Ints,
    ones: Ints,
    stretched: Ints,
    weights: Ints,
    stretch: Ints,
) -> None:
    """Weights one step down the gradient of each set's coding cost; then count what came in each context."""
    tables, count = rows.shape
    gradient = np.zeros(weights.shape, np.int64)
    used = np.zeros(weights.shape[1], np.int64)
    for i in range(count):
        error = bits[i] * np.int64(PROB_ONE) - p1[i]
        used[sets[i]] += 1
        for t in range(tables):
            gradient[t, sets[i]] += error * stretched[rows[t, i]]
    for s in range(len(used)):
        if used[s]:
            for t in range(tables):
                step = gradient[t, s] // used[s] * min(used[s], _MOST_STEPS) >> _RATE_BITS
                weights[t, s] = min(max(weights[t, s] + step, 0), _WEIGHT_LIMIT)
    for t in range(tables):
        for i in range(count):
            seen[rows[t, i]] += 1
            ones[rows[t, i]] += bits[i]
    for t in range(tables):
        for i in range(count):
            context = rows[t, i]
            while seen[context] > _COUNT_LIMIT:
                seen[context] >>= 1
                ones[context] >>= 1
            stretched[context] = _logit(ones[context], seen[context], stretch)


@compiled
def stretch_all(ones: Ints, seen: Ints, stretch: Ints) -> Ints:
    """`stretched` of every context, from its counts."""
    out = np.empty(len(ones), np.int64)
    for context in range(len(ones)):
        out[context] = _logit(ones[context], seen[context], stretch)
    return out


@compiled
def _logit(ones: int, seen: int, stretch: Ints) -> int:
    """Logit of (ones + 1/2) / (seen + 1), which is 0 for a context never seen."""
    share = (2 * ones + 1) * SHARES // (2 * seen + 2)
    return int(stretch[min(share, SHARES - 1)])
