"""Near-duplicates and sub-clips: stretches of two files whose latents go through the same vectors in the same order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from licodec.container import DEFAULT_LIMITS, Limits
from licodec.errors import UnsupportedError, UsageError
from licodec.semantics.embedder import Vectors
from licodec.semantics.track import Track, shared, tracks

STEP_SECONDS = 0.2
"""Distance in time of the vectors that are compared."""
_ALIKE = 0.8
"""Cosine, without what all files have in common, above which two vectors may show the same."""
_LEAST_SECONDS = 1.0
"""Shortest stretch, unless a file is shorter."""
_WHOLE = 0.9
"""Share of a file that counts as all of it."""
_FEW = 4.0
"""Files that it takes to know half of what all files have in common."""


@dataclass(frozen=True)
class Match:
    """Two stretches of equal length that show the same."""

    first: Path
    first_start: float
    """Seconds."""
    second: Path
    second_start: float
    """Seconds."""
    duration: float
    """Seconds of both."""
    similarity: float
    """Mean cosine over the stretch, without what all files have in common."""
    kind: str
    """duplicate (all of both), sub-clip (all of one) or shared (parts of both)."""


@dataclass(frozen=True)
class _Sampled:
    track: Track
    start: float
    vectors: Vectors
    """[steps, dimension]"""

    @property
    def seconds(self) -> float:
        return len(self.vectors) * STEP_SECONDS


def similar(paths: Sequence[str | Path], *, limits: Limits = DEFAULT_LIMITS) -> list[Match]:
    """Pairs of files with stretches that show the same, the most similar and longest first.

    Speed is not looked for: a stretch must play at the same pace in both files.

    Raises:
        UsageError: fewer than two files.
        UnsupportedError: the files have no head of the same embedder.
        LicodecError: a file cannot be read.
    """
    if len(paths) < 2:
        raise UsageError("give at least two files to compare")
    found = [tracks(path, limits) for path in paths]
    common = shared(found)
    if not common:
        raise UnsupportedError(
            "the files have no vectors of one embedder in common; 'licodec realign' adds what is missing"
        )
    return compare([next(t for t in under if t.fingerprint == common[0]) for under in found])


def compare(found: Sequence[Track]) -> list[Match]:
    """The same for tracks under one head."""
    sampled = list(_sampled(found))
    pairs = (_match(a, b) for a, b in combinations(sampled, 2))
    return sorted((m for m in pairs if m), key=lambda m: -m.similarity * m.duration)


def _sampled(found: Sequence[Track]) -> Iterator[_Sampled]:
    """Vectors at equal steps of time, less a share of their mean over all files: more of it, the more files there are.

    What all have in common (the model's own bias, and one subject) says nothing of whether two are the same; but of
    two files the mean is half of each.
    """
    raw = []
    for track in found:
        start = float(track.times[0])
        count = max(1, round((track.end - start) / STEP_SECONDS))
        raw.append((track, start, track.at(start + (np.arange(count) + 0.5) * STEP_SECONDS)))
    mean = np.mean([vectors.mean(axis=0) for _, _, vectors in raw], axis=0) * (len(raw) / (len(raw) + _FEW))
    for track, start, vectors in raw:
        rest = vectors - mean
        yield _Sampled(track, start, rest / np.maximum(np.linalg.norm(rest, axis=1, keepdims=True), 1e-12))


def _match(a: _Sampled, b: _Sampled) -> Match | None:
    """The best stretch of two files: a local alignment without gaps (Smith and Waterman, 1981), row by row."""
    before, runs = np.zeros(len(b.vectors) + 1), np.zeros(len(b.vectors) + 1, np.int64)
    best, at, length = 0.0, (0, 0), 0
    for i, vector in enumerate(a.vectors):
        gained = before[:-1] + (b.vectors @ vector - _ALIKE)
        on = gained > 0
        before[1:] = np.where(on, gained, 0.0)
        runs[1:] = np.where(on, runs[:-1] + 1, 0)
        top = int(before.argmax())
        if before[top] > best:
            best, at, length = float(before[top]), (i + 1, top), int(runs[top])
    seconds = length * STEP_SECONDS
    shorter = min(a.seconds, b.seconds)
    if not length or seconds < min(_LEAST_SECONDS, _WHOLE * shorter):
        return None
    whole = (seconds >= _WHOLE * a.seconds, seconds >= _WHOLE * b.seconds)
    return Match(
        a.track.path,
        a.start + (at[0] - length) * STEP_SECONDS,
        b.track.path,
        b.start + (at[1] - length) * STEP_SECONDS,
        seconds,
        best / length + _ALIKE,
        "duplicate" if all(whole) else "sub-clip" if any(whole) else "shared",
    )
