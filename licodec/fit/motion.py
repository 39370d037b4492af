"""Motion search: optical flow to start from, Gauss-Newton steps on the nodes, then rate-distortion."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from licodec.model import motion
from licodec.model.motion import LEVELS, NODE, UNIT, Vectors
from licodec.render.warp import positions, warp

Floats = npt.NDArray[np.floating[Any]]

_ZERO_BITS = (0.06, 0.08, 0.15, 0.5)
"""Typical cost of leaving a node of each level (finest first) uncorrected."""


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


def _smooth(nodes: Floats) -> Floats:
    """Widens a node's window from its own cell to about the hat function it supports."""
    return cv2.GaussianBlur(nodes, (3, 3), 0.6, borderType=cv2.BORDER_REPLICATE)


class Target:
    """A picture to be matched: its luma, and how much a vector error at each node would cost."""

    def __init__(self, luma: Floats) -> None:
        self.luma = luma
        self.byte = np.clip(luma + 0.5, 0, 255).astype(np.uint8)
        self.shape = motion.level_shapes(*luma.shape)[0]
        gx, gy = gradients(luma)
        # Structure tensor summed over the node's hat: (xx, yy, xy).
        self.tensor = np.stack([_smooth(to_nodes(g, self.shape)) for g in (gx * gx, gy * gy, gx * gy)], axis=-1)

    def flow_to(self, reference: npt.NDArray[np.uint8], engine: cv2.DISOpticalFlow, guess: Floats | None) -> Floats:
        """[rows, columns, 2] vectors in samples at the nodes, by dense inverse search (Kroeger et al. 2016)."""
        start = None
        if guess is not None:
            h, w = self.luma.shape
            start = np.ascontiguousarray(cv2.resize(guess, (self.shape[1] * NODE, self.shape[0] * NODE))[:h, :w])
        flow = engine.calc(self.byte, reference, start)
        gx, gy = gradients(self.luma)
        weight = gx * gx + gy * gy + 1.0
        total = to_nodes(weight, self.shape)
        return np.stack([to_nodes(flow[..., i] * weight, self.shape) / total for i in range(2)], axis=-1)

    def gauss_newton(self, field: Floats, reference: Floats, damping: float) -> Floats:
        """One step of the node vectors (samples) that lowers the squared error of the warped reference."""
        warped = warp(reference, positions((field * UNIT).astype(np.float32), self.luma.shape, (1, 1)))
        error = self.luma - warped
        gx, gy = gradients(warped)
        xx, yy, xy, ex, ey = (
            _smooth(to_nodes(v, self.shape)) for v in (gx * gx, gy * gy, gx * gy, gx * error, gy * error)
        )
        xx, yy = xx + damping, yy + damping
        det = xx * yy - xy * xy
        step = np.stack([(yy * ex - xy * ey) / det, (xx * ey - xy * ex) / det], axis=-1)
        return field + np.clip(step, -1.0, 1.0)


def correct(wanted: Floats, base: Vectors, tensor: Floats, lam: float, weight: float) -> list[npt.NDArray[np.int16]]:
    """Hierarchical corrections (finest first) that bring `base` near `wanted` where that is worth its bits.

    wanted: vectors in samples. A vector error (dx, dy) at a node costs weight * (xx dx^2 + yy dy^2 + 2 xy dx dy)
    squared error; a bit costs `lam`.
    """
    rest = wanted * UNIT - base
    energy = tensor * (weight / (UNIT * UNIT)) + np.array([0.02, 0.02, 0.0], np.float32) * lam
    shapes = [rest.shape[:2]]
    for _ in range(LEVELS - 1):
        shapes.append((-(-shapes[-1][0] // 2), -(-shapes[-1][1] // 2)))
    # Coarse to fine: the weighted mean of what is left, kept where it pays by itself.
    field = np.zeros((*shapes[-1], 2), np.int32)
    steps: list[npt.NDArray[np.int16]] = []
    gains: list[Floats] = []
    for depth in range(LEVELS - 1, -1, -1):
        if depth < LEVELS - 1:
            field = motion.upsample(field, shapes[depth])
        reach = 1 << depth
        here = field
        for finer in range(depth - 1, -1, -1):
            here = motion.upsample(here, shapes[finer])
        left = rest - here
        w = _pool(energy[..., :2], reach)
        mean = _pool(energy[..., :2] * left, reach) / np.maximum(w, 1e-9)
        step = np.rint(mean).astype(np.int32)
        gain = (w * (2 * mean - step) * step).sum(axis=-1)
        bits = _bits(step)
        keep = gain > lam * bits
        step = step * keep[..., None]
        gains.append(np.where(keep, gain - lam * bits, 0).astype(np.float32))
        steps.append(step.astype(np.int16))
        field = field + step
    steps.reverse()
    gains.reverse()
    _prune(steps, gains, lam)
    return steps


def _pool(values: Floats, reach: int) -> Floats:
    if reach == 1:
        return values
    rows, columns = (-(-n // reach) for n in values.shape[:2])
    p = np.pad(values, [(0, rows * reach - values.shape[0]), (0, columns * reach - values.shape[1]), (0, 0)])
    return p.reshape(rows, reach, columns, reach, -1).sum(axis=(1, 3))


def _bits(step: npt.NDArray) -> Floats:
    """About what coding a correction costs."""
    m = np.abs(step)
    return np.where((m > 0).any(axis=-1), 4.0 + (2.0 * np.log2(1 + m) + (m > 0)).sum(axis=-1), 0).astype(np.float32)


def _prune(steps: list[npt.NDArray[np.int16]], gains: list[Floats], lam: float) -> None:
    """Drops whole subtrees whose gain does not pay for opening them."""
    below = np.zeros(gains[0].shape, np.float32)
    for depth in range(LEVELS - 1):
        rows, columns = gains[depth + 1].shape
        net = gains[depth] + below - lam * _ZERO_BITS[depth]
        p = np.pad(net, [(0, 2 * rows - net.shape[0]), (0, 2 * columns - net.shape[1])])
        total = p.reshape(rows, 2, columns, 2).sum(axis=(1, 3)) - lam * 1.5
        drop = total <= 0
        for finer in range(depth + 1):
            factor = 2 << (depth - finer)
            mask = np.repeat(np.repeat(drop, factor, 0), factor, 1)[: steps[finer].shape[0], : steps[finer].shape[1]]
            steps[finer][mask] = 0
        below = np.where(drop, 0, total).astype(np.float32)
