"""Motion search: optical flow and Gauss-Newton steps as candidates, and the warped error as the judge.

Corrections are found level by level from the coarsest nodes down. At each level every node has a few candidate
corrections; it keeps the one for which (cost of the remaining error) + lambda (bits) is least, where the error is that
of the reference really warped with it.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from licodec.model import motion
from licodec.model.motion import LEVELS, NODE, UNIT, Vectors
from licodec.render.warp import positions, warp

Floats = npt.NDArray[np.floating[Any]]
Steps = list[npt.NDArray[np.int16]]

_DAMPING = 50.0
_KNEE = 6.0
"""Squared error of a cell, in units of lambda, up to which nothing is coded for it and all of it is paid. Beyond it
the residual takes over, and the cost of error and bits together grows like the logarithm (measured on three clips)."""
_NEW_BITS = 4.0
"""Opening a correction: flags of the quadtree down to it, and signs."""


def to_nodes(values: Floats, shape: tuple[int, int]) -> Floats:
    """Sum of a luma-sized map over each node's cell (edge cells repeat the last samples)."""
    rows, columns = shape[0] * NODE, shape[1] * NODE
    p = cv2.copyMakeBorder(values, 0, rows - values.shape[0], 0, columns - values.shape[1], cv2.BORDER_REPLICATE)
    return cv2.resize(p, (shape[1], shape[0]), interpolation=cv2.INTER_AREA) * (NODE * NODE)


def gradients(plane: Floats) -> tuple[Floats, Floats]:
    """Central differences (d/dx, d/dy)."""
    kernel = np.array([-0.5, 0, 0.5], np.float32)
    one = np.ones(1, np.float32)
    return (cv2.sepFilter2D(plane, cv2.CV_32F, kernel, one), cv2.sepFilter2D(plane, cv2.CV_32F, one, kernel))


class FieldSearch:
    """Corrections of one field: from a picture's luma to one reference's."""

    def __init__(self, luma: Floats, reference: Floats, base: Vectors, bit_worth: float, share: float) -> None:
        """`share`: part of this prediction's error that shows in the end (less than 1 when two are averaged)."""
        self._luma, self._reference, self._base = luma, reference, base
        self._bit_worth, self._share = bit_worth, share
        self._shapes = motion.level_shapes(*luma.shape)

    def flow(self, engine: cv2.DISOpticalFlow) -> Floats:
        """[rows, columns, 2] vectors (samples) at the nodes, by dense inverse search (Kroeger et al. 2016)."""
        shape = self._shapes[0]
        rows, columns = self._luma.shape
        start = cv2.resize(self._base.astype(np.float32) / UNIT, (shape[1] * NODE, shape[0] * NODE))
        here, there = (np.clip(p + 0.5, 0, 255).astype(np.uint8) for p in (self._luma, self._reference))
        flow = engine.calc(here, there, np.ascontiguousarray(start[:rows, :columns]))
        gx, gy = gradients(self._luma)
        weight = gx * gx + gy * gy + 1.0
        total = to_nodes(weight, shape)
        return np.stack([to_nodes(flow[..., i] * weight, shape) / total for i in range(2)], axis=-1)

    def search(self, wanted: Floats | None, gauss_newton: bool) -> Steps:
        """Corrections, finest level first; `wanted`: the flow, if there is one."""
        steps: Steps = []
        sum_ = np.zeros((*self._shapes[-1], 2), np.int32)
        warped = None
        for depth in range(LEVELS - 1, -1, -1):
            if depth < LEVELS - 1:
                sum_ = motion.upsample(sum_, self._shapes[depth])
            # A correction of zero leaves the field as the level above left it.
            warped = self._warp(sum_, depth) if warped is None else warped
            weights, mean = self._normal(warped)
            candidates = []
            if wanted is not None:
                left = wanted * UNIT - self._field(sum_, depth)
                candidates.append(self._mean(left, weights, depth))
            if gauss_newton:
                candidates.append(self._mean(mean * UNIT, weights, depth))
            step, warped = self._choose(sum_, depth, candidates, warped)
            steps.append(step.astype(np.int16))
            sum_ = sum_ + step
        steps.reverse()
        return steps

    def _field(self, sum_: Vectors, depth: int) -> Vectors:
        """The field on the finest nodes when finer levels add nothing."""
        for finer in range(depth - 1, -1, -1):
            sum_ = motion.upsample(sum_, self._shapes[finer])
        return motion.clip(self._base + sum_)

    def _warp(self, sum_: Vectors, depth: int) -> Floats:
        return warp(self._reference, positions(self._field(sum_, depth), self._luma.shape, (1, 1)))

    def _cost(self, warped: Floats, depth: int) -> Floats:
        """Cost of the error over each node of a level."""
        cells = to_nodes(np.square(self._luma - warped), self._shapes[0]) * self._share
        knee = np.float32(self._bit_worth * _KNEE)
        cost = np.where(cells > knee, knee * (1 + np.log(np.maximum(cells, knee) / knee)), cells)
        return _pool(cost[..., None], 1 << depth)[..., 0]

    def _normal(self, warped: Floats) -> tuple[Floats, Floats]:
        """Weights (xx, yy) and Gauss-Newton steps (samples) of the finest nodes."""
        error = self._luma - warped
        gx, gy = gradients(warped)
        xx, yy, xy, ex, ey = (
            cv2.GaussianBlur(to_nodes(v, self._shapes[0]), (3, 3), 0.6, borderType=cv2.BORDER_REPLICATE)
            for v in (gx * gx, gy * gy, gx * gy, gx * error, gy * error)
        )
        det = (xx + _DAMPING) * (yy + _DAMPING) - xy * xy
        step = np.stack([((yy + _DAMPING) * ex - xy * ey) / det, ((xx + _DAMPING) * ey - xy * ex) / det], axis=-1)
        return np.stack([xx, yy], axis=-1) + 1.0, np.clip(step, -2.0, 2.0)

    def _mean(self, vectors: Floats, weights: Floats, depth: int) -> Vectors:
        """Weighted mean over each node of a level, in whole steps."""
        reach = 1 << depth
        mean = _pool(vectors * weights, reach) / _pool(weights, reach)
        return np.rint(mean).astype(np.int32)

    def _choose(self, sum_: Vectors, depth: int, candidates: list[Vectors], warped: Floats) -> tuple[Vectors, Floats]:
        """The best correction of each node, and the reference warped with all of them."""
        before = self._cost(warped, depth)
        best, cost = np.zeros_like(sum_), before
        for candidate in candidates:
            if not candidate.any():
                continue
            found = self._cost(self._warp(sum_ + candidate, depth), depth) + self._bit_worth * _bits(candidate)
            better = found < cost
            best, cost = np.where(better[..., None], candidate, best), np.where(better, found, cost)
        if not best.any():
            return best, warped
        # Neighbours reach into each other: what does not pay in company is taken back.
        warped = self._warp(sum_ + best, depth)
        spoiled = self._cost(warped, depth) + self._bit_worth * _bits(best) > before
        if (spoiled & best.any(axis=-1)).any():
            best = np.where(spoiled[..., None], 0, best)
            warped = self._warp(sum_ + best, depth)
        return best, warped


def _pool(values: Floats, reach: int) -> Floats:
    """Sums over reach x reach nodes."""
    if reach == 1:
        return values
    rows, columns = (-(-n // reach) for n in values.shape[:2])
    p = np.pad(values, [(0, rows * reach - values.shape[0]), (0, columns * reach - values.shape[1]), (0, 0)])
    return p.reshape(rows, reach, columns, reach, -1).sum(axis=(1, 3))


def _bits(step: npt.NDArray[np.int32]) -> Floats:
    """About what coding a correction costs."""
    m = np.abs(step)
    bits = _NEW_BITS + (2.0 * np.log2(1 + m) + (m > 0)).sum(axis=-1)
    return np.where((m > 0).any(axis=-1), bits, 0.0)
