"""Motion between two decoded pictures, for what is shown between them.

The motion in a file says what predicts a picture best, and that in cells of eight samples. What moves where is asked of
the pictures: dense optical flow (DIS: Kroeger et al., ECCV 2016) from the first to the second and back.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock

import cv2
import numpy as np
import numpy.typing as npt

from licodec.model.geometry import Floats
from licodec.model.motion import UNIT
from licodec.render.warp import sample_positions

_LEAST = 64
"""Samples a side from which on flow is searched as it is; smaller pictures are continued at their edges."""
_STEPS = 3
"""Of the fixed point that carries a flow to another time."""
_ALONE = Lock()
"""Held while OpenCV has one thread."""

DENSITY = 2
"""Luma samples from one vector to the next: DIS at the preset used finds no more, and enlarges it."""


@dataclass(frozen=True)
class Flow:
    """Motion over the whole way between two pictures."""

    forward: Floats
    """[rows, columns, 2] (x, y) in steps of `model.motion`, from the first picture's points."""
    backward: Floats
    """The same from the second picture's points to the first's."""

    @staticmethod
    def between(first: Floats, second: Floats) -> Flow:
        """Flow between two luma planes on the 8-bit scale.

        The same numbers on any number of threads: DIS hands vectors on inside the stripes that threads work on, so
        that each direction is searched by a single one.
        """
        here, there = (_prepared(plane) for plane in (first, second))
        # How many threads OpenCV uses is said for all of a process: of two at once one would take the other's for that.
        with _ALONE:
            threads = cv2.getNumThreads()
            cv2.setNumThreads(1)
            try:
                with ThreadPoolExecutor(2) as pool:
                    flows = list(pool.map(_search, (here, there), (there, here)))
            finally:
                cv2.setNumThreads(threads)
        rows, columns = first.shape
        forward, backward = (_thinned(flow[:rows, :columns]) for flow in flows)
        return Flow(forward, backward)

    def at(self, share: float) -> Motion:
        """The motion of what passes through each place at a time (0..1) in between."""
        forward, backward = _carried(self.forward, share), _carried(self.backward, 1 - share)
        # Where the two agree their mean is better than either; where they do not it halves the error of one.
        mean = np.float32(1 - share) * forward - np.float32(share) * backward
        return Motion(mean, self.forward, self.backward)


@dataclass(frozen=True)
class Motion:
    """What is known of the motion between two pictures at one time; vectors as in `Flow`."""

    mean: Floats
    """From the first picture to the second, of what passes through each place at that time."""
    forward: Floats
    backward: Floats


def _prepared(plane: Floats) -> npt.NDArray[np.uint8]:
    samples = np.clip(plane + np.float32(0.5), 0, 255).astype(np.uint8)
    below, right = (max(0, _LEAST - length) for length in samples.shape)
    return cv2.copyMakeBorder(samples, 0, below, 0, right, cv2.BORDER_REPLICATE) if below or right else samples


def _search(first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]) -> Floats:
    return cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(first, second, None)


def _thinned(flow: Floats) -> Floats:
    """Means of DENSITY x DENSITY samples, in steps; the last row and column go on where samples are missing."""
    missing = [-length % DENSITY for length in flow.shape[:2]]
    flow = np.pad(flow, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge") if any(missing) else flow
    size = (flow.shape[1] // DENSITY, flow.shape[0] // DENSITY)
    return np.float32(UNIT) * cv2.resize(np.ascontiguousarray(flow), size, interpolation=cv2.INTER_AREA)


def _carried(flow: Floats, share: float) -> Floats:
    """The flow of the points that are at each place after `share` of their way: v(y) where y + share v(y) = x."""
    places, out = sample_positions(flow.shape[:2]), flow
    for _ in range(_STEPS):
        at = places - out * np.float32(share / (UNIT * DENSITY))
        out = cv2.remap(flow, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return out
