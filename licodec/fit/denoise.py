"""Noise is taken out of the pictures that many others are predicted from, before they are coded.

Noise costs bits and predicts nothing. A sample becomes the weighted mean of itself and of what the pictures around show
in its place, found along their motion, with less weight the less they are alike:

    y = (x + sum_r w_r x_r) / (1 + sum_r w_r),    w_r = s_r exp(-d_r^2 / 2 sigma^2)

where d_r^2 is the mean squared difference from x around the sample and sigma a part of the quantisation step. After
Enhorn et al., "GOP-based temporal filter" (JVET-O0549), of VVC's reference encoder.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from licodec.fit.matching import Reference, match, to_bytes
from licodec.fit.threads import each
from licodec.model.geometry import Geometry, Planes
from licodec.render.numpy_renderer import follow

_SHARES = {-2: 0.35, -1: 0.5, 1: 0.5, 2: 0.35}
"""s of the pictures so many frames away."""
_LEVELS = (1.0, 1.0, 0.66)
"""Factor on s at each level of the pyramid: not of pictures that few others are predicted from."""
_SIGMA = 0.2
_AROUND = 9
"""Samples a side of the square over which the difference is averaged."""
_BIT_WORTH = 0.02
"""Squared error for each squared step that keeps neighbouring vectors alike: a fifth of what coding them asks."""


class Denoiser:
    """Takes the noise out of a segment's pictures."""

    def __init__(self, source: Callable[[int], Planes], geometry: Geometry, frames: int, step: float) -> None:
        """source: working planes by frame; step: of luma at a middle level of the pyramid, on the 8-bit scale."""
        self._source, self._geometry, self._frames, self._step = source, geometry, frames, step

    def __call__(self, frame: int, level: int, planes: Planes) -> Planes:
        """A picture of a level of the pyramid with less noise than its source, which `planes` are."""
        if level >= len(_LEVELS):
            return planes
        here, start = to_bytes(planes[0]), np.zeros((*self._geometry.node_shapes[0], 2), np.int32)
        totals, weights = [plane.copy() for plane in planes], [np.ones_like(plane) for plane in planes]

        def moved_here(away: int) -> Planes:
            other = self._source(frame + away)
            vectors = match(here, Reference(to_bytes(other[0])), start, _BIT_WORTH * self._step**2, sweeps=1)
            wholes = [(slice(0, rows), slice(0, columns)) for rows, columns in self._geometry.shapes]
            return tuple(follow(p, vectors, self._geometry.step(i), wholes[i]) for i, p in enumerate(other))

        near = [away for away in _SHARES if 0 <= frame + away < self._frames]
        for away, found in zip(near, each(moved_here, near), strict=True):
            for i, (moved, plane) in enumerate(zip(found, planes, strict=True)):
                apart = cv2.blur(np.square(moved - plane), (_AROUND, _AROUND), borderType=cv2.BORDER_REPLICATE)
                weight = np.exp(apart * np.float32(-0.5 / (_SIGMA * self._step) ** 2))
                weight *= np.float32(_SHARES[away] * _LEVELS[level])
                totals[i] += weight * moved
                weights[i] += weight
        return tuple(total / weight for total, weight in zip(totals, weights, strict=True))
