"""Pictures that many others are predicted from are coded as what those have in common, not as they are themselves.

Noise costs bits and predicts nothing; nor does detail that is gone a second later. A sample becomes the weighted mean
of itself and of what pictures before and after show in its place, found along their motion, with less weight the less
they are alike. Those beside it take out noise (Enhorn et al., "GOP-based temporal filter", JVET-O0549, of VVC's
reference encoder):

    y = (x + sum_r w_r x_r) / (1 + sum_r w_r),    near: w_r = s_r exp(-d_r^2 / 2 sigma^2)

where d_r^2 is the mean squared difference from x around the sample. Those further away say what lasts. Of an error in
this picture they keep about the part that `importance` has, what is left of a prediction for what it missed by:

    far: w_r = s m / (1 + d_r^2 / tau^2)

with m between 0, where nothing hangs on the place, and 1, where much does. sigma and tau are parts of the quantisation
step.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain

import cv2
import numpy as np

from licodec.fit.matching import Reference, match, to_bytes
from licodec.fit.threads import each
from licodec.model.geometry import Floats, Geometry, Planes
from licodec.model.motion import NODE
from licodec.render.numpy_renderer import follow

_NEAR = {1: 0.5, 2: 0.35}
"""s of pictures so many frames away."""
_DEEPEST = 2
"""Level of the pyramid: not of pictures that few others are predicted from."""
_SIGMA = 0.2
_FAR, _FAR_SHARE = (4, 8, 16, 32), 0.5
"""Frames away, and s; for the pictures that no other ones lie around."""
_TAU, _CHROMA_TAU = 0.1, 0.05
_MUCH = 16.0
"""Importance, beyond the picture's own, from which on they count fully."""
_AROUND = 9
"""Samples a side of the square over which the difference is averaged."""
_BIT_WORTH = 0.02
"""Squared error for each squared step that keeps neighbouring vectors alike: a fifth of what coding them asks."""


class Denoiser:
    """Takes out of a segment's pictures what others do not show."""

    def __init__(self, source: Callable[[int], Planes], geometry: Geometry, frames: int, step: float) -> None:
        """source: working planes by frame; step: of luma at a middle level of the pyramid, on the 8-bit scale."""
        self._source, self._geometry, self._frames, self._step = source, geometry, frames, step

    def __call__(self, frame: int, level: int, planes: Planes, importance: Floats | None = None) -> Planes:
        """What a picture of a level of the pyramid, whose source `planes` are, is to be coded as.

        importance: as in `Importance`, without which only the pictures beside it count.
        """
        if level > _DEEPEST:
            return planes
        far = importance is not None and level <= 1
        shares = _NEAR | (dict.fromkeys(_FAR, _FAR_SHARE) if far else {})
        here, start = to_bytes(planes[0]), np.zeros((*self._geometry.node_shapes[0], 2), np.int32)
        totals, weights = [plane.copy() for plane in planes], [np.ones_like(plane) for plane in planes]
        wholes = [(slice(0, rows), slice(0, columns)) for rows, columns in self._geometry.shapes]
        lasting = [] if importance is None else [self._lasting(importance, i) for i in range(len(planes))]

        def moved_here(away: int) -> Planes:
            other = self._source(frame + away)
            vectors = match(here, Reference(to_bytes(other[0])), start, _BIT_WORTH * self._step**2, sweeps=1)
            return tuple(follow(p, vectors, self._geometry.step(i), wholes[i]) for i, p in enumerate(other))

        around = [away for d in shares for away in (-d, d) if 0 <= frame + away < self._frames]
        # As many at a time as there are threads: no more moved pictures are held.
        at_once = max(1, cv2.getNumThreads())
        few = [around[k : k + at_once] for k in range(0, len(around), at_once)]
        for away, found in chain.from_iterable(zip(some, each(moved_here, some), strict=True) for some in few):
            for i, (moved, plane) in enumerate(zip(found, planes, strict=True)):
                apart = cv2.blur(np.square(moved - plane), (_AROUND, _AROUND), borderType=cv2.BORDER_REPLICATE)
                weight = np.float32(shares[abs(away)]) * self._alike(apart, i, abs(away) in _FAR)
                if abs(away) in _FAR:
                    weight *= lasting[i]
                totals[i] += weight * moved
                weights[i] += weight
        return tuple(total / weight for total, weight in zip(totals, weights, strict=True))

    def _alike(self, apart: Floats, i: int, far: bool) -> Floats:
        """How much a plane's samples count that are so far apart."""
        if not far:
            return np.exp(apart * np.float32(-0.5 / (_SIGMA * self._step) ** 2))
        tau = (_CHROMA_TAU if i else _TAU) * self._step
        return 1 / (1 + apart * np.float32(1 / tau**2))

    def _lasting(self, importance: Floats, i: int) -> Floats:
        """m of a plane's samples."""
        rows, columns = self._geometry.shapes[i]
        across, down = self._geometry.step(i)
        much = np.clip((np.exp2(importance) - 1) / np.float32(_MUCH), 0, 1)
        size = (much.shape[1] * NODE // across, much.shape[0] * NODE // down)
        return cv2.resize(much, size, interpolation=cv2.INTER_LINEAR)[:rows, :columns]
