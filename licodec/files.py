"""Files that appear whole or not at all, each written by one process at a time.

A file is written beside its place under a hidden name that follows from its own, locked as long as its process lives,
and renamed when its bytes are on the disk. What a killed process left is taken over by the next one that writes the
same file; another one that writes it at the same time is refused.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_BUSY = "another licodec is writing it: let that one end, or choose another name"
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)


class UnfinishedFile:
    """A file in work. `file` takes its bytes; then `commit` or `discard`, of which the first one counts."""

    def __init__(self, path: Path) -> None:
        """Raises OSError when nothing can be written beside `path`, or another process is writing it."""
        self.path = path
        self.part = _hidden(path, "part")
        self.file: BinaryIO = _open_locked(self.part)
        self._done = False

    def flush(self) -> None:
        """Bring what was written to the disk. Raises OSError."""
        self.file.flush()
        os.fsync(self.file.fileno())

    def commit(self, *, sync: bool = True) -> None:
        """Put the file in its place; `sync`: and be sure that it stays there. Raises OSError."""
        if sync:
            self.flush()
        else:
            self.file.flush()
        # Renamed before the lock is let go: nobody may take an empty name for a part left behind.
        self.part.replace(self.path)
        self._done = True
        self.file.close()
        if sync:
            sync_directory(self.path.parent)

    def discard(self) -> None:
        """Remove what was written, unless it is in its place."""
        if self._done:
            return
        self._done = True
        self.part.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.file.close()  # may have to write what it still holds, to a disk that is full


@contextlib.contextmanager
def reserved(path: Path) -> Iterator[None]:
    """While the block runs no other process may reserve the same path. Raises OSError when one has."""
    lock = _hidden(path, "lock")
    file = _open_locked(lock)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        file.close()


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable, on file systems that can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _hidden(path: Path, suffix: str) -> Path:
    # The name itself might become too long with anything added to it.
    return path.with_name(f".licodec-{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}.{suffix}")


def _open_locked(path: Path) -> BinaryIO:
    """An empty file that is ours alone; what lay there is cut if nobody holds it."""
    while True:
        # Not through a symbolic link, and no file with another name or owner: in a directory that others
        # write to, either could be a trap.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1 or status.st_uid != os.geteuid():
                raise PermissionError(errno.EPERM, f"{path.name} is in the way, and not a file of this user's own")
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BlockingIOError(errno.EBUSY, _BUSY) from None
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
            # Its last owner may have renamed or removed it before this one got the lock.
            if _is_at(path, status):
                os.ftruncate(descriptor, 0)
                return os.fdopen(descriptor, "wb")
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_at(path: Path, status: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.lstat(), status)
    except FileNotFoundError:
        return False
