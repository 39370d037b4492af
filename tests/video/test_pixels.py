"""Every pixel format becomes planes without losing a sample."""

import av
import numpy as np
import pytest
from av.video.reformatter import Interpolation

from licodec.errors import UnsupportedError
from licodec.video.info import VideoInfo
from licodec.video.pixels import from_planes, layout_of, planar_name, storing_formats, to_planes

from .clips import av_frame, noise

SIZES = [(64, 48), (175, 143), (1, 1)]
PLANAR = [(c, d) for c in ("gray", "420", "422", "444", "rgb") for d in (8, 9, 10, 12, 14, 16)]
# swscale packs these exactly (checked in both directions); what `to_planes` does is compared with it.
PACKED = {
    ("420", 8): ["nv12", "nv21", "yuva420p"],
    ("422", 8): ["yuyv422", "uyvy422", "yvyu422", "nv16"],
    ("444", 8): ["nv24", "nv42", "vuyx", "ayuv", "yuva444p"],
    ("420", 10): ["yuv420p10be"],
    ("422", 10): ["y210le", "p210le", "yuv422p10be"],
    ("444", 10): ["xv30le", "p410le", "yuv444p10be"],
    ("444", 12): ["xv36le", "yuv444p12msble"],
    ("420", 16): ["yuv420p16be"],
    ("rgb", 8): ["rgb24", "bgr24", "rgb0", "0bgr", "bgra", "argb", "gbrap"],
    ("rgb", 10): ["x2rgb10le", "gbrp10be"],
    ("rgb", 16): ["rgb48le", "bgr48be", "rgba64le", "gbrp16be"],
    ("gray", 8): ["ya8"],
    ("gray", 10): ["gray10be"],
    ("gray", 16): ["gray16be", "ya16le"],
}


def as_ffmpeg_orders(planes, chroma):
    return (planes[1], planes[2], planes[0]) if chroma == "rgb" else planes


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("chroma", "depth"), PLANAR)
def test_planar_formats_are_copied_exactly(chroma, depth, size):
    info = VideoInfo(*size, chroma, depth)
    planes = noise(info)
    name = planar_name(chroma, depth)
    found = to_planes(av_frame(as_ffmpeg_orders(planes, chroma), name))
    assert (layout_of(name).chroma, layout_of(name).bit_depth) == (chroma, depth)
    for plane, expected in zip(found, planes, strict=True):
        assert plane.dtype == info.dtype
        assert plane.flags.c_contiguous
        np.testing.assert_array_equal(plane, expected)
    again = to_planes(from_planes(planes, info, name))
    for plane, expected in zip(again, planes, strict=True):
        np.testing.assert_array_equal(plane, expected)


@pytest.mark.parametrize("size", SIZES[:2])
@pytest.mark.parametrize(("key", "packed"), [(key, name) for key, names in PACKED.items() for name in names])
def test_packed_formats_are_unpacked_exactly(key, packed, size):
    info = VideoInfo(*size, *key)
    planes = noise(info)
    source = av_frame(as_ffmpeg_orders(planes, key[0]), planar_name(*key))
    frame = source.reformat(format=packed, interpolation=Interpolation.POINT | Interpolation.ACCURATE_RND)
    assert frame.format.name == packed
    for plane, expected in zip(to_planes(frame), planes, strict=True):
        np.testing.assert_array_equal(plane, expected)
    assert (layout_of(packed).chroma, layout_of(packed).bit_depth) == key


@pytest.mark.parametrize(
    ("name", "chroma", "depth"), [("p010le", "420", 10), ("p012be", "420", 12), ("p216le", "422", 16)]
)
def test_semi_planar_high_bits_of_odd_size(name, chroma, depth):
    """Written by hand: swscale drops the last chroma column of these."""
    info = VideoInfo(175, 143, chroma, depth)
    y, u, v = noise(info)
    frame = av.VideoFrame(175, 143, name)
    stored = ">u2" if name.endswith("be") else "<u2"
    luma = np.frombuffer(frame.planes[0], stored).reshape(143, -1)
    luma[:, :175] = y.astype(np.uint32) << (16 - depth)
    chroma_rows = np.frombuffer(frame.planes[1], stored).reshape(u.shape[0], -1)
    chroma_rows[:, 0:176:2] = u.astype(np.uint32) << (16 - depth)
    chroma_rows[:, 1:176:2] = v.astype(np.uint32) << (16 - depth)
    for plane, expected in zip(to_planes(frame), (y, u, v), strict=True):
        np.testing.assert_array_equal(plane, expected)


@pytest.mark.parametrize("full", [False, True])
def test_yuvj_is_yuv_of_full_range_with_the_same_samples(full):
    info = VideoInfo(175, 143)
    planes = noise(info)
    frame = av_frame(planes, "yuvj420p")
    frame.color_range = 2 if full else 0
    for plane, expected in zip(to_planes(frame), planes, strict=True):
        np.testing.assert_array_equal(plane, expected)


@pytest.mark.parametrize(("name", "chroma"), [("yuv411p", "422"), ("yuv410p", "420"), ("yuv440p", "444")])
def test_exotic_subsampling_goes_to_the_next_finer_one(name, chroma):
    """A flat picture stays as it is; a ramp stays a ramp; the user is told."""
    frame = av.VideoFrame(64, 48, name)
    for plane, value in zip(frame.planes, (50, 100, 200), strict=True):
        np.frombuffer(plane, np.uint8)[:] = value
    ramp = frame.planes[1]
    np.frombuffer(ramp, np.uint8).reshape(ramp.height, -1)[:, : ramp.width] = np.arange(ramp.width) * 2
    y, u, v = to_planes(frame)
    layout = layout_of(name)
    assert layout.chroma == chroma
    assert "interpolated" in layout.notes[0]
    assert (y.shape, u.shape, v.shape) == VideoInfo(64, 48, chroma).plane_shapes
    assert (y == 50).all()
    assert (v == 200).all()
    assert (np.diff(u.astype(int), axis=1) >= 0).all()
    assert abs(int(u[5, u.shape[1] // 2]) - ramp.width) <= 2


def test_notes_name_what_is_lost():
    assert layout_of("yuv420p").notes == ()
    assert layout_of("rgba").notes == ("rgba: the alpha channel is dropped",)
    assert layout_of("monow").bit_depth == 8


@pytest.mark.parametrize("name", ["cuda", "gbrpf32le", "rgbaf16le", "gray32le", "rgba128le", "nothing"])
def test_formats_that_cannot_be_read_are_named(name):
    with pytest.raises(UnsupportedError, match=name):
        layout_of(name)


def test_gray_can_be_stored_as_420():
    info = VideoInfo(175, 143, "gray", 10)
    planes = noise(info)
    assert storing_formats(info) == ("gray10le", "yuv420p10le")
    y, u, v = to_planes(from_planes(planes, info, "yuv420p10le"))
    np.testing.assert_array_equal(y, planes[0])
    assert (u == 512).all()
    assert (v == 512).all()


@pytest.mark.parametrize("name", storing_formats(VideoInfo(9, 7, "rgb")) + storing_formats(VideoInfo(9, 7, "rgb", 16)))
def test_rgb_survives_every_packing(name):
    info = VideoInfo(9, 7, "rgb", layout_of(name).bit_depth)
    planes = noise(info)
    for plane, expected in zip(to_planes(from_planes(planes, info, name)), planes, strict=True):
        np.testing.assert_array_equal(plane, expected)


def test_lines_stored_bottom_up():
    """Some decoders (BMP, raw AVI) give negative line sizes: the picture must not be upside down."""
    info = VideoInfo(6, 4, "gray")
    plane = noise(info)[0]
    graph = av.filter.Graph()
    source = graph.add_buffer(width=6, height=4, format="gray", time_base=1)
    flip, sink = graph.add("vflip"), graph.add("buffersink")
    source.link_to(flip)
    flip.link_to(sink)
    graph.configure()
    frame = av_frame((plane,), "gray")
    frame.pts = 0
    graph.push(frame)
    flipped = graph.pull()
    assert flipped.planes[0].line_size < 0
    np.testing.assert_array_equal(to_planes(flipped)[0], plane[::-1])


def test_depths_without_a_format_are_refused():
    with pytest.raises(UnsupportedError, match="11 bits"):
        planar_name("420", 11)
