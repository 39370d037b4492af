"""Choosing between motions: each tree takes what is cheapest there, and bits are counted where they are coded."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from licodec.entropy.segment import PictureCoder
from licodec.fit.choice import Motion, choose, motion_bits, residual_bits
from licodec.fit.quadtree import MODE_BITS
from licodec.model.geometry import Floats, Geometry
from licodec.model.motion import LEVELS
from licodec.model.pyramid import Picture
from licodec.model.symbols import PictureSymbols

SIZES = [(64, 96), (128, 192), (72, 200)]
CHROMA = {"420": (2, 2), "422": (2, 1), "444": (1, 1), "411": (4, 1)}
BETWEEN = Picture(1, 2, (0, 2))


def geometry(rows: int, columns: int, subsampling: tuple[int, int] = (2, 2)) -> Geometry:
    sx, sy = subsampling
    return Geometry(((rows, columns), *[(-(-rows // sy), -(-columns // sx))] * 2), subsampling)


def blank(sizes: Geometry, picture: Picture = BETWEEN) -> Motion:
    symbols = PictureSymbols.blank(sizes, picture)
    return Motion(symbols.starts, symbols.corrections, symbols.blend)


def random(sizes: Geometry, seed: int, picture: Picture = BETWEEN) -> Motion:
    rng, motion = np.random.default_rng(seed), blank(sizes, picture)
    for starts in motion.starts:
        starts[:] = rng.integers(0, 2, starts.shape)
    for steps in motion.corrections:
        for step in steps:
            step[:] = rng.integers(-20, 21, step.shape) * (rng.random((*step.shape[:2], 1)) < 0.4)
    if motion.blend is not None:
        motion.blend[:] = rng.integers(0, 3, motion.blend.shape)
    return motion


def tree(motion: Motion, row: int, column: int) -> list[npt.NDArray]:
    """All that is said of a tree."""

    def part(values: npt.NDArray, samples: int) -> npt.NDArray:
        n = 64 // samples
        return values[row * n : (row + 1) * n, column * n : (column + 1) * n]

    out = [part(starts, 64) for starts in motion.starts]
    out += [part(step, 8 << depth) for steps in motion.corrections for depth, step in enumerate(steps)]
    return out if motion.blend is None else [*out, part(motion.blend, 16)]


def same(one: list[npt.NDArray], other: list[npt.NDArray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def priced(sizes: Geometry, favourites: dict[tuple[int, int], Motion]) -> Callable[[Motion], Floats]:
    """A judge to whom a tree of its favourite costs nothing, and any other 1."""

    def judge(motion: Motion) -> Floats:
        costs = np.ones(sizes.node_shapes[-1], np.float32)
        for place, favourite in favourites.items():
            costs[place] -= same(tree(motion, *place), tree(favourite, *place))
        return costs

    return judge


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("picture", [BETWEEN, Picture(1, 1, (0, 0))], ids=["two references", "one"])
@given(seed=st.integers(0, 1000))
def test_each_tree_takes_its_cheapest_motion(size: tuple[int, int], picture: Picture, seed: int) -> None:
    sizes = geometry(*size)
    proposals = [random(sizes, 3 * seed + i, picture) for i in range(3)]
    rng = np.random.default_rng(seed)
    favourites = {place: proposals[rng.integers(3)] for place in np.ndindex(*sizes.node_shapes[-1])}
    for simpler in (False, True):
        found = choose(proposals, priced(sizes, favourites), simpler=simpler)
        for place, favourite in favourites.items():
            assert same(tree(found, *place), tree(favourite, *place)), place


def test_no_motion_is_always_among_what_is_chosen_from() -> None:
    sizes = geometry(128, 128)
    found = choose([random(sizes, 1)], priced(sizes, {(0, 1): blank(sizes)}), simpler=False)
    assert same(tree(found, 0, 1), tree(blank(sizes), 0, 1))
    assert same(tree(found, 1, 1), tree(random(sizes, 1), 1, 1))


def test_parts_that_do_not_pay_are_left_out() -> None:
    """To a judge that counts what is not zero, and punishes what the second field lacks."""
    sizes = geometry(128, 128)
    proposal = random(sizes, 1)
    proposal.corrections[0][3][:] = proposal.corrections[1][3][:] = (1, 2)

    def judge(motion: Motion) -> Floats:
        first, second = ([(step != 0).sum() for step in steps] for steps in motion.corrections)
        lacking = 10000 if not np.array_equal(motion.corrections[1][3], proposal.corrections[1][3]) else 0
        return np.full((2, 2), sum(first) + sum(second) + lacking, np.float32)

    found = choose([proposal], judge, simpler=True)
    assert all(not step.any() for step in found.corrections[1][: LEVELS - 1]) or not found.corrections[0][3].any()
    assert np.array_equal(found.corrections[1][3], proposal.corrections[1][3])
    assert judge(found).sum() < judge(proposal).sum()
    # Of what may be left out as a whole, the roots of both fields alone leave least.
    assert not any(step.any() for steps in found.corrections for step in steps[: LEVELS - 1])


def test_equal_costs_leave_the_first_proposal() -> None:
    sizes = geometry(128, 128)
    proposal = random(sizes, 5)
    found = choose([proposal, random(sizes, 6)], lambda motion: np.zeros((2, 2), np.float32), simpler=True)
    assert all(same(tree(found, *place), tree(proposal, *place)) for place in np.ndindex(2, 2))


def test_bits_of_a_motion_are_those_of_its_flags_and_components() -> None:
    sizes = geometry(128, 128)
    first, second = (PictureCoder(sizes).motion_rates(2, k) for k in range(2))
    motion = blank(sizes)
    nothing = sum(float(rate.nonzero[3, 0] + rate.split[3, 0]) for rate in (first, second))
    np.testing.assert_allclose(motion_bits(motion, [first, second], sizes), nothing, rtol=1e-5)

    motion.starts[1][0, 0] = 1
    motion.corrections[0][3][0, 1] = (3, -40)
    motion.corrections[1][1][4, 0] = (0, 1)
    assert motion.blend is not None
    motion.blend[7, 7] = 2
    bits = motion_bits(motion, [first, second], sizes)
    far = float(first.size[3, 0, 3] + first.size[3, 1, 12] + 2 * np.log2(40 - 12 + 1))
    assert bits[0, 0] == pytest.approx(nothing + 2)
    assert bits[0, 1] == pytest.approx(nothing - first.nonzero[3, 0] + first.nonzero[3, 1] + far)
    # Down to one of sixteen nodes of 16 samples: four of 32 below the root, then four below the first of these.
    deep = second.split[3, 1] - second.split[3, 0] + 4 * second.nonzero[2, 0] + second.split[2, 1]
    deep += 3 * second.split[2, 0] + 3 * second.nonzero[1, 0] + second.nonzero[1, 1] + 4 * second.split[1, 0]
    deep += second.size[1, 0, 0] + second.size[1, 1, 1]
    assert bits[1, 0] == pytest.approx(nothing + float(deep), rel=1e-5)
    assert bits[1, 1] == pytest.approx(nothing + MODE_BITS)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("chroma", CHROMA)
def test_costs_of_blocks_lie_in_the_trees_that_they_cover(size: tuple[int, int], chroma: str) -> None:
    sizes = geometry(*size, CHROMA[chroma])
    for g, group in enumerate(sizes.groups):
        across, down = sizes.step(group[0])
        shape = tuple(n // 32 for n in sizes.padded(g))
        costs = [np.zeros(tuple(n // 32 for n in sizes.padded(k)), np.float32) for k in range(len(sizes.groups))]
        for place in np.ndindex(*shape):
            costs[g][:] = 0
            costs[g][place] = 8
            found = residual_bits(costs, sizes)
            rows = range(place[0] * 32 * down // 64, -(-(place[0] + 1) * 32 * down // 64))
            columns = range(place[1] * 32 * across // 64, -(-(place[1] + 1) * 32 * across // 64))
            inside = [(r, c) for r in rows for c in columns if r < found.shape[0] and c < found.shape[1]]
            assert all(found[p] == 8 / (len(rows) * len(columns)) for p in inside)
            assert found.sum() == pytest.approx(8 * len(inside) / (len(rows) * len(columns)))
