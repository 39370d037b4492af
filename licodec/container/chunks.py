"""Signature, versions and chunks: the outermost syntax of the file."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

from licodec.container.bytesio import ByteReader, ByteWriter
from licodec.container.limits import Limits
from licodec.container.source import Source
from licodec.errors import DamagedFileError, UnsupportedError

MAGIC = b"\x89LINR\r\n\x1a"
"""As PNG's: a byte no text has, the name, and line ends that a transfer in text mode would change."""
FORMAT_VERSION = 0
"""Version of the format that this writer follows."""
MIN_READER_VERSION = 0
"""Version that a reader needs for what this writer writes."""
PREFIX = MAGIC + bytes((FORMAT_VERSION, MIN_READER_VERSION))
"""The first bytes of every file."""

HEAD, CONF, SEGM, INDX, ENDF = "HEAD", "CONF", "SEGM", "INDX", "ENDF"
AUDIO_SUBTITLES, ENCODER_SETTINGS, SEMANTIC_LATENTS = "auxS", "encS", "semL"
CRITICAL = frozenset({HEAD, CONF, SEGM, INDX, ENDF})
UNIQUE_ANCILLARY = frozenset({AUDIO_SUBTITLES, ENCODER_SETTINGS})

_TYPE = re.compile(rb"[A-Za-z]{4}")
_TYPE_BYTES, _LENGTH_BYTES_MAX, CRC_BYTES = 4, 9, 4
CHUNK_BYTES_MIN = _TYPE_BYTES + 1 + CRC_BYTES


@dataclass(frozen=True)
class ChunkHeader:
    """A chunk found at a place of the file, its payload not read yet."""

    kind: str
    """Four ASCII letters."""
    offset: int
    """Byte of the file at which its type begins."""
    start: int
    """Byte of the file at which its payload begins."""
    size: int
    """Bytes of payload."""

    @property
    def end(self) -> int:
        """The byte after its checksum."""
        return self.start + self.size + CRC_BYTES

    @property
    def length(self) -> int:
        """Bytes of the whole chunk: type, length field, payload and checksum."""
        return self.end - self.offset


def is_critical(kind: str) -> bool:
    """Bit 5 of the first letter, as in PNG: upper case must be understood, lower case may be skipped."""
    return kind[:1].isupper()


def is_type(kind: bytes) -> bool:
    """Whether these are four ASCII letters."""
    return _TYPE.fullmatch(kind) is not None


def check_prefix(source: Source) -> None:
    """Raise unless the file begins with the signature and versions that this reader accepts."""
    head = source.read_at(0, min(len(PREFIX), source.size))
    if not head:
        raise DamagedFileError("is empty")
    magic, versions = head[: len(MAGIC)], head[len(MAGIC) :]
    if magic != MAGIC[: len(magic)]:
        if b"LINR" in magic:
            raise DamagedFileError("damaged signature: was it transferred as text instead of binary?")
        raise DamagedFileError("not a .linr file")
    if len(head) < len(PREFIX):
        raise DamagedFileError(f"cut short: only {len(head)} bytes are left")
    # Before 1.0 versions promise nothing to one another; from 1.0 on only the second byte will count.
    if versions != PREFIX[len(MAGIC) :]:
        raise UnsupportedError(
            f"format version {versions[0]} (for readers from {versions[1]}), "
            f"but this licodec reads only version {FORMAT_VERSION}; use the licodec that wrote it"
        )


def chunk_start(kind: str, size: int) -> bytes:
    """The bytes of a chunk before its payload."""
    if not is_type(kind.encode("utf-8")):
        raise ValueError(f"chunk type {kind!r} is not four ASCII letters")
    out = ByteWriter()
    out.raw(kind.encode("ascii"))
    out.varint(size)
    return out.to_bytes()


def encode_chunk(kind: str, payload: bytes) -> bytes:
    """A whole chunk."""
    data = chunk_start(kind, len(payload)) + payload
    return data + zlib.crc32(data).to_bytes(CRC_BYTES, "little")


def read_header(source: Source, offset: int) -> ChunkHeader:
    """The chunk at `offset`, known to lie inside the file; its checksum is not looked at."""
    left = source.size - offset
    if left < CHUNK_BYTES_MIN:
        raise DamagedFileError("cut short: the file ends here")
    data = ByteReader(source.read_at(offset, min(_TYPE_BYTES + _LENGTH_BYTES_MAX, left)))
    kind = data.raw(_TYPE_BYTES)
    if not is_type(kind):
        raise DamagedFileError("no chunk begins here")
    size = data.varint()
    header = ChunkHeader(kind.decode("ascii"), offset, offset + data.position, size)
    if header.end > source.size:
        raise DamagedFileError(f"cut short: {header.end - source.size} bytes of the chunk are missing")
    return header


def crc_ok(source: Source, header: ChunkHeader) -> bool:
    """Whether the checksum holds, found without reading the chunk into memory as a whole."""
    crc = 0
    for block in source.blocks(header.offset, header.length - CRC_BYTES):
        crc = zlib.crc32(block, crc)
    return source.read_at(header.end - CRC_BYTES, CRC_BYTES) == crc.to_bytes(CRC_BYTES, "little")


def read_payload(source: Source, header: ChunkHeader, limits: Limits) -> bytes:
    """The payload, its checksum verified."""
    limits.check("max_chunk_bytes", header.size)
    data = source.read_at(header.offset, header.length)
    if zlib.crc32(data[:-CRC_BYTES]) != int.from_bytes(data[-CRC_BYTES:], "little"):
        raise DamagedFileError("the checksum does not match")
    return data[header.start - header.offset : -CRC_BYTES]
