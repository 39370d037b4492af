"""YUV4MPEG2, the raw format that video tools pass through pipes."""

from __future__ import annotations

from fractions import Fraction

from licodec.errors import UsageError
from licodec.video.info import Plane, VideoInfo

# By AVChromaLocation; unspecified is taken as H.264's 'left', as everywhere in licodec.
_SITES = {0: "420mpeg2", 1: "420mpeg2", 2: "420jpeg", 3: "420paldv"}


def header(info: VideoInfo, rate: Fraction) -> bytes:
    """The stream header, for `rate` frames a second. Raises UsageError for RGB, which the format lacks."""
    if info.chroma == "rgb":
        raise UsageError("y4m cannot hold RGB: write .mkv or %05d.png")
    colour: str = "mono" if info.chroma == "gray" else info.chroma
    if info.bit_depth > 8:
        colour += f"{'' if info.chroma == 'gray' else 'p'}{info.bit_depth}"
    elif info.chroma == "420":
        colour = _SITES.get(info.chroma_location, _SITES[0])
    aspect = info.sample_aspect
    text = (
        f"YUV4MPEG2 W{info.width} H{info.height} F{rate.numerator}:{rate.denominator} Ip "
        f"A{aspect.numerator}:{aspect.denominator} C{colour} "
        f"XCOLORRANGE={'FULL' if info.full_range else 'LIMITED'}\n"
    )
    return text.encode()


def picture(planes: tuple[Plane, ...]) -> bytes:
    """One frame with its marker; 16-bit samples are little-endian."""
    return b"FRAME\n" + b"".join(p.astype(p.dtype.newbyteorder("<"), copy=False).tobytes() for p in planes)
