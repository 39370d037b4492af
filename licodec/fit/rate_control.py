"""Finding the rate factor that meets a target, by measuring whole encodes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from licodec.errors import TargetError
from licodec.fit.settings import CRF_RANGE, DEFAULT_CRF

_TRIALS = 9
_NARROW = 0.02
"""Where the ends of a bracket are this close and the band is not between them, the curve jumps over it."""
_AROUND = tuple(sign * away for away in (0.05, 0.1, 0.2, 0.4, 0.7, 1.0) for sign in (1, -1))
"""Away from a jump to look for the band again: on clips of a few blocks quality is no smooth function of CRF."""


@dataclass(frozen=True)
class Target:
    """A quantity that falls as the rate factor rises, and the band it must end in."""

    name: str
    value: float
    low: float
    high: float
    slope: float
    """Typical change of the measure a unit of CRF, to start from."""
    unit: str

    @staticmethod
    def size(bytes_: float, *, exact: bool) -> Target:
        """File size: never above `bytes_`, or within 3% either way unless `exact`."""
        # Measured as the logarithm, which is nearly a straight line over CRF.
        goal = math.log(bytes_)
        if exact:
            return Target("size", math.log(bytes_ * 0.985), math.log(bytes_ * 0.97), goal, -0.115, "bytes")
        return Target("bitrate", goal, math.log(bytes_ * 0.97), math.log(bytes_ * 1.03), -0.115, "bytes")

    @staticmethod
    def psnr(decibels: float) -> Target:
        """Luma PSNR within 0.1 dB."""
        return Target("PSNR", decibels, decibels - 0.1, decibels + 0.1, -0.55, "dB")

    def show(self, measure: float) -> str:
        """The measure in its unit."""
        return f"{measure:.2f} dB" if self.unit == "dB" else f"{math.exp(measure):,.0f} bytes"


def search_crf(target: Target, measure: Callable[[float], float], start: float | None = None) -> float:
    """Rate factor whose `measure` (log bytes, or dB) is inside the target's band.

    Secant steps inside a shrinking bracket. Raises TargetError when even the ends of the CRF range miss it.
    """
    low, high = CRF_RANGE
    crf = DEFAULT_CRF if start is None else start
    known: list[tuple[float, float]] = []
    for _ in range(_TRIALS):
        found = measure(crf)
        known.append((crf, found))
        if target.low <= found <= target.high:
            return crf
        if found > target.high:
            low = crf
        else:
            high = crf
        if (
            high - low < _NARROW
            or (crf == CRF_RANGE[1] and found > target.high)
            or (crf == CRF_RANGE[0] and found < target.low)
        ):
            break
        crf = _next(target, known, low, high)
    # A size has an answer on one side of the jump.
    if target.name != "size" and CRF_RANGE[0] < low and high < CRF_RANGE[1]:
        for away in _AROUND:
            crf = min(max((low + high) / 2 + away, CRF_RANGE[0]), CRF_RANGE[1])
            found = measure(crf)
            known.append((crf, found))
            if target.low <= found <= target.high:
                return crf
    # A file smaller than the band keeps the promise of a size: where the curve jumps over it, or ends below it.
    fitting = [(f, c) for c, f in known if f <= target.high]
    if target.name == "size" and fitting and (len(fitting) < len(known) or CRF_RANGE[0] in dict(known)):
        return max(fitting)[1]
    asked = target.high if target.name == "size" else target.value
    best = min(known, key=lambda k: abs(k[1] - target.value))
    raise TargetError(
        f"{target.name} of {target.show(asked)} cannot be reached: the nearest of {len(known)} trials, crf "
        f"{best[0]:g}, gives {target.show(best[1])}; choose another target or preset"
    )


def _next(target: Target, known: list[tuple[float, float]], low: float, high: float) -> float:
    crf, found = known[-1]
    slope = target.slope
    if len(known) > 1:
        (c0, f0), (c1, f1) = sorted(known, key=lambda k: abs(k[1] - target.value))[:2]
        if c0 != c1 and (f1 - f0) / (c1 - c0) < 0.1 * target.slope:
            crf, found, slope = c0, f0, (f1 - f0) / (c1 - c0)
    guess = crf + (target.value - found) / slope
    if not low < guess < high:
        # The ends themselves are worth a trial once; inside, halve.
        guess = (
            (low + high) / 2
            if (low, high) != CRF_RANGE and low > CRF_RANGE[0] and high < CRF_RANGE[1]
            else min(max(guess, low), high)
        )
    # So close to an end nothing is left between it and the guess, which would be the last.
    return next((end for end in CRF_RANGE if abs(guess - end) < _NARROW), guess)
