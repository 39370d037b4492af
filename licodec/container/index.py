"""INDX: where everything is and when every frame is shown."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

import zstandard

from licodec.container.bytesio import ByteReader
from licodec.container.chunks import CHUNK_BYTES_MIN, CRITICAL, SEGM, UNIQUE_ANCILLARY, is_critical, is_type
from licodec.container.limits import Limits
from licodec.container.times import read_times
from licodec.errors import DamagedFileError, UnsupportedError

STORED, ZSTANDARD = 0, 1


@dataclass(frozen=True)
class ChunkEntry:
    """A chunk between CONF and INDX."""

    kind: str
    """Four ASCII letters: `SEGM` or an ancillary type."""
    offset: int
    """Byte of the file at which it begins."""
    length: int
    """Bytes of the whole chunk."""


@dataclass(frozen=True)
class SegmentEntry:
    """A segment: frames that decode without any other segment."""

    first_frame: int
    """Number of its first frame in the file, from 0."""
    frame_count: int
    """How many frames it has; at least 1."""
    offset: int
    """Byte of the file at which its chunk begins."""
    length: int
    """Bytes of the whole chunk."""


@dataclass
class Directory:
    """The chunks between CONF and INDX, in the order of the file, which is that of time."""

    chunks: list[ChunkEntry] = field(default_factory=list)
    """All of them."""
    segments: list[SegmentEntry] = field(default_factory=list)
    """The SEGM among them."""
    pts: array[int] = field(default_factory=lambda: array("q"))
    """Presentation time of every frame, in ticks; strictly increasing."""
    durations: array[int] = field(default_factory=lambda: array("q"))
    """How long every frame is shown, in ticks; at least 1."""

    def add(self, kind: str, offset: int, length: int, data: ByteReader, limits: Limits) -> None:
        """Append a chunk; for a segment, `data` stands at its time table. Raises before anything changes."""
        limits.check("max_chunks", len(self.chunks) + 1)
        if kind == SEGM:
            pts, durations = read_times(data, limits, len(self.pts))
            if self.pts and pts[0] <= self.pts[-1]:
                raise data.damaged("a segment begins before the last frame of the one before it")
            self.segments.append(SegmentEntry(len(self.pts), len(pts), offset, length))
            self.pts += pts
            self.durations += durations
        else:
            if kind in CRITICAL:
                raise data.damaged(f"a second {kind}")
            if is_critical(kind):
                raise UnsupportedError(f"needs chunk type {kind}, unknown to this licodec; use a newer one")
            if kind in UNIQUE_ANCILLARY and any(chunk.kind == kind for chunk in self.chunks):
                raise data.damaged(f"a second {kind}")
        self.chunks.append(ChunkEntry(kind, offset, length))


def encode_index(body: bytes) -> bytes:
    """Payload of INDX for the entries written one after another."""
    frame = zstandard.ZstdCompressor(level=19).compress(body)
    if len(frame) < len(body):
        return bytes((ZSTANDARD,)) + frame
    return bytes((STORED,)) + body


def parse_index(payload: bytes, start: int, end: int, limits: Limits) -> Directory:
    """The chunks that lie between the bytes `start` and `end` of the file, without a hole."""
    method = ByteReader(payload).u8()
    if method not in (STORED, ZSTANDARD):
        raise DamagedFileError(f"compression method {method} is not one of 0 and 1")
    body = inflate(payload[1:], limits) if method == ZSTANDARD else payload[1:]
    limits.check("max_inflated_bytes", len(body))
    data = ByteReader(body)
    directory = Directory()
    offset = start
    while data.remaining:
        kind, length = data.raw(4), data.varint()
        if not is_type(kind):
            raise data.damaged("a chunk type that is not four letters")
        if not CHUNK_BYTES_MIN <= length <= end - offset:
            raise data.damaged(f"{kind.decode()} of {length} bytes where {end - offset} are left")
        directory.add(kind.decode(), offset, length, data, limits)
        offset += length
    if offset != end:
        raise data.damaged(f"bytes {offset} to {end} of the file belong to no chunk")
    if not directory.segments:
        raise data.damaged("a video without frames")
    return directory


def inflate(frame: bytes, limits: Limits) -> bytes:
    """Content of one whole zstandard frame, whose declared size is checked before anything is allocated."""
    try:
        size = zstandard.get_frame_parameters(frame).content_size
        if size == zstandard.CONTENTSIZE_UNKNOWN:
            raise DamagedFileError("zstandard data that does not declare its size")
        limits.check("max_inflated_bytes", size)
        return zstandard.ZstdDecompressor().decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise DamagedFileError("zstandard data that does not inflate") from error
