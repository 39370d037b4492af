"""Reading a file front to back without its index: for damage reports, and to save what is left."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from licodec.container.chunks import PREFIX, ChunkHeader, crc_ok, is_critical, is_type, read_header
from licodec.container.source import BLOCK, Readable, Source
from licodec.errors import DamagedFileError

# A lookahead, so that `auxSEGM` is seen to hold both.
_KNOWN = re.compile(rb"(?=HEAD|CONF|SEGM|INDX|ENDF|auxS|encS|semL)")


@dataclass(frozen=True)
class ChunkInfo:
    """A chunk, or a stretch of bytes that should have been chunks."""

    kind: str
    """Four ASCII letters; `????` where not even the type is left."""
    offset: int
    """Byte of the file at which it begins."""
    length: int
    """Bytes of the whole chunk, or up to the next one that is intact."""
    crc_ok: bool
    """Whether type, length and payload are those that were written."""

    @property
    def critical(self) -> bool:
        """Whether a reader that does not know the type must refuse the file."""
        return is_critical(self.kind)


def scan(readable: Readable) -> Iterator[ChunkInfo]:
    """Every chunk after the signature, damaged ones included: the results cover the file without a hole."""
    source = Source(readable)
    try:
        yield from scan_source(source)
    finally:
        source.close()


def scan_source(source: Source) -> Iterator[ChunkInfo]:
    """The same for a source that is open already."""
    scanner = _Scanner(source)
    offset = min(len(PREFIX), source.size)
    while offset < source.size:
        header = scanner.header(offset)
        if header and scanner.intact(header):
            chunk = ChunkInfo(header.kind, offset, header.length, True)
        elif header and (header.end == source.size or scanner.header(header.end)):
            # Another chunk begins where this one says that it ends: its length can be believed.
            chunk = ChunkInfo(header.kind, offset, header.length, False)
        else:
            kind = source.read_at(offset, min(4, source.size - offset))
            end = scanner.next_intact(offset + 1)
            chunk = ChunkInfo(kind.decode() if is_type(kind) else "????", offset, end - offset, False)
        yield chunk
        offset += chunk.length


class _Scanner:
    def __init__(self, source: Source) -> None:
        self._source = source
        # Bytes left to read: files made of false chunks must not make the search quadratic.
        self._effort = 8 * source.size + 64 * BLOCK

    def header(self, offset: int) -> ChunkHeader | None:
        try:
            return read_header(self._source, offset)
        except DamagedFileError:
            return None

    def intact(self, header: ChunkHeader) -> bool:
        self._effort -= header.length
        return self._effort >= 0 and crc_ok(self._source, header)

    def next_intact(self, start: int) -> int:
        """Where the next chunk of a known type with a right checksum begins, or else the end of the file."""
        size = self._source.size
        for offset in range(start, size, BLOCK):
            self._effort -= BLOCK
            if self._effort < 0:
                break
            # Three bytes more, for a type that lies across two blocks.
            block = self._source.read_at(offset, min(BLOCK + 3, size - offset))
            for match in _KNOWN.finditer(block):
                header = self.header(offset + match.start())
                if header and self.intact(header):
                    return header.offset
        return size
