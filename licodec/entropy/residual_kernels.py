"""The syntax of the residual as machine code: block sizes, intra modes, extents and levels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from licodec.entropy.kernels import (
    BINS,
    EXTENT_TOO_LARGE,
    FAULT,
    LEVEL_TOO_LARGE,
    MAX_LEVELS,
    MODE_TOO_LARGE,
    AnyArray,
    Ints,
    Mixer,
    Stream,
    bin_of,
    code_escape,
    decide,
)
from licodec.jit import compiled
from licodec.model.intra import LUMA, MODES

CELL = 8
LEAST = 4
"""Samples a side of the smallest block, of size index 0: four of them are in a cell."""
CLASSES = 12
"""Of extents (numbers of coded anti-diagonals): 0, 1, 2, 3, 4, 5-6, 7-8, 9-12, 13-16, 17-24, 25-32, 33-63."""
CLASS_START = np.array([0, 1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33])
CLASS_EXTRA = np.array([0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 5])
CLASS_OF = np.searchsorted(CLASS_START, np.arange(65), side="right") - 1
MAGNITUDE_CAP = 14
"""Unary places of a magnitude less one; more has an escape."""
LEVEL_LIMIT = 16383
COSINE_BITS = 12
"""Binary places of COSINES and EDGE."""
_SEAM_BITS = 8
"""Binary places of samples at seams, in half steps."""
_SIDES = np.array([4, 8, 16, 32])
_ORDER, _AT = np.mgrid[:32, :32]
_NORM = np.sqrt(np.where(_ORDER == 0, 1, 2)[None] / _SIDES[:, None, None])
_ANGLE = np.pi * _ORDER * (2 * _AT + 1) / (2 * _SIDES[:, None, None])
COSINES = np.round((1 << COSINE_BITS) * _NORM * np.cos(_ANGLE)).astype(np.int64)
"""[size index, order, sample] orthonormal cosines; what lies beyond a block's side is not used."""
EDGE = np.round((1 << COSINE_BITS) * _NORM[:, :, 0]).astype(np.int64)
"""[size index, order] their value at the block's first edge; at its last one odd orders have the other sign."""
SEAM_SCALE = np.array([6, 8, 11, 16])
"""[size index] 4 / EDGE, about: a gap in quarters of a half step of the coefficients that could close it."""
NEXT_STATES = 32040
"""For each state 0..3 and parity of a magnitude, two bits: the next state (H.266, 7.3.11.11)."""


MODE_BITS = 5
"""Of a mode above 0, less one."""


class ResidualMixers(NamedTuple):
    """Models of the residual of one plane group."""

    split: Mixer
    intra: Mixer
    mode: Mixer
    coded: Mixer
    extent: Mixer
    extra: Mixer
    nonzero: Mixer
    above: Mixer
    escape: Mixer
    sign: Mixer


class ResidualPicture(NamedTuple):
    """One picture in one plane group; the first four are what is coded, or filled in."""

    sizes: npt.NDArray[np.uint8]
    """[rows / 8, columns / 8] size index of the block over each cell."""
    modes: npt.NDArray[np.uint8]
    """[rows / 4, columns / 4] how the block over each quarter of a cell is predicted."""
    levels: npt.NDArray[np.int16]
    """[planes, rows, columns]"""
    activity: npt.NDArray[np.uint8]
    """[planes, 1 + rows / 4, 1 + columns / 4] class of extent over each quarter of a cell, behind a margin of zeros."""
    past: Ints
    """[rows / 8, columns / 8] activity of both references together."""
    guide: Ints
    """[rows / 8, columns / 8] activity of the luma under chroma, else zeros."""
    lead: npt.NDArray[np.uint8]
    """[rows / 4, columns / 4] modes of the luma under chroma, else zeros."""
    level: int
    """Of the pyramid, at most MAX_LEVELS - 1."""
    below: Ints
    """[planes, columns] the residual at the lower edges of the blocks coded last; zeros at first."""
    beside: Ints
    """[planes, rows] the same at their right edges."""
    gap: Ints
    """[2, 32] of the block at hand, by order: transforms of how its upper and its left edge are to go on from what lies
    beyond, less what its coefficients so far make of them."""


@compiled
def code_residual(stream: Stream, mixers: ResidualMixers, picture: ResidualPicture) -> None:
    """Quadtrees of 32 samples, row by row; each leaf with the coefficients of all its planes."""
    rows, columns = picture.sizes.shape
    for row in range(0, rows, 4):
        for column in range(0, columns, 4):
            # z counts cells in the order of the quadtree.
            z, depth = 0, 0
            while z < 16:
                y, x = row + (z >> 1 & 1) + (z >> 2 & 2), column + (z & 1) + (z >> 1 & 2)
                if not _code_split(stream, mixers, picture, depth, y, x):
                    _code_block(stream, mixers, picture, 3 - depth, CELL * y, CELL * x)
                elif depth < 2:
                    depth += 1
                    continue
                else:
                    for least in range(4):
                        v, u = CELL * y + LEAST * (least >> 1), CELL * x + LEAST * (least & 1)
                        _code_block(stream, mixers, picture, 2 - depth, v, u)
                z += 16 >> 2 * depth
                while depth > 0 and z & (64 >> 2 * depth) - 1 == 0:
                    depth -= 1


@compiled
def _mean(values: AnyArray, y: int, x: int, f: int) -> int:
    """Mean times 4 of f x f cells."""
    total = 0
    for j in range(f):
        for i in range(f):
            total += int(values[y + j, x + i])
    return total * 4 // (f * f)


@compiled
def _left_and_up(activity: AnyArray, y: int, x: int, f: int) -> tuple[int, int]:
    """Means times 4 of the f quarters of cells left of f x f and of those above; `activity` has a margin of one."""
    left, up = 0, 0
    for i in range(f):
        left += int(activity[y + 1 + i, x])
        up += int(activity[y, x + 1 + i])
    return left * 4 // f, up * 4 // f


@compiled
def _code_split(stream: Stream, mixers: ResidualMixers, picture: ResidualPicture, depth: int, y: int, x: int) -> int:
    """Whether a block of 32 (depth 0), 16 or 8 samples is four smaller ones."""
    sizes, size, f = picture.sizes, 3 - depth, 4 >> depth
    # No neighbour, one no smaller, a smaller one.
    left = 0 if x == 0 else (2 if sizes[y, x - 1] < size else 1)
    up = 0 if y == 0 else (2 if sizes[y - 1, x] < size else 1)
    smaller = (left >> 1) + (up >> 1)
    before, under = bin_of(_mean(picture.past, y, x, f)), bin_of(_mean(picture.guide, y, x, f))
    west, north = _left_and_up(picture.activity[0], 2 * y, 2 * x, 2 * f)
    contexts = (
        (depth * MAX_LEVELS + picture.level) * 9 + left * 3 + up,
        (depth * BINS + before) * 3 + smaller,
        (depth * BINS + under) * BINS + before,
        (depth * BINS + bin_of(west + north)) * BINS + before,
    )
    other = 9 + depth * MAX_LEVELS + picture.level
    return decide(stream, mixers.split, contexts, depth * 3 + smaller, other, int(sizes[y, x] < size))


@compiled
def _code_block(stream: Stream, mixers: ResidualMixers, picture: ResidualPicture, s: int, y: int, x: int) -> None:
    """A block of size index `s` whose first sample is (y, x), in all planes."""
    n, level, planes = LEAST << s, picture.level, len(picture.levels)
    f, row, column = max(n // CELL, 1), y // CELL, x // CELL
    picture.sizes[row : row + f, column : column + f] = s
    past, guide = _mean(picture.past, row, column, f), _mean(picture.guide, row, column, f)
    # In quarters of cells.
    f, row, column = n // LEAST, y // LEAST, x // LEAST
    before = bin_of(past)
    mode = _code_mode(stream, mixers, picture, s, row, column, before)
    picture.modes[row : row + f, column : column + f] = mode
    for plane in range(planes):
        kind, kinds = (s + 4 * int(mode > 0)) * planes + plane, 8 * planes
        activity = picture.activity[plane]
        west, north = _left_and_up(activity, row, column, f)
        near = bin_of(west + north)
        # The second chroma plane has the same block of the first beside it.
        under = bin_of(8 * int(picture.activity[0, row + 1, column + 1]) if plane else guide)
        extent = 0
        if not stream.decoding:
            extent = _extent(picture.levels[plane], y, x, n)
        if mode:
            # What is predicted from the samples around goes on from them already.
            picture.gap[:] = 0
        else:
            _open_gaps(picture, plane, s, y, x)
        upper, leftmost, wide = _width_of_gaps(picture.gap, s)
        gaps = (kind * BINS + upper) * BINS + leftmost
        contexts = (
            (kind * MAX_LEVELS + level) * 4 + 2 * int(west > 0) + int(north > 0),
            (kind * BINS + near) * BINS + before,
            (kind * BINS + under) * BINS + near,
            (kind * BINS + bin_of(west)) * BINS + bin_of(north),
            (kind * BINS + under) * BINS + before,
            gaps,
        )
        if not decide(stream, mixers.coded, contexts, kind, kinds + near, int(extent > 0)):
            picture.below[plane, x : x + n] = 0
            picture.beside[plane, y : y + n] = 0
            continue
        extent = _code_extent(stream, mixers, kind, level, near, before, under, gaps, wide, extent)
        if extent > 2 * n - 1:
            stream.state[FAULT] = EXTENT_TOO_LARGE
            extent = 2 * n - 1
        activity[row + 1 : row + 1 + f, column + 1 : column + 1 + f] = CLASS_OF[extent]
        energy = bin_of(west + north + past)
        _code_coefficients(stream, mixers, picture, plane, kind, s, y, x, extent, energy)
        if mode:
            picture.below[plane, x : x + n] = 0
            picture.beside[plane, y : y + n] = 0
        else:
            _keep_edges(picture, plane, s, y, x, extent)


@compiled
def _code_mode(
    stream: Stream, mixers: ResidualMixers, picture: ResidualPicture, s: int, row: int, column: int, before: int
) -> int:
    """How a block is predicted; places in quarters of cells."""
    modes, level, f = picture.modes, picture.level, 1 << s
    left = int(modes[row, column - 1]) if column else 0
    up = int(modes[row - 1, column]) if row else 0
    lead = int(picture.lead[row + f // 2, column + f // 2])
    west, north = _left_and_up(picture.activity[0], row, column, f)
    near, around, led = bin_of(west + north), 2 * int(left > 0) + int(up > 0), int(lead > 0)
    mode = int(modes[row, column])
    flags = (
        (s * MAX_LEVELS + level) * 4 + around,
        (led * BINS + before) * BINS + near,
        (s * 2 + led) * 4 + around,
        (level * BINS + near) * 4 + around,
    )
    if not decide(stream, mixers.intra, flags, 2 * s + led, 8 + level, int(mode > 0)):
        return 0
    node = 1
    for bit in range(MODE_BITS - 1, -1, -1):
        contexts = (
            (left * MODES + up) * 32 + node,
            (lead * 4 + s) * 32 + node,
            left * 32 + node,
            up * 32 + node,
            (int(level > 0) * 4 + s) * 32 + node,
        )
        node = 2 * node + decide(stream, mixers.mode, contexts, bit, MODE_BITS + 2 * s + led, mode - 1 >> bit & 1)
    mode = node - (1 << MODE_BITS) + 1
    # Luma, of which there is one plane, is not predicted from itself.
    if mode >= MODES or (mode == LUMA and len(picture.levels) == 1):
        stream.state[FAULT] = MODE_TOO_LARGE
        mode = 1
    return mode


@compiled
def _extent(levels: npt.NDArray[np.int16], y: int, x: int, n: int) -> int:
    """Anti-diagonals of a block up to the last one that is not all zeros."""
    extent = 0
    for v in range(n):
        for u in range(n):
            if levels[y + v, x + u] != 0:
                extent = max(extent, v + u + 1)
    return extent


@compiled
def _code_extent(
    stream: Stream,
    mixers: ResidualMixers,
    kind: int,
    level: int,
    near: int,
    before: int,
    under: int,
    gaps: int,
    wide: int,
    extent: int,
) -> int:
    """An extent above 0: its class in unary, then its place in the class."""
    places, wanted, found = CLASSES - 2, CLASS_OF[extent], 1
    while found < CLASSES - 1:
        contexts = (
            (kind * MAX_LEVELS + level) * places + found - 1,
            (kind * BINS + near) * places + found - 1,
            (kind * BINS + under) * places + found - 1,
            ((kind * BINS + before) * BINS + near) * places + found - 1,
            gaps * places + found - 1,
            (kind * 32 + wide) * places + found - 1,
        )
        if not decide(stream, mixers.extent, contexts, found - 1, places + kind, int(wanted > found)):
            break
        found += 1
    rest = 0
    for bit in range(CLASS_EXTRA[found] - 1, -1, -1):
        digit = extent - CLASS_START[found] >> bit & 1
        rest |= decide(stream, mixers.extra, (found * 8 + bit,), 0, 1, digit) << bit
    return int(CLASS_START[found]) + rest


@compiled
def _open_gaps(picture: ResidualPicture, plane: int, s: int, y: int, x: int) -> None:
    """What lies beyond the upper and the left edge, transformed."""
    _transform(picture.below[plane, x : x + (LEAST << s)], s, picture.gap[0])
    _transform(picture.beside[plane, y : y + (LEAST << s)], s, picture.gap[1])


@compiled
def _transform(samples: Ints, s: int, out: Ints) -> None:
    out[:] = 0
    for i in range(LEAST << s):
        if samples[i] != 0:
            for k in range(LEAST << s):
                out[k] += COSINES[s, k, i] * samples[i]
    for k in range(LEAST << s):
        out[k] >>= COSINE_BITS


@compiled
def _width_of_gaps(gap: Ints, s: int) -> tuple[int, int, int]:
    """Bins of the sums of both gaps, and the highest order in which one is wide."""
    upper, left, wide = 0, 0, 0
    for k in range(LEAST << s):
        upper += abs(gap[0, k])
        left += abs(gap[1, k])
        if max(abs(gap[0, k]), abs(gap[1, k])) * SEAM_SCALE[s] >> _SEAM_BITS > 5:
            wide = k
    return bin_of(upper * SEAM_SCALE[s] >> _SEAM_BITS + 1), bin_of(left * SEAM_SCALE[s] >> _SEAM_BITS + 1), wide


@compiled
def _keep_edges(picture: ResidualPicture, plane: int, s: int, y: int, x: int, extent: int) -> None:
    """The residual of a block at its lower and its right edge."""
    n, levels, gap = LEAST << s, picture.levels[plane], picture.gap
    # The gaps are done with; their room holds the transforms of the edges.
    gap[:] = 0
    for v in range(min(n, extent)):
        for u in range(min(n, extent - v)):
            level = int(levels[y + v, x + u])
            if level != 0:
                gap[0, u] += -level * EDGE[s, v] if v & 1 else level * EDGE[s, v]
                gap[1, v] += -level * EDGE[s, u] if u & 1 else level * EDGE[s, u]
    down = 2 * COSINE_BITS - _SEAM_BITS
    for i in range(n):
        below, beside = 0, 0
        for k in range(min(n, extent)):
            below += COSINES[s, k, i] * gap[0, k]
            beside += COSINES[s, k, i] * gap[1, k]
        picture.below[plane, x + i], picture.beside[plane, y + i] = below >> down, beside >> down


@compiled
def next_state(state: int, magnitude: int) -> int:
    """States 0 and 1 have the even levels, 2 and 3 the odd ones and 0."""
    return NEXT_STATES >> (state << 2) + ((magnitude & 1) << 1) & 3


@compiled
def _magnitude(level: int) -> int:
    """What is coded of a level, whichever of the two quantisers it is of."""
    return abs(int(level)) + 1 >> 1


@compiled
def _code_coefficients(
    stream: Stream,
    mixers: ResidualMixers,
    picture: ResidualPicture,
    plane: int,
    kind: int,
    s: int,
    y: int,
    x: int,
    extent: int,
    energy: int,
) -> None:
    """Diagonal by diagonal, each from its upper right end down."""
    n, levels = LEAST << s, picture.levels[plane]
    reach, sum_before, state, gap = bin_of(extent), 0, 0, picture.gap
    for d in range(extent):
        togo, total = min(extent - d - 1, BINS - 1), 0
        band = min(d, BINS - 1)
        for v in range(max(0, d - n + 1), min(d, n - 1) + 1):
            u = d - v
            row, column = y + v, x + u
            # Neighbours outside the block belong to another one.
            close = _magnitude(levels[row, column - 1]) if u > 0 else 0
            close += _magnitude(levels[row - 1, column]) if v > 0 else 0
            far = _magnitude(levels[row - 1, column - 1]) if u > 0 and v > 0 else 0
            far += _magnitude(levels[row, column - 2]) if u > 1 else 0
            far += _magnitude(levels[row - 2, column]) if v > 1 else 0
            near = bin_of(2 * close + far)
            axis = 0 if u == 0 else (1 if v == 0 else (2 if u > v else 3))
            if plane:
                one = _magnitude(picture.levels[0, row, column])
                two = _magnitude(picture.levels[0, y + min(v + 1, n - 1), column])
            else:
                one = _magnitude(levels[row, column - n]) if x else 0
                two = _magnitude(levels[row - n, column]) if y else 0
            twins = (plane * 16 + min(one, 3) * 4 + min(two, 3)) * BINS + near
            place = (plane * 1024 + v * 32 + u) * 4 + s
            # On the last diagonal: how many are left, as one of them is not zero.
            ahead = BINS + min(min(d, n - 1) - v, BINS - 1) if togo == 0 else bin_of(sum_before)
            along = (kind * BINS + bin_of(total)) * 2 * BINS + ahead
            bandwise = (kind * BINS + band) * BINS + togo
            upper, left = gap[0, u] * SEAM_SCALE[s] >> _SEAM_BITS, gap[1, v] * SEAM_SCALE[s] >> _SEAM_BITS
            seams = (kind * BINS + bin_of(abs(upper))) * BINS + bin_of(abs(left))
            seams = 2 * seams + int((upper > 0) == (left > 0))
            pull = kind * BINS + bin_of(abs(upper + left))
            value = int(levels[row, column])
            wanted, odd, third = _magnitude(value), state >> 1, max(state - 1, 0)
            contexts = (
                ((kind * 64 + d) * BINS + near) * 3 + third,
                (((kind * BINS + togo) * BINS + near) * 4 + axis) * 3 + third,
                place,
                (kind * BINS + energy) * BINS + reach,
                twins * 3 + third,
                along * 3 + third,
                bandwise,
                (seams * 4 + axis) * 3 + third,
                (pull * BINS + near) * 3 + third,
            )
            other = 12 * BINS + kind * 64 + d
            if not decide(stream, mixers.nonzero, contexts, (near * 4 + s) * 3 + third, other, int(wanted != 0)):
                state = next_state(state, 0)
                continue
            wide = (kind * BINS + bin_of(sum_before)) * BINS + togo
            magnitude = 1
            while magnitude <= MAGNITUDE_CAP:
                k = magnitude - 1
                parts = (
                    ((kind * BINS + near) * 2 + odd) * MAGNITUDE_CAP + k,
                    wide * MAGNITUDE_CAP + k,
                    (twins * 2 + odd) * MAGNITUDE_CAP + k,
                    place * MAGNITUDE_CAP + k,
                    along * MAGNITUDE_CAP + k,
                    bandwise * MAGNITUDE_CAP + k,
                    seams * MAGNITUDE_CAP + k,
                )
                other = 2 * MAGNITUDE_CAP + kind * BINS + near
                if not decide(stream, mixers.above, parts, 2 * k + odd, other, int(wanted > magnitude)):
                    break
                magnitude += 1
            if magnitude > MAGNITUDE_CAP:
                magnitude += code_escape(stream, mixers.escape, wanted - magnitude)
            if magnitude > LEVEL_LIMIT:
                stream.state[FAULT] = LEVEL_TOO_LARGE
                magnitude = LEVEL_LIMIT
            # Whether the sign is not the one that closes the gaps.
            against, size = int(upper + left < 0), min(magnitude, 3) - 1
            twin = int(picture.levels[0, row, column]) if plane else 0
            alike = 2 * min(_magnitude(twin), 2) - 1 + (int(twin < 0) ^ against) if twin else 0
            signs = (seams * 4 + axis, (pull * 3 + size) * BINS + togo, (alike * 4 + axis) * 3 + size)
            negative = against ^ decide(stream, mixers.sign, signs, axis, 4 + pull % BINS, int(value < 0) ^ against)
            half_steps = 2 * magnitude - odd
            half_steps = -half_steps if negative else half_steps
            levels[row, column] = half_steps
            gap[0, u] -= half_steps * EDGE[s, v] >> COSINE_BITS - _SEAM_BITS
            gap[1, v] -= half_steps * EDGE[s, u] >> COSINE_BITS - _SEAM_BITS
            total += magnitude
            state = next_state(state, magnitude)
        sum_before = total
