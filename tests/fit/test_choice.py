"""Choosing between motions: each tree takes what is cheapest there, and bits are counted where they are coded."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from licodec.entropy.segment import PictureCoder
from licodec.fit.choice import Motion, choose, largest_size, motion_bits, residual_bits
from licodec.fit.quadtree import MODE_BITS
from licodec.model.cosine import SIZES as BLOCKS
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
        costs = np.ones(sizes.node_shapes[-2], np.float32)
        for (row, column), favourite in favourites.items():
            quarters = costs[2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            quarters -= same(tree(motion, row, column), tree(favourite, row, column))
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
        return np.full((4, 4), sum(first) + sum(second) + lacking, np.float32)

    found = choose([proposal], judge, simpler=True)
    assert not any(step.any() for step in found.corrections[0])
    # Of what may be left out of the other field, all but its roots.
    assert not any(step.any() for step in found.corrections[1][: LEVELS - 1])
    assert np.array_equal(found.corrections[1][3], proposal.corrections[1][3])


def test_quarters_of_a_tree_leave_out_what_each_can_do_without() -> None:
    """To a judge that wants the roots, corrections from one depth on in each quarter, and one way of blending."""
    sizes = geometry(64, 128)
    proposal = random(sizes, 2)
    assert proposal.blend is not None
    for steps in proposal.corrections:
        steps[LEVELS - 1][:] = (1, 2)
    wanted = np.array([[0, 1, 2, 3], [3, 2, 1, 0]])
    ways = np.array([[0, 1, 2, 3], [1, 2, 3, 0]])  # 3: as proposed

    def quarter(values: npt.NDArray, samples: int, row: int, column: int) -> npt.NDArray:
        n = 32 // samples
        return values[row * n : (row + 1) * n, column * n : (column + 1) * n]

    def judge(motion: Motion) -> Floats:
        costs = np.zeros((2, 4), np.float32)
        assert motion.blend is not None
        for place in np.ndindex(2, 4):
            for steps, proposed in zip(motion.corrections, proposal.corrections, strict=True):
                costs[place] += 1000 * (not np.array_equal(steps[LEVELS - 1], proposed[LEVELS - 1]))
                for depth in range(LEVELS - 1):
                    kept, there = (quarter(c[depth], 8 << depth, *place) for c in (steps, proposed))
                    expected = there if depth >= wanted[place] else np.zeros_like(there)
                    costs[place] += 10 * (not np.array_equal(kept, expected))
            blend, proposed = (quarter(b, 16, *place) for b in (motion.blend, proposal.blend))
            way = ways[place]
            costs[place] += not np.array_equal(blend, proposed if way == 3 else np.full_like(blend, way))
        return costs

    found = choose([proposal], judge, simpler=True)
    for place in np.ndindex(2, 4):
        for steps, proposed in zip(found.corrections, proposal.corrections, strict=True):
            for depth in range(LEVELS - 1):
                kept, there = (quarter(c[depth], 8 << depth, *place) for c in (steps, proposed))
                assert np.array_equal(kept, there if depth >= wanted[place] else np.zeros_like(there)), place
    assert all(np.array_equal(a[3], b[3]) for a, b in zip(found.corrections, proposal.corrections, strict=True))
    # Where all that was proposed stays, the way of blending is free.
    assert found.blend is not None
    assert (quarter(found.blend, 16, 1, 3) == 0).all()


def test_equal_costs_leave_the_first_proposal() -> None:
    sizes = geometry(128, 128)
    proposal = random(sizes, 5)
    found = choose([proposal, random(sizes, 6)], lambda motion: np.zeros((4, 4), np.float32), simpler=True)
    assert all(same(tree(found, *place), tree(proposal, *place)) for place in np.ndindex(2, 2))


def test_bits_of_a_motion_are_those_of_its_flags_and_components() -> None:
    sizes = geometry(96, 128)
    first, second = (PictureCoder(sizes).motion_rates(2, k) for k in range(2))
    motion = blank(sizes)
    nothing = sum(float(rate.nonzero[3, 0] + rate.split[3, 0]) for rate in (first, second))
    # What is said of a whole tree counts in its quarters alike, of which those at the lower edge have two.
    shares = np.array([[1 / 4] * 4] * 2 + [[1 / 2] * 4])
    np.testing.assert_allclose(motion_bits(motion, [first, second], sizes), nothing * shares, rtol=1e-5)

    motion.starts[1][0, 0] = 1
    motion.corrections[0][3][0, 1] = (3, -40)
    motion.corrections[1][1][4, 0] = (0, 1)
    assert motion.blend is not None
    motion.blend[5, 7] = 2
    bits = motion_bits(motion, [first, second], sizes)
    far = float(first.size[3, 0, 3] + first.size[3, 1, 12] + 2 * np.log2(40 - 12 + 1))
    np.testing.assert_allclose(bits[:2, :2], (nothing + 2) / 4, rtol=1e-5)
    np.testing.assert_allclose(bits[:2, 2:], (nothing - first.nonzero[3, 0] + first.nonzero[3, 1] + far) / 4, rtol=1e-5)
    # Down to one of sixteen nodes of 16 samples: of 32 below the root, then four below the first of these.
    root = (nothing + second.split[3, 1] - second.split[3, 0]) / 2
    deep = second.nonzero[2, 0] + second.split[2, 1] + 3 * second.nonzero[1, 0] + second.nonzero[1, 1]
    deep += 4 * second.split[1, 0] + second.size[1, 0, 0] + second.size[1, 1, 1]
    assert bits[2, 0] == pytest.approx(root + float(deep), rel=1e-5)
    assert bits[2, 1] == pytest.approx(root + float(second.nonzero[2, 0] + second.split[2, 0]), rel=1e-5)
    assert bits[2, 2] == pytest.approx(nothing / 2)
    assert bits[2, 3] == pytest.approx(nothing / 2 + MODE_BITS)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("chroma", CHROMA)
def test_costs_of_blocks_lie_in_the_quarters_that_they_are_in(size: tuple[int, int], chroma: str) -> None:
    sizes = geometry(*size, CHROMA[chroma])
    samples = [BLOCKS[largest_size(sizes, g)] for g in range(len(sizes.groups))]
    shapes = [tuple(n // samples[g] for n in sizes.padded(g)) for g in range(len(sizes.groups))]
    for g, group in enumerate(sizes.groups):
        across, down = (n * samples[g] for n in sizes.step(group[0]))
        assert max(across, down) == 32
        costs = [np.zeros(shape, np.float32) for shape in shapes]
        for row, column in np.ndindex(*shapes[g]):
            costs[g][:] = 0
            costs[g][row, column] = 8
            found, place = residual_bits(costs, sizes), (row * down // 32, column * across // 32)
            # Blocks that are padding alone count nothing.
            inside = place[0] < found.shape[0] and place[1] < found.shape[1]
            assert found.sum() == (8 if inside else 0)
            assert not inside or found[place] == 8
