"""Motion of one picture: flow, Gauss-Newton, corrections worth their bits, and which reference to trust."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from licodec.fit.motion import FieldSearch, Steps, to_nodes
from licodec.fit.presets import Preset
from licodec.model import motion
from licodec.model.geometry import Floats, Geometry, Planes
from licodec.model.motion import Field, Known
from licodec.model.pyramid import Picture
from licodec.render.warp import positions, warp

_SHARE_OF_ERROR = (0.6, 0.25)
"""Part of a prediction's squared error that shows in the end, with one reference and with two."""
_MODE_BITS = 4.0


class MotionSearch:
    """Searches one picture after the other."""

    def __init__(self, geometry: Geometry, preset: Preset) -> None:
        self._geometry = geometry
        self._preset = preset
        self._engine = cv2.DISOpticalFlow.create(preset.flow)
        # The engine cannot work on pictures smaller than a few of its patches.
        self._has_flow = min(geometry.shapes[0]) >= 64

    def search(
        self, picture: Picture, luma: Floats, known: Known, references: dict[int, Planes], bit_worth: float
    ) -> tuple[list[Steps], npt.NDArray[np.uint8] | None]:
        """Corrections for each distinct reference, and the blend map if there are two."""
        own: list[Field] = []
        corrections = []
        targets = list(dict.fromkeys(picture.refs))
        share = _SHARE_OF_ERROR[len(targets) - 1] if targets else 0.0
        for frame in targets:
            base = motion.base_field(picture, own, known, self._geometry.node_shapes[0])
            field = FieldSearch(luma, references[frame][0], base, bit_worth, share)
            steps = field.search(field.flow(self._engine) if self._has_flow else None, self._preset.gauss_newton > 0)
            corrections.append(steps)
            own.append(Field(frame, motion.clip(base + motion.compose(steps))))
        if len(own) < 2:
            return corrections, None
        return corrections, self._blend(luma, own, references, bit_worth)

    def _blend(
        self, luma: Floats, own: list[Field], references: dict[int, Planes], bit_worth: float
    ) -> npt.NDArray[np.uint8]:
        first, second = (warp(references[f.target][0], positions(f.vectors, luma.shape, (1, 1))) for f in own)
        shape = self._geometry.node_shapes[0]
        errors = [to_nodes(np.square(luma - p), shape) for p in ((first + second) / 2, first, second)]
        costs = [_pair(e) + (bit_worth * _MODE_BITS if i else 0) for i, e in enumerate(errors)]
        return np.argmin(np.stack(costs), axis=0).astype(np.uint8)


def _pair(nodes: Floats) -> Floats:
    """Sums over 2 x 2 nodes: a blend cell."""
    p = np.pad(nodes, [(0, nodes.shape[0] % 2), (0, nodes.shape[1] % 2)])
    return p.reshape(p.shape[0] // 2, 2, p.shape[1] // 2, 2).sum(axis=(1, 3))
