"""Between PyAV frames, in any pixel format FFmpeg has, and planes of numpy arrays, without loss."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import av
import numpy as np
from av.video.reformatter import Interpolation

from licodec.errors import UnsupportedError
from licodec.video.info import ChromaFormat, Plane, VideoInfo

# Bicubic decides only where chroma has to be interpolated (4:1:1, 4:1:0, 4:4:0); repacking is exact.
_EXACT = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.BITEXACT
)
_DEPTHS = (8, 9, 10, 12, 14, 16)
_CHROMA: dict[tuple[int, int], ChromaFormat] = {
    (1, 1): "444",
    (2, 1): "422",
    (2, 2): "420",
    (4, 1): "422",  # 4:1:1, the nearest that loses nothing
    (4, 2): "420",
    (4, 4): "420",  # 4:1:0
    (1, 2): "444",  # 4:4:0
}
_PLANAR = re.compile(r"(?:yuva?(?:420|422|444)p|gbra?p|gray)(?:(?:9|1[0-6])(msb)?(le|be))?")
_SEMI_PLANAR = re.compile(r"p[024]\d\d(le|be)")


@dataclass(frozen=True)
class Layout:
    """How one of FFmpeg's pixel formats becomes planes."""

    chroma: ChromaFormat
    bit_depth: int
    target: str
    """FFmpeg's name of the planar little-endian format that holds these planes."""
    notes: tuple[str, ...]
    """What the planes do not keep, for the user."""


def planar_name(chroma: ChromaFormat, bit_depth: int) -> str:
    """FFmpeg's planar little-endian pixel format. Raises UnsupportedError for a depth it lacks."""
    if bit_depth not in _DEPTHS:
        raise UnsupportedError(f"{bit_depth} bits a sample: only {', '.join(map(str, _DEPTHS))} can be stored")
    stem = {"gray": "gray", "rgb": "gbrp"}.get(chroma, f"yuv{chroma}p")
    return stem if bit_depth == 8 else f"{stem}{bit_depth}le"


@lru_cache(maxsize=64)
def layout_of(pix_fmt: str) -> Layout:
    """The planes that hold every sample of `pix_fmt`: same depth, chroma at least as fine.

    yuvj is yuv of full range; alpha is dropped; fewer than 8 bits become 8.
    Raises UnsupportedError for floating point, more than 16 bits, and formats that only live on a GPU.
    """
    try:
        form = av.VideoFormat(pix_fmt, 16, 16)
        parts = [part for part in form.components if not part.is_alpha]
    except (ValueError, av.FFmpegError):
        parts = []
    bits = max((part.bits for part in parts), default=0)
    if not 0 < bits <= 16 or re.search(r"f(16|32)", pix_fmt):
        raise UnsupportedError(f"pixel format {pix_fmt}: only integer samples of up to 16 bits can be read")
    depth = next(d for d in _DEPTHS if d >= bits)
    chroma: ChromaFormat
    sub = (16 // form.chroma_width(16), 16 // form.chroma_height(16))
    if form.is_rgb or form.has_palette or form.is_bayer or pix_fmt.startswith("xyz"):
        chroma = "rgb"
    elif len(parts) == 1:
        chroma = "gray"
    elif sub in _CHROMA:
        chroma = _CHROMA[sub]
    else:
        raise UnsupportedError(f"pixel format {pix_fmt}: chroma subsampling {sub[0]}x{sub[1]} is not supported")
    notes = []
    if len(parts) < len(form.components):
        notes.append(f"{pix_fmt}: the alpha channel is dropped")
    if form.is_bayer or pix_fmt.startswith("xyz"):
        notes.append(f"{pix_fmt}: converted to RGB")
    if chroma in ("420", "422", "444") and sub not in ((1, 1), (2, 1), (2, 2)):
        notes.append(f"{pix_fmt}: chroma is interpolated to 4:{chroma[1]}:{chroma[2]}")
    return Layout(chroma, depth, planar_name(chroma, depth), tuple(notes))


def to_planes(frame: av.VideoFrame) -> tuple[Plane, ...]:
    """Y | Y, U, V | R, G, B of a decoded frame, in `layout_of(frame.format.name)`; contiguous copies."""
    layout = layout_of(frame.format.name)
    name = frame.format.name.replace("yuvj", "yuv")
    if match := _SEMI_PLANAR.fullmatch(name):  # numpy: swscale loses the last column of odd-sized P010
        return _semi_planar(frame, layout, match[1])
    match = _PLANAR.fullmatch(name)
    if match is None:
        frame = _convert(frame, layout.target)
        match = _PLANAR.fullmatch(layout.target)
        assert match is not None
    msb, endian = match.groups()
    count = 1 if layout.chroma == "gray" else 3
    planes = [_read(frame.planes[i], layout.bit_depth, endian) for i in range(count)]
    if msb:
        planes = [plane >> (16 - layout.bit_depth) for plane in planes]
    return (planes[2], planes[0], planes[1]) if layout.chroma == "rgb" else tuple(planes)


def from_planes(planes: tuple[Plane, ...], info: VideoInfo, pix_fmt: str) -> av.VideoFrame:
    """A frame in `pix_fmt`, a repacking of `info`'s planes or gray to 4:2:0, tagged with its colours.

    Raises UnsupportedError for a bit depth that FFmpeg has no planar format for.
    """
    name = planar_name(info.chroma, info.bit_depth)
    if info.chroma == "gray" and pix_fmt.startswith("yuv420p"):
        neutral = np.full((-(-info.height // 2), -(-info.width // 2)), 1 << (info.bit_depth - 1), info.dtype)
        planes, name = (*planes, neutral, neutral), pix_fmt
    elif info.chroma == "rgb":
        planes = (planes[1], planes[2], planes[0])
    frame = av.VideoFrame(info.width, info.height, name)
    for target, plane in zip(frame.planes, planes, strict=True):
        rows = np.frombuffer(target, plane.dtype).reshape(target.height, -1)
        rows[:, : target.width] = plane
    frame.color_range = 2 if info.full_range or info.chroma == "rgb" else 1
    frame.colorspace = 0 if info.chroma == "rgb" else info.matrix
    frame.color_primaries = info.primaries
    frame.color_trc = info.transfer
    if frame.format.name != pix_fmt:
        frame = _convert(frame, pix_fmt)
    return frame


def storing_formats(info: VideoInfo) -> tuple[str, ...]:
    """Pixel formats that hold `info`'s samples without loss, the most natural first."""
    names = [planar_name(info.chroma, info.bit_depth)]
    if info.chroma == "rgb":
        names += {8: ["rgb24", "bgr24", "bgr0"], 16: ["rgb48le", "rgb48be"]}.get(info.bit_depth, [])
    if info.bit_depth == 8 and info.full_range and info.chroma in ("420", "422", "444"):
        names.append(f"yuvj{info.chroma}p")
    if info.chroma == "420" and info.bit_depth == 10:
        names.append("p010le")
    if info.chroma == "gray":
        names += [planar_name("420", info.bit_depth)]
    return tuple(names)


def has_transparency(frame: av.VideoFrame) -> bool:
    """Whether a palette picture uses a colour that is not opaque; False for every other format."""
    if frame.format.name != "pal8":
        return False
    used = np.unique(_read(frame.planes[0], 8, None))
    argb = np.frombuffer(frame.planes[1], np.uint32)
    return bool((argb[used] >> 24 != 255).any())


def _convert(frame: av.VideoFrame, pix_fmt: str) -> av.VideoFrame:
    # The same range on both sides, or swscale would take one as limited and rescale the samples.
    return frame.reformat(format=pix_fmt, interpolation=_EXACT, src_color_range=2, dst_color_range=2, threads=1)


def _read(plane: av.video.plane.VideoPlane, bit_depth: int, endian: str | None, step: int = 1) -> Plane:
    """[rows, columns * step] samples in native byte order; FFmpeg pads lines and may store them bottom up."""
    stored = np.dtype(np.uint8) if bit_depth == 8 else np.dtype(">u2" if endian == "be" else "<u2")
    rows = np.frombuffer(plane, stored).reshape(plane.height, -1)
    if plane.line_size < 0:
        rows = rows[::-1]
    return rows[:, : plane.width * step].astype(stored.newbyteorder("="), order="C")


def _semi_planar(frame: av.VideoFrame, layout: Layout, endian: str) -> tuple[Plane, ...]:
    shift = 16 - layout.bit_depth  # these formats keep their samples in the high bits
    luma = _read(frame.planes[0], 16, endian) >> shift
    chroma = _read(frame.planes[1], 16, endian, step=2) >> shift
    return luma, np.ascontiguousarray(chroma[:, 0::2]), np.ascontiguousarray(chroma[:, 1::2])
