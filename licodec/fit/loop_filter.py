"""Weights of the loop filter: least squares, rounded and changed where that is worth its bits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from licodec.jit import compiled
from licodec.model.geometry import Floats
from licodec.model.symbols import FILTER_MAX, FILTER_WEIGHTS
from licodec.quant.steps import FILTER_STEP
from licodec.render import loop_filter

_SAME_BITS, _CHANGED_BITS = 0.3, 3.0
"""Of a weight that stays what it was, and of one that changes by 1; twice the size costs two more."""
_SWEEPS = 10
_SAMPLES = 1 << 17
"""About as many of a plane are looked at, in every n-th row: more teach nothing."""


def fit_filter(
    wanted: Sequence[Floats], planes: Sequence[Floats], step: float, bit_worth: float, last: npt.NDArray[np.int32]
) -> npt.NDArray[np.int32]:
    """Weights [12] that bring the planes of a group close to what is wanted; `last`: the weights they are coded after.

    Minimises squared error + bit_worth bits, one weight after the other, from two starts: least squares, and no change.
    """
    products, sums = np.zeros((FILTER_WEIGHTS, FILTER_WEIGHTS)), np.zeros(FILTER_WEIGHTS)
    for plane, goal in zip(planes, wanted, strict=True):
        stride = -(-plane.size // _SAMPLES)
        error = goal[::stride] - plane[::stride]
        columns = loop_filter.features(plane, loop_filter.limit(step), stride).reshape(FILTER_WEIGHTS, -1)
        # As if the rows in between were like these.
        products += stride * (columns @ columns.T)
        sums += stride * (columns @ error.ravel())
    products += np.diag(1e-3 * products.diagonal() + 1e-6)
    products, sums = products * FILTER_STEP**2, sums * FILTER_STEP
    free = np.clip(np.rint(np.linalg.solve(products, sums)), -FILTER_MAX, FILTER_MAX)
    starts = [start.astype(np.int32) for start in (free, last)]
    costs = [_descend(products, sums, last, bit_worth, weights) for weights in starts]
    return starts[int(np.argmin(costs))]


@compiled
def _descend(
    products: npt.NDArray[np.float64],
    sums: npt.NDArray[np.float64],
    last: npt.NDArray[np.int32],
    bit_worth: float,
    weights: npt.NDArray[np.int32],
) -> float:
    """Change weights one at a time, downhill; their cost."""
    for _ in range(_SWEEPS):
        settled = True
        for k in range(len(weights)):
            slope = sums[k] + products[k, k] * weights[k]
            for j in range(len(weights)):
                slope -= products[k, j] * weights[j]
            best, least = weights[k], np.inf
            for w in range(-FILTER_MAX, FILTER_MAX + 1):
                cost = (products[k, k] * w - 2 * slope) * w + bit_worth * _bits(w - last[k])
                if cost < least:
                    best, least = w, cost
            settled &= best == weights[k]
            weights[k] = best
        if settled:
            break
    cost = 0.0
    for k in range(len(weights)):
        cost += bit_worth * _bits(weights[k] - last[k]) - 2 * sums[k] * weights[k]
        for j in range(len(weights)):
            cost += weights[k] * products[k, j] * weights[j]
    return cost


@compiled
def _bits(change: int) -> float:
    return _SAME_BITS if change == 0 else _CHANGED_BITS + 2 * np.log2(abs(change))
