"""Alignment: the head and the semantic latents that stand for an embedder's vectors of a file's frames.

The loss is the paper's, L = MSE + lambda (1 - cos(head(s_t), e_t)), with the rate: a bit must be worth as much here as
a bit of the video. Squared error and bits of the video are settled when this begins, so what is left to minimise is

    J = bits(head, latents) + mu sum_t (1 - cos(head(s_t), e_t)),    mu = lambda 255^2 N / w

where N is the number of luma samples of a frame and w the squared luma error (8-bit scale) that a bit of the video
takes away. Near the optimum 1 - cos is half the squared distance of the directions, so J has the solution of
transform coding: principal components, all numbers quantised with the steps that give every bit the same slope,
dJ/dbit = 0, and no component that is not worth its bits. Then latents and head are fitted to each other as they
are quantised: the latents by the exact maximum of the cosine, the head by least squares.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from licodec.container import ByteWriter
from licodec.quant.steps import weight_index_of, weight_step_of
from licodec.semantics.chunk import (
    COMPONENTS_MAX,
    VALUE_MAX,
    Codes,
    Head,
    SegmentLatents,
    Vectors,
    knot_count,
    write_chunk,
)
from licodec.semantics.fingerprint import Fingerprint

_SHARE = 0.015
"""A chunk has at most this share of the video's bytes. In the video they would be worth 0.04 dB (a clip of one shot) to
0.09 dB (one of many): 2.6 to 6 dB for e times the bytes."""
_LEAST_BYTES, _LEAST_BITS = 256, 4
"""In a file of which that share is less: so many bytes, or so many bits for each component of the embedder's vectors if
that is more, besides the name of the embedder. With less a head says too little of what is seen."""
_SEGMENT_BYTES = 8
"""And so many for each segment, which takes four to be named and a word where it has components."""
KNOTS_A_SECOND = 5
_KNOTS_LEAST = 4
"""Knots of a segment after its first, if it has the frames."""
_STRIDE_MAX = 64
_ROUNDS = 3
_DEAD_ZONE = 0.15
"""Steps beyond a half that a latent must have moved before it is coded as moved."""
_STEP_BITS = 8
"""What each component costs besides its numbers."""
_SHRINK = 0.6
"""Factor on mu while the chunk is too large."""

Reals = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Taught:
    """An embedder's vectors of a segment's frames."""

    frames: int
    """Frames of the segment."""
    stride: int
    """Distance of the knots."""
    vectors: Vectors
    """[knots, dimension], each of length 1."""


@dataclass(frozen=True)
class Aligned:
    """What came out."""

    payload: bytes
    """Of the chunk."""
    cosine: float
    """Mean cosine between head(s_t) and e_t over the knots."""


def stride_of(frames: int, seconds: float) -> int:
    """Frames between two knots of a segment: five knots a second, and five of a segment if it has the frames."""
    a_second = round(frames / (seconds * KNOTS_A_SECOND)) if seconds > 0 else 1
    return max(1, min(a_second, (frames - 1) // _KNOTS_LEAST, _STRIDE_MAX))


def weight_of_cosine(weight: float, samples: int, bit_worth: float) -> float:
    """mu above: bits that a unit of 1 - cos of one frame is worth.

    weight: lambda; samples: luma samples of a frame; bit_worth: squared error (8-bit scale) of a bit.
    """
    return weight * 255.0**2 * samples / bit_worth


def allowed_bytes(fingerprint: Fingerprint, segments: int, video_bytes: int) -> int:
    """Bytes that a chunk may have in a file of so many segments, whose other bytes are so many."""
    name = ByteWriter()
    fingerprint.write(name)
    least = max(_LEAST_BYTES, fingerprint.dimension * _LEAST_BITS // 8)
    return max(len(name.to_bytes()) + least + _SEGMENT_BYTES * segments, int(_SHARE * video_bytes))


def align(fingerprint: Fingerprint, taught: Sequence[Taught], mu: float, limit: int) -> Aligned:
    """The chunk that minimises J, of at most `limit` bytes.

    Raises ValueError if not even a head of one number a component fits, which no `allowed_bytes` allows.
    """
    targets = np.concatenate([t.vectors for t in taught]).astype(np.float64)
    weights = np.concatenate([np.full(len(t.vectors), t.frames / len(t.vectors)) for t in taught])
    start = _principal(targets, weights)
    while True:
        head, codes = _fit(fingerprint, targets, weights, taught, start, mu)
        segments = _split(codes, taught)
        payload = write_chunk(head, segments)
        if len(payload) <= limit:
            return Aligned(payload, float(_cosines(head, codes, targets).mean()))
        if mu < 1e-6:
            raise ValueError(f"no head fits {limit} bytes")
        mu *= _SHRINK ** max(1, round(math.log(len(payload) / limit) * 2))


@dataclass(frozen=True)
class _Start:
    """Weighted principal components."""

    mean: Reals
    """[dimension]"""
    basis: Reals
    """[dimension, components] orthonormal, the largest first."""
    places: Reals
    """[knots, components]"""


def _principal(targets: Reals, weights: Reals) -> _Start:
    mean = weights @ targets / weights.sum()
    centred = (targets - mean) * np.sqrt(weights)[:, None]
    knots, dimension = centred.shape
    if knots < dimension:
        values, vectors = np.linalg.eigh(centred @ centred.T)
        order = [i for i in np.argsort(values)[::-1] if values[i] > 1e-12 * weights.sum()]
        basis = centred.T @ (vectors[:, order] / np.sqrt(values[order]))
    else:
        values, vectors = np.linalg.eigh(centred.T @ centred)
        basis = vectors[:, np.argsort(values)[::-1]]
    basis = basis[:, :COMPONENTS_MAX]
    return _Start(mean, basis, (targets - mean) @ basis)


def _fit(
    fingerprint: Fingerprint, targets: Reals, weights: Reals, taught: Sequence[Taught], start: _Start, mu: float
) -> tuple[Head, Codes]:
    # Equal slope: a number of step b that counts E times adds mu E b^2 / 24 to J and costs -log2 b bits.
    fine = math.sqrt(12 / (mu * math.log(2)))
    step = fine / math.sqrt(weights.mean())
    places = start.places[:, : _worthwhile(start, weights, taught, mu, step, fine)]
    codes = _quantise(places / step, taught)
    basis, mean = start.basis[:, : places.shape[1]] * step, start.mean
    head = _quantised_head(fingerprint, mean, basis, codes, weights, fine)
    for _ in range(_ROUNDS if places.shape[1] else 1):
        codes = _quantise(_best_latents(head, targets), taught)
        solution = _best_head(codes, targets, weights, head)
        head = _quantised_head(fingerprint, solution[:, -1], solution[:, :-1], codes, weights, fine)
    return head, codes


def _worthwhile(start: _Start, weights: Reals, taught: Sequence[Taught], mu: float, step: float, fine: float) -> int:
    """Components that are worth their bits: the first so many."""
    energy = weights @ start.places**2
    moves = np.concatenate([np.diff(s, axis=0, prepend=s[:1]) for s in np.split(start.places, _ends(taught))])
    dimension = len(start.mean)
    # Of a component of unit length, in the head's own steps: what its numbers are on average.
    head_step = fine / np.sqrt(np.maximum(energy, 1e-30))
    bits = dimension * _bits(1 / (dimension * head_step**2)) + len(moves) * _bits((moves**2).mean(axis=0) / step**2)
    worth = bits + _STEP_BITS < mu * energy / 2
    return int(np.argmin(worth)) if not worth.all() else len(worth)


def _bits(variance: Reals) -> Reals:
    """About what the entropy coder spends on a number of so many squared steps."""
    return 0.5 * np.log2(1 + 2 * math.pi * math.e * variance)


def _ends(taught: Sequence[Taught]) -> list[int]:
    return np.cumsum([len(t.vectors) for t in taught])[:-1].tolist()


def _split(codes: Codes, taught: Sequence[Taught]) -> list[SegmentLatents]:
    parts = np.split(codes, _ends(taught))
    return [SegmentLatents(t.frames, t.stride, part) for t, part in zip(taught, parts, strict=True)]


def _quantise(places: Reals, taught: Sequence[Taught]) -> Codes:
    """Latents that stay where they are until they have moved by more than half a step and the dead zone."""
    out = np.empty(places.shape, np.int32)
    places = np.clip(places, -VALUE_MAX, VALUE_MAX)
    first = {0, *_ends(taught)}
    for i, place in enumerate(places):
        before = np.zeros(places.shape[1]) if i in first else out[i - 1]
        move = place - before
        out[i] = before + np.sign(move) * np.floor(np.abs(move) + (0.5 - _DEAD_ZONE))
    return out


def _quantised_head(
    fingerprint: Fingerprint, mean: Reals, basis: Reals, codes: Codes, weights: Reals, fine: float
) -> Head:
    energy = weights @ codes.astype(np.float64) ** 2
    indices = [weight_index_of(fine / math.sqrt(weights.sum()))]
    indices += [weight_index_of(fine / math.sqrt(max(e, 1.0))) for e in energy]
    numbers = np.column_stack([mean, basis])
    # A coarse bound on the finest step, so that nothing exceeds the format's range.
    largest = np.abs(numbers).max(axis=0)
    indices = [
        min(i, weight_index_of(max(top, 1e-12) / (VALUE_MAX - 1)) - 1) if top > 0 else i
        for i, top in zip(indices, largest, strict=True)
    ]
    indices = [max(0, i) for i in indices]
    whole = np.rint(numbers / [weight_step_of(i) for i in indices]).astype(np.int32)
    if not whole[:, 0].any():
        # A head must not say nothing at all: its largest component, at least.
        place = int(np.abs(mean).argmax())
        whole[place, 0] = 1 if mean[place] >= 0 else -1
    return Head(fingerprint, whole[:, 0].copy(), whole[:, 1:].copy(), tuple(indices))


def _best_latents(head: Head, targets: Reals) -> Reals:
    """[knots, components] the s that maximise cos(head(s), e).

    The direction in the span of basis and mean that is nearest to e is its projection B x + y m; for y > 0 it is
    that of B (x / y) + m.
    """
    matrix = head.matrix().astype(np.float64)
    solution = np.linalg.lstsq(matrix, targets.T, rcond=None)[0]
    share = solution[-1]
    plain = np.linalg.lstsq(matrix[:, :-1], (targets - matrix[:, -1]).T, rcond=None)[0] if head.components else None
    if plain is None:
        return np.zeros((len(targets), 0))
    return np.where(share > 0.1, solution[:-1] / np.maximum(share, 0.1), plain).T


def _best_head(codes: Codes, targets: Reals, weights: Reals, head: Head) -> Reals:
    """[dimension, components + 1] by least squares, each vector at the length that its latent has under `head`."""
    known = np.column_stack([codes, np.ones(len(codes))])
    lengths = np.linalg.norm(known @ head.matrix().T.astype(np.float64), axis=1)
    root = np.sqrt(weights)[:, None]
    return np.linalg.lstsq(known * root, targets * np.maximum(lengths, 1e-6)[:, None] * root, rcond=None)[0].T


def _cosines(head: Head, codes: Codes, targets: Reals) -> Reals:
    found = np.column_stack([codes, np.ones(len(codes))]) @ head.matrix().T.astype(np.float64)
    return (found * targets).sum(axis=1) / np.maximum(np.linalg.norm(found, axis=1), 1e-12)


def check_taught(taught: Sequence[Taught]) -> None:
    """Raise ValueError unless there is a vector for each knot."""
    for part in taught:
        if len(part.vectors) != knot_count(part.frames, part.stride):
            raise ValueError(f"{len(part.vectors)} vectors for {part.frames} frames at a stride of {part.stride}")
