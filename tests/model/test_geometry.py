"""Working planes: every sample value survives the way there and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from video.clips import noise

from licodec.model.geometry import Geometry, from_working, to_working
from licodec.video.info import CHROMA_FORMATS, ChromaFormat, VideoInfo

DEPTHS = (8, 10, 12, 16)


@pytest.mark.parametrize("chroma", CHROMA_FORMATS)
@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("size", [(16, 8), (7, 5), (1, 1)])
def test_noise_comes_back_exactly(chroma: ChromaFormat, depth: int, size: tuple[int, int]) -> None:
    info = VideoInfo(*size, chroma, depth)
    planes = noise(info, seed=depth)
    back = from_working(to_working(planes, info), info)
    for a, b in zip(planes, back, strict=True):
        assert b.dtype == info.dtype
        np.testing.assert_array_equal(a, b)


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_every_rgb_colour_comes_back_exactly(colour: tuple[int, int, int]) -> None:
    info = VideoInfo(1, 1, "rgb")
    planes = tuple(np.array([[c]], np.uint8) for c in colour)
    assert [int(p[0, 0]) for p in from_working(to_working(planes, info), info)] == list(colour)


@pytest.mark.parametrize("chroma", CHROMA_FORMATS)
@pytest.mark.parametrize("depth", DEPTHS)
def test_working_planes_are_on_the_8_bit_scale(chroma: ChromaFormat, depth: int) -> None:
    info = VideoInfo(6, 4, chroma, depth)
    for planes in (noise(info), tuple(np.full(s, (1 << depth) - 1, info.dtype) for s in info.plane_shapes)):
        for plane, shape in zip(to_working(planes, info), info.plane_shapes, strict=True):
            assert plane.dtype == np.float32
            assert plane.shape == shape
            assert plane.min() >= 0
            assert plane.max() < 256


def test_grey_rgb_has_neutral_chroma() -> None:
    info = VideoInfo(4, 2, "rgb")
    luma, *chroma = to_working(tuple(np.full((2, 4), 77, np.uint8) for _ in range(3)), info)
    assert (luma == 77).all()
    assert all((c == 128).all() for c in chroma)


@pytest.mark.parametrize(("depth", "peak"), [(8, 255), (10, 1023), (16, 65535)])
def test_values_out_of_range_are_clipped_and_the_rest_rounded_to_nearest(depth: int, peak: int) -> None:
    info = VideoInfo(4, 1, "gray", depth)
    unit = np.float32(2.0 ** (8 - depth))
    (plane,) = from_working((np.array([[-3, 300, 9.4 * unit, 9.6 * unit]], np.float32),), info)
    assert plane.tolist() == [[0, peak, 9, 10]]


def test_planes_that_come_as_slices_of_larger_arrays_are_read_right() -> None:
    info = VideoInfo(5, 3, "gray")
    large = np.arange(100, dtype=np.uint8).reshape(10, 10)
    (plane,) = to_working((large[2:5, 4:9],), info)
    np.testing.assert_array_equal(plane, large[2:5, 4:9])


@pytest.mark.parametrize("chroma", CHROMA_FORMATS)
@given(size=st.tuples(st.integers(1, 200), st.integers(1, 200)))
def test_everything_symbols_are_laid_out_on_covers_the_planes(chroma: ChromaFormat, size: tuple[int, int]) -> None:
    info = VideoInfo(*size, chroma)
    geometry = Geometry.of(info)
    assert sorted(i for group in geometry.groups for i in group) == list(range(len(info.plane_shapes)))
    for g, members in enumerate(geometry.groups):
        # One size map serves all planes of a group.
        assert len({geometry.shapes[i] for i in members}) == 1
        for have, need in zip(geometry.padded(g), geometry.shapes[members[0]], strict=True):
            assert have % 32 == 0
            assert need <= have < need + 32
        assert geometry.cells(g) == tuple(n // 8 for n in geometry.padded(g))
    rows, columns = geometry.blend_shape
    assert (rows - 1) * 16 < size[1] <= rows * 16
    assert (columns - 1) * 16 < size[0] <= columns * 16
    assert [geometry.step(i) for i in range(len(geometry.shapes))] == [(1, 1), info.subsampling, info.subsampling][
        : len(geometry.shapes)
    ]
