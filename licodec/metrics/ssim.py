"""SSIM (Wang, Bovik, Sheikh, Simoncelli 2004) and MS-SSIM (Wang, Simoncelli, Bovik 2003).

Gaussian window of 11x11 samples with sigma 1.5, only windows that lie wholly inside the picture, K1 = 0.01,
K2 = 0.03; between scales each 2x2 block is averaged, an odd last row or column being repeated: the authors'
own choices.

Two departures, for pictures their code refuses:
- MS-SSIM uses as many of its five scales as leave room for the window (five from 161 samples a side), with
  those scales' exponents rescaled to the same sum, so values compare within a picture size but not across
  sizes below 161;
- a picture of fewer than 11 samples a side gets the largest odd window that fits.

For arrays [rows, columns, channels] the index is that of each channel, averaged over the channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from licodec.video.info import Plane

WINDOW = 11
SIGMA = 1.5
K1, K2 = 0.01, 0.03
BAND = 64
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)

Image = npt.NDArray[Any]  # float32
PerChannel = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Similarity:
    """Structural similarity of two pictures."""

    ssim: float
    """SSIM at full size; 1 for identical pictures."""
    ms_ssim: float
    """MS-SSIM over the scales that fit."""


def scales_for(height: int, width: int) -> int:
    """How many MS-SSIM scales (1 to 5) leave room for the window in a picture of this size."""
    side, scales = min(height, width), 1
    while scales < len(SCALE_WEIGHTS) and -(-side // 2) >= WINDOW:
        side, scales = -(-side // 2), scales + 1
    return scales


def similarity(a: Plane, b: Plane, peak: int) -> Similarity:
    """SSIM and MS-SSIM of two arrays [rows, columns] or [rows, columns, channels] whose samples span 0 to
    `peak`; both at once because they share their first scale. ValueError if the shapes differ."""
    if a.shape != b.shape:
        raise ValueError(f"cannot compare {a.shape} with {b.shape}")
    scales = scales_for(*a.shape[:2])
    weights = np.array(SCALE_WEIGHTS[:scales]) * (sum(SCALE_WEIGHTS) / sum(SCALE_WEIGHTS[:scales]))
    # Sum and difference carry everything the index needs (see `_band`).
    x, y = a.astype(np.float32), b.astype(np.float32)
    total, difference = x + y, x - y
    product: Any = 1.0
    full_size: Any = None
    for scale in range(scales):
        if scale:
            total, difference = _halve(total), _halve(difference)
        index, contrast = _one_scale(total, difference, peak)
        full_size = index if full_size is None else full_size
        # Anticorrelated pictures give negative means, which have no real power.
        product = product * np.maximum(index if scale == scales - 1 else contrast, 0) ** weights[scale]
    return Similarity(float(np.mean(full_size)), float(np.mean(product)))


def _one_scale(total: Image, difference: Image, peak: int) -> tuple[PerChannel, PerChannel]:
    """Per channel, the means over all windows of SSIM and of its contrast-structure factor, from s = x + y
    and d = x - y. In bands of rows that stay in the processor's cache."""
    side = _window(total)
    rows = total.shape[0] - side + 1
    sums: Any = 0.0
    for top in range(0, rows, BAND):
        count = min(BAND, rows - top)
        bottom = top + count + side - 1
        sums = sums + count * np.array(_band(total[top:bottom], difference[top:bottom], peak))
    index, contrast = sums / rows
    return index, contrast


def _band(total: Image, difference: Image, peak: int) -> tuple[PerChannel, PerChannel]:
    """`_one_scale` of one band.

    With s and d, 2 mu_x mu_y = (mu_s^2 - mu_d^2) / 2 and mu_x^2 + mu_y^2 = (mu_s^2 + mu_d^2) / 2, and
    likewise for the (co)variances: four blurs instead of five, and no cancellation where x and y are close,
    as they are in codecs.
    """
    power_s, power_d = _blur(total), _blur(difference)
    power_s *= power_s
    power_d *= power_d
    variance_s, variance_d = _blur(total * total), _blur(difference * difference)
    variance_s -= power_s
    variance_d -= power_d
    contrast = _ratio(variance_s, variance_d, 2 * (K2 * peak) ** 2)
    luminance = _ratio(power_s, power_d, 2 * (K1 * peak) ** 2)
    mean_contrast = _mean(contrast)
    luminance *= contrast
    return _mean(luminance), mean_contrast


def _ratio(a: Image, b: Image, constant: float) -> Image:
    """(a - b + constant) / (a + b + constant), using up `a`: fresh memory costs more than the arithmetic."""
    ratio = a - b
    ratio += np.float32(constant)
    a += b
    a += np.float32(constant)
    ratio /= a
    return ratio


def _window(image: Image) -> int:
    """Side of the window: 11, or the largest odd number that fits."""
    side = min(WINDOW, int(image.shape[0]), int(image.shape[1]))
    return side - 1 + side % 2


def _blur(image: Image) -> Image:
    """Gaussian-weighted mean over every window that lies inside the picture; a new array."""
    side = _window(image)
    border = side // 2
    blurred = cv2.GaussianBlur(image, (side, side), SIGMA)
    return blurred[border : blurred.shape[0] - border, border : blurred.shape[1] - border]


def _halve(image: Image) -> Image:
    """Mean of every 2x2 block."""
    rows, columns = image.shape[:2]
    if rows % 2 or columns % 2:
        image = cv2.copyMakeBorder(image, 0, rows % 2, 0, columns % 2, cv2.BORDER_REPLICATE).astype(np.float32)
    size = (image.shape[1] // 2, image.shape[0] // 2)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32, copy=False)


def _mean(image: Image) -> PerChannel:
    """Mean of each channel, summed in float64 (cv2 does so, and forty times faster than NumPy along these
    axes)."""
    channels = 1 if image.ndim == 2 else image.shape[2]
    return np.asarray(cv2.mean(image)[:channels], np.float64)
