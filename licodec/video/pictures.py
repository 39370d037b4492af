"""Folders and patterns of still pictures: finding, reading and, for PNG, writing them."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np

from licodec.errors import DamagedFileError, UsageError
from licodec.video.colour import to_rgb
from licodec.video.ffmpeg import reason
from licodec.video.info import Plane, VideoInfo

_DECODERS = {
    ".png": "png",
    ".jpg": "mjpeg",
    ".jpeg": "mjpeg",
    ".bmp": "bmp",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".webp": "webp",
}
_NUMBER = re.compile(r"%(0\d+)?d")


def is_pattern(path: Path) -> bool:
    """Whether the file name has exactly one place for a frame number: `%d`, `%05d`."""
    return len(_NUMBER.findall(path.name)) == 1


def numbered(pattern: Path, number: int) -> Path:
    """The file of one frame number."""
    return pattern.with_name(_NUMBER.sub(lambda match: match[0] % number, pattern.name))


def matches(pattern: Path) -> list[tuple[int, Path]]:
    """(number, file) of every existing file of a pattern, by number. Raises OSError."""
    place = _NUMBER.search(pattern.name)
    assert place is not None
    before, after = pattern.name[: place.start()], pattern.name[place.end() :]
    wanted = re.compile(rf"{re.escape(before)}(\d+){re.escape(after)}")
    found = []
    for file in pattern.parent.iterdir():
        if (match := wanted.fullmatch(file.name)) and numbered(pattern, int(match[1])) == file:
            found.append((int(match[1]), file))
    return sorted(found)


def find(spec: Path) -> tuple[list[Path], list[str]]:
    """The pictures of a directory (in natural order: 9 before 10) or a pattern, and warnings.

    Raises UsageError when there are none, or when a directory mixes kinds.
    """
    notes = []
    try:
        if spec.is_dir():
            found = [f for f in spec.iterdir() if f.suffix.lower() in _DECODERS and not f.name.startswith(".")]
            found.sort(key=lambda f: [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", f.name)])
        else:
            numbers = matches(spec)
            found = [file for _, file in numbers]
            gaps = [number + 1 for (number, _), (later, _) in pairwise(numbers) if later != number + 1]
            if gaps:
                notes = [f"{spec}: picture {gaps[0]} is missing; the ones after it move up"]
    except OSError as error:
        raise UsageError(f"{spec}: cannot be read: {reason(error)}") from None
    if not found and spec.is_dir():
        raise UsageError(f"{spec}: the directory holds no pictures ({', '.join(_DECODERS)})")
    if not found:
        raise UsageError(f"{spec}: no file fits this pattern")
    kinds = sorted({_DECODERS.get(file.suffix.lower(), "?") for file in found})
    if kinds == ["?"]:
        raise UsageError(f"{spec}: pictures must be one of {', '.join(_DECODERS)}")
    if len(kinds) > 1:
        raise UsageError(f"{spec}: the directory mixes {' and '.join(kinds)}: name one kind by a pattern")
    return found, notes


def read(path: Path) -> av.VideoFrame:
    """Decode one picture. Raises UsageError when it cannot be read, DamagedFileError when it is broken."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {reason(error)}") from None
    if not data:
        raise DamagedFileError(f"{path}: the picture is empty")
    decoder: Any = av.CodecContext.create(_DECODERS[path.suffix.lower()], "r")
    try:
        frames = [*decoder.decode(av.Packet(data)), *decoder.decode(None)]
    except av.FFmpegError as error:
        raise DamagedFileError(f"{path}: the picture is damaged: {reason(error)}") from None
    if not frames or frames[0].is_corrupt:
        raise DamagedFileError(f"{path}: the picture is damaged")
    first: av.VideoFrame = frames[0]
    return first


class PngEncoder:
    """Pictures as PNG files: RGB or gray, 8 bits, or 16 for deeper samples (scaled to the full 16).

    Colour primaries and transfer are written as tags; range and matrix are applied; the picture is not
    rotated.
    """

    def __init__(self, info: VideoInfo) -> None:
        kind = ("gray", "gray16be") if info.chroma == "gray" else ("rgb24", "rgb48be")
        self._info = info
        self._pix_fmt = kind[info.bit_depth > 8]
        self._context = av.CodecContext.create("png", "w")
        self._context.width, self._context.height = info.width, info.height
        self._context.pix_fmt = self._pix_fmt
        self._context.time_base = info.time_base
        # As small as FFmpeg's default to within 7 %, in a quarter of its time.
        self._context.options = {"pred": "up", "compression_level": "2"}
        self._context.sample_aspect_ratio = info.sample_aspect
        self._context.color_range = 2
        self._context.color_primaries, self._context.color_trc = info.primaries, info.transfer

    def encode(self, planes: tuple[Plane, ...]) -> bytes:
        """One PNG file. Raises UnsupportedError as `to_rgb` does."""
        info = self._info
        picture = to_rgb(planes, info)
        if info.chroma == "gray":
            picture = picture[:, :, 0]
        if info.bit_depth > 8:
            peak = (1 << info.bit_depth) - 1
            picture = ((picture.astype(np.uint32) * 65535 + peak // 2) // peak).astype(">u2")
        frame = av.VideoFrame(info.width, info.height, self._pix_fmt)
        rows = np.frombuffer(frame.planes[0], picture.dtype).reshape(info.height, -1)
        rows[:, : picture[0].size] = picture.reshape(info.height, -1)
        frame.color_range = 2
        frame.color_primaries, frame.color_trc = info.primaries, info.transfer
        return b"".join(bytes(packet) for packet in self._context.encode(frame))
