"""A second, independent and slow reading of the format, and the tools to make files that lie.

Uses nothing of `licodec.container`: what it says about a file is a check of what the package says.
"""

from __future__ import annotations

import hashlib
import zlib

Chunk = tuple[bytes, bytes]
"""(type, payload)"""

PREFIX = bytes.fromhex("894c494e520d0a1a0000")
CHROMA_420, SQUARE, TICK_40_MS = b"\1", b"\1\1", b"\1\x19"
HEAD = b"\xb0\0\x90\0" + CHROMA_420 + b"\x08\0\2\2\2\0\0" + SQUARE + TICK_40_MS
"""176x144, 4:2:0, 8 bit, 25 ticks a second."""


def varint(value: int) -> bytes:
    out = b""
    while value >= 128:
        out += bytes([value % 128 + 128])
        value //= 128
    return out + bytes([value])


def zigzag(value: int) -> bytes:
    return varint(2 * value if value >= 0 else -2 * value - 1)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """(value, position after it)"""
    value = factor = 0
    factor = 1
    while data[at] >= 128:
        value += (data[at] - 128) * factor
        factor *= 128
        at += 1
    return value + data[at] * factor, at + 1


def chunk(kind: bytes, payload: bytes) -> bytes:
    body = kind + varint(len(payload)) + payload
    return body + zlib.crc32(body).to_bytes(4, "little")


def times(first: int, *runs: tuple[int, int, int]) -> bytes:
    """A time table from (frames, step, gap) runs."""
    table = varint(sum(run[0] for run in runs)) + zigzag(first)
    for count, step, gap in runs:
        table += varint(count) + varint(step) + zigzag(gap)
    return table


def times_length(payload: bytes) -> int:
    """Bytes of the time table at the start of a segment's payload."""
    left, at = read_varint(payload, 0)
    _, at = read_varint(payload, at)
    while left:
        run, at = read_varint(payload, at)
        _, at = read_varint(payload, at)
        _, at = read_varint(payload, at)
        left -= run
    return at


def extents(data: bytes) -> list[tuple[int, int]]:
    """(first byte, byte after the checksum) of every chunk of a sound file."""
    out, at = [], len(PREFIX)
    while at < len(data):
        size, start = read_varint(data, at + 4)
        out.append((at, start + size + 4))
        at = start + size + 4
    assert at == len(data)
    return out


def split(data: bytes) -> list[Chunk]:
    """The chunks of a sound file."""
    assert data.startswith(PREFIX)
    return [(data[a : a + 4], data[read_varint(data, a + 4)[1] : b - 4]) for a, b in extents(data)]


def index_of(chunks: list[Chunk]) -> bytes:
    """Payload of a true INDX, stored, for the chunks between CONF and INDX."""
    body = b""
    for kind, payload in chunks:
        body += kind + varint(len(chunk(kind, payload)))
        if kind == b"SEGM":
            body += payload[: times_length(payload)]
    return b"\0" + body


def end_of(before: bytes, index_offset: int) -> bytes:
    """A true ENDF."""
    return chunk(b"ENDF", index_offset.to_bytes(8, "little") + hashlib.sha256(before).digest())


def join(chunks: list[Chunk], prefix: bytes = PREFIX) -> bytes:
    """A file of these chunks, INDX as given, with right checksums and a true ENDF for the last of them."""
    data, index_offset = prefix, 0
    for kind, payload in chunks:
        if kind == b"INDX":
            index_offset = len(data)
        data += end_of(data, index_offset) if kind == b"ENDF" else chunk(kind, payload)
    return data


def file_of(*middle: Chunk, head: bytes = HEAD, conf: bytes = b"conf", index: bytes | None = None) -> bytes:
    """A whole file around the chunks between CONF and INDX."""
    true_index = index_of(list(middle)) if index is None else index
    return join([(b"HEAD", head), (b"CONF", conf), *middle, (b"INDX", true_index), (b"ENDF", b"")])


def reseal(data: bytes, places: list[tuple[int, int]]) -> bytes:
    """Right checksums at the places of the chunks of the original file, and a right digest in its ENDF."""
    out = bytearray(data)
    end = places[-1][0]
    for a, b in places[:-1]:
        out[b - 4 : b] = zlib.crc32(out[a : b - 4]).to_bytes(4, "little")
    out[end + 13 : end + 45] = hashlib.sha256(out[:end]).digest()
    out[-4:] = zlib.crc32(out[end:-4]).to_bytes(4, "little")
    return bytes(out)
