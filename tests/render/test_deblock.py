"""Deblocking: what it smooths, what it leaves, and its twin."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from licodec.model.geometry import Geometry
from licodec.model.motion import Field
from licodec.model.pyramid import Picture
from licodec.model.symbols import PictureSymbols, SparseLevels
from licodec.render.deblock import limits, smooth, strengths
from licodec.render.torch_renderer import _smooth
from licodec.video.info import VideoInfo

GEOMETRY = Geometry.of(VideoInfo(64, 64))


def symbols(sizes: np.ndarray, coefficients: list[tuple[int, int]], group: int = 0) -> PictureSymbols:
    out = PictureSymbols.blank(GEOMETRY, Picture(0, 0, ()))
    levels = out.levels[group].dense()
    for row, column in coefficients:
        levels[0, row, column] = 1
    out.sizes[group], out.levels[group] = sizes.astype(np.uint8), SparseLevels.of(levels)
    return out


def step_at(edge: int, jump: float) -> np.ndarray:
    plane = np.full((16, 32), 100, np.float32)
    plane[:, edge:] += jump
    return plane


def smoothed(plane: np.ndarray, strength: np.ndarray, step: float) -> np.ndarray:
    out = plane.copy()
    smooth(out, strength, *limits(step))
    return out


ALL = np.ones((2, 4), np.float32)


def test_a_small_step_between_blocks_becomes_a_slope() -> None:
    plane = step_at(16, 4)
    out = smoothed(plane, ALL, 32)
    change = np.diff(out[0])
    assert (change >= -1e-4).all() and change.max() < 1.5
    np.testing.assert_array_equal(out[:, :13], plane[:, :13])
    np.testing.assert_array_equal(out[:, 19:], plane[:, 19:])
    # Both sides give way alike.
    np.testing.assert_allclose(out[0, 13:16] - 100, 104 - out[0, 18:15:-1], atol=1e-4)


@pytest.mark.parametrize(
    ("plane", "strength"),
    [
        (step_at(16, 4), np.zeros((2, 4), np.float32)),
        (step_at(16, 90), ALL),
        (step_at(12, 4), ALL),
        (np.random.default_rng(0).uniform(0, 255, (16, 32)).astype(np.float32), ALL),
    ],
    ids=["no-edge", "a-picture's-own-edge", "inside-a-block", "texture"],
)
def test_what_is_not_the_codecs_is_left(plane: np.ndarray, strength: np.ndarray) -> None:
    np.testing.assert_array_equal(smoothed(plane, strength, 8), plane)


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(1, 45), st.floats(0.5, 60), st.integers(0, 2**32 - 1))
def test_twins_agree_and_rounding_stays_rounding(rows: int, columns: int, step: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    plane = (128 + random.normal(0, random.choice([0.3, 2, 10]), (rows, columns)).cumsum(1)).astype(np.float32)
    strength = random.choice([0, 1, 1.25], (-(-rows // 8), -(-columns // 8))).astype(np.float32)
    out = smoothed(plane, strength, step)
    twin = _smooth(torch.from_numpy(plane), torch.from_numpy(strength), *limits(step)).numpy()
    np.testing.assert_allclose(twin, out, atol=2e-3)
    nudged = plane + random.uniform(-1e-3, 1e-3, plane.shape).astype(np.float32)
    assert np.abs(smoothed(nudged, strength, step) - out).max() < 0.05


def test_edges_of_coded_blocks_count() -> None:
    sizes = np.ones((8, 8))
    sizes[:4, 4:] = 3
    sizes[4:, :4] = 2
    # Edges inside a cell do not count.
    sizes[0, 2] = 0
    # In the third cell of the first row; anywhere in the block of 32; in the last block of 16 on the left.
    left, above = strengths(GEOMETRY, 0, [], symbols(sizes, [(3, 17), (20, 50), (55, 30)]))
    wanted = np.zeros((8, 8))
    wanted[0, [2, 3]] = wanted[:4, 4] = 1.25
    wanted[[6, 7], 2] = wanted[[6, 7], 4] = 1.25
    # Column 0 is the border of the plane: whatever it says, nothing lies beyond it.
    np.testing.assert_array_equal(left[:, 1:], wanted[:, 1:])
    wanted = np.zeros((8, 8))
    wanted[1, 2] = wanted[4, 4:] = 1.25
    wanted[6, [2, 3]] = 1.25
    np.testing.assert_array_equal(above[1:], wanted[1:])


def test_edges_of_intra_blocks_count() -> None:
    found = symbols(np.full((8, 8), 1), [])
    found.modes[0][4:6, 8:10] = 2
    left, above = strengths(GEOMETRY, 0, [], found)
    assert sorted(zip(*np.nonzero(left), strict=True)) == [(2, 4), (2, 5)]
    assert sorted(zip(*np.nonzero(above), strict=True)) == [(2, 4), (3, 4)]


@pytest.mark.parametrize(("group", "apart", "shown"), [(0, 3, False), (0, 4, True), (1, 7, False), (1, 8, True)])
def test_edges_between_motions_a_sample_apart_count(group: int, apart: int, shown: bool) -> None:
    vectors = np.zeros((8, 8, 2), np.int16)
    vectors[:, 4:, 1] = apart
    cells = GEOMETRY.cells(group)
    left, above = strengths(GEOMETRY, group, [Field(1, vectors)], symbols(np.full(cells, 2), [], group))
    wanted = np.zeros(cells)
    wanted[:, 2 if group else 4] = shown
    np.testing.assert_array_equal(left[:, 1:], wanted[:, 1:])
    assert not above[1:].any()
