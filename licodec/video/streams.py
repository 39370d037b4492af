"""The other streams of a video file: audio, subtitles and attachments, copied without decoding.

They are kept as a small media file of their own, whose timestamps have the same zero as the video's.
That file is Matroska, or QuickTime where the source is of that family: Matroska rounds timestamps to the
millisecond and has no place for QuickTime's own subtitles and some of its audio.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream

from licodec.errors import DamagedFileError, LicodecError
from licodec.video import ffmpeg
from licodec.video.timing import Clock

_KINDS = ("audio", "subtitle", "attachment")
# Written by muxers about the file they make, so false in any other.
_OWN_TAGS = {"encoder", "major_brand", "minor_version", "compatible_brands", "duration"}


@dataclass(frozen=True)
class StreamInfo:
    """One of the other streams, for listings."""

    kind: str
    """audio, subtitle or attachment."""
    codec: str
    """FFmpeg's codec name; of an attachment, its MIME type."""
    language: str | None
    """ISO 639-2 code, None when unknown."""
    title: str | None
    """Title; of an attachment, its file name."""
    sample_rate: int | None
    """Audio samples a second."""
    channels: int | None
    """Audio channels."""


def copy_other_streams(path: str | Path, warnings: list[str] | None = None) -> bytes | None:
    """Copy every audio and subtitle stream of a file, with its metadata, chapters and attachments.

    Args:
        path: what `open_source` takes; only files have other streams.
        warnings: a line is appended for each stream that cannot be copied.

    Returns:
        A Matroska or QuickTime file; None where there is no audio and no subtitle stream.

    Raises:
        UsageError, DamagedFileError: as `open_source` does; also for streams that break in the middle.
    """
    notes = [] if warnings is None else warnings
    if str(path) == ffmpeg.STDIN:
        notes.append("standard input: only the video is read, audio and subtitles are not")
    if str(path) == ffmpeg.STDIN or not Path(path).is_file():
        return None  # a folder or pattern of pictures; what is missing altogether, the video will report
    source, _ = ffmpeg.open_input(str(path))
    with source:
        found = [stream for stream in source.streams if stream.type in _KINDS]
        if not any(stream.type != "attachment" for stream in found):
            return None
        family = "mov" if "mov" in source.format.name.split(",") else "matroska"
        muxer, streams = _best_muxer(source, found, dict.fromkeys((family, "matroska", "mov")))
        for stream in found:
            if stream not in streams:
                notes.append(f"{_title(stream)} cannot be copied: it is left out")
        if not any(stream.type != "attachment" for stream in streams):
            return None
        blob = io.BytesIO()
        # Shifting everything to start at zero, FFmpeg's default, would lose the alignment to the video.
        with av.open(blob, "w", format=muxer, container_options={"avoid_negative_ts": "disabled"}) as output:
            pairs = _add_streams(source, output, streams)
            try:
                for packet in _packets(source, [s for s in streams if s.type != "attachment"]):
                    packet.stream = pairs[packet.stream.index]
                    output.mux(packet)
            except (av.FFmpegError, OSError) as error:
                raise DamagedFileError(f"{path}: audio or subtitles are damaged: {ffmpeg.reason(error)}") from None
        return blob.getvalue()


def streams_in(blob: bytes) -> list[StreamInfo]:
    """What `copy_other_streams` put into `blob`. Raises DamagedFileError when it cannot be read."""
    with _open_blob(blob) as source:
        return [_describe(stream) for stream in source.streams if stream.type in _KINDS]


class OtherStreams:
    """Puts copied streams into an output file, packet by packet in step with its video."""

    def __init__(self, blob: bytes, output: OutputContainer) -> None:
        """Add the streams to `output`, before its first packet. Raises DamagedFileError."""
        self._source = _open_blob(blob)
        self._output = output
        self.warnings: list[str] = []
        """A line for each stream that this kind of file cannot hold."""
        self.shift = Fraction(0)
        """Seconds to add to every timestamp."""
        wanted = [stream for stream in self._source.streams if stream.type in _KINDS]
        held = [stream for stream in wanted if _holds(output.format.name, self._source, [stream])]
        for stream in wanted:
            if stream not in held:
                self.warnings.append(f"{_title(stream)} cannot be in such a file, it is left out: write .mkv")
        self._pairs = _add_streams(self._source, output, held)
        self._packets = _packets(self._source, [s for s in held if s.type != "attachment"])
        self._held: Packet[Stream] | None = None

    def mux_until(self, time: Fraction | None) -> None:
        """Write every packet up to `time` in seconds, or all that are left. Raises av.FFmpegError."""
        while True:
            packet = self._held if self._held is not None else next(self._packets, None)
            self._held = packet
            if packet is None:
                return
            base = Fraction(packet.time_base)
            if time is not None and (packet.dts or 0) * base + self.shift > time:
                return
            self._held = None
            packet.stream = self._pairs[packet.stream.index]
            _move(packet, round(self.shift / base))
            self._output.mux(packet)

    def close(self) -> None:
        """Close the copied streams; the output stays open."""
        self._source.close()


def _open_blob(blob: bytes) -> InputContainer:
    # Not by FFmpeg's guess: it would take a playlist too, and fetch what that names.
    kind = "matroska" if blob.startswith(b"\x1a\x45\xdf\xa3") else "mov"
    options = {"protocol_whitelist": "none"}
    try:
        return av.open(io.BytesIO(blob), "r", format=kind, options=options, metadata_errors="replace")
    except (av.FFmpegError, ValueError) as error:
        raise DamagedFileError(f"the audio and subtitle streams are damaged: {ffmpeg.reason(error)}") from None


def _best_muxer(source: InputContainer, found: list[Stream], muxers: dict[str, None]) -> tuple[str, list[Stream]]:
    """The muxer that holds the most streams, the first of equals, and which streams those are."""
    held = {name: [stream for stream in found if _holds(name, source, [stream])] for name in muxers}
    best = max(held, key=lambda name: len(held[name]))
    return best, held[best]


def _holds(muxer: str, source: InputContainer, streams: list[Stream]) -> bool:
    """Whether a muxer takes these streams: it writes a header for them into memory."""
    try:
        with av.open(io.BytesIO(), "w", format=muxer) as trial:
            _add_streams(source, trial, streams)
            trial.start_encoding()
    except (av.FFmpegError, ValueError, LicodecError):
        return False
    return True


def _add_streams(source: InputContainer, output: OutputContainer, streams: list[Stream]) -> dict[int, Stream]:
    """Streams of `output` by the index of the ones they copy; with metadata and chapters."""
    pairs = {}
    for stream in streams:
        copy = output.add_stream_from_template(stream, opaque=True)
        copy.metadata.update(_kept_tags(stream.metadata))
        copy.disposition = stream.disposition
        pairs[stream.index] = copy
    output.metadata.update(_kept_tags(source.metadata))
    if chapters := source.chapters():
        output.set_chapters(chapters)
    return pairs


def _kept_tags(tags: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in tags.items() if key.lower() not in _OWN_TAGS}


def _packets(source: InputContainer, streams: list[Stream]) -> Iterator[Packet[Stream]]:
    """Packets in file order, on the video's clock, with decoding times in order in each stream."""
    if not streams:
        return  # PyAV takes an empty choice for all streams
    origin = ffmpeg.time_origin(source)
    clocks: dict[int, Clock] = {}
    for packet in source.demux(tuple(streams)):
        stamp = packet.dts if packet.dts is not None else packet.pts
        if stamp is None:
            continue  # the end of a stream, as PyAV shows it to decoders
        packet.dts = stamp
        base = Fraction(packet.time_base)
        _move(packet, -round(origin / base))
        # Two subtitles may well start at the same time.
        least = 0 if packet.stream.type == "subtitle" else 1
        clock = clocks.setdefault(packet.stream_index, Clock(base, packet.duration or 1, least))
        _move(packet, clock.next(packet.dts) - packet.dts)
        yield packet


def _move(packet: Packet[Stream], ticks: int) -> None:
    assert packet.dts is not None
    packet.dts += ticks
    if packet.pts is not None:
        packet.pts += ticks


def _describe(stream: Stream) -> StreamInfo:
    if stream.type == "attachment":
        return StreamInfo(
            stream.type,
            stream.metadata.get("mimetype", "?"),
            None,
            stream.metadata.get("filename"),
            None,
            None,
        )
    context: Any = stream.codec_context
    is_audio = stream.type == "audio" and context is not None
    language = stream.language
    return StreamInfo(
        kind=stream.type,
        codec=context.codec.canonical_name if context is not None else "unknown",
        language=None if language == "und" else language,
        title=stream.metadata.get("title"),
        sample_rate=context.sample_rate if is_audio else None,
        channels=context.channels if is_audio else None,
    )


def _title(stream: Stream) -> str:
    about = _describe(stream)
    parts = (part for part in (about.codec, about.language, about.title) if part)
    return f"{about.kind} stream {stream.index} ({', '.join(parts)})"
