"""Search: which files, and which moments of them, are nearest to a text, a picture or a moment of a file.

Only latents are read, no pixel is rendered. A score says by how many deviations a moment stands out from the
background: the same query's similarity to all frames that are searched. Raw cosines cannot say so: their level depends
on the query and on the model (0.25 may be a hit of one and noise of another), so that no fixed threshold works.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from licodec.container import DEFAULT_LIMITS, Limits
from licodec.errors import LicodecError, UnsupportedError, UsageError
from licodec.semantics.embedder import Embedder, Picture, Vectors
from licodec.semantics.fingerprint import Fingerprint
from licodec.semantics.shot_list import Shot, find_shots
from licodec.semantics.track import Track, tracks

SMOOTH_SECONDS = 0.4
"""Standard deviation of the smoothing of scores over time, inside a shot."""
SNAP_SECONDS = 0.6
"""A moment that begins or ends so near a shot's bound begins or ends there."""
_STAND_OUT = 1.5
"""Deviations over the background that a second moment of a file needs."""
_DEVIATION_LEAST = 0.01
"""Of cosines: below, differences are the noise of quantisation."""

Reals = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Hit:
    """A moment of a file."""

    path: Path
    start: float
    """Seconds."""
    end: float
    """Seconds."""
    peak: float
    """Seconds of the frame that fits best."""
    score: float
    """Deviations over the background of this query."""
    cosine: float
    """Similarity of the best frame to the query."""


def search_vector(query: Vectors, found: Sequence[Track], *, moments: int = 3) -> list[Hit]:
    """Hits of a query vector in files under one head, best first: of each file its best moment, and up to `moments`
    that stand out. Raises UsageError if the tracks are of different heads or the query has another dimension."""
    if not found:
        return []
    about = found[0].fingerprint
    if any(t.fingerprint != about for t in found) or query.shape != (about.dimension,):
        raise UsageError("vectors of different embedders cannot be compared")
    raw = [track.cosines(query) for track in found]
    # Of frames that have a latent of their own, as the index keeps them: those between say nothing new.
    middle, deviation = background(np.concatenate([c[t.knots()] for t, c in zip(found, raw, strict=True)]))
    hits = [
        hit
        for track, cosines in zip(found, raw, strict=True)
        for hit in moments_of(track, cosines, middle, deviation, moments)
    ]
    return sorted(hits, key=lambda hit: -hit.score)


def background(cosines: npt.NDArray[np.floating]) -> tuple[float, float]:
    """Median and deviation of a query's similarity to the frames searched: the deviation by the median distance
    downwards, which hits do not reach."""
    middle = float(np.median(cosines))
    below = middle - cosines[cosines <= middle]
    return middle, max(_DEVIATION_LEAST, 1.4826 * float(np.median(below)))


def moments_of(
    track: Track, cosines: npt.NDArray[np.floating], middle: float, deviation: float, most: int
) -> Iterator[Hit]:
    """Peaks of the smoothed similarity, as wide as they are half as high, snapped to the bounds of shots."""
    shots = find_shots(track)
    smooth = smoothed(track, cosines.astype(np.float64), shots)
    durations = np.diff(np.append(track.times, track.end))
    level = smooth.copy()
    for number in range(most):
        peak = int(level.argmax())
        score = (level[peak] - middle) / deviation
        if number and (not np.isfinite(score) or score < _STAND_OUT):
            return
        # Where all of a video fits, the noise of its frames must not cut it up.
        half = min((smooth[peak] + min(middle, float(np.median(smooth)))) / 2, smooth[peak] - 2 * _DEVIATION_LEAST)
        first = last = peak
        while first > 0 and smooth[first - 1] >= half and np.isfinite(level[first - 1]):
            first -= 1
        while last + 1 < len(smooth) and smooth[last + 1] >= half and np.isfinite(level[last + 1]):
            last += 1
        first, last = _snapped(track, shots, first, last, peak)
        best = first + int(cosines[first : last + 1].argmax())
        yield Hit(
            track.path,
            float(track.times[first]),
            float(track.times[last] + durations[last]),
            float(track.times[best]),
            float(score),
            float(cosines[best]),
        )
        level[first : last + 1] = -np.inf
        if not np.isfinite(level).any():
            return


def smoothed(track: Track, values: Reals, shots: Sequence[Shot]) -> Reals:
    """A Gaussian mean over time that does not reach across the bounds of shots."""
    out = np.empty_like(values)
    for shot in shots:
        part = slice(shot.first, shot.last + 1)
        times = track.times[part]
        reach = 3 * SMOOTH_SECONDS
        lows, highs = np.searchsorted(times, times - reach), np.searchsorted(times, times + reach, "right")
        # All windows at once, as wide as the widest; what is outside a window's own weighs nothing.
        near = lows[:, None] + np.arange((highs - lows).max())
        inside = near < highs[:, None]
        near = np.minimum(near, len(times) - 1)
        weights = np.exp(-0.5 * ((times[near] - times[:, None]) / SMOOTH_SECONDS) ** 2) * inside
        out[part] = (weights * values[part][near]).sum(axis=1) / weights.sum(axis=1)
    return out


def _snapped(track: Track, shots: Sequence[Shot], first: int, last: int, peak: int) -> tuple[int, int]:
    """The frames first..last with their ends at bounds of shots that are near."""
    starts = [s.first for s in shots if s.first <= peak]
    ends = [s.last for s in shots if s.last >= peak]
    near_start = min(starts, key=lambda f: abs(track.times[f] - track.times[first]))
    near_end = min(ends, key=lambda f: abs(track.times[f] - track.times[last]))
    if abs(track.times[near_start] - track.times[first]) <= SNAP_SECONDS:
        first = near_start
    if abs(track.times[near_end] - track.times[last]) <= SNAP_SECONDS:
        last = near_end
    return first, last


def search(
    query: str | Picture | Vectors,
    paths: Sequence[str | Path],
    embedder: Embedder | None = None,
    *,
    moments: int = 3,
    limits: Limits = DEFAULT_LIMITS,
    skipped: Callable[[Path, LicodecError | None], None] | None = None,
) -> list[Hit]:
    """Hits of a text, a picture or a vector in files that have a head of the embedder, best first.

    query: a text; uint8 [rows, columns, 3] RGB; or float32 [dim] of length 1.
    skipped: told of files without such a head (None), and of files that cannot be read (their error).

    Raises:
        UsageError: an empty text, or no file has a head of this embedder.
        LicodecError: no file can be read; that of the first.
    """
    if embedder is None:
        raise UsageError("a search needs an embedder; open one with licodec.semantics.open_embedder")
    vector = query_vector(query, embedder)
    found = load(paths, embedder.fingerprint, limits, skipped)
    return search_vector(vector, found, moments=moments)


def query_vector(query: str | Picture | Vectors, embedder: Embedder) -> Vectors:
    """[dim] of a text, a picture, or a vector as it is."""
    if isinstance(query, str):
        return embedder.embed_texts([query])[0]
    if query.ndim == 3:
        return embedder.embed_images([query.astype(np.uint8)])[0]
    return query.astype(np.float32)


def load(
    paths: Sequence[str | Path],
    fingerprint: Fingerprint,
    limits: Limits = DEFAULT_LIMITS,
    skipped: Callable[[Path, LicodecError | None], None] | None = None,
) -> list[Track]:
    """Tracks of files under the head of a fingerprint; raises UsageError if there is none."""
    found: list[Track] = []
    first_error: LicodecError | None = None
    for path in paths:
        try:
            under = tracks(path, limits, only=fingerprint)
        except LicodecError as error:
            first_error = first_error or error
            if skipped and len(paths) > 1:
                skipped(Path(path), error)
            continue
        if not under and skipped:
            skipped(Path(path), None)
        found += under
    if not found:
        if first_error and len(paths) == 1:
            raise first_error
        raise UnsupportedError(
            f"none of {len(paths)} file(s) has vectors of {fingerprint}; "
            "'licodec info' tells what they have, 'licodec realign' adds what is missing"
        )
    return found
