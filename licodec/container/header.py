"""HEAD: what the video is, as bytes."""

from __future__ import annotations

from fractions import Fraction
from math import gcd

from licodec.container.bytesio import ByteReader, ByteWriter
from licodec.container.limits import Limits
from licodec.errors import UnsupportedError
from licodec.video.info import CHROMA_FORMATS, VideoInfo

DIMENSION_MAX = 2**16 - 1
RATIONAL_MAX = 2**31 - 1
"""Largest numerator and denominator, which is also FFmpeg's."""
CHROMA_LOCATION_MAX = 6


def encode_head(info: VideoInfo, limits: Limits) -> bytes:
    """Payload of HEAD. Raises UnsupportedError for a video that the format cannot describe."""
    for name, value, low, high in (
        ("width", info.width, 1, DIMENSION_MAX),
        ("height", info.height, 1, DIMENSION_MAX),
        ("bit depth", info.bit_depth, 8, 16),
        ("colour primaries", info.primaries, 0, 255),
        ("transfer characteristics", info.transfer, 0, 255),
        ("matrix coefficients", info.matrix, 0, 255),
        ("chroma location", info.chroma_location, 0, CHROMA_LOCATION_MAX),
        ("sample aspect numerator", info.sample_aspect.numerator, 1, RATIONAL_MAX),
        ("sample aspect denominator", info.sample_aspect.denominator, 1, RATIONAL_MAX),
        ("time base numerator", info.time_base.numerator, 1, RATIONAL_MAX),
        ("time base denominator", info.time_base.denominator, 1, RATIONAL_MAX),
    ):
        if not low <= value <= high:
            raise UnsupportedError(f"a .linr file cannot hold a {name} of {value} ({low} to {high})")
    if info.rotation not in (0, 90, 180, 270):
        raise UnsupportedError(f"a .linr file cannot hold a rotation of {info.rotation} (0, 90, 180 or 270)")
    _check_size(info.width, info.height, limits)

    out = ByteWriter()
    out.u16(info.width)
    out.u16(info.height)
    out.u8(CHROMA_FORMATS.index(info.chroma))
    out.u8(info.bit_depth)
    out.u8(info.rotation // 90)
    out.u8(info.primaries)
    out.u8(info.transfer)
    out.u8(info.matrix)
    out.u8(int(info.full_range))
    out.u8(info.chroma_location)
    for fraction in (info.sample_aspect, info.time_base):
        out.varint(fraction.numerator)
        out.varint(fraction.denominator)
    return out.to_bytes()


def parse_head(payload: bytes, limits: Limits) -> VideoInfo:
    """The inverse."""
    data = ByteReader(payload)
    width, height = data.u16(), data.u16()
    if not width or not height:
        raise data.damaged(f"impossible size {width}x{height}")
    _check_size(width, height, limits)
    chroma = CHROMA_FORMATS[_code(data, "chroma format", 0, len(CHROMA_FORMATS) - 1)]
    info = VideoInfo(
        width,
        height,
        chroma,
        bit_depth=_code(data, "bit depth", 8, 16),
        rotation=90 * _code(data, "rotation", 0, 3),
        primaries=data.u8(),
        transfer=data.u8(),
        matrix=data.u8(),
        full_range=bool(_code(data, "range", 0, 1)),
        chroma_location=_code(data, "chroma location", 0, CHROMA_LOCATION_MAX),
        sample_aspect=_rational(data, "sample aspect"),
        time_base=_rational(data, "time base"),
    )
    data.end()
    return info


def _check_size(width: int, height: int, limits: Limits) -> None:
    limits.check("max_width", width)
    limits.check("max_height", height)
    limits.check("max_pixels", width * height)


def _code(data: ByteReader, name: str, low: int, high: int) -> int:
    value = data.u8()
    if not low <= value <= high:
        raise data.damaged(f"{name} {value} is not one of {low} to {high}")
    return value


def _rational(data: ByteReader, name: str) -> Fraction:
    numerator, denominator = data.varint(), data.varint()
    if not (1 <= numerator <= RATIONAL_MAX and 1 <= denominator <= RATIONAL_MAX):
        raise data.damaged(f"impossible {name} {numerator}/{denominator}")
    # One value, one spelling: equal videos have equal headers.
    if gcd(numerator, denominator) != 1:
        raise data.damaged(f"{name} {numerator}/{denominator} is not in lowest terms")
    return Fraction(numerator, denominator)
