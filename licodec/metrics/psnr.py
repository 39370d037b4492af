"""Peak signal-to-noise ratio: per plane, 6:1:1 over Y, U and V, and over RGB.

Two averages over a sequence are in use, and they differ by tenths of a decibel where quality varies in time:

- mean of per-frame PSNR: what HNeRV, HM and VTM report, and the headline everywhere in licodec;
- pooled: PSNR of the mean squared error over all frames, what FFmpeg's `psnr` filter prints at the end.

Errors are kept as a fraction of the squared peak (2^depth - 1, as FFmpeg has it), which makes every formula
here independent of the bit depth.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from licodec.video.info import Plane

PSNR_CAP = 100.0
"""dB. Identical frames have infinite PSNR, which neither a mean nor JSON can hold; every value is capped
here."""

LUMA_WEIGHT = 6
"""Weight of PSNR_Y against 1 for each chroma plane, as in the JVET literature, whatever the chroma format."""


def mean_squared_error(a: Plane, b: Plane, peak: int) -> float:
    """Mean of (a - b)^2 over all samples of two uint8 or uint16 arrays, as a fraction of `peak`^2; ValueError
    if shapes or types differ."""
    if a.shape != b.shape or a.dtype != b.dtype:
        raise ValueError(f"cannot compare {a.dtype} {a.shape} with {b.dtype} {b.shape}")
    return float(cv2.norm(a, b, cv2.NORM_L2SQR)) / (a.size * peak * peak)


def psnr(mse: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """-10 log10(mse) in dB of mean squared errors relative to the squared peak, at most PSNR_CAP; same
    shape."""
    return -10 * np.log10(np.maximum(np.asarray(mse, np.float64), 10 ** (-PSNR_CAP / 10)))


def pooled_psnr(mse: npt.NDArray[np.float64]) -> float:
    """PSNR in dB of the mean over all frames of their mean squared errors."""
    return float(psnr(np.mean(mse)))


def weighted_yuv(y: npt.ArrayLike, u: npt.ArrayLike, v: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """(6 PSNR_Y + PSNR_U + PSNR_V) / 8, in dB; of per-frame values or of a sequence's."""
    chroma: Sequence[npt.ArrayLike] = (u, v)
    total = LUMA_WEIGHT * np.asarray(y, np.float64) + sum(np.asarray(c, np.float64) for c in chroma)
    return total / (LUMA_WEIGHT + len(chroma))
