"""The logistic function and its inverse in integers, by decimal arithmetic: no libm, the same on every machine."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import numpy.typing as npt

PROB_BITS = 16
PROB_ONE = 1 << PROB_BITS
STRETCH_MAX = 2047


def _squash_table() -> npt.NDArray[np.int64]:
    """round(65536 / (1 + exp(-x / 256))) for x = -2047..2047, at least 24 away from 0 and 65536."""
    values = []
    with localcontext() as context:
        # One exponential from the other by multiplication, in a tenth of the time: rounding is far off at 60 digits.
        context.prec = 60
        power, step = (Decimal(STRETCH_MAX) / 256).exp(), (Decimal(-1) / 256).exp()
        for _ in range(2 * STRETCH_MAX + 1):
            values.append(int((PROB_ONE / (1 + power)).to_integral_value()))
            power *= step
    return np.clip(np.array(values, np.int64), 24, PROB_ONE - 24)


SQUASH = _squash_table()
"""Probability times 2^16 of x + STRETCH_MAX."""
STRETCH = np.clip(np.searchsorted(SQUASH, np.arange(4096) * 16 + 8) - STRETCH_MAX, -STRETCH_MAX, STRETCH_MAX)
"""For each probability in 4096ths: the x whose squash is nearest from below."""
