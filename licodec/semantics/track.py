"""What a file says of its frames' meaning: its heads, and the vectors of frames under one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from licodec.container import DEFAULT_LIMITS, SEMANTIC_LATENTS, Limits, LinrReader, Problem
from licodec.errors import DamagedFileError, LicodecError, LimitError, UnsupportedError
from licodec.semantics.chunk import ChunkReader, Head, SegmentLatents, Vectors, knots
from licodec.semantics.fingerprint import Fingerprint

HEADS_MAX = 64
"""Heads of one file."""

Reals = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Track:
    """The semantic latents of one video under one head. Frames are numbered over the whole file."""

    path: Path
    head: Head
    segments: tuple[SegmentLatents, ...]
    firsts: tuple[int, ...]
    """First frame of each segment."""
    times: Reals
    """[frames] seconds at which each is shown."""
    end: float
    """Seconds at which the last frame ends."""
    _matrix: Vectors = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_matrix", self.head.matrix())

    @property
    def fingerprint(self) -> Fingerprint:
        """Of the head."""
        return self.head.fingerprint

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.times)

    def bounds(self, segment: int) -> tuple[int, int]:
        """(first frame, frame after the last) of a segment."""
        first = self.firsts[segment]
        return first, first + self.segments[segment].frames

    def knots(self) -> npt.NDArray[np.int64]:
        """Frames that have a latent of their own."""
        pairs = zip(self.firsts, self.segments, strict=True)
        return np.concatenate([first + knots(s.frames, s.stride) for first, s in pairs])

    def codes(self) -> npt.NDArray[np.int32]:
        """[knots, components] their latents."""
        return np.concatenate([s.codes for s in self.segments])

    def latents(self, frames: npt.NDArray[np.floating] | npt.NDArray[np.integer]) -> Vectors:
        """[len(frames), components]; a frame number between two frames of a segment is interpolated."""
        wanted = np.asarray(frames, np.float64)
        which = np.clip(np.searchsorted(self.firsts, np.floor(wanted), "right") - 1, 0, None)
        out = np.zeros((len(wanted), self.head.components), np.float32)
        order = np.argsort(which, kind="stable")
        present, starts = np.unique(which[order], return_index=True)
        for segment, inside in zip(present, np.split(order, starts[1:]), strict=True):
            out[inside] = self.segments[segment].at(wanted[inside] - self.firsts[segment])
        return out

    def vectors(self, frames: npt.NDArray[np.floating] | npt.NDArray[np.integer] | None = None) -> Vectors:
        """[frames, dimension] of length 1 (or 0, where a head says nothing); None: all frames."""
        numbers = np.arange(len(self)) if frames is None else frames
        found = self.latents(numbers) @ self._matrix[:, :-1].T + self._matrix[:, -1]
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-20)

    def cosines(self, query: Vectors) -> Vectors:
        """[frames] of a query of length 1 with every frame, as those of `vectors`, which are not made for it."""
        known = np.column_stack([self.latents(np.arange(len(self))), np.ones(len(self))]).astype(np.float64)
        matrix = self._matrix.astype(np.float64)
        squared = ((known @ (matrix.T @ matrix)) * known).sum(axis=1)
        return np.asarray(known @ (matrix.T @ query) / np.sqrt(np.maximum(squared, 1e-40)), np.float32)

    def frame_numbers(self, seconds: npt.ArrayLike) -> Reals:
        """Frame numbers at times, fractions between two frames of a segment; across a cut, and outside the video,
        the frame that is shown."""
        at = np.atleast_1d(np.asarray(seconds, np.float64))
        before = np.clip(np.searchsorted(self.times, at + 1e-9, "right") - 1, 0, len(self) - 1)
        after = np.minimum(before + 1, len(self) - 1)
        gap = np.maximum(self.times[after] - self.times[before], 1e-12)
        share = np.clip((at - self.times[before]) / gap, 0, 1)
        cut = np.isin(after, self.firsts)
        return np.asarray(before + np.where(cut | (after == before), 0.0, share), np.float64)

    def at(self, seconds: npt.ArrayLike) -> Vectors:
        """[times, dimension] at times in seconds, which need not be those of frames."""
        return self.vectors(self.frame_numbers(seconds))


def tracks(path: str | Path, limits: Limits = DEFAULT_LIMITS, only: Fingerprint | None = None) -> list[Track]:
    """The heads of a file with their latents, none if it has none; `only`: no others than of this fingerprint.

    Raises UsageError for no such file, DamagedFileError and LimitError for what is in it.
    """
    with LinrReader(path, limits) as reader:
        found = [
            (chunk, chunk.head(), tuple(chunk.segments()))
            for chunk in readers(reader, limits, str(path))
            if only is None or chunk.fingerprint == only
        ]
        base = reader.info.time_base
        firsts = tuple(s.first_frame for s in reader.segments)
        times = np.array([float(p * base) for p in reader.pts])
        end = float((reader.pts[-1] + reader.durations[-1]) * base)
    return [Track(Path(path), head, segments, firsts, times, end) for _, head, segments in found]


def fingerprints(path: str | Path, limits: Limits = DEFAULT_LIMITS) -> list[Fingerprint]:
    """Of the heads of a file, without decoding them."""
    with LinrReader(path, limits) as reader:
        return [chunk.fingerprint for chunk in readers(reader, limits, str(path))]


def readers(reader: LinrReader, limits: Limits, where: str) -> list[ChunkReader]:
    """The chunks of an open file; refuses two of one fingerprint."""
    frames = [s.frame_count for s in reader.segments]
    payloads = reader.ancillary(SEMANTIC_LATENTS)
    if len(payloads) > HEADS_MAX:
        raise DamagedFileError(f"{where}: has {len(payloads)} heads, more than {HEADS_MAX}")
    found: list[ChunkReader] = []
    for number, payload in enumerate(payloads):
        try:
            chunk = ChunkReader(payload, frames, limits, f"{where}: {SEMANTIC_LATENTS} {number}")
        except (LimitError, UnsupportedError) as error:
            raise type(error)(f"{where}: {error}") from error
        if any(chunk.fingerprint == other.fingerprint for other in found):
            raise DamagedFileError(f"{where}: has two heads of the same fingerprint")
        found.append(chunk)
    return found


def verify_latents(reader: LinrReader, limits: Limits) -> list[Problem]:
    """Parse every head and latent of an open file; a problem for each chunk that does not parse."""
    payloads = reader.ancillary(SEMANTIC_LATENTS)
    if not payloads:
        return []
    frames = [s.frame_count for s in reader.segments]
    offsets = [c.offset for c in reader.chunks() if c.kind == SEMANTIC_LATENTS]
    problems, seen = [], set()
    for offset, payload in zip(offsets, payloads, strict=True):
        try:
            chunk = ChunkReader(payload, frames, limits, "")
            if chunk.fingerprint in seen:
                raise DamagedFileError("a second head of the same fingerprint")
            seen.add(chunk.fingerprint)
            chunk.head()
            chunk.segments()
        except LicodecError as error:
            problems.append(Problem(SEMANTIC_LATENTS, offset, str(error).removeprefix(": ")))
    if len(payloads) > HEADS_MAX:
        problems.append(Problem(SEMANTIC_LATENTS, offsets[HEADS_MAX], f"more than {HEADS_MAX} heads"))
    return problems


def shared(found: Sequence[Sequence[Track]]) -> list[Fingerprint]:
    """Fingerprints that every one of several files has, in the order of the first."""
    first, *rest = [[t.fingerprint for t in tracks] for tracks in found]
    return [f for f in first if all(f in other for other in rest)]
