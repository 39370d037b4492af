"""The few places where FFmpeg needs care: opening input safely, naming its errors, finding damage early.

FFmpeg's own log never reaches the terminal: PyAV discards it unless the application asks for it.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from licodec.errors import DamagedFileError, LicodecError, UnsupportedError, UsageError

STDIN = "-"
_SAFE = {"protocol_whitelist": "file"}  # a playlist may name other files, but nothing on the network
_TS_DISCONT = 512  # AVFMT_TS_DISCONT
_HEAD_BYTES = 4096

# What a file of each family starts with: (offset, bytes). A file that has such a start and still cannot
# be opened is damaged; one that has none was never a video.
_SIGNATURES = (
    (0, b"\x1a\x45\xdf\xa3"),  # Matroska, WebM
    (4, b"ftyp"),  # MP4, QuickTime
    (4, b"moov"),
    (4, b"mdat"),
    (0, b"RIFF"),
    (0, b"YUV4MPEG2"),
    (0, b"\x89PNG\r\n\x1a\n"),
    (0, b"\xff\xd8\xff"),  # JPEG
    (0, b"GIF8"),
    (0, b"OggS"),
    (0, b"FLV\x01"),
    (0, b"DKIF"),  # IVF
    (0, b"\x00\x00\x01\xba"),  # MPEG program stream
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),  # ASF
)


class PipeReader:
    """A pipe for PyAV: no seeking; remembers how the stream began and how long it was."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self.head = b""
        self.total = 0

    def read(self, size: int) -> bytes:
        """At most `size` bytes; b'' at the end."""
        data: bytes = self._raw.read(size)
        if len(self.head) < _HEAD_BYTES:
            self.head += data[: _HEAD_BYTES - len(self.head)]
        self.total += len(data)
        return data


def reason(error: BaseException) -> str:
    """The cause alone, on one line: without error number, function or file name."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())


def open_input(spec: str, *, conceal: bool = False) -> tuple[InputContainer, PipeReader | None]:
    """Open a file or a pipe (`-`: standard input) as an FFmpeg container; for a pipe, also what reads it.

    Raises:
        UsageError: the file is missing, unreadable, empty or not media at all.
        DamagedFileError: it starts like media, but cannot be read, or (unless `conceal`) is shorter than
            it says.
    """
    path = Path(spec)
    if is_pipe(spec):
        if spec == STDIN and sys.stdin.isatty():
            raise UsageError("-: standard input is a terminal: pipe a video into it")
        reader = PipeReader(sys.stdin.buffer if spec == STDIN else path.open("rb"))
        return _open(reader, title(spec), lambda: reader.head, _SAFE), reader
    head, size = _read_head(path)
    if not size:
        raise UsageError(f"{path}: the file is empty")
    declared = _declared_size(head)
    if declared is not None and declared > size and not conceal:
        raise DamagedFileError(f"{path}: the file is cut: {size} bytes of {declared}")
    # `file:` keeps FFmpeg from taking `concat:...` in a name as an order; `pattern_type`, `%d` as a number.
    container = _open(f"file:{path}", str(path), lambda: head, {**_SAFE, "pattern_type": "none"})
    if conceal:
        return container, None
    try:
        _check_index(container, path, size)
    except LicodecError:
        container.close()
        raise
    return container, None


def is_pipe(spec: str) -> bool:
    """Whether this can be read only once: standard input, or a named pipe such as a shell's `<(...)`."""
    return spec == STDIN or Path(spec).is_fifo()


def title(spec: str) -> str:
    """What messages call this input."""
    return "standard input" if spec == STDIN else spec


def pick_video(container: InputContainer, name: str) -> VideoStream:
    """The stream FFmpeg calls the best; never a cover picture.

    Raises UsageError when there is none, UnsupportedError when it cannot be decoded.
    """
    best = container.streams.best("video")
    if not isinstance(best, VideoStream):
        raise UsageError(f"{name}: there is no video stream in it")
    if av.stream.Disposition.attached_pic & best.disposition:
        raise UsageError(f"{name}: there is no video stream in it, only a cover picture")
    if best.codec_context is None:
        raise UnsupportedError(f"{name}: FFmpeg has no decoder for its video stream here")
    return best


def is_broadcast(container: InputContainer) -> bool:
    """Whether this is a format for transmission, which may start and break off anywhere: MPEG TS and PS."""
    return bool(container.format.flags & _TS_DISCONT)


def time_origin(container: InputContainer) -> Fraction:
    """Seconds that this file's clock shows at its start, for formats whose clock starts anywhere.

    Broadcast formats carry the broadcaster's clock. All other formats start theirs at
    zero on purpose, so their timestamps, a late start included, are kept as they are: 0.
    """
    if not is_broadcast(container) or container.start_time is None:
        return Fraction(0)
    return Fraction(container.start_time, av.time_base)


def chroma_location(stream: VideoStream, head: bytes) -> int:
    """AVChromaLocation of a stream, 0 when nothing says it.

    PyAV does not show the field. FFmpeg's Matroska muxer writes it down, so we have it write the header
    of a copy and read it there; raw YUV4MPEG2 has it in its first line.
    """
    if head.startswith(b"YUV4MPEG2"):
        tags = head.split(b"\n", 1)[0].split(b" ")
        sites = {b"C420mpeg2": 1, b"C420jpeg": 2, b"C420": 2, b"C420paldv": 3}
        return next((sites[tag] for tag in tags if tag in sites), 0)
    copy = io.BytesIO()
    try:
        with av.open(copy, "w", format="matroska") as muxer:
            muxer.add_stream_from_template(stream, opaque=True)
            muxer.start_encoding()
    except (av.FFmpegError, ValueError):
        return 0  # a codec that Matroska cannot hold
    header = copy.getvalue()

    def element(key: bytes) -> int:
        at = header.find(key + b"\x81")  # a one-byte unsigned integer
        return header[at + 3] if at >= 0 else 0

    # ChromaSitingHorz and ChromaSitingVert: 1 on the first luma sample, 2 half-way to the next.
    return {(1, 2): 1, (2, 2): 2, (1, 1): 3, (2, 1): 4}.get((element(b"\x55\xb7"), element(b"\x55\xb8")), 0)


def read_head(spec: str, reader: PipeReader | None) -> bytes:
    """The first bytes of the input, at most 4096."""
    return reader.head if reader else _read_head(Path(spec))[0]


def _read_head(path: Path) -> tuple[bytes, int]:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES), path.stat().st_size
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {reason(error)}") from None


def _open(source: Any, name: str, head: Callable[[], bytes], options: dict[str, str]) -> InputContainer:
    try:
        container: InputContainer = av.open(source, "r", options=options, metadata_errors="replace")
        return container
    except (av.FFmpegError, OSError, ValueError) as error:
        start = head()
        if not start:
            raise UsageError(f"{name}: there is nothing in it") from None
        if any(start[at : at + len(magic)] == magic for at, magic in _SIGNATURES):
            raise DamagedFileError(f"{name}: the file is cut or damaged: {reason(error)}") from None
        raise UsageError(f"{name}: not a video that FFmpeg can read: {reason(error)}") from None


def _declared_size(head: bytes) -> int | None:
    """Bytes that a RIFF or Matroska file says it has at least; None when it does not say."""
    if head.startswith(b"RIFF"):
        return 8 + int.from_bytes(head[4:8], "little")
    if not head.startswith(b"\x1a\x45\xdf\xa3"):
        return None
    size, at = _ebml_size(head, 4)
    at += size or 0
    if head[at : at + 4] != b"\x18\x53\x80\x67":  # Segment: everything after the EBML header
        return None
    size, at = _ebml_size(head, at + 4)
    return None if size is None else at + size


def _ebml_size(data: bytes, at: int) -> tuple[int | None, int]:
    """An EBML element size at `at`, and the position after it; None for the reserved 'unknown'."""
    if at >= len(data) or not data[at]:
        return None, at
    length = 9 - data[at].bit_length()
    value = int.from_bytes(data[at : at + length], "big") - (1 << 7 * length)
    return (None if value == (1 << 7 * length) - 1 else value), at + length


def _check_index(container: InputContainer, path: Path, size: int) -> None:
    """Refuse an MP4 whose index points behind the end of the file: FFmpeg would stop there in silence."""
    if "mp4" not in container.format.name.split(","):
        return
    for stream in container.streams.video:
        entries = stream.index_entries
        for number, entry in enumerate(entries):
            if entry.pos + entry.size > size:
                time = entry.timestamp * (stream.time_base or Fraction(0))
                raise DamagedFileError(
                    f"{path}: the file is cut: frame {number} ({float(time):.3f} s) of {len(entries)} "
                    f"ends at byte {entry.pos + entry.size} of {size}"
                )
