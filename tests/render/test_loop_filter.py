"""The loop filter: what it computes, what it leaves, and its twin."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from licodec.model.geometry import Geometry
from licodec.model.symbols import FILTER_MAX, FILTER_WEIGHTS
from licodec.quant.steps import FILTER_STEP
from licodec.render.loop_filter import OFFSETS, filtered, limit
from licodec.render.numpy_renderer import NumpyRenderer
from licodec.render.torch_renderer import _filtered
from licodec.video.info import VideoInfo


def texture(rows: int, columns: int, seed: int, roughness: float = 5) -> np.ndarray:
    random = np.random.default_rng(seed)
    walk = random.normal(0, roughness, (rows, columns)).cumsum(1)
    return (128 + walk - walk.mean()).clip(0, 255).astype(np.float32)


def by_the_formula(plane: np.ndarray, weights: np.ndarray, most: float) -> np.ndarray:
    """The specification, a sample at a time, in float64."""
    rows, columns = plane.shape
    out = np.empty(plane.shape)
    for y, x in np.ndindex(plane.shape):
        total = float(plane[y, x])
        for k, (down, right) in enumerate(OFFSETS):
            for side in (1, -1):
                at = min(max(y + side * down, 0), rows - 1), min(max(x + side * right, 0), columns - 1)
                difference = float(plane[at]) - float(plane[y, x])
                total += weights[k] * min(max(difference, -most), most)
                total += weights[len(OFFSETS) + k] * difference
        out[y, x] = min(max(total, 0), 256)
    return out


@settings(deadline=None)
@given(st.integers(1, 9), st.integers(1, 12), st.floats(0.1, 300), st.integers(0, 2**32 - 1))
def test_it_is_the_formula_and_so_is_its_twin(rows: int, columns: int, step: float, seed: int) -> None:
    plane, random = texture(rows, columns, seed), np.random.default_rng(seed)
    weights = random.integers(-FILTER_MAX, FILTER_MAX + 1, FILTER_WEIGHTS) * (random.random(FILTER_WEIGHTS) < 0.7)
    weights = (weights * FILTER_STEP).astype(np.float32)
    wanted = by_the_formula(plane, weights, limit(step))
    np.testing.assert_allclose(filtered(plane, weights, limit(step)), wanted, atol=2e-3)
    twin = _filtered(torch.from_numpy(plane), torch.from_numpy(weights), limit(step)).numpy()
    np.testing.assert_allclose(twin, wanted, atol=2e-3)


def test_rounding_stays_rounding() -> None:
    plane = texture(40, 50, 1)
    weights = np.full(FILTER_WEIGHTS, FILTER_MAX * FILTER_STEP, np.float32)
    nudged = plane + np.random.default_rng(2).uniform(-1e-3, 1e-3, plane.shape).astype(np.float32)
    moved = np.abs(filtered(nudged, weights, 4) - filtered(plane, weights, 4)).max()
    assert 0 < moved < 0.05


@pytest.mark.parametrize("chroma", ["gray", "420"])
def test_without_weights_nothing_is_done(chroma: str) -> None:
    plane = texture(16, 16, 3)
    renderer = NumpyRenderer(Geometry.of(VideoInfo(16, 16, chroma)))
    assert renderer.filter(plane, np.zeros(FILTER_WEIGHTS, np.int32), 8) is plane


def test_what_is_even_stays_as_it_is() -> None:
    plane = np.full((10, 10), 77, np.float32)
    np.testing.assert_array_equal(filtered(plane, np.full(FILTER_WEIGHTS, 0.4, np.float32), 3), plane)


def test_noise_is_smoothed_and_an_edge_is_not() -> None:
    random = np.random.default_rng(4)
    edge = np.repeat(np.array([60, 180], np.float32), 20)[None].repeat(30, axis=0)
    noisy = edge + random.uniform(-0.5, 0.5, edge.shape).astype(np.float32)
    weights = np.array([0.07] * len(OFFSETS) + [0] * len(OFFSETS), np.float32)
    out = filtered(noisy, weights, limit(8))
    assert np.abs(out - edge).std() < 0.6 * np.abs(noisy - edge).std()
    # Of a step of 120, neighbours beyond it count as no more than the limit.
    assert np.abs(out - edge).max() < 1.5
