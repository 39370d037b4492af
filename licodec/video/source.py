"""Video in: files, standard input, folders and patterns of pictures."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import numpy as np
from av.codec.context import ThreadType
from av.container import InputContainer
from av.video.stream import VideoStream

from licodec.errors import DamagedFileError, LicodecError, UnsupportedError, UsageError
from licodec.video import ffmpeg, pictures
from licodec.video.info import Frame, Plane, VideoInfo
from licodec.video.pixels import Layout, has_transparency, layout_of, to_planes
from licodec.video.timing import Clock, frame_step, with_durations

_PICTURE_RATE = Fraction(25)


class VideoSource(ABC):
    """A video to read. Use as a context manager; made by `open_source`."""

    info: VideoInfo
    """What the planes of `frames()` are and when they are shown."""
    path: Path
    """Where it comes from: as asked for; `-` is standard input."""
    warnings: list[str]
    """One line for each thing about this input that the frames do not keep; grows while reading."""
    frame_count_hint: int | None
    """About how many frames there are; None when the file does not say."""

    @abstractmethod
    def frames(self) -> Iterator[Frame]:
        """Every frame in presentation order, from the first; holds no more than a few of them.

        Raises:
            DamagedFileError: the input breaks in the middle; names the frame and the time.
            UnsupportedError: the picture changes its size or format on the way.
            UsageError: a second pass over a pipe.
        """

    @abstractmethod
    def close(self) -> None:
        """Close the input; iterators of `frames()` must not be used any more."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_source(spec: str | Path, *, rate: Fraction | None = None, conceal: bool = False) -> VideoSource:
    """Open a video for reading.

    Args:
        spec: a file or pipe in any format FFmpeg reads; `-` for standard input; a directory of pictures
            or a pattern such as `frames/%05d.png`; a single still picture.
        rate: frames a second of a directory or pattern of pictures. Default: 25.
        conceal: keep pictures that the decoder could restore only in part, with a warning, and skip
            what it could not. Default: such an input raises DamagedFileError.

    Raises:
        UsageError: missing, empty, unreadable or not a video.
        DamagedFileError: cut or damaged so that it cannot be opened.
        UnsupportedError: a codec or pixel format that this build cannot read.
    """
    path = Path(spec)
    if str(spec) != ffmpeg.STDIN and (path.is_dir() or (pictures.is_pattern(path) and not path.exists())):
        return _PictureSource(path, rate or _PICTURE_RATE)
    return _FileSource(str(spec), conceal)


class _FileSource(VideoSource):
    def __init__(self, spec: str, conceal: bool) -> None:
        self.path = Path(spec)
        self.warnings = []
        self._spec = spec
        self._name = ffmpeg.title(spec)
        self._conceal = conceal
        self._passes: list[_Pass] = []
        self._next: _Pass | None = self._new_pass()
        try:
            self._describe(self._next)
        except LicodecError:
            self.close()
            raise

    def frames(self) -> Iterator[Frame]:
        if self._next is None:
            if ffmpeg.is_pipe(self._spec):
                raise UsageError(f"{self._name}: a pipe can be read only once: save it to a file first")
            self._next = self._new_pass()
        current, self._next = self._next, None
        return self._run(current)

    def close(self) -> None:
        while self._passes:
            self._passes.pop().close()

    def _run(self, current: _Pass) -> Iterator[Frame]:
        try:
            yield from with_durations(self._timed(current))
        finally:
            current.close()
            if current in self._passes:
                self._passes.remove(current)

    def _new_pass(self) -> _Pass:
        opened = _Pass(self._spec, self._conceal, self._warn)
        self._passes.append(opened)
        return opened

    def _describe(self, opened: _Pass) -> None:
        stream, first = opened.stream, opened.first
        layout = layout_of(first.format.name)
        sample_aspect = stream.sample_aspect_ratio
        location = 0
        if layout.chroma in ("420", "422"):
            location = ffmpeg.chroma_location(stream, ffmpeg.read_head(self._spec, opened.reader))
        self.info = _describe(
            first,
            layout,
            self._warn,
            time_base=stream.time_base or Fraction(1, 25),
            sample_aspect=sample_aspect if sample_aspect else Fraction(1),
            chroma_location=location,
        )
        self._step = frame_step(stream.average_rate or stream.guessed_rate, self.info.time_base)
        self.frame_count_hint = _count_hint(opened.container, stream)
        others = len([s for s in opened.container.streams.video if s.index != stream.index])
        if others:
            self._warn(f"{others} more video stream(s) in the file: only stream {stream.index} is read")

    def _timed(self, opened: _Pass) -> Iterator[tuple[tuple[Plane, ...], int, int]]:
        base = self.info.time_base
        clock = Clock(base, self._step)
        end = _stated_end(opened.container, opened.stream)
        origin = round(opened.origin / base)
        for number, frame in enumerate(opened):
            stamp = frame.pts if frame.pts is not None else frame.dts
            repairs = clock.repairs
            pts = clock.next(None if stamp is None else stamp - origin)
            where = f"frame {number} ({float(pts * base):.3f} s)"
            if repairs == 0 < clock.repairs:
                self._warn(f"{where}: timestamp missing or not increasing; this and later ones are repaired")
            _check_same(frame, layout_of(frame.format.name), self.info, f"{self._name}: {where}")
            own = end - pts if end is not None and end > pts else frame.duration
            yield to_planes(frame), pts, own or self._step

    def _warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)


class _Pass:
    """One decoding of the file from its first frame; iterating gives the decoded frames."""

    def __init__(self, spec: str, conceal: bool, warn: Callable[[str], None]) -> None:
        self._spec = spec
        self._name = ffmpeg.title(spec)
        self._conceal = conceal
        self._warn = warn
        self.container, self.reader = ffmpeg.open_input(spec, conceal=conceal)
        self._frames = self._decode()
        try:
            self.stream: VideoStream = ffmpeg.pick_video(self.container, self._name)
            self.stream.thread_type = ThreadType.AUTO
            self.origin = ffmpeg.time_origin(self.container)
            self.first = next(self._frames)  # it says what the others are like
        except StopIteration:
            self.close()
            raise DamagedFileError(f"{self._name}: no picture of its video stream can be decoded") from None
        except LicodecError:
            self.close()
            raise

    def __iter__(self) -> Iterator[av.VideoFrame]:
        return chain([self.first], self._frames)

    def close(self) -> None:
        """Free the decoder and the file."""
        self._frames.close()
        self.container.close()

    def _decode(self) -> Generator[av.VideoFrame, None, None]:
        base = self.stream.time_base or Fraction(0)
        # In a broadcast a packet's mark says only that something before it is missing: ask its decoder.
        trusts_packets = self._conceal or ffmpeg.is_broadcast(self.container)
        packets = self.container.demux(self.stream)
        sent, count, end, time = 0, 0, 0, self.origin
        while True:
            where = self._place(count, time)
            try:
                packet = next(packets)
                if packet.is_corrupt and not trusts_packets:
                    where = self._place(sent, (packet.pts or 0) * base)  # the decoder is some frames behind
                    raise DamagedFileError(f"{self._name}: {where} is damaged: a packet is incomplete")
                sent += 1
                end = packet.pos + packet.size if packet.size and packet.pos is not None else end
                decoded = packet.decode()
            except StopIteration:
                break
            except (av.FFmpegError, OSError) as error:
                text = f"{where} is damaged: {ffmpeg.reason(error)}"
                if not (self._conceal and isinstance(error, av.error.InvalidDataError)):
                    raise DamagedFileError(f"{self._name}: {text}") from None
                self._warn(f"{text}; it is left out")
                continue
            for frame in decoded:
                if frame.is_corrupt:
                    text = f"{self._place(count, time)} is damaged: it can be decoded only in part"
                    if not self._conceal:
                        raise DamagedFileError(f"{self._name}: {text}")
                    self._warn(text)
                yield frame
                count += 1
                time = time if frame.pts is None else frame.pts * base
        self._check_end(end, count)

    def _place(self, number: int, time: Fraction) -> str:
        return f"frame {number} (near {float(time - self.origin):.3f} s)"

    def _check_end(self, end: int, count: int) -> None:
        """YUV4MPEG2 has no lengths: a part of a frame at its end is dropped by FFmpeg in silence."""
        if self.container.format.name != "yuv4mpegpipe" or self._conceal:
            return
        total = self.reader.total if self.reader else Path(self._spec).stat().st_size
        if total > end:
            raise DamagedFileError(f"{self._name}: the file is cut in the middle of frame {count}")


class _PictureSource(VideoSource):
    def __init__(self, path: Path, rate: Fraction) -> None:
        self.path = path
        self.warnings = []
        self._files, notes = pictures.find(path)
        self.warnings += notes
        first = pictures.read(self._files[0])
        self._layout = layout_of(first.format.name)
        self.info = _describe(
            first,
            self._layout,
            self.warnings.append,
            time_base=1 / rate,
            sample_aspect=Fraction(1),
            chroma_location=0,
        )
        self.frame_count_hint = len(self._files)

    def frames(self) -> Iterator[Frame]:
        for number, file in enumerate(self._files):
            frame = pictures.read(file)
            planes = to_planes(frame)
            layout = layout_of(frame.format.name)
            if (self.info.chroma, layout.chroma) == (
                "rgb",
                "gray",
            ) and layout.bit_depth == self.info.bit_depth:
                planes, layout = planes * 3, self._layout  # some writers store colourless pictures as gray
            _check_same(frame, layout, self.info, f"{file}: frame {number}")
            yield Frame(planes, number, 1)

    def close(self) -> None:
        pass


def _describe(
    frame: av.VideoFrame,
    layout: Layout,
    warn: Callable[[str], None],
    *,
    time_base: Fraction,
    sample_aspect: Fraction,
    chroma_location: int,
) -> VideoInfo:
    """`VideoInfo` of a decoded frame; the last three arguments are what the frame itself does not know."""
    for note in layout.notes:
        warn(note)
    if has_transparency(frame):
        warn("pal8: transparent colours become opaque")
    if frame.interlaced_frame:
        warn("the video is interlaced: its fields are kept as they are, interleaved in one picture")
    angle = frame.rotation
    display_matrix: Any = None
    with contextlib.suppress(ValueError):  # PyAV 18.1 stumbles over side data it has no name for, as EXIF
        display_matrix = frame.side_data.get("DISPLAYMATRIX")
    if display_matrix:
        matrix = np.frombuffer(display_matrix, np.int32).astype(np.int64)
        if matrix[0] * matrix[4] < matrix[1] * matrix[3]:
            warn("the display matrix mirrors the picture: only its rotation is kept")
    rotation = round(angle / 90) * 90
    if abs(rotation - angle) > 1:  # FFmpeg gives whole degrees, cut
        warn(f"rotation by {angle} degrees is rounded to {rotation}")
    is_rgb = layout.chroma == "rgb"
    # FFmpeg's rule: RGB, gray and yuvj are of full range unless they say otherwise, all others limited.
    full = is_rgb or layout.chroma == "gray" or frame.format.name.startswith("yuvj")
    if frame.color_range in (1, 2) and not is_rgb:
        full = frame.color_range == 2
    elif frame.color_range == 1:
        warn("RGB of limited range is read as RGB of full range")
    return VideoInfo(
        width=frame.width,
        height=frame.height,
        chroma=layout.chroma,
        bit_depth=layout.bit_depth,
        sample_aspect=sample_aspect,
        rotation=rotation % 360,
        primaries=int(frame.color_primaries) or 2,
        transfer=int(frame.color_trc) or 2,
        matrix=0 if is_rgb else int(frame.colorspace) or 2,
        full_range=full,
        chroma_location=chroma_location,
        time_base=time_base,
    )


def _check_same(frame: av.VideoFrame, layout: Layout, info: VideoInfo, where: str) -> None:
    if (frame.width, frame.height) != (info.width, info.height):
        raise UnsupportedError(
            f"{where}: the picture is {frame.width}x{frame.height}, the ones before it are "
            f"{info.width}x{info.height}: a change of size is not supported"
        )
    if (layout.chroma, layout.bit_depth) != (info.chroma, info.bit_depth):
        raise UnsupportedError(f"{where}: the pixel format changes to {frame.format.name}: not supported")


def _stated_end(container: InputContainer, stream: VideoStream) -> int | None:
    """The end of the last frame, where the file states it for the whole stream, as MP4 does."""
    if "mp4" not in container.format.name.split(",") or stream.start_time is None or not stream.duration:
        return None
    return stream.start_time + stream.duration


def _count_hint(container: InputContainer, stream: VideoStream) -> int | None:
    if stream.frames:
        return stream.frames
    if container.format.name == "image2" or container.format.name.endswith("_pipe"):
        return 1
    if stream.duration and stream.time_base:
        seconds = stream.duration * stream.time_base
    elif container.duration:
        seconds = Fraction(container.duration, av.time_base)
    else:
        return None
    return max(1, round(seconds * stream.average_rate)) if stream.average_rate else None
