"""Bjontegaard delta rate: how many percent more bytes one codec needs for the same quality as another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

MIN_POINTS = 4
"""Fewer points than this do not make a curve worth integrating (VCEG-M33 asks for four)."""

Curve = Sequence[tuple[float, float]]
"""(rate, quality) points in any order; rate in any unit, the same for both curves."""


@dataclass(frozen=True)
class BDRate:
    """Average rate difference over the qualities that two curves share."""

    percent: float
    """100 (rate of test / rate of anchor - 1); negative: the test needs fewer bytes. NaN where nothing is
    shared."""
    overlap: float
    """Share (0 to 1) of the qualities spanned by either curve that both span; below 0.5 read the figure with
    care."""


def bd_rate(anchor: Curve, test: Curve, method: Literal["akima", "pchip"] = "akima") -> BDRate:
    """BD-rate of `test` against `anchor`, log rate interpolated over quality; package `bjontegaard` (extra
    `dev`).

    Akima is what that package's authors recommend (Herglotz et al. 2022: closest to densely sampled curves).
    ValueError for fewer than four points, a rate that is not positive, or a curve whose quality does not rise
    strictly with its rate: that has no inverse to integrate.
    """
    anchor_rate, anchor_quality = _columns(anchor, "anchor")
    test_rate, test_quality = _columns(test, "test")
    shared = min(anchor_quality[-1], test_quality[-1]) - max(anchor_quality[0], test_quality[0])
    spanned = max(anchor_quality[-1], test_quality[-1]) - min(anchor_quality[0], test_quality[0])
    if shared <= 0:
        return BDRate(math.nan, 0.0)

    import bjontegaard

    percent = bjontegaard.bd_rate(
        anchor_rate,
        anchor_quality,
        test_rate,
        test_quality,
        method=method,
        require_matching_points=False,
        min_overlap=0,  # we report the overlap instead of warning about it
    )
    return BDRate(float(percent), float(shared / spanned))


def _columns(curve: Curve, name: str) -> tuple[np.ndarray, np.ndarray]:
    if len(curve) < MIN_POINTS:
        raise ValueError(f"BD-rate needs {MIN_POINTS} points, the {name} curve has {len(curve)}")
    rate, quality = (np.array(column, np.float64) for column in zip(*sorted(curve), strict=True))
    if rate[0] <= 0 or not np.isfinite(quality).all() or (np.diff(rate) <= 0).any() or (np.diff(quality) <= 0).any():
        raise ValueError(f"quality of the {name} curve does not rise strictly with its rate: {sorted(curve)}")
    return rate, quality
