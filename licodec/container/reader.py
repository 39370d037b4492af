"""Reading a `.linr`: the header and the index when it is opened, everything else when it is asked for."""

from __future__ import annotations

import bisect
import contextlib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from types import TracebackType
from typing import BinaryIO, Self, TypeVar

from licodec.container.bytesio import ByteReader
from licodec.container.chunks import (
    CHUNK_BYTES_MIN,
    CONF,
    CRITICAL,
    ENCODER_SETTINGS,
    ENDF,
    HEAD,
    INDX,
    PREFIX,
    SEGM,
    ChunkHeader,
    check_prefix,
    crc_ok,
    read_header,
    read_payload,
)
from licodec.container.header import parse_head
from licodec.container.index import ChunkEntry, Directory, SegmentEntry, parse_index
from licodec.container.limits import DEFAULT_LIMITS, Limits
from licodec.container.problems import ChunkError, Problem
from licodec.container.scan import ChunkInfo, scan_source
from licodec.container.source import Readable, Source
from licodec.container.times import read_times
from licodec.errors import DamagedFileError, LimitError, UnsupportedError

DIGEST_BYTES = 32
END_BYTES = CHUNK_BYTES_MIN + 8 + DIGEST_BYTES
"""Length of the chunk ENDF, the same in every file, so that it is found from the end."""

T = TypeVar("T")


class LinrReader:
    """An open file. Not safe to share between threads: each opens its own.

    Opening checks HEAD, CONF, INDX and ENDF; segments and ancillary chunks are checked when they are read.
    With `salvage`, a file whose index or end is damaged is opened too, with the segments that are still
    intact; `verify` then says what is lost.

    Raises UsageError when there is no such file; DamagedFileError, UnsupportedError or LimitError for what is
    in it.
    """

    def __init__(self, readable: Readable, limits: Limits = DEFAULT_LIMITS, *, salvage: bool = False) -> None:
        self._limits = limits
        self._source = Source(readable)
        self._problems: list[Problem] = []
        try:
            with self._at("", 0):
                check_prefix(self._source)
            self._head = self._header(len(PREFIX), HEAD)
            self._conf = self._header(self._head.end, CONF)
            self.info = self._parse(self._head, lambda payload: parse_head(payload, limits))
            """What the video is."""
            with self._at(CONF, self._conf.offset):
                limits.check("max_conf_bytes", self._conf.size)
            self.conf = self._parse(self._conf, lambda payload: payload)
            """Configuration of the codec, as the model layer wrote it."""
            self.has_index = True
            """False for a salvaged file whose index or end is damaged: frames may be missing between segments."""
            self._tail: tuple[ChunkHeader, ...] = ()
            try:
                self._directory = self._open_from_end()
            except ChunkError as error:
                if not salvage:
                    raise
                self.has_index = False
                self._problems.append(error.problem)
                self._directory = self._open_from_front()
            self.segments: tuple[SegmentEntry, ...] = tuple(self._directory.segments)
            """The segments, in the order of time."""
            self.pts: Sequence[int] = self._directory.pts
            """Presentation time of every frame, in ticks of `info.time_base`; strictly increasing."""
            self.durations: Sequence[int] = self._directory.durations
            """How long every frame is shown, in ticks; at least 1."""
        except BaseException:
            self.close()
            raise

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._source.size

    def read_segment(self, i: int) -> bytes:
        """Payload of segment `i`, its checksum verified."""
        entry = self.segments[i]
        return self._parse(self._entry_header(entry, SEGM), lambda payload: self._strip_times(entry, payload))

    def ancillary(self, kind: str) -> list[bytes]:
        """Payloads of all chunks of an ancillary type, their checksums verified."""
        return [self._parse(header, lambda payload: payload) for header in self._ancillary_headers(kind)]

    def copy_ancillary(self, kind: str, target: BinaryIO) -> int:
        """Write the payloads of an ancillary type, however large, to `target`; returns how many there were.

        Every checksum is verified before its first byte is written.
        """
        headers = self._ancillary_headers(kind)
        for header in headers:
            self._check_crc(header)
            with self._at(header.kind, header.offset):
                for block in self._source.blocks(header.start, header.size):
                    target.write(block)
        return len(headers)

    @property
    def encoder_settings(self) -> str | None:
        """Text of the chunk `encS`. It comes from the file: escape it before it goes to a terminal."""
        for header in self._ancillary_headers(ENCODER_SETTINGS):
            return self._parse(header, _utf8)
        return None

    def chunks(self) -> Iterator[ChunkInfo]:
        """Every chunk in the order of the file; each is read through for its checksum when its turn comes.

        Of a salvaged file only what could be saved; `scan` tells everything.
        """
        for header in (self._head, self._conf):
            yield ChunkInfo(header.kind, header.offset, header.length, True)
        for entry in self._directory.chunks:
            ok = True
            try:
                self._check_crc(self._entry_header(entry, entry.kind))
            except ChunkError:
                ok = False
            yield ChunkInfo(entry.kind, entry.offset, entry.length, ok)
        for header in self._tail:
            yield ChunkInfo(header.kind, header.offset, header.length, True)

    def verify(self) -> list[Problem]:
        """Check all that can be checked without decoding; returns the faults, none for a sound file."""
        problems = list(self._problems)
        segments = iter(enumerate(self.segments))
        for entry in self._directory.chunks:
            start = end = None
            try:
                if entry.kind == SEGM:
                    number, segment = next(segments)
                    start, end = self._time_range(segment)
                    self.read_segment(number)
                else:
                    self._check_crc(self._entry_header(entry, entry.kind))
                    if entry.kind == ENCODER_SETTINGS:
                        _ = self.encoder_settings
            except ChunkError as error:
                found = error.problem
                problems.append(Problem(found.kind, found.offset, found.what, start, end))
        # A damaged chunk explains a wrong digest: to report both would only confuse.
        if not problems and self._tail:
            end_chunk = self._tail[-1]
            digest = hashlib.sha256()
            with self._at("", 0):
                for block in self._source.blocks(0, end_chunk.offset):
                    digest.update(block)
            if digest.digest() != self._digest:
                problems.append(Problem(ENDF, end_chunk.offset, "the digest of the file does not match"))
        return problems

    def close(self) -> None:
        """Close the file, unless it was opened by the caller."""
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open_from_end(self) -> Directory:
        """Find the index through the end marker."""
        try:
            end = self._header(max(self._source.size - END_BYTES, self._conf.end), ENDF)
            index_offset, self._digest = self._parse(end, _parse_end)
            with self._at(ENDF, end.offset):
                if not self._conf.end <= index_offset < end.offset:
                    raise DamagedFileError(f"puts the index at byte {index_offset}, where it cannot be")
            index = self._header(index_offset, INDX)
        except ChunkError as error:
            raise self._cut_or_continued() or error from None
        with self._at(INDX, index_offset):
            if index.end != end.offset:
                raise DamagedFileError(f"ends at byte {index.end}, but the end marker begins at {end.offset}")
        directory = self._parse(index, lambda payload: parse_index(payload, self._conf.end, index_offset, self._limits))
        self._tail = (index, end)
        return directory

    def _cut_or_continued(self) -> ChunkError | None:
        """The usual reasons why the last bytes are no end marker, told so that they are understood."""
        offset = self._conf.end
        try:
            # Only headers are read: for every real file this is fast, however large it is.
            for _ in range(self._limits.max_chunks + 2):
                header = read_header(self._source, offset)
                offset = header.end
                if header.kind == ENDF:
                    left = self._source.size - offset
                    return self._error("", offset, f"{left} bytes follow the end marker") if left else None
        except DamagedFileError as error:
            return self._error("", offset, f"no end marker: {error}")
        return None

    def _open_from_front(self) -> Directory:
        """Collect what is intact, without the index."""
        directory = Directory()
        lost: set[int] = set()
        for number, chunk in enumerate(scan_source(self._source)):
            self._limits.check("max_chunks", number - 3)
            if chunk.crc_ok and chunk.kind == ENDF:
                break
            if chunk.offset < self._conf.end or (chunk.crc_ok and chunk.kind == INDX):
                continue
            try:
                with self._at(chunk.kind, chunk.offset):
                    if not chunk.crc_ok:
                        raise DamagedFileError(f"{chunk.length} bytes are damaged")
                    header = read_header(self._source, chunk.offset)
                    times = read_payload(self._source, header, self._limits) if chunk.kind == SEGM else b""
                    data = ByteReader(times)
                    directory.add(chunk.kind, chunk.offset, chunk.length, data, self._limits)
            except ChunkError as error:
                # Neither an ancillary chunk nor the index costs a picture.
                if not chunk.kind[0].islower() and chunk.kind not in CRITICAL - {SEGM}:
                    lost.add(chunk.offset)
                # What made the index unusable has been told already.
                if error.problem.offset != self._problems[0].offset:
                    self._problems.append(error.problem)
        offsets = [s.offset for s in directory.segments]
        for i, problem in enumerate(self._problems):
            if problem.offset in lost:
                start, end = self._gap(directory, bisect.bisect(offsets, problem.offset))
                self._problems[i] = replace(problem, start=start, end=end)
        return directory

    def _gap(self, directory: Directory, segment: int) -> tuple[Fraction | None, Fraction | None]:
        """The time between the end of the segment before `segment` and its start, where there are such."""
        start = end = None
        if segment:
            last = directory.segments[segment - 1].first_frame + directory.segments[segment - 1].frame_count - 1
            start = (directory.pts[last] + directory.durations[last]) * self.info.time_base
        if segment < len(directory.segments):
            end = directory.pts[directory.segments[segment].first_frame] * self.info.time_base
        return start, end

    def _header(self, offset: int, kind: str) -> ChunkHeader:
        with self._at(kind, offset):
            header = read_header(self._source, offset)
            if header.kind != kind:
                raise DamagedFileError(f"expected here, but {header.kind} was found")
            return header

    def _entry_header(self, entry: ChunkEntry | SegmentEntry, kind: str) -> ChunkHeader:
        header = self._header(entry.offset, kind)
        if header.length != entry.length:
            raise self._error(kind, entry.offset, f"{header.length} bytes, but {entry.length} in the index")
        return header

    def _ancillary_headers(self, kind: str) -> list[ChunkHeader]:
        return [self._entry_header(c, kind) for c in self._directory.chunks if c.kind == kind]

    def _parse(self, header: ChunkHeader, parser: Callable[[bytes], T]) -> T:
        with self._at(header.kind, header.offset):
            return parser(read_payload(self._source, header, self._limits))

    def _check_crc(self, header: ChunkHeader) -> None:
        with self._at(header.kind, header.offset):
            if not crc_ok(self._source, header):
                raise DamagedFileError("the checksum does not match")

    def _strip_times(self, entry: SegmentEntry, payload: bytes) -> bytes:
        data = ByteReader(payload)
        pts, durations = read_times(data, self._limits)
        frames = slice(entry.first_frame, entry.first_frame + entry.frame_count)
        if pts != self.pts[frames] or durations != self.durations[frames]:
            raise data.damaged("its timestamps are not those in the index")
        return payload[data.position :]

    def _time_range(self, entry: SegmentEntry) -> tuple[Fraction, Fraction]:
        last = entry.first_frame + entry.frame_count - 1
        end = self.pts[last] + self.durations[last]
        return self.pts[entry.first_frame] * self.info.time_base, end * self.info.time_base

    def _error(self, kind: str, offset: int, what: str) -> ChunkError:
        return ChunkError(self._source.name, Problem(kind, offset, what))

    @contextlib.contextmanager
    def _at(self, kind: str, offset: int) -> Iterator[None]:
        """Give errors about what is read at a place of the file the name of the file and of the place."""
        try:
            yield
        except ChunkError:
            raise
        except DamagedFileError as error:
            raise self._error(kind, offset, str(error)) from error
        except (UnsupportedError, LimitError) as error:
            raise type(error)(f"{self._source.name}: {error}") from error


def verify(readable: Readable, limits: Limits = DEFAULT_LIMITS) -> list[Problem]:
    """Check a file as far as that goes without decoding; returns the faults, none for a sound file.

    Raises UsageError when there is no such file, UnsupportedError and LimitError for one that this reader
    cannot judge.
    """
    try:
        with LinrReader(readable, limits, salvage=True) as reader:
            return reader.verify()
    except ChunkError as error:
        return [error.problem]


def _parse_end(payload: bytes) -> tuple[int, bytes]:
    data = ByteReader(payload)
    index_offset, digest = data.u64(), data.raw(DIGEST_BYTES)
    data.end()
    return index_offset, digest


def _utf8(payload: bytes) -> str:
    try:
        return payload.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DamagedFileError(f"not UTF-8 at byte {error.start} of its text") from error
