"""Cells read at fractions of a sample: by the specification, up to the edges, in both twins."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from licodec.model.geometry import Floats
from licodec.model.motion import NODE, UNIT
from licodec.render.cells import PHASES, SMALL, TAPS, WEIGHTS, follow, follow_moved
from licodec.render.torch_cells import CellReader
from render.reading import lanczos, read_sample

SHAPES = st.tuples(st.integers(1, 60), st.integers(1, 60))


def scene(random: np.random.Generator, shape: tuple[int, int], most: int) -> tuple[Floats, np.ndarray]:
    """A plane of noise, and vectors."""
    nodes = tuple(-(-n // NODE) for n in shape)
    return (random.random(shape) * 255).astype(np.float32), random.integers(-most, most, (*nodes, 2)).astype(np.int32)


def test_weights_are_one_together_and_mirrored() -> None:
    np.testing.assert_allclose(WEIGHTS.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(WEIGHTS, WEIGHTS[::-1, ::-1], atol=1e-7)
    np.testing.assert_array_equal(PHASES[0], np.arange(TAPS) == 3)
    np.testing.assert_allclose(PHASES[1], lanczos(0.25), atol=1e-7)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), shape=SHAPES, most=st.sampled_from([1, 30, 400]), data=st.data())
def test_each_sample_is_what_the_specification_says(
    seed: int, shape: tuple[int, int], most: int, data: st.DataObject
) -> None:
    random = np.random.default_rng(seed)
    plane, vectors = scene(random, shape, most)
    corner = tuple(NODE * data.draw(st.integers(0, (n - 1) // NODE)) for n in shape)
    wanted = tuple(data.draw(st.integers(1, n - first)) for n, first in zip(shape, corner, strict=True))
    found = follow(plane, vectors, corner, wanted)
    assert found.shape == wanted
    for _ in range(20):
        y, x = (first + random.integers(n) for first, n in zip(corner, wanted, strict=True))
        across, down = vectors[y // NODE, x // NODE] / UNIT
        assert abs(found[y - corner[0], x - corner[1]] - read_sample(plane, y + down, x + across)) < 2e-3


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), shape=SHAPES, sign=st.sampled_from([-1, 1]))
def test_small_cells_are_read_beside_their_vectors(seed: int, shape: tuple[int, int], sign: int) -> None:
    """Those that do not move are left as they are."""
    random = np.random.default_rng(seed)
    plane, vectors = scene(random, shape, 30)
    moves = random.uniform(-1, 1, (*(-(-n // SMALL) for n in shape), 2)).astype(np.float32)
    moves[random.random(moves.shape[:2]) < 0.5] = 0
    before = follow(plane, vectors, (0, 0), shape)
    found = before.copy()
    follow_moved(plane, vectors, moves, sign, (0, 0), found)
    for y, x in np.ndindex(shape):
        move = sign * moves[y // SMALL, x // SMALL]
        if not move.any():
            assert found[y, x] == before[y, x]
        elif random.random() < 0.05:
            across, down = vectors[y // NODE, x // NODE] / UNIT + move
            assert abs(found[y, x] - read_sample(plane, y + down, x + across)) < 5e-3


def test_what_is_read_at_whole_samples_is_what_is_there() -> None:
    plane, vectors = scene(np.random.default_rng(1), (40, 56), 5)
    made = follow(plane, vectors * UNIT, (0, 0), plane.shape)
    right, down = vectors[2, 3]
    block = plane[16 + down : 24 + down, 24 + right : 32 + right]
    np.testing.assert_array_equal(made[16:24, 24:32], block)


def test_planes_that_are_parts_of_others_are_read_too() -> None:
    plane, vectors = scene(np.random.default_rng(2), (40, 56), 30)
    wide = np.zeros((80, 112), np.float32)
    wide[::2, ::2] = plane
    np.testing.assert_array_equal(
        follow(wide[::2, ::2], vectors, (0, 0), (40, 56)), follow(plane, vectors, (0, 0), (40, 56))
    )


@pytest.mark.parametrize("corner", [(0, 0), (16, 32)])
@pytest.mark.parametrize("size", [NODE, SMALL])
def test_tensors_hold_the_same(size: int, corner: tuple[int, int]) -> None:
    random = np.random.default_rng(3)
    plane, vectors = scene(random, (75, 93), 60)
    shape = plane.shape[0] - corner[0], plane.shape[1] - corner[1]
    wanted = follow(plane, vectors, corner, shape)
    offsets = vectors[corner[0] // NODE :, corner[1] // NODE :].astype(np.float32) / UNIT
    if size == SMALL:
        moves = random.uniform(-1, 1, (*(-(-n // SMALL) for n in shape), 2)).astype(np.float32)
        follow_moved(plane, vectors, moves, 1, corner, wanted)
        rows, columns = moves.shape[:2]
        offsets = offsets.repeat(2, axis=0).repeat(2, axis=1)[:rows, :columns] + moves
    found = CellReader("cpu")(torch.from_numpy(plane), torch.from_numpy(offsets), corner, size)
    np.testing.assert_allclose(found[: shape[0], : shape[1]], wanted, atol=2e-3)
