"""Which of several motions of a picture to take, tree by tree, by what it costs to code what each of them leaves.

The search for motion judges a vector by about what the errors of its cells cost (`hadamard`). Here that is known: the
residual is transformed and quantised, and its bits and its error count together with the bits of the motion. A search
that pays more for bits, or less, or no motion beyond what is expected, is often better.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from licodec.entropy.motion import MotionRates, subtrees
from licodec.fit.quadtree import MODE_BITS, WAYS, correction_bits
from licodec.fit.threads import each
from licodec.model.cosine import SIZES
from licodec.model.geometry import BLEND, Floats, Geometry
from licodec.model.motion import LEVELS, NODE, Steps, of_trees

_TREE = NODE << LEVELS - 1
"""Luma samples a side of a tree."""
_QUARTER = NODE << LEVELS - 2
"""Luma samples a side of a quarter of a tree."""
_START_BITS = 2.0
"""Of starting from nothing."""


class Motion(NamedTuple):
    """Symbols of a picture's motion: see `PictureSymbols`."""

    starts: list[npt.NDArray[np.uint8]]
    corrections: list[Steps]
    blend: npt.NDArray[np.uint8] | None


def choose(proposals: Sequence[Motion], judge: Callable[[Motion], Floats], *, simpler: bool) -> Motion:
    """The best for each tree of `proposals` and of what is simpler than they are.

    judge: [rows / 32, columns / 32] what a motion costs in each quarter of a tree, in bits, with all that comes of it.
    simpler: try as well what is left of the best without one of its fields, then, quarter by quarter, without parts of
    its corrections and blended otherwise.
    """
    best, costs = _merged([*proposals, _nothing(proposals[0])], judge, _by_trees)
    if simpler:
        best, costs = _merged([best, *_one_field(best)], judge, _by_trees, costs)
        best, costs = _merged([best, *_parts(best)], judge, _by_quarters, costs)
    return best


def motion_bits(motion: Motion, rates: Sequence[MotionRates], geometry: Geometry) -> Floats:
    """[rows / 32, columns / 32] about the bits of a motion; `rates`: of each reference."""
    bits = np.zeros(geometry.node_shapes[LEVELS - 2], np.float32)
    trees = np.zeros(geometry.node_shapes[LEVELS - 1], np.float32)
    for starts, corrections, rate in zip(motion.starts, motion.corrections, rates, strict=False):
        trees += _START_BITS * starts
        splits = subtrees(corrections)
        coded = np.ones(trees.shape, np.bool_)
        for depth in range(LEVELS - 1, -1, -1):
            node_bits = np.empty(splits[depth].shape, np.float32)
            correction_bits(corrections[depth], rate.nonzero[depth], rate.size[depth], node_bits)
            if depth:
                node_bits += rate.split[depth][splits[depth]]
            if depth == LEVELS - 1:
                trees += node_bits
            else:
                bits += _in_quarters(node_bits * coded, NODE << depth, bits.shape)
            if depth:
                rows, columns = corrections[depth - 1].shape[:2]
                coded = (coded & (splits[depth] != 0)).repeat(2, axis=0).repeat(2, axis=1)[:rows, :columns]
    if motion.blend is not None:
        bits += MODE_BITS * _in_quarters((motion.blend != 0).astype(np.float32), BLEND, bits.shape)
    # What is said of a tree counts in all of its quarters alike.
    inside = _pooled(np.ones(bits.shape, np.float32), 2, 2, trees.shape)
    return np.asarray(bits + of_trees(trees / inside, bits.shape, LEVELS - 2))


def largest_size(geometry: Geometry, g: int) -> int:
    """Size index of the largest blocks of a plane group that lie in one quarter of a tree."""
    return max(s for s, size in enumerate(SIZES) if size * max(geometry.step(geometry.groups[g][0])) <= _QUARTER)


def residual_bits(costs: Sequence[Floats], geometry: Geometry) -> Floats:
    """[rows / 32, columns / 32] sum of the costs of each plane group's blocks of its `largest_size`."""
    total = np.zeros(geometry.node_shapes[LEVELS - 2], np.float32)
    for g, cost in enumerate(costs):
        across, down = geometry.step(geometry.groups[g][0])
        size = SIZES[largest_size(geometry, g)]
        total += _pooled(cost, _QUARTER // (down * size), _QUARTER // (across * size), total.shape)
    return total


def _in_quarters(values: Floats, samples: int, shape: tuple[int, int]) -> Floats:
    """[rows / 32, columns / 32] = `shape`: sums of a map with a value for each samples x samples of luma."""
    return _pooled(values, _QUARTER // samples, _QUARTER // samples, shape)


def _pooled(values: Floats, down: int, across: int, shape: tuple[int, int]) -> Floats:
    """Sums [shape] of down x across values; what is missing at the edges counts nothing."""
    rows, columns = shape[0] * down, shape[1] * across
    values = values[:rows, :columns]
    padded = np.zeros((rows, columns), np.float32)
    padded[: values.shape[0], : values.shape[1]] = values
    return np.asarray(padded.reshape(shape[0], down, shape[1], across).sum(axis=(1, 3)))


def _nothing(like: Motion) -> Motion:
    """What is expected, without a correction, all references alike."""
    return Motion(
        [np.zeros_like(s) for s in like.starts],
        [[np.zeros_like(c) for c in steps] for steps in like.corrections],
        None if like.blend is None else np.zeros_like(like.blend),
    )


def _one_field(motion: Motion) -> list[Motion]:
    """A motion without what is said of the one or the other of two references."""
    if motion.blend is None:
        return []
    found, blank = [], _nothing(motion)
    for k in range(2):
        starts, corrections = list(motion.starts), list(motion.corrections)
        starts[k], corrections[k] = blank.starts[k], blank.corrections[k]
        found.append(Motion(starts, corrections, motion.blend))
    return found


def _parts(motion: Motion) -> list[Motion]:
    """A motion without its finest corrections, without those of two depths, with those of whole trees alone; with each
    way of blending everywhere.
    """
    blank = _nothing(motion)
    found = [
        motion._replace(
            corrections=[[*z[:depth], *c[depth:]] for c, z in zip(motion.corrections, blank.corrections, strict=True)]
        )
        for depth in range(1, LEVELS)
    ]
    if motion.blend is not None:
        found += [motion._replace(blend=np.full_like(motion.blend, way)) for way in range(WAYS)]
    return found


def _by_trees(costs: Floats) -> npt.NDArray[np.intp]:
    """[rows / 32, columns / 32] which of [motions, rows / 32, columns / 32] costs least in a tree."""
    shape = costs.shape[1:]
    trees = -(-shape[0] // 2), -(-shape[1] // 2)
    which = np.stack([_pooled(cost, 2, 2, trees) for cost in costs]).argmin(axis=0)
    return of_trees(which, shape, LEVELS - 2)


def _by_quarters(costs: Floats) -> npt.NDArray[np.intp]:
    """The same in a quarter of a tree, for motions that agree in what is said of whole trees."""
    return costs.argmin(axis=0)


def _merged(
    motions: Sequence[Motion],
    judge: Callable[[Motion], Floats],
    chosen: Callable[[Floats], npt.NDArray[np.intp]],
    first: Floats | None = None,
) -> tuple[Motion, Floats]:
    """Everywhere the motion that is `chosen` by what each costs there, and the costs; first: those of the first."""
    known = [] if first is None else [first]
    costs = np.stack([*known, *each(judge, motions[len(known) :])])
    which = chosen(costs)

    def of_each(parts: Sequence[npt.NDArray], samples: int) -> npt.NDArray:
        rows, columns = parts[0].shape[:2]
        n = max(_QUARTER // samples, 1)
        places = which[:: max(samples // _QUARTER, 1), :: max(samples // _QUARTER, 1)]
        places = places.repeat(n, axis=0).repeat(n, axis=1)[:rows, :columns]
        return np.take_along_axis(np.stack(parts), places.reshape(1, rows, columns, *[1] * (parts[0].ndim - 2)), 0)[0]

    references, blends = range(len(motions[0].starts)), [m.blend for m in motions if m.blend is not None]
    motion = Motion(
        [of_each([m.starts[k] for m in motions], _TREE) for k in references],
        [[of_each([m.corrections[k][d] for m in motions], NODE << d) for d in range(LEVELS)] for k in references],
        of_each(blends, BLEND) if blends else None,
    )
    return motion, np.take_along_axis(costs, which[None], 0)[0]
