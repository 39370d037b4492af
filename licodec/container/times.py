"""Timestamps and durations of a segment's frames, exact, a few bytes while the frame rate is constant.

The step of a frame is the distance to the next frame's timestamp, of the last frame its duration; the gap is
the step minus the duration. Frames in a row with the same step and gap are one run.
"""

from __future__ import annotations

import operator
from array import array
from collections.abc import Sequence
from itertools import groupby, pairwise

from licodec.container.bytesio import SIGNED_MAX, SIGNED_MIN, ByteReader, ByteWriter
from licodec.container.limits import Limits

TIME_MIN, TIME_MAX = SIGNED_MIN, SIGNED_MAX
"""Range of a timestamp, and of the end of a frame, in ticks."""


def encode_times(pts: Sequence[int], durations: Sequence[int]) -> bytes:
    """The time table of a segment. Raises ValueError unless every frame comes after the one before it."""
    starts = [operator.index(p) for p in pts]
    lengths = [operator.index(d) for d in durations]
    if not starts or len(starts) != len(lengths):
        raise ValueError(f"{len(starts)} timestamps and {len(lengths)} durations: need as many, and at least one")
    steps = [b - a for a, b in pairwise(starts)] + lengths[-1:]
    if min(steps) < 1 or min(lengths) < 1:
        raise ValueError("timestamps must increase, and durations must be at least one tick")
    if starts[0] < TIME_MIN or max(s + d for s, d in zip(starts, lengths, strict=True)) > TIME_MAX:
        raise ValueError(f"timestamps {starts[0]} to {starts[-1]} do not fit the format (+-2**62 ticks)")

    out = ByteWriter()
    out.varint(len(starts))
    out.signed(starts[0])
    frames = ((step, step - length) for step, length in zip(steps, lengths, strict=True))
    for (step, gap), run in groupby(frames):
        out.varint(sum(1 for _ in run))
        out.varint(step)
        out.signed(gap)
    return out.to_bytes()


def read_times(data: ByteReader, limits: Limits, frames_before: int = 0) -> tuple[array[int], array[int]]:
    """(timestamps, durations) of the time table that comes next; `frames_before` count towards max_frames."""
    left = data.varint()
    if not left:
        raise data.damaged("a segment without frames")
    limits.check("max_frames", frames_before + left)
    time = data.signed()
    pts, durations = array("q"), array("q")
    previous = None
    while left:
        run, step, gap = data.varint(), data.varint(), data.signed()
        duration, end = step - gap, time + run * step
        if not 1 <= run <= left:
            raise data.damaged(f"a run of {run} frames where {left} are left")
        if step < 1 or duration < 1:
            raise data.damaged(f"timestamps do not increase: step {step}, duration {duration}")
        if end > TIME_MAX or end - step + duration > TIME_MAX:
            raise data.damaged("a timestamp is out of range")
        if (step, gap) == previous:
            raise data.damaged("one run of frames is written as two")
        if run == 1:  # all of them, when the frame rate is wholly irregular
            pts.append(time)
            durations.append(duration)
        else:
            pts.extend(range(time, end, step))
            durations.extend(array("q", [duration]) * run)
        time, left, previous = end, left - run, (step, gap)
    if gap:
        raise data.damaged("the last frame of a segment has a step that is not its duration")
    return pts, durations
