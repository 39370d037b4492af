"""An index over a directory of files, so that many are searched at once: rebuildable, and never the only copy.

SQLite holds what the files say: heads, latents and times. A query is taken through each head to the space of its
latents, q . (B s + m) = (B^T q) . s + q . m, so that what is compared with a million frames are a few numbers each, and
exactly. `licodec[index]` adds LanceDB, which keeps the vectors themselves on the disk, for libraries that outgrow
memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from licodec.container import DEFAULT_LIMITS, Limits
from licodec.container.chunks import CRC_BYTES
from licodec.container.reader import DIGEST_BYTES
from licodec.errors import LicodecError, UnsupportedError, UsageError
from licodec.semantics.chunk import Head, SegmentLatents, Vectors, knot_count
from licodec.semantics.fingerprint import Fingerprint
from licodec.semantics.retrieval import Hit, background, moments_of
from licodec.semantics.stores import LanceStore, NumpyStore, Part
from licodec.semantics.track import Track, tracks

INDEX_NAME = ".licodec-index.sqlite"
LANCE_NAME = ".licodec-index.lance"
SUFFIX = ".linr"
BACKENDS = ("numpy", "lance")
_VERSION = 1
_SAMPLE = 20_000
"""Frames that the background of a query is taken from."""
_CANDIDATES = 4
"""Files looked at closely for each hit that is wanted."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    digest BLOB NOT NULL, problem TEXT
);
CREATE TABLE IF NOT EXISTS heads (
    id INTEGER PRIMARY KEY, file INTEGER NOT NULL REFERENCES files (id) ON DELETE CASCADE,
    provider TEXT NOT NULL, architecture TEXT NOT NULL, weights TEXT NOT NULL, preprocessing TEXT NOT NULL,
    dimension INTEGER NOT NULL, components INTEGER NOT NULL,
    steps BLOB NOT NULL, mean BLOB NOT NULL, basis BLOB NOT NULL,
    segments BLOB NOT NULL, codes BLOB NOT NULL, times BLOB NOT NULL, end REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS heads_file ON heads (file);
"""


@dataclass(frozen=True)
class UpdateReport:
    """What an update found."""

    added: int
    changed: int
    removed: int
    unchanged: int
    problems: tuple[str, ...]
    """Of files that cannot be read, one line each."""
    files: int
    """In the index now, those that cannot be read left out."""
    vectors: int
    """Latents in the index now, over all heads."""


class Store(Protocol):
    """Finds the nearest vectors."""

    def top(self, query: Vectors, count: int) -> tuple[npt.NDArray[np.int64], Vectors]:
        """(heads, cosines) of the `count` files whose best latents are nearest, best first."""
        ...


class Library:
    """The index of a directory. Use as a context manager.

    backend: what searches, "numpy" or "lance"; None: LanceDB if the directory has a table of it.

    Raises UsageError if the directory is not there, or the index cannot be read or written.
    """

    def __init__(self, directory: str | Path, *, backend: str | None = None, rebuild: bool = False) -> None:
        self.directory = Path(directory)
        if not self.directory.is_dir():
            raise UsageError(f"{directory}: is not a directory")
        if backend not in (None, *BACKENDS):
            raise UsageError(f"backend {backend!r} is not one of {', '.join(BACKENDS)}")
        self._table = self.directory / LANCE_NAME
        self.backend = backend or ("lance" if self._table.is_dir() else "numpy")
        """What searches."""
        self.path = self.directory / INDEX_NAME
        self._stores: dict[Fingerprint, Store] = {}
        self._samples: dict[Fingerprint, Vectors] = {}
        with self._told():
            if rebuild:
                self._remove()
            try:
                self._open()
            except sqlite3.OperationalError:
                raise  # it may be whole: another process may hold it
            except sqlite3.DatabaseError:
                # Whatever is wrong with it: everything in it is in the files as well.
                self._remove()
                self._open()

    def _open(self) -> None:
        # Where nothing can be written, SQLite cannot lock either, and nobody else changes the index.
        fixed = self.path.exists() and not os.access(self.directory, os.W_OK)
        target = f"{self.path.absolute().as_uri()}?immutable=1" if fixed else self.path
        self._database = sqlite3.connect(target, uri=fixed)
        try:
            self._database.execute("PRAGMA foreign_keys = ON")
            # A power cut may cost the last files taken up, never the index: they are found new again.
            self._database.execute("PRAGMA synchronous = NORMAL")
            version = self._database.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, _VERSION):
                raise sqlite3.DatabaseError(f"an index of version {version}")
            if not version:
                self._database.execute("PRAGMA journal_mode = WAL")
                self._database.executescript(_SCHEMA)
                self._database.execute(f"PRAGMA user_version = {_VERSION}")
                self._database.commit()
        except sqlite3.Error:
            self._database.close()
            raise

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Errors of the database as the user's."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise UsageError(f"{self.path}: cannot be used: {error}") from error
        except sqlite3.DatabaseError as error:
            raise UsageError(
                f"{self.path}: is damaged ({error}): 'licodec index --rebuild {self.directory}' makes it anew"
            ) from error

    def remove_table(self) -> None:
        """Remove the table of LanceDB, if there is one."""
        shutil.rmtree(self._table, ignore_errors=True)

    def _remove(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    def close(self) -> None:
        """Close the index."""
        self._stores.clear()
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def update(
        self, *, limits: Limits = DEFAULT_LIMITS, progress: Callable[[int, int], None] | None = None
    ) -> UpdateReport:
        """Bring the index up to date. Each file is taken up as a whole: an update that is interrupted keeps what it
        has, and the next one goes on. `progress` gets (files done, files)."""
        with self._told():
            return self._update(limits, progress)

    def stale(self) -> int:
        """Files that are new, changed or gone since the last update."""
        found = {path: (state.st_size, state.st_mtime_ns) for path, state in self._files()}
        with self._told():
            known = {path: (size, mtime) for path, (_, size, mtime, _) in self._known().items()}
        return sum(found.get(path) != known.get(path) for path in found.keys() | known.keys())

    def _known(self) -> dict[str, tuple[int, int, int, bytes]]:
        """(id, size, time of change, digest) by path."""
        return {
            path: (number, size, mtime, digest)
            for number, path, size, mtime, digest in self._database.execute(
                "SELECT id, path, size, mtime_ns, digest FROM files"
            )
        }

    def _update(self, limits: Limits, progress: Callable[[int, int], None] | None) -> UpdateReport:
        found = dict(self._files())
        known = self._known()
        added = changed = 0
        gone = [number for path, (number, *_) in known.items() if path not in found]
        with self._database:
            self._database.executemany("DELETE FROM files WHERE id = ?", [(number,) for number in gone])
        for done, (path, state) in enumerate(found.items()):
            before = known.get(path)
            now = (state.st_size, state.st_mtime_ns)
            if before is None or before[1:3] != now:
                digest = _digest(self.directory / path)
                with self._database:
                    if before is not None and digest and before[3] == digest:
                        self._database.execute(
                            "UPDATE files SET size = ?, mtime_ns = ? WHERE id = ?", (*now, before[0])
                        )
                    else:
                        self._take(path, now, digest, limits)
                        added += before is None
                        changed += before is not None
            if progress:
                progress(done + 1, len(found))
        self._stores.clear()
        problems = self._database.execute(
            "SELECT path || ': ' || problem FROM files WHERE problem IS NOT NULL ORDER BY path"
        )
        files = self._database.execute("SELECT count(*) FROM files WHERE problem IS NULL").fetchone()[0]
        vectors = sum(
            length // (4 * max(1, components))
            for length, components in self._database.execute("SELECT length(codes), components FROM heads")
        )
        return UpdateReport(
            added, changed, len(gone), len(found) - added - changed, tuple(p for (p,) in problems), files, vectors
        )

    def _files(self) -> Iterator[tuple[str, os.stat_result]]:
        """(path relative to the directory, state) of every file below it, in order."""
        for folder, folders, names in os.walk(self.directory):
            folders.sort()
            for name in sorted(names):
                path = Path(folder) / name
                if path.suffix == SUFFIX and not name.startswith("."):
                    try:
                        yield path.relative_to(self.directory).as_posix(), path.stat()
                    except OSError:
                        continue  # gone meanwhile

    def _take(self, path: str, state: tuple[int, int], digest: bytes, limits: Limits) -> None:
        """Replace what is known of a file."""
        problem, found = None, []
        try:
            found = tracks(self.directory / path, limits)
        except LicodecError as error:
            problem = str(error)
        self._put(path, state, digest, problem, found)

    def _put(
        self, path: str, state: tuple[int, int], digest: bytes, problem: str | None, found: Iterable[Track]
    ) -> None:
        self._database.execute("DELETE FROM files WHERE path = ?", (path,))
        cursor = self._database.execute(
            "INSERT INTO files (path, size, mtime_ns, digest, problem) VALUES (?, ?, ?, ?, ?)",
            (path, *state, digest, problem),
        )
        for track in found:
            self._database.execute(
                "INSERT INTO heads (file, provider, architecture, weights, preprocessing, dimension, components, steps,"
                " mean, basis, segments, codes, times, end) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (cursor.lastrowid, *_row(track)),
            )

    def add(self, found: Iterable[Track]) -> None:
        """Take up tracks of files that need not be there, for benchmarks; the next update removes those."""
        with self._told(), self._database:
            for track in found:
                self._put(track.path.as_posix(), (0, 0), b"", None, [track])

    def fingerprints(self) -> list[Fingerprint]:
        """Of the heads in the index, the most frequent first."""
        rows = self._database.execute(
            "SELECT provider, architecture, weights, preprocessing, dimension FROM heads"
            " GROUP BY 1, 2, 3, 4, 5 ORDER BY count(*) DESC, 1, 2, 3, 4, 5"
        )
        return [Fingerprint(*row) for row in rows]

    def search(self, query: Vectors, fingerprint: Fingerprint, *, count: int = 10, moments: int = 3) -> list[Hit]:
        """The best `count` hits of a query vector, as `licodec.semantics.search` has them.

        Raises UnsupportedError if no file has a head of this fingerprint.
        """
        # By their best latents: with smoothing the order may change, so look at more than there shall be hits.
        heads, _ = self.store(fingerprint).top(query, _CANDIDATES * count)
        middle, deviation = background(self._samples[fingerprint] @ query)
        with self._told():
            hits = [
                hit
                for track in (self._track(int(head)) for head in heads)
                for hit in moments_of(track, track.cosines(query), middle, deviation, moments)
            ]
        return sorted(hits, key=lambda hit: -hit.score)[:count]

    def store(self, fingerprint: Fingerprint) -> Store:
        """What finds the nearest latents under a fingerprint; made at the first call."""
        if fingerprint not in self._stores:
            with self._told():
                sizes = self._sizes(fingerprint)
                self._samples[fingerprint] = self._sample(fingerprint, sizes)
                if self.backend == "lance":
                    parts = self._parts(fingerprint, list(sizes))
                    made = LanceStore(self._table, fingerprint, parts, sum(sizes.values()), self._state())
                    self._stores[fingerprint] = made
                else:
                    self._stores[fingerprint] = NumpyStore(list(self._parts(fingerprint, list(sizes))))
        return self._stores[fingerprint]

    def _state(self) -> str:
        """Differs whenever the index holds other heads than before."""
        rows = self._database.execute(
            "SELECT heads.id, files.digest FROM heads JOIN files ON files.id = heads.file ORDER BY heads.id"
        )
        digest = hashlib.sha256()
        for number, file in rows:
            digest.update(b"%d %s\n" % (number, file.hex().encode()))
        return digest.hexdigest()[:32]

    def _sizes(self, fingerprint: Fingerprint) -> dict[int, int]:
        """Latents of the heads under a fingerprint, by number, in order."""
        found = {
            number: length // (4 * components) if components else 1
            for number, length, components in self._database.execute(
                "SELECT id, length(codes), components FROM heads WHERE (provider, architecture, weights, preprocessing,"
                " dimension) = (?, ?, ?, ?, ?) ORDER BY id",
                _fields(fingerprint),
            )
        }
        if not found:
            raise UnsupportedError(
                f"{self.directory}: no file of the index has vectors of {fingerprint}; 'licodec realign' adds them"
            )
        return found

    def _parts(self, fingerprint: Fingerprint, numbers: Iterable[int]) -> Iterator[Part]:
        """Latents of heads, one after the other."""
        for number in numbers:
            components, steps, mean, basis, codes = self._database.execute(
                "SELECT components, steps, mean, basis, codes FROM heads WHERE id = ?", (number,)
            ).fetchone()
            head = _head(fingerprint, components, steps, mean, basis)
            latents = np.frombuffer(codes, "<i4").reshape(-1, components) if components else np.zeros((1, 0), np.int32)
            yield Part(number, head.matrix(), latents)

    def _sample(self, fingerprint: Fingerprint, sizes: dict[int, int]) -> Vectors:
        """[vectors, dimension] at most so many, the same whenever the index is."""
        every = max(1, -(-sum(sizes.values()) // _SAMPLE))
        rows, position = {}, 0
        for number, size in sizes.items():
            chosen = np.arange(-position % every, size, every)
            position += size
            if len(chosen):
                rows[number] = chosen
        return np.concatenate([part.vectors(rows[part.head]) for part in self._parts(fingerprint, rows)])

    def _track(self, head: int) -> Track:
        path, *row = self._database.execute(
            "SELECT files.path, provider, architecture, weights, preprocessing, dimension, components, steps, mean,"
            " basis, segments, codes, times, end FROM heads JOIN files ON files.id = heads.file WHERE heads.id = ?",
            (head,),
        ).fetchone()
        fingerprint, (components, steps, mean, basis, segments, codes, times, end) = Fingerprint(*row[:5]), row[5:]
        table = np.frombuffer(segments, "<i4").reshape(-1, 2)
        counts = [knot_count(int(n), int(r)) for n, r in table]
        latents = np.frombuffer(codes, "<i4").reshape(sum(counts), components)
        split = np.split(latents, np.cumsum(counts)[:-1])
        return Track(
            self.directory / path,
            _head(fingerprint, components, steps, mean, basis),
            tuple(SegmentLatents(int(n), int(r), part) for (n, r), part in zip(table, split, strict=True)),
            tuple(int(f) for f in np.cumsum([0, *table[:-1, 0]])),
            np.frombuffer(times, "<f8"),
            end,
        )


def _fields(fingerprint: Fingerprint) -> tuple[str, str, str, str, int]:
    f = fingerprint
    return (f.provider, f.architecture, f.weights, f.preprocessing, f.dimension)


def _row(track: Track) -> tuple[object, ...]:
    """Values of a row of heads, after the file."""
    head = track.head
    return (
        *_fields(head.fingerprint),
        head.components,
        bytes(head.steps),
        head.mean.astype("<i4").tobytes(),
        head.basis.astype("<i4").tobytes(),
        np.array([(s.frames, s.stride) for s in track.segments], "<i4").tobytes(),
        track.codes().astype("<i4").tobytes(),
        track.times.astype("<f8").tobytes(),
        track.end,
    )


def _head(fingerprint: Fingerprint, components: int, steps: bytes, mean: bytes, basis: bytes) -> Head:
    return Head(
        fingerprint,
        np.frombuffer(mean, "<i4"),
        np.frombuffer(basis, "<i4").reshape(fingerprint.dimension, components),
        tuple(steps),
    )


def _digest(path: Path) -> bytes:
    """The digest that a file ends with; empty if it is too short."""
    try:
        with path.open("rb") as file:
            file.seek(-(DIGEST_BYTES + CRC_BYTES), os.SEEK_END)
            return file.read(DIGEST_BYTES)
    except OSError:
        return b""
