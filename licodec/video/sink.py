"""Video out: files, pictures, YUV4MPEG2 on standard output, or nowhere."""

from __future__ import annotations

import contextlib
import os
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

from licodec.errors import UsageError
from licodec.video import pictures, y4m
from licodec.video.encode import VIDEO_SUFFIXES, FileSink
from licodec.video.info import Frame, VideoInfo
from licodec.video.output import PartFile, PipeClosedError, VideoSink, write_error

__all__ = ["PipeClosedError", "VideoSink", "open_sink", "same_file"]

NULL = "null:"
STDOUT = "-"


def open_sink(
    spec: str | Path,
    info: VideoInfo,
    *,
    overwrite: bool = False,
    codec: str | None = None,
    crf: float | None = None,
    other_streams: bytes | None = None,
) -> VideoSink:
    """Open an output of the kind its name says.

    Args:
        spec: `*.mp4`, `*.mov`, `*.mkv` or `*.webm` for a video file; `*.y4m`, or `-` for YUV4MPEG2 on
            standard output; a pattern such as `frames/%05d.png`, or `frames/` for a directory of numbered
            pictures (from 1 on); `*.png` for a single one; `null:` to throw the frames away.
        info: what will be written.
        overwrite: replace existing files.
        codec: FFmpeg's encoder name, for video files. Default: the one that holds `info` without
            conversion, see `licodec.video.encode`.
        crf: quality of that encoder, lower is better. Default: visually lossless.
        other_streams: what `copy_other_streams` gave, for video files; other kinds cannot hold them.

    Raises:
        UsageError: an unknown kind, a file that exists, an output that cannot be written, or a codec or
            container that cannot hold `info`.
    """
    name = str(spec)
    path = Path(spec)
    sink: VideoSink
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return FileSink(path, info, overwrite=overwrite, codec=codec, crf=crf, other_streams=other_streams)
    if codec is not None or crf is not None:
        raise UsageError(f"{name}: --codec and --crf need a video file: {', '.join(VIDEO_SUFFIXES)}")
    if name == NULL:
        sink = _NullSink(info)
    elif name == STDOUT:
        sink = _Y4mSink(info, None)
    elif path.suffix.lower() == ".y4m":
        y4m.header(info, Fraction(1))
        sink = _Y4mSink(info, PartFile(path, overwrite=overwrite))
    elif name.endswith("/") or path.is_dir():
        sink = _PngSink(path / "%05d.png", info, overwrite=overwrite, make_directory=True)
    elif path.suffix.lower() == ".png":
        sink = _PngSink(path, info, overwrite=overwrite)
    else:
        raise UsageError(
            f"{name}: unknown kind of output: use {', '.join(VIDEO_SUFFIXES)}, .y4m, .png, %05d.png, "
            f"a directory ending in /, - or {NULL}"
        )
    if other_streams is not None and name != NULL:
        sink.warnings.append(f"{name}: this kind of output holds no audio or subtitles")
    return sink


def same_file(first: str | Path, second: str | Path) -> bool:
    """Whether an input and an output are the same file, or pictures in the same place."""
    a, b = Path(first), Path(second)
    if STDOUT in (str(first), str(second)) or str(second) == NULL:
        return False
    if a.exists() and b.exists():
        return a.samefile(b)
    place_a, place_b = (p.parent if pictures.is_pattern(p) else p for p in (a, b))
    if place_a.resolve() != place_b.resolve():
        return False
    return not (pictures.is_pattern(a) and pictures.is_pattern(b)) or a.name == b.name


class _NullSink(VideoSink):
    def write(self, frame: Frame) -> None:
        self._check(frame)

    def close(self) -> None:
        pass

    def abort(self) -> None:
        pass


class _Y4mSink(VideoSink):
    """To a file, or to standard output when `part` is None."""

    def __init__(self, info: VideoInfo, part: PartFile | None) -> None:
        super().__init__(info)
        self._part = part
        self._name = str(part.path) if part else "standard output"
        if part is None and sys.stdout.isatty():
            raise UsageError("-: standard output is a terminal: pipe it into a program or a file")
        self._file: Any = part.file if part else sys.stdout.buffer
        self._first: Frame | None = None
        self._count = 0
        for kept, text in (
            (info.rotation == 0, "the rotation"),
            (
                {info.primaries, info.transfer, info.matrix} <= {2},
                "the colour primaries, transfer and matrix",
            ),
        ):
            if not kept:
                self.warnings.append(f"y4m does not keep {text}")

    def write(self, frame: Frame) -> None:
        self._check(frame)
        if self._first is None:
            self._first = frame
            self._put(y4m.header(self.info, 1 / (frame.duration * self.info.time_base)))
        text = "y4m has no timestamps: this variable frame rate is not kept"
        if frame.pts != self._first.pts + self._count * self._first.duration and text not in self.warnings:
            self.warnings.append(text)
        self._count += 1
        self._put(y4m.picture(frame.planes))

    def close(self) -> None:
        if self._part:
            self._part.commit()
        else:
            self._put(b"")

    def abort(self) -> None:
        if self._part:
            self._part.discard()

    def _put(self, data: bytes) -> None:
        try:
            self._file.write(data)
            if self._part is None:
                self._file.flush()
        except BrokenPipeError:
            # Python would flush what is left at exit, and complain: let that go nowhere.
            with contextlib.suppress(OSError), Path(os.devnull).open("wb") as nowhere:
                os.dup2(nowhere.fileno(), sys.stdout.fileno())
            raise PipeClosedError("standard output: the reader has ended") from None
        except OSError as error:
            raise write_error(self._name, error) from None


class _PngSink(VideoSink):
    """A pattern, or a single file where `path` is not one."""

    def __init__(self, path: Path, info: VideoInfo, *, overwrite: bool, make_directory: bool = False) -> None:
        super().__init__(info)
        self._path = path
        self._overwrite = overwrite
        self._is_pattern = pictures.is_pattern(path)
        self._made: list[Path] = []
        self._count = 0
        self._encoder = pictures.PngEncoder(info)
        try:
            self._made_directory = make_directory and not path.parent.exists()
            if self._made_directory:
                path.parent.mkdir()
            existing = pictures.matches(path) if self._is_pattern else []
        except OSError as error:
            raise write_error(path, error) from None
        if existing and not overwrite:
            raise UsageError(f"{existing[0][1]}: exists already: -y overwrites it")
        if existing:
            self.warnings.append(f"{path}: {len(existing)} pictures are there already; those not reached stay")
        # Find out now, not after an hour, whether files can be written here.
        PartFile(self._file(1), overwrite=overwrite).discard()
        if info.rotation:
            self.warnings.append(f"PNG pictures are not rotated: turn them by {info.rotation} degrees")

    def write(self, frame: Frame) -> None:
        self._check(frame)
        self._count += 1
        if self._count > 1 and not self._is_pattern:
            raise UsageError(f"{self._path}: one picture, but the video has more frames: use a name with %05d")
        path = self._file(self._count)
        data = self._encoder.encode(frame.planes)
        part = PartFile(path, overwrite=self._overwrite)
        try:
            part.file.write(data)
            is_new = not path.exists()
            part.commit(sync=False)
        except OSError as error:
            raise write_error(path, error) from None
        finally:
            part.discard()
        if is_new:
            self._made.append(path)

    def _file(self, number: int) -> Path:
        return pictures.numbered(self._path, number) if self._is_pattern else self._path

    def close(self) -> None:
        self._made.clear()

    def abort(self) -> None:
        for path in self._made:
            path.unlink(missing_ok=True)
        self._made.clear()
        if self._made_directory:
            with contextlib.suppress(OSError):
                self._path.parent.rmdir()
