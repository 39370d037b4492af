"""Quantisation steps: the integer indices in the file and the real steps they stand for.

Steps only scale what is rendered; nothing that is parsed depends on them.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

ONE = 1.08
"""Steps that a level of 1 stands for: rate-distortion optimised quantisers send what is 0.7 or less to 0, and the
mean of what becomes 1 lies above it (1.05 to 1.14 in all block sizes, planes and clips; of 2 and more within .03)."""
LATENT_STEP = 1 / 16
"""Quantisation step of the latents."""
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
    return np.where(np.abs(levels) == 1, np.float32(ONE) * levels, levels) * np.float32(step)


def weight_step_of(index: int) -> float:
    """Step of a weight tensor: 2^(-index / 4)."""
    return float(2.0 ** (-index / WEIGHT_STEPS_PER_OCTAVE))


def weight_index_of(step: float) -> int:
    """Index of the nearest weight step, 0..255."""
    return min(max(round(-WEIGHT_STEPS_PER_OCTAVE * math.log2(step)), 0), 255)
