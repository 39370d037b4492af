"""What all outputs share: their interface, and files that appear complete or not at all."""

from __future__ import annotations

import contextlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from licodec.container import printable
from licodec.errors import LicodecError, UsageError
from licodec.files import UnfinishedFile, reserved
from licodec.video.ffmpeg import reason
from licodec.video.info import Frame, VideoInfo, check_planes


class PipeClosedError(LicodecError):
    """The program that reads standard output has ended: stop quietly, nothing is wrong."""

    exit_status = 0


class VideoSink(ABC):
    """A place to write a video to. Made by `open_sink`.

    As a context manager it closes at the end of the block, and aborts when an exception leaves it.
    """

    info: VideoInfo
    """What the planes of the frames written must be."""
    warnings: list[str]
    """One line for each thing that this output does not keep."""

    def __init__(self, info: VideoInfo) -> None:
        self.info = info
        self.warnings = []
        self._last: int | None = None

    @abstractmethod
    def write(self, frame: Frame) -> None:
        """Append a frame; `pts` must increase.

        Raises:
            ValueError: planes that are not what `info` states, or a `pts` that does not increase.
            UsageError: the output cannot be written, or cannot hold this.
            PipeClosedError: nobody reads standard output any more.
        """

    @abstractmethod
    def close(self) -> None:
        """Finish the output and put it in its place. Raises UsageError, as when the disk is full."""

    @abstractmethod
    def abort(self) -> None:
        """Give up: leave no output behind."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.abort()
            return
        try:
            self.close()
        except BaseException:
            self.abort()
            raise

    def _check(self, frame: Frame) -> None:
        check_planes(frame.planes, self.info)
        if self._last is not None and frame.pts <= self._last:
            raise ValueError(f"pts {frame.pts} after {self._last}: timestamps must increase")
        self._last = frame.pts


class PartFile:
    """A file that appears at `path` whole or not at all, and replaces another one only if that is asked for."""

    def __init__(self, path: Path, *, overwrite: bool) -> None:
        """Raises UsageError when `path` exists (without `overwrite`) or cannot be written."""
        self.path = path
        self._overwrite = overwrite
        self._check()
        try:
            self._part = UnfinishedFile(path)
        except OSError as error:
            raise UsageError(f"{path}: cannot be written: {reason(error)}") from None
        self.file: BinaryIO = self._part.file

    def commit(self, *, sync: bool = True) -> None:
        """Put the file in its place. `sync`: only after its bytes are on the disk. Raises UsageError."""
        try:
            self._check()
            self._part.commit(sync=sync)
        except OSError as error:
            raise write_error(self.path, error) from None

    def discard(self) -> None:
        """Remove what was written."""
        self._part.discard()

    def _check(self) -> None:
        if self.path.is_dir():
            raise UsageError(f"{self.path}: is a directory")
        if self.path.exists() and not self._overwrite:
            raise UsageError(f"{self.path}: exists already: -y overwrites it")


def write_error(path: Path | str, error: BaseException) -> UsageError:
    """The error for an output that cannot be written to its end, such as on a full disk."""
    return UsageError(f"{path}: cannot be written: {reason(error)}")


@contextlib.contextmanager
def reserved_output(path: Path) -> Iterator[None]:
    """While the block runs no other process may work on this output: two would take each other's checkpoint or result
    away. Raises UsageError."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(reserved(Path(os.path.realpath(path))))
        except OSError as error:
            raise UsageError(f"{printable(str(path))}: cannot be written: {error.strerror or error}") from None
        yield
