"""Quantisation steps: the integer indices in the file and the real steps they stand for.

Steps only scale what is rendered; nothing that is parsed depends on them.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

HALF_STEP = 0.5625
"""Steps that a level is apart from the next. Those that a coefficient may have are every other one, which ones depends
on those before it: the two quantisers together are finer than either."""
SIZE_OF = np.array([0, HALF_STEP + 0.06, 2 * HALF_STEP + 0.05], np.float32)
"""Steps that the smallest levels stand for; others a multiple of HALF_STEP. A rate-distortion optimised quantiser sends
much of what is less to 0, and the mean of what stays lies higher."""
_SIZES = np.arange(1 << 15, dtype=np.float32) * np.float32(HALF_STEP)
_SIZES[: len(SIZE_OF)] = SIZE_OF
_STEPS_OF = np.concatenate([_SIZES, [0], -_SIZES[:0:-1]]).astype(np.float32)
"""Steps of each level; those of negative ones from the end."""
LATENT_STEP = 1 / 16
"""Quantisation step of the latents."""
FILTER_STEP = 1 / 128
"""Quantisation step of the loop filter's weights."""
STEPS_PER_OCTAVE = 16
"""Quantiser indices by which a coefficient step doubles."""
QUANTISER_MAX = 223
WEIGHT_STEPS_PER_OCTAVE = 4
"""Indices by which the step of a weight tensor halves."""


def quantiser_of(step: float) -> int:
    """Index of the nearest coefficient step."""
    return min(max(round(STEPS_PER_OCTAVE * (math.log2(step) + 3)), 0), QUANTISER_MAX)


def step_of(quantiser: int) -> float:
    """Coefficient step on the 8-bit scale: 2^(index / 16 - 3), so 1/8 to about 1,960."""
    return float(2.0 ** (quantiser / STEPS_PER_OCTAVE - 3))


def coefficients_of(levels: npt.NDArray[np.int16], step: float) -> npt.NDArray[np.float32]:
    """Coefficients, float32, that quantised levels stand for."""
    return _STEPS_OF[levels] * np.float32(step)


def weight_step_of(index: int) -> float:
    """Step of a weight tensor: 2^(-index / 4)."""
    return float(2.0 ** (-index / WEIGHT_STEPS_PER_OCTAVE))


def weight_index_of(step: float) -> int:
    """Index of the nearest weight step, 0..255."""
    return min(max(round(-WEIGHT_STEPS_PER_OCTAVE * math.log2(step)), 0), 255)
