"""Writing a `.linr`: all of it or nothing."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from licodec.container.bytesio import ByteWriter
from licodec.container.chunks import (
    CONF,
    CRC_BYTES,
    CRITICAL,
    ENDF,
    HEAD,
    INDX,
    PREFIX,
    SEGM,
    UNIQUE_ANCILLARY,
    chunk_start,
    encode_chunk,
    is_critical,
)
from licodec.container.header import encode_head
from licodec.container.index import encode_index
from licodec.container.limits import DEFAULT_LIMITS, Limits
from licodec.container.problems import printable
from licodec.container.source import BLOCK
from licodec.container.times import encode_times
from licodec.errors import UsageError
from licodec.files import UnfinishedFile
from licodec.video.info import VideoInfo


class LinrWriter:
    """Writes one file, beside its final place until `finish` puts it there.

    As a context manager it aborts whenever the block is left without `finish`: then nothing new lies at
    `path`, and what lay there before is untouched. Segments and ancillary chunks may come in any order among
    each other.

    Raises UsageError when `path` cannot be written, UnsupportedError for a video that the format cannot
    describe, LimitError where its own reader would, ValueError for arguments that make no sense.
    """

    def __init__(
        self, path: str | os.PathLike[str], info: VideoInfo, conf: bytes, limits: Limits = DEFAULT_LIMITS
    ) -> None:
        head = encode_head(info, limits)
        limits.check("max_conf_bytes", len(conf))
        self._limits = limits
        self._name = printable(os.fspath(path))
        try:
            # The file that a symbolic link points to is what gets replaced, not the link.
            self._path = Path(os.path.realpath(path))
            if self._path.exists() and not self._path.is_file():
                # Renaming over a device or a FIFO would remove it.
                raise OSError("it is a directory" if self._path.is_dir() else "it is not a regular file")
            self._part = UnfinishedFile(self._path)
            self._file = self._part.file
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            reason = getattr(error, "strerror", None) or error
            raise UsageError(f"{self._name}: cannot be written: {reason}") from error
        self._digest = hashlib.sha256()
        self._entries = ByteWriter()
        self._kinds: list[str] = []
        self._frames = 0
        self._last_pts: int | None = None
        self._size = 0
        try:
            self._write(PREFIX + encode_chunk(HEAD, head) + encode_chunk(CONF, conf))
        except BaseException:
            self.abort()
            raise

    @property
    def size(self) -> int:
        """Bytes written so far; `finish` adds the index and the end marker."""
        return self._size

    def add_segment(self, payload: bytes, pts: Sequence[int], durations: Sequence[int]) -> None:
        """Append a segment of `len(pts)` frames; times are in ticks of `VideoInfo.time_base`."""
        self._check_open()
        times = encode_times(pts, durations)
        if self._last_pts is not None and pts[0] <= self._last_pts:
            raise ValueError(f"a segment from {pts[0]} on cannot follow a frame at {self._last_pts}")
        self._limits.check("max_chunks", len(self._kinds) + 1)
        self._limits.check("max_frames", self._frames + len(pts))
        self._limits.check("max_chunk_bytes", len(times) + len(payload))
        chunk = encode_chunk(SEGM, times + payload)
        # Nine bytes at most for the length. Better here than after the last hour of an encode.
        self._limits.check("max_inflated_bytes", len(self._entries) + len(SEGM) + 9 + len(times))
        self._write(chunk)
        self._enter(SEGM, len(chunk))
        self._entries.raw(times)
        self._frames += len(pts)
        self._last_pts = int(pts[-1])

    def add_ancillary(self, kind: str, payload: bytes | BinaryIO) -> None:
        """Append bytes, or the rest of a seekable binary file (which may be larger than memory).

        When that file cannot be read to its end, the writer aborts and its error is raised.
        """
        self._check_open()
        if kind in CRITICAL or is_critical(kind):
            raise ValueError(f"{kind!r} is not the type of an ancillary chunk (small first letter)")
        if kind in UNIQUE_ANCILLARY and kind in self._kinds:
            raise ValueError(f"there is a chunk {kind} already")
        self._limits.check("max_chunks", len(self._kinds) + 1)
        if isinstance(payload, bytes):
            size, blocks = len(payload), iter((payload,))
        else:
            here = payload.tell()
            size = payload.seek(0, os.SEEK_END) - here
            payload.seek(here)
            blocks = iter(lambda: payload.read(BLOCK), b"")
        start = chunk_start(kind, size)
        try:
            self._write(start)
            crc, left = zlib.crc32(start), size
            for block in blocks:
                left -= len(block)
                self._write(block)
                crc = zlib.crc32(block, crc)
            if left:
                raise UsageError(f"{self._name}: the data for chunk {kind} changed while it was copied")
            self._write(crc.to_bytes(CRC_BYTES, "little"))
        except BaseException:
            self.abort()
            raise
        self._enter(kind, len(start) + size + CRC_BYTES)

    def finish(self, check: Callable[[Path], None] | None = None) -> int:
        """Write the end, make everything durable, put the file in its place; returns its size in bytes.

        `check` gets the path of the whole file before it is put there, and may refuse it with any error.
        """
        self._check_open()
        if not self._frames:
            raise ValueError("a .linr file needs at least one frame")
        index_offset = self._size
        self._write(encode_chunk(INDX, encode_index(self._entries.to_bytes())))
        end = ByteWriter()
        end.u64(index_offset)
        end.raw(self._digest.digest())
        self._write(encode_chunk(ENDF, end.to_bytes()))
        with self._no_half_file():
            self._part.flush()
            if check:
                check(self._part.part)
            self._part.commit()
        return self._size

    def abort(self) -> None:
        """Remove what was written. Does nothing after `finish`, or when called twice."""
        self._part.discard()
        with contextlib.suppress(OSError):
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()

    def _check_open(self) -> None:
        if self._file.closed:
            raise ValueError("this LinrWriter is finished or aborted")

    def _enter(self, kind: str, length: int) -> None:
        self._kinds.append(kind)
        self._entries.raw(kind.encode("ascii"))
        self._entries.varint(length)

    def _write(self, data: bytes) -> None:
        with self._no_half_file():
            self._file.write(data)
        self._digest.update(data)
        self._size += len(data)

    @contextlib.contextmanager
    def _no_half_file(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.abort()
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            reason = "the disk is full" if full else error.strerror or str(error)
            raise UsageError(f"{self._name}: cannot be written: {reason}; nothing was left there") from error
