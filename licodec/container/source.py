"""The bytes being read, wherever they are."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from licodec.container.problems import printable
from licodec.errors import DamagedFileError, UsageError

BLOCK = 1 << 20
"""Bytes read at a time where the total may be large."""

Readable = str | os.PathLike[str] | bytes | BinaryIO


class Source:
    """Random access to a path, to bytes, or to a seekable binary file that stays the caller's to close."""

    def __init__(self, readable: Readable) -> None:
        self._owned = isinstance(readable, bytes | str | os.PathLike)
        if isinstance(readable, bytes):
            self.name = "<bytes>"
            self._file: BinaryIO = io.BytesIO(readable)
        elif isinstance(readable, str | os.PathLike):
            self.name = printable(os.fspath(readable))
            self._file = _open(readable, self.name)
        else:
            self.name = printable(str(getattr(readable, "name", "<file object>")))
            self._file = readable
        try:
            self.size = self._file.seek(0, os.SEEK_END)
        except OSError as error:
            self.close()
            raise UsageError(f"{self.name}: cannot seek in it; copy it to a regular file first") from error

    def close(self) -> None:
        if self._owned:
            self._file.close()

    def read_at(self, offset: int, count: int) -> bytes:
        """Exactly `count` bytes, which the caller has checked to lie inside the file."""
        try:
            self._file.seek(offset)
            data = self._file.read(count)
        except OSError as error:
            raise DamagedFileError(f"byte {offset} cannot be read: {error.strerror or error}") from error
        if len(data) != count:
            raise DamagedFileError(f"the file became shorter than {offset + count} bytes while it was read")
        return data

    def blocks(self, offset: int, count: int) -> Iterator[bytes]:
        """The same in pieces of at most `BLOCK` bytes."""
        for start in range(offset, offset + count, BLOCK):
            yield self.read_at(start, min(BLOCK, offset + count - start))


def _open(path: str | os.PathLike[str], name: str) -> BinaryIO:
    try:
        # A FIFO without a writer would block the open for ever.
        if Path(path).exists() and not Path(path).is_file():
            raise UsageError(f"{name}: {'a directory' if Path(path).is_dir() else 'not a regular file'}")
        return Path(path).open("rb")
    except FileNotFoundError:
        raise UsageError(f"{name}: no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise UsageError(f"{name}: cannot be opened: {getattr(error, 'strerror', None) or error}") from error
