"""Shots from latents: where the meaning jumps there is a cut, where it moves steadily elsewhere there is a fade."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from licodec.container import DEFAULT_LIMITS, Limits
from licodec.errors import UsageError
from licodec.semantics.chunk import knots
from licodec.semantics.track import Track, tracks

_CUT_LEAST = 0.1
"""1 - cos across a segment's bound below which nothing is a cut."""
_CUT_RATIO = 0.7
"""A cut jumps, in one frame, by at least this share of what its neighbourhood moves from knot to knot."""
_FADE_SECONDS = (0.3, 3.0)
"""Length of a fade."""
_FADE_LEAST = 0.25
"""1 - cos from one side of a fade to the other."""
_FADE_RATIO = 4.0
"""A fade moves by so much more in its time than what is before and after it."""


@dataclass(frozen=True)
class Shot:
    """Consecutive frames between two transitions."""

    first: int
    """Number of its first frame."""
    last: int
    """Number of its last frame."""
    start: float
    """Seconds at which its first frame is shown."""
    end: float
    """Seconds at which its last frame ends."""
    begins_with: str
    """start (of the video), cut or fade."""


def shots(path: str | Path, *, limits: Limits = DEFAULT_LIMITS) -> list[Shot]:
    """Shots of a file, from the latents of its first head, in order. Raises UsageError if it has none."""
    found = tracks(path, limits)
    if not found:
        raise UsageError(f"{path}: has no semantic latents; 'licodec realign' adds them")
    return find_shots(found[0])


def find_shots(track: Track) -> list[Shot]:
    """Shots of a track.

    A cut lies at a segment's bound, where the encoder found one: but segments also end at their greatest length, and
    there the meaning goes on. A fade lies inside a segment; it is where the vectors go from one place to another and
    stay there. What is shorter is not looked for there: embedders jump between frames that merely differ.
    """
    transitions = sorted({**_fades(track), **_cuts(track)}.items())
    starts = [(0, "start"), *transitions]
    ends = [frame for frame, _ in transitions] + [len(track)]
    stops = np.append(track.times[1:], track.end)
    return [
        Shot(first, after - 1, float(track.times[first]), float(stops[after - 1]), kind)
        for (first, kind), after in zip(starts, ends, strict=True)
    ]


def _distances(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """1 - cos of each vector to the one before it."""
    return np.asarray(1 - (vectors[1:] * vectors[:-1]).sum(axis=1), np.float64)


def _cuts(track: Track) -> dict[int, str]:
    """First frames after cuts."""
    found: dict[int, str] = {}
    if len(track.firsts) < 2:
        return found
    places = track.knots()
    moves = _distances(track.vectors(places))
    bounds = np.flatnonzero(np.isin(places[1:], track.firsts[1:]))
    for place in bounds:
        near = np.concatenate([moves[max(0, place - 4) : place], moves[place + 1 : place + 5]])
        usual = float(np.median(near)) if len(near) else 0.0
        if moves[place] > max(_CUT_LEAST, _CUT_RATIO * usual):
            found[int(places[place + 1])] = "cut"
    return found


def _fades(track: Track) -> dict[int, str]:
    """Middles of fades: first frames of what comes after."""
    found: dict[int, str] = {}
    for segment in range(len(track.firsts)):
        part = track.segments[segment]
        places = track.firsts[segment] + knots(part.frames, part.stride)
        if len(places) < 4:
            continue
        vectors, times = track.vectors(places), track.times[places]
        found |= _fades_of(vectors, times, places)
    return found


def _fades_of(
    vectors: npt.NDArray[np.float32], times: npt.NDArray[np.float64], places: npt.NDArray[np.int64]
) -> dict[int, str]:
    moves = _distances(vectors)
    usual = float(np.median(moves))
    found: dict[int, str] = {}
    start = 0
    while start < len(moves):
        # A run of knots that move more than the shot usually does.
        if moves[start] <= _FADE_RATIO * usual + 1e-4:
            start += 1
            continue
        stop = start
        while stop < len(moves) and moves[stop] > _FADE_RATIO * usual + 1e-4:
            stop += 1
        length = float(times[stop] - times[start])
        whole = float(1 - vectors[start] @ vectors[stop])
        inside = start > 0 and stop < len(moves)
        if inside and _FADE_SECONDS[0] <= length <= _FADE_SECONDS[1] and whole > _FADE_LEAST:
            found[int((places[start] + places[stop] + 1) // 2)] = "fade"
        start = stop
    return found


def bounds(found: Sequence[Shot]) -> list[int]:
    """First frames of all shots but the first."""
    return [shot.first for shot in found[1:]]
