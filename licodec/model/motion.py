"""Motion fields: integer vectors of cells, refined level by level.

A field points from a picture into one of its references. Its nodes are cells of 8 x 8 luma samples and hold quarter
samples. It is the sum of the corrections of quadtrees (of cells of 64, 32, 16 and 8 samples, each for all samples in
its cell) and, in the trees that do not start from nothing, of a base field that the decoder can derive (from motion
already decoded, scaled by time). (Vectors interpolated between the nodes were tried: what moves has edges.) All of it
is integer arithmetic, and the positions that samples are read at are multiples of 1/8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from licodec.model.pyramid import Picture

NODE = 8
"""Luma samples a side of the finest cells."""
LEVELS = 4
"""Levels of nodes: cells of 8, 16, 32 and 64 samples."""
UNIT = 4
"""Vector steps a luma sample."""
LIMIT = 4095
"""Largest component, in steps."""

Vectors = npt.NDArray[np.int32]
"""[rows, columns, 2] (x, y) in quarter samples."""
Steps = list[npt.NDArray[np.int16]]
"""Corrections [rows, columns, 2] of each level, finest first."""


def level_shapes(height: int, width: int) -> list[tuple[int, int]]:
    """(rows, columns) of the nodes of each level, finest first, for a luma plane."""
    shape = (-(-height // NODE), -(-width // NODE))
    shapes = [shape]
    for _ in range(LEVELS - 1):
        shape = (-(-shape[0] // 2), -(-shape[1] // 2))
        shapes.append(shape)
    return shapes


def spread(nodes: Vectors, shape: tuple[int, int]) -> Vectors:
    """Nodes at twice the density: each has the vector of the one above it."""
    return np.repeat(np.repeat(nodes, 2, axis=0), 2, axis=1)[: shape[0], : shape[1]]


def compose(corrections: Sequence[npt.NDArray]) -> Vectors:
    """Sum of the levels' corrections, finest first, on the finest nodes."""
    field = corrections[-1].astype(np.int32)
    for step in reversed(corrections[:-1]):
        field = spread(field, step.shape[:2]) + step
    return field


def scaled(field: Vectors, numerator: int, denominator: int) -> Vectors:
    """field * numerator / denominator, rounded to nearest (halves up); denominator not zero."""
    if denominator < 0:
        numerator, denominator = -numerator, -denominator
    return ((2 * field * numerator + denominator) // (2 * denominator)).astype(np.int32)


def of_trees(values: npt.NDArray, shape: tuple[int, ...], depth: int) -> npt.NDArray:
    """[rows, columns] of the nodes of a depth: what [rows / 64, columns / 64] says of the trees that they are in."""
    reach = 1 << (LEVELS - 1 - depth)
    return values.repeat(reach, axis=0).repeat(reach, axis=1)[: shape[0], : shape[1]]


def started(base: Vectors, starts: npt.NDArray[np.uint8]) -> Vectors:
    """What corrections are added to: `base`, or nothing in the trees where `starts` [rows / 64, columns / 64] is 1."""
    return np.where(of_trees(starts, base.shape[:2], 0)[..., None] != 0, 0, base).astype(np.int32)


def clip(field: Vectors) -> Vectors:
    """Vectors within +-LIMIT."""
    return np.clip(field, -LIMIT, LIMIT)


@dataclass(frozen=True)
class Field:
    """Motion from one frame to another."""

    target: int
    """Frame of the segment that the vectors point into."""
    vectors: Vectors


def surround(fields: Sequence[Field]) -> bool:
    """Whether the picture that has these fields lies between the two frames that they point into."""
    return len(fields) == 2 and fields[0].target < fields[1].target


Known = dict[int, list[Field]]
"""For each decoded frame, the fields to its distinct references."""


def base_field(picture: Picture, own: Sequence[Field], known: Known, shape: tuple[int, int]) -> Vectors:
    """What the next field of `picture` is expected to be, before its corrections.

    The second field: the first one, as if everything moved evenly. The first: motion already known between the
    two references (or, for an anchor, between the two anchors before it), scaled to this picture's distance.
    """
    t = picture.frame
    first, second = picture.refs
    if own:
        return clip(scaled(own[0].vectors, second - t, first - t))
    if picture.level == 1:
        for field in known[first]:
            return clip(scaled(field.vectors, t - first, first - field.target))
    for frame, target in ((second, first), (first, second)):
        for field in known[frame]:
            if field.target == target:
                return clip(scaled(field.vectors, first - t, target - frame))
    return np.zeros((*shape, 2), np.int32)


def fields(
    picture: Picture,
    starts: Sequence[npt.NDArray[np.uint8]],
    corrections: Sequence[Sequence[npt.NDArray[np.int16]]],
    known: Known,
    shape: tuple[int, int],
) -> list[Field]:
    """The fields of a picture from its symbols."""
    own: list[Field] = []
    for target, start, steps in zip(dict.fromkeys(picture.refs), starts, corrections, strict=True):
        base = started(base_field(picture, own, known, shape), start)
        own.append(Field(target, clip(base + compose(steps))))
    return own
