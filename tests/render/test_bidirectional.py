"""Motion refined between two references: what it computes, what it is for, what it leaves, and its twin."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from licodec.model.geometry import BLEND, Floats, Geometry, Planes
from licodec.model.motion import NODE, UNIT, Field
from licodec.render.bidirectional import refined
from licodec.render.numpy_renderer import NumpyRenderer
from licodec.render.renderer import Renderer
from licodec.render.torch_renderer import TorchRenderer
from licodec.render.window import Window
from licodec.video.info import VideoInfo
from render.clips import picture
from render.reading import read_sample

FORMATS = [VideoInfo(83, 50), VideoInfo(67, 37, chroma="444"), VideoInfo(40, 19, chroma="422"), VideoInfo(1, 1)]
both_kinds = pytest.mark.parametrize("kind", [NumpyRenderer, partial(TorchRenderer, device="cpu")])


def texture(random: np.random.Generator, shape: tuple[int, int]) -> Floats:
    walk = random.normal(0, 6, shape).cumsum(1) + random.normal(0, 6, shape).cumsum(0)
    return (128 + walk - walk.mean()).clip(0, 255).astype(np.float32)


def by_the_formula(
    references: tuple[Floats, Floats], vectors: list[np.ndarray], predictions: tuple[Floats, Floats], blend: np.ndarray
) -> list[Floats]:
    """The specification, cell by cell, in float64."""
    first, second = (p.astype(np.float64) for p in predictions)
    rows, columns = first.shape
    around = np.pad(first + second, 1, mode="edge")
    h = (around[1:-1, 2:] - around[1:-1, :-2]) / 2
    g = (around[2:, 1:-1] - around[:-2, 1:-1]) / 2

    def mean(terms: Floats, r: int, c: int) -> float:
        weights = np.kron([[1, 2, 1], [2, 4, 2], [1, 2, 1]], np.ones((4, 4))) / 256
        wide = np.pad(terms, ((4, 8), (4, 8)))[4 * r : 4 * r + 12, 4 * c : 4 * c + 12]
        return float((weights * wide).sum())

    out = [first.copy(), second.copy()]
    for r, c in np.ndindex(-(-rows // 4), -(-columns // 4)):
        if blend[4 * r // BLEND, 4 * c // BLEND]:
            continue
        hh, gg, hg = mean(h * h, r, c) + 50, mean(g * g, r, c) + 50, mean(h * g, r, c)
        hd, gd = mean(h * (first - second), r, c), mean(g * (first - second), r, c)
        determinant = hh * gg - hg**2
        u, v = (np.clip(n / determinant, -1, 1) for n in (gg * hd - hg * gd, hh * gd - hg * hd))
        length = np.hypot(u, v)
        u, v = (n * np.clip(length * 16 - 1, 0, 1) for n in (u, v))
        for plane, reference, field, sign in zip(out, references, vectors, (-1, 1), strict=True):
            for y in range(4 * r, min(4 * r + 4, rows)):
                for x in range(4 * c, min(4 * c + 4, columns)):
                    across, down = field[y // NODE, x // NODE] / UNIT
                    plane[y, x] = read_sample(reference, y + down + sign * v, x + across + sign * u)
    return out


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), shape=st.tuples(st.integers(1, 40), st.integers(1, 40)))
def test_it_is_what_the_specification_says(seed: int, shape: tuple[int, int]) -> None:
    random = np.random.default_rng(seed)
    geometry = Geometry((shape,), (1, 1))
    references = texture(random, shape), texture(random, shape)
    vectors = [random.integers(-20, 20, (*geometry.node_shapes[0], 2)).astype(np.int32) for _ in range(2)]
    blend = random.integers(0, 4, geometry.blend_shape).clip(0, 2).astype(np.uint8) * (random.random() < 0.5)
    renderer = NumpyRenderer(geometry)
    # Of an earlier and a later frame the predictions would be refined: these are as they were read first.
    fields = [Field(0, v) for v in vectors]
    predictions = tuple(
        renderer.predict([field], None, [(reference,)]).planes[0]
        for field, reference in zip(fields, references, strict=True)
    )
    wanted = by_the_formula(references, vectors, predictions, blend)
    refined(references, (vectors[0], vectors[1]), *predictions, blend.astype(np.uint8), (0, 0))
    for found, by_formula in zip(predictions, wanted, strict=True):
        np.testing.assert_allclose(found, by_formula, atol=0.05)
        assert np.abs(found - by_formula).mean() < 0.002


@both_kinds
def test_what_moves_evenly_is_found_between(kind: Callable[[Geometry], Renderer[Any]]) -> None:
    """Without a vector in the file, what moves by half a sample a frame is read where it is."""
    info = VideoInfo(96, 64)
    geometry = Geometry.of(info)
    renderer = kind(geometry)
    before, here, after = (picture(info, shift) for shift in (-0.5, 0.0, 0.5))
    still = np.zeros((*geometry.node_shapes[0], 2), np.int32)
    references = [tuple(renderer.upload(p) for p in planes) for planes in (before, after)]
    blend = np.zeros(geometry.blend_shape, np.uint8)

    def errors(first: int, second: int) -> tuple[float, float]:
        """Of both predictions against each other, and of what they are blended to; away from the edges, behind which
        nothing is known."""
        made = renderer.predict([Field(first, still), Field(second, still)], blend, references)
        assert made.apart is not None
        apart, wrong = renderer.fetch(made.apart), renderer.fetch(made.planes[0]) - here[0]
        return float(np.abs(apart[8:-8, 8:-8]).mean()), float(np.abs(wrong[8:-8, 8:-8]).mean())

    plain, found = errors(2, 0), errors(0, 2)
    assert found[0] < 0.3 * plain[0]
    assert found[1] < 0.5 * plain[1]


@both_kinds
def test_luma_alone_changes_and_only_between_two_frames(kind: Callable[[Geometry], Renderer[Any]]) -> None:
    geometry = Geometry.of(FORMATS[0])
    renderer, random = kind(geometry), np.random.default_rng(3)
    pictures = [tuple(texture(random, shape) for shape in geometry.shapes) for _ in range(2)]
    still = np.zeros((*geometry.node_shapes[0], 2), np.int32)
    blend = random.integers(0, 3, geometry.blend_shape).astype(np.uint8)
    share = np.array([0.5, 1, 0])[blend]

    def made(first: int, second: int) -> Planes:
        references = [tuple(renderer.upload(p) for p in planes) for planes in pictures]
        planes = renderer.predict([Field(first, still), Field(second, still)], blend, references).planes
        return tuple(renderer.fetch(p) for p in planes)

    from_before, between = made(1, 0), made(0, 2)
    for i, (plane, other) in enumerate(zip(from_before, between, strict=True)):
        sx, sy = geometry.step(i)
        s = share.repeat(BLEND // sy, 0).repeat(BLEND // sx, 1)[: plane.shape[0], : plane.shape[1]]
        plain = s * pictures[0][i] + (1 - s) * pictures[1][i]
        np.testing.assert_allclose(plane, plain, atol=1e-3)
        changed = np.abs(other - plain) > 0.01
        assert not changed[s != 0.5].any()
        assert changed[s == 0.5].mean() > 0.5 if i == 0 else not changed.any()


@settings(max_examples=20, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1), info=st.sampled_from(FORMATS))
def test_a_window_of_it_and_its_twin(data: st.DataObject, seed: int, info: VideoInfo) -> None:
    geometry, random = Geometry.of(info), np.random.default_rng(seed)
    pictures = [tuple(texture(random, shape) for shape in geometry.shapes) for _ in range(2)]
    fields = [Field(t, random.integers(-9, 9, (*geometry.node_shapes[0], 2)).astype(np.int32)) for t in (3, 5)]
    blend = random.integers(0, 3, geometry.blend_shape).astype(np.uint8)
    renderer, twin = NumpyRenderer(geometry), TorchRenderer(geometry, "cpu")
    whole = renderer.predict(fields, blend, pictures)
    (rows, columns) = geometry.shapes[0]
    top, left = (BLEND * data.draw(st.integers(0, (n - 1) // BLEND)) for n in (rows, columns))
    bottom = min(rows, top + BLEND * data.draw(st.integers(1, 3)))
    window = Window(top, bottom, left, min(columns, left + BLEND * data.draw(st.integers(1, 3))))
    part = renderer.predict(fields, blend, pictures, window)
    other = twin.predict(fields, blend, [tuple(twin.upload(p) for p in planes) for planes in pictures])
    assert part.apart is not None
    assert whole.apart is not None
    np.testing.assert_array_equal(part.apart, whole.apart[window.of((1, 1))])
    for i, (plane, everything, tensor) in enumerate(zip(part.planes, whole.planes, other.planes, strict=True)):
        np.testing.assert_array_equal(plane, everything[window.of(geometry.step(i))])
        np.testing.assert_allclose(tensor.numpy(), everything, atol=0.02)
