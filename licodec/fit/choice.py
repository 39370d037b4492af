"""Which of several motions of a picture to take, tree by tree, by what it costs to code what each of them leaves.

The search for motion judges a vector by its squared error alone, of which it can only guess what comes of it. Here
that is known: the residual is transformed and quantised, and its bits and its error count together with the bits of
the motion. A search that pays more for bits, or less, or no motion beyond what is expected, is often better.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from licodec.entropy.motion import MotionRates, subtrees
from licodec.fit.quadtree import MODE_BITS, correction_bits
from licodec.fit.threads import each
from licodec.model.cosine import SIZES
from licodec.model.geometry import BLEND, Floats, Geometry
from licodec.model.motion import LEVELS, NODE, Steps, of_trees

_TREE = NODE << LEVELS - 1
"""Luma samples a side of a tree."""
_START_BITS = 2.0
"""Of starting from nothing."""


class Motion(NamedTuple):
    """Symbols of a picture's motion: see `PictureSymbols`."""

    starts: list[npt.NDArray[np.uint8]]
    corrections: list[Steps]
    blend: npt.NDArray[np.uint8] | None


def choose(proposals: Sequence[Motion], judge: Callable[[Motion], Floats], *, simpler: bool) -> Motion:
    """The best for each tree of `proposals` and of what is simpler than they are.

    judge: [rows / 64, columns / 64] what a motion costs in each tree, in bits, with all that comes of it.
    simpler: try as well what is left of the best without parts of it.
    """
    motions = [*proposals, _nothing(proposals[0])]
    costs = np.stack(each(judge, motions))
    best = _merged(motions, costs)
    if simpler:
        motions = [best, *_simpler(best)]
        costs = np.stack([costs.min(axis=0), *each(judge, motions[1:])])
        best = _merged(motions, costs)
    return best


def motion_bits(motion: Motion, rates: Sequence[MotionRates], geometry: Geometry) -> Floats:
    """[rows / 64, columns / 64] about the bits of a motion; `rates`: of each reference."""
    bits = np.zeros(geometry.node_shapes[-1], np.float32)
    for starts, corrections, rate in zip(motion.starts, motion.corrections, rates, strict=False):
        bits += _START_BITS * starts
        splits = subtrees(corrections)
        coded = np.ones(bits.shape, np.bool_)
        for depth in range(LEVELS - 1, -1, -1):
            node_bits = np.empty(splits[depth].shape, np.float32)
            correction_bits(corrections[depth], rate.nonzero[depth], rate.size[depth], node_bits)
            if depth:
                node_bits += rate.split[depth][splits[depth]]
            bits += _in_trees(node_bits * coded, NODE << depth, bits.shape)
            if depth:
                rows, columns = corrections[depth - 1].shape[:2]
                coded = (coded & (splits[depth] != 0)).repeat(2, axis=0).repeat(2, axis=1)[:rows, :columns]
    if motion.blend is not None:
        bits += MODE_BITS * _in_trees((motion.blend != 0).astype(np.float32), BLEND, bits.shape)
    return bits


def residual_bits(costs: Sequence[Floats], geometry: Geometry) -> Floats:
    """[rows / 64, columns / 64] sum of the costs of each plane group's largest blocks [rows / 32, columns / 32]."""
    shape = geometry.node_shapes[-1]
    total = np.zeros(shape, np.float32)
    for g, cost in enumerate(costs):
        across, down = geometry.step(geometry.groups[g][0])
        # A block of subsampled chroma may cover two trees or more: half of it each.
        wide, high = across * SIZES[-1], down * SIZES[-1]
        trees_down, trees_across = max(high // _TREE, 1), max(wide // _TREE, 1)
        spread = cost.repeat(trees_down, axis=0).repeat(trees_across, axis=1) / (trees_down * trees_across)
        total += _pooled(spread, max(_TREE // high, 1), max(_TREE // wide, 1), shape)
    return total


def _in_trees(values: Floats, samples: int, shape: tuple[int, int]) -> Floats:
    """[rows / 64, columns / 64] = `shape`: sums of a map with a value for each samples x samples of luma."""
    return _pooled(values, _TREE // samples, _TREE // samples, shape)


def _pooled(values: Floats, down: int, across: int, shape: tuple[int, int]) -> Floats:
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


def _simpler(motion: Motion) -> list[Motion]:
    """A motion without its finest corrections; with its coarsest alone; without those to one of two references; with
    both references everywhere.
    """
    blank = _nothing(motion)
    found = [
        motion._replace(
            corrections=[[*z[:depth], *c[depth:]] for c, z in zip(motion.corrections, blank.corrections, strict=True)]
        )
        for depth in (1, LEVELS - 1)
    ]
    if motion.blend is not None:
        for k in range(2):
            starts, corrections = list(motion.starts), list(motion.corrections)
            starts[k], corrections[k] = blank.starts[k], blank.corrections[k]
            found.append(Motion(starts, corrections, motion.blend))
        found.append(motion._replace(blend=blank.blend))
    return found


def _merged(motions: Sequence[Motion], costs: Floats) -> Motion:
    """Of each tree the cheapest motion; costs: [motions, rows / 64, columns / 64]."""
    which = costs.argmin(axis=0).astype(np.uint8)

    def of_each(parts: Sequence[npt.NDArray], depth: int) -> npt.NDArray:
        chosen = of_trees(which, parts[0].shape[:2], depth)
        out = parts[0].copy()
        for i, part in enumerate(parts[1:], 1):
            out[chosen == i] = part[chosen == i]
        return out

    references, blends = range(len(motions[0].starts)), [m.blend for m in motions if m.blend is not None]
    return Motion(
        [of_each([m.starts[k] for m in motions], LEVELS - 1) for k in references],
        [[of_each([m.corrections[k][d] for m in motions], d) for d in range(LEVELS)] for k in references],
        of_each(blends, (BLEND // NODE).bit_length() - 1) if blends else None,
    )
