"""Motion of one picture: the fields to its references, one after the other, and which of them to trust where."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from licodec.entropy.motion import MotionRates
from licodec.fit.choice import Motion
from licodec.fit.hadamard import Spectra, bits_of_cells, scale_of
from licodec.fit.matching import Reference, to_bytes
from licodec.fit.motion import FieldSearch, left_by
from licodec.fit.presets import Preset
from licodec.fit.quadtree import MODE_BITS
from licodec.model import motion
from licodec.model.geometry import BLEND, Floats, Geometry, Planes
from licodec.model.motion import NODE, Field, Known, Steps
from licodec.model.pyramid import Picture
from licodec.render.numpy_renderer import follow

_KEPT = 256 << 20
"""Bytes of references that are kept ready: an anchor is a reference of half the pictures of two groups."""
_SHARE_OF_ERROR = (0.6, 0.25)
"""Part of a prediction's squared error that shows in the end, with one reference and with two."""


class MotionSearch:
    """Searches the pictures of a segment, on any threads."""

    def __init__(self, geometry: Geometry, preset: Preset) -> None:
        self._geometry = geometry
        self._preset = preset
        self._references: dict[int, Reference] = {}
        self._lock = threading.Lock()

    def search(
        self,
        picture: Picture,
        luma: Floats,
        known: Known,
        references: dict[int, Planes],
        bit_worth: float,
        rates: Sequence[MotionRates],
    ) -> Motion:
        """What is cheapest by about what the errors that it leaves cost (`hadamard`); `rates`: of each reference."""
        targets = list(dict.fromkeys(picture.refs))
        two = len(targets) > 1
        fields: dict[int, FieldSearch] = {}
        left: dict[int, Spectra] = {}
        for _ in range(self._preset.rounds if two else 1):
            own: list[Field] = []
            starts: list[npt.NDArray[np.uint8]] = []
            corrections: list[Steps] = []
            for frame in targets:
                base = motion.base_field(picture, own, known, self._geometry.node_shapes[0])
                reference = references[frame][0]
                if frame not in fields:
                    fields[frame] = FieldSearch(
                        luma,
                        self._reference(frame, reference),
                        base,
                        bit_worth,
                        sweeps=self._preset.sweeps,
                        refine=self._preset.refine,
                    )
                other = next((errors for target, errors in left.items() if target != frame), None)
                # Of the first of two nothing is known yet but that it will be averaged with another.
                share = _SHARE_OF_ERROR[two and other is None]
                scale = scale_of(bit_worth / share)
                start, steps = fields[frame].corrections(base, scale, other, rates[len(own)])
                own.append(Field(frame, motion.clip(motion.started(base, start) + motion.compose(steps))))
                starts.append(start)
                corrections.append(steps)
                if two:
                    everything = slice(0, luma.shape[0]), slice(0, luma.shape[1])
                    left[frame] = left_by(luma, follow(reference, own[-1].vectors, (1, 1), everything))
        if not two:
            return Motion(starts, corrections, None)
        scale = scale_of(bit_worth / _SHARE_OF_ERROR[0])
        return Motion(
            starts, corrections, _blend(left[targets[0]], left[targets[1]], scale, self._geometry.blend_shape)
        )

    def _reference(self, frame: int, luma: Floats) -> Reference:
        """A reference ready to be searched; those used last are kept."""
        with self._lock:
            reference = self._references.pop(frame, None)
        reference = reference or Reference(to_bytes(luma))
        with self._lock:
            self._references[frame] = reference
            for old in list(self._references)[: -max(1, _KEPT // reference.bytes)]:
                del self._references[old]
        return reference


def _blend(first: Spectra, second: Spectra, scale: np.float32, shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """The mode of each blend cell, [rows, columns] = `shape`, from the errors of both predictions."""
    bits = bits_of_cells(first, second, scale)
    (rows, columns), size = shape, BLEND // NODE
    costs = np.zeros((3, rows * size, columns * size), np.float32)
    costs[:, : bits.shape[1], : bits.shape[2]] = bits[:, : rows * size, : columns * size]
    costs = costs.reshape(3, rows, size, columns, size).sum(axis=(2, 4))
    costs[1:] += MODE_BITS
    return np.argmin(costs, axis=0).astype(np.uint8)
