"""The syntax of motion as machine code: what vectors start from, their corrections, and how predictions are blended."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from licodec.entropy.kernels import BIN, FAULT, MAX_LEVELS, VECTOR_TOO_LARGE, Mixer, Stream, code_escape, decide
from licodec.jit import compiled

MOTION_DEPTHS = 4
MOTION_CAP = 12
"""Unary places of a component's magnitude; more has an escape."""
MOTION_BINS = 10
MOTION_LIMIT = 8190


class MotionMixers(NamedTuple):
    """Models of the corrections of motion fields."""

    nonzero: Mixer
    split: Mixer
    size: Mixer
    escape: Mixer
    sign: Mixer


class MotionField(NamedTuple):
    """A field to one reference; the first two are what is coded, or filled in."""

    corrections: tuple[npt.NDArray[np.int16], ...]
    """For each depth, finest first: [rows, columns, (x, y)]."""
    splits: tuple[npt.NDArray[np.uint8], ...]
    """For each depth: [rows, columns] whether nodes under this one are coded (none of the finest depth)."""
    vectors: npt.NDArray[np.int32]
    """[rows, columns, 2] of the finest depth: what is corrected; then with the corrections so far of each cell."""
    level: int
    """Of the pyramid, at most MAX_LEVELS - 1."""
    second: int
    """Which reference."""
    twin: npt.NDArray[np.int32]
    """[rows, columns, 2] of the finest depth: what is corrected, and for the second field twice what the first one's
    corrections come to: if what is seen here lies elsewhere than was expected, both fields miss it by as much, and the
    second one's base has followed the first one's the other way."""


@compiled
def code_motion(stream: Stream, mixers: MotionMixers, field: MotionField) -> None:
    """Quadtrees row by row, each depth first."""
    top = MOTION_DEPTHS - 1
    rows, columns, _ = field.corrections[top].shape
    for row in range(rows):
        for column in range(columns):
            # z counts finest cells in the order of the quadtree.
            z, depth = 0, top
            while z < 1 << 2 * top:
                y, x = row << top, column << top
                for i in range(top):
                    x += (z >> 2 * i & 1) << i
                    y += (z >> 2 * i + 1 & 1) << i
                r, c = y >> depth, x >> depth
                inside = r < field.splits[depth].shape[0] and c < field.splits[depth].shape[1]
                if inside and _code_node(stream, mixers, field, depth, r, c):
                    depth -= 1
                    continue
                z += 1 << 2 * depth
                while depth < top and z & (1 << 2 * depth + 2) - 1 == 0:
                    depth += 1


@compiled
def _code_node(stream: Stream, mixers: MotionMixers, field: MotionField, depth: int, r: int, c: int) -> int:
    """The correction of a node, and whether finer ones follow."""
    correction, vectors = field.corrections[depth], field.vectors
    kind, n = 2 * depth + field.second, 1 << depth
    rows, columns, _ = vectors.shape
    y, x = r * n, c * n
    last_y, last_x = min(y + n, rows), min(x + n, columns)
    middle = y + last_y >> 1, x + last_x >> 1
    # What the cells to the left and above have more than this node's beside them so far: often its correction.
    west_x, west_y = _apart(vectors, middle[0], x, 0, 1)
    north_x, north_y = _apart(vectors, y, middle[1], 1, 0)
    vector_x, vector_y = int(correction[r, c, 0]), int(correction[r, c, 1])
    left, up = _motion_bin(abs(west_x) + abs(west_y)), _motion_bin(abs(north_x) + abs(north_y))
    edges = int(x > 0) + 2 * int(y > 0)
    agree = int(west_x == north_x and west_y == north_y)
    expected, own = field.twin[middle], vectors[middle]
    twin_x, twin_y = int(expected[0] - own[0]), int(expected[1] - own[1])
    twin = _motion_bin(abs(twin_x) + abs(twin_y))
    near = 0
    if c > 0:
        near += abs(int(correction[r, c - 1, 0])) + abs(int(correction[r, c - 1, 1]))
    if r > 0:
        near += abs(int(correction[r - 1, c, 0])) + abs(int(correction[r - 1, c, 1]))
    contexts = (
        (kind * MOTION_BINS + left) * MOTION_BINS + up,
        (kind * MOTION_BINS + _motion_bin(near)) * 4 + edges,
        kind * MAX_LEVELS + field.level,
        (kind * MOTION_BINS + min(left, up)) * 2 + agree,
        (kind * MOTION_BINS + twin) * MOTION_BINS + min(left, up),
    )
    if decide(stream, mixers.nonzero, contexts, kind, 8, int(vector_x != 0 or vector_y != 0)):
        vector_x = _code_component(stream, mixers, field, 2 * kind, vector_x, west_x, north_x, twin_x, 0, 0)
        floor = int(vector_x == 0)
        axis = 2 * kind + 1
        vector_y = _code_component(stream, mixers, field, axis, vector_y, west_y, north_y, twin_y, vector_x, floor)
        correction[r, c, 0], correction[r, c, 1] = vector_x, vector_y
        for i in range(y, last_y):
            for j in range(x, last_x):
                vectors[i, j, 0] += vector_x
                vectors[i, j, 1] += vector_y
    if not depth:
        return 0
    splits = field.splits[depth]
    west_x, west_y = _apart(vectors, middle[0], x, 0, 1)
    north_x, north_y = _apart(vectors, y, middle[1], 1, 0)
    left, up = _motion_bin(abs(west_x) + abs(west_y)), _motion_bin(abs(north_x) + abs(north_y))
    friends = int(splits[r, c - 1] if c > 0 else 0) + int(splits[r - 1, c] if r > 0 else 0)
    size = _motion_bin(abs(vector_x) + abs(vector_y))
    flags = (
        (kind * 3 + friends) * 4 + edges,
        kind * MOTION_BINS + size,
        (kind * MAX_LEVELS + field.level) * 3 + friends,
        (kind * MOTION_BINS + left) * MOTION_BINS + up,
    )
    splits[r, c] = decide(stream, mixers.split, flags, kind, 8, int(splits[r, c]))
    return int(splits[r, c])


@compiled
def _motion_bin(value: int) -> int:
    return min(int(BIN[min(value, len(BIN) - 1)]), MOTION_BINS - 1)


@compiled
def _apart(vectors: npt.NDArray[np.int32], y: int, x: int, up: int, left: int) -> tuple[int, int]:
    """What the cell that is so far up and to the left has more than (y, x); nothing outside the grid."""
    if y < up or x < left:
        return 0, 0
    other, own = vectors[y - up, x - left], vectors[y, x]
    return int(other[0] - own[0]), int(other[1] - own[1])


@compiled
def _code_component(
    stream: Stream,
    mixers: MotionMixers,
    field: MotionField,
    kind: int,
    value: int,
    west: int,
    north: int,
    twin: int,
    other: int,
    floor: int,
) -> int:
    """One component; `west`, `north`, `twin`: what these would make it; at least `floor` in magnitude."""
    magnitude = floor
    while magnitude < MOTION_CAP + floor:
        to_west, to_north, to_twin = _toward(west, magnitude), _toward(north, magnitude), _toward(twin, magnitude)
        place = magnitude - floor
        contexts = (
            (kind * 8 + to_west) * 8 + to_north,
            (kind * MOTION_BINS + min(abs(other), MOTION_BINS - 1)) * MOTION_CAP + place,
            (kind * MAX_LEVELS + field.level) * MOTION_CAP + place,
            (kind * MOTION_BINS + _motion_bin(min(abs(west), abs(north)))) * MOTION_CAP + place,
            ((kind * 8 + to_twin) * MOTION_BINS + _motion_bin(abs(twin))) * 8 + min(to_west, to_north),
        )
        if not decide(stream, mixers.size, contexts, place, MOTION_CAP + kind, int(abs(value) > magnitude)):
            break
        magnitude += 1
    if magnitude == MOTION_CAP + floor:
        magnitude += code_escape(stream, mixers.escape, abs(value) - magnitude)
    if magnitude > MOTION_LIMIT:
        stream.state[FAULT] = VECTOR_TOO_LARGE
        magnitude = MOTION_LIMIT
    if magnitude == 0:
        return 0
    signs = 3 * (int(west > 0) - int(west < 0) + 1) + int(north > 0) - int(north < 0) + 1
    same = 2 * int(abs(west) == magnitude) + int(abs(north) == magnitude)
    third = 3 * int(abs(twin) == magnitude) + int(twin > 0) - int(twin < 0) + 1
    places = ((kind * 9 + signs) * 4 + same, signs * 4 + same, (kind * 9 + signs) * 6 + third)
    negative = decide(stream, mixers.sign, places, 0, 1, int(value < 0))
    return -magnitude if negative else magnitude


@compiled
def _toward(neighbour: int, magnitude: int) -> int:
    return min(max(abs(neighbour) - magnitude, -3), 4) + 3


class BlendMixers(NamedTuple):
    """Models of the blend map."""

    single: Mixer
    which: Mixer


@compiled
def _around(cells: npt.NDArray[np.uint8], r: int, c: int) -> tuple[int, int, int, int]:
    """What is to the left of a cell, above, above to the left, and above to the right; 0 outside the grid."""
    return (
        int(cells[r, c - 1]) if c > 0 else 0,
        int(cells[r - 1, c]) if r > 0 else 0,
        int(cells[r - 1, c - 1]) if r > 0 and c > 0 else 0,
        int(cells[r - 1, c + 1]) if r > 0 and c + 1 < cells.shape[1] else 0,
    )


class StartMixers(NamedTuple):
    """Models of what the vectors of a tree start from."""

    still: Mixer


@compiled
def code_starts(
    stream: Stream, mixers: StartMixers, starts: npt.NDArray[np.uint8], first: npt.NDArray[np.uint8], kind: int
) -> None:
    """[rows, columns] in place: 0 the base field, 1 nothing.

    first: those of a second field's first one, or nothing; kind: 2 level + 1 for a second field.
    """
    rows, columns = starts.shape
    for r in range(rows):
        for c in range(columns):
            left, up, corner, right = _around(starts, r, c)
            around = ((left * 2 + up) * 2 + corner) * 2 + right
            twin = 1 + int(first[r, c]) if first.size else 0
            contexts = (twin * 16 + around, kind * 4 + left * 2 + up)
            starts[r, c] = decide(stream, mixers.still, contexts, twin, 3, int(starts[r, c]))


@compiled
def code_blend(stream: Stream, mixers: BlendMixers, modes: npt.NDArray[np.uint8], level: int) -> None:
    """[rows, columns] in place: 0: both references alike, 1: the first, 2: the second."""
    rows, columns = modes.shape
    for r in range(rows):
        for c in range(columns):
            left, up, corner, right = _around(modes, r, c)
            far = (int(modes[r, c - 2]) if c > 1 else 0) * 3 + (int(modes[r - 2, c]) if r > 1 else 0)
            around = ((left * 3 + up) * 3 + corner) * 3 + right
            some = int(left > 0) + int(up > 0) + int(corner > 0) + int(right > 0)
            contexts = (around, (level * 3 + left) * 3 + up, far * 5 + some)
            mode = int(modes[r, c])
            if not decide(stream, mixers.single, contexts, some, 5 + level, int(mode > 0)):
                modes[r, c] = 0
                continue
            modes[r, c] = 1 + decide(stream, mixers.which, (around, (level * 3 + left) * 3 + up), 0, 1, int(mode == 2))
