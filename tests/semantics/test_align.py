"""The fit of head and latents."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from licodec.semantics.align import Taught, align, allowed_bytes, stride_of, weight_of_cosine
from licodec.semantics.chunk import ChunkReader, Vectors, knot_count, knots
from licodec.semantics.embedder import unit
from licodec.semantics.fingerprint import Fingerprint

from .samples import directions, fingerprint


def teach(shape: list[tuple[int, int]], dimension: int, rank: int, seed: int = 0) -> list[Taught]:
    random = np.random.default_rng(seed)
    basis = random.normal(size=(rank + 1, dimension))
    out = []
    for frames, stride in shape:
        count = knot_count(frames, stride)
        places = np.cumsum(random.normal(0, 0.2, (count, rank)), axis=0)
        vectors = basis[0] * 2 + places @ basis[1:] + random.normal(0, 0.01, (count, dimension))
        out.append(Taught(frames, stride, unit(vectors, "sample")))
    return out


def cosines(payload: bytes, taught: list[Taught]) -> Vectors:
    """Of what the file gives at the knots with what was taught, by the formula of the specification."""
    reader = ChunkReader(payload, [t.frames for t in taught])
    head = reader.head()
    found = []
    for segment, part in zip(reader.segments(), taught, strict=True):
        at = segment.at(knots(part.frames, part.stride))
        vectors = 2.0 ** (-head.steps[0] / 4) * head.mean + sum(
            (at[:, k : k + 1] * 2.0 ** (-head.steps[k + 1] / 4) * head.basis[:, k] for k in range(head.components)),
            start=np.zeros((len(at), len(head.mean))),
        )
        found.append((unit(vectors, "file") * part.vectors).sum(axis=1))
    return np.concatenate(found)


def test_what_is_taught_is_learned() -> None:
    taught = teach([(40, 2), (17, 3), (1, 1)], 48, rank=3)
    made = align(fingerprint(dimension=48), taught, mu=1e6, limit=10**6)
    found = cosines(made.payload, taught)
    assert found.min() > 0.999
    assert made.cosine == pytest.approx(found.mean(), abs=1e-4)


def test_more_weight_is_nearer_and_larger() -> None:
    taught = teach([(60, 2)], 64, rank=6)
    made = [align(fingerprint(dimension=64), taught, mu, 10**6) for mu in (1e2, 1e3, 1e4, 1e5, 1e6)]
    assert all(a.cosine < b.cosine for a, b in itertools.pairwise(made))
    assert all(len(a.payload) <= len(b.payload) for a, b in itertools.pairwise(made))
    assert made[0].cosine > 0.8


@pytest.mark.parametrize("limit", [300, 600, 1200])
def test_the_limit_is_kept(limit: int) -> None:
    taught = teach([(200, 1)], 64, rank=12)
    made = align(fingerprint(dimension=64), taught, 1e7, limit)
    assert limit / 3 < len(made.payload) <= limit
    assert cosines(made.payload, taught).mean() > 0.9


def test_a_limit_that_nothing_meets() -> None:
    with pytest.raises(ValueError, match="no head fits 10 bytes"):
        align(fingerprint(dimension=64), teach([(20, 1)], 64, rank=2), 1e4, 10)


@pytest.mark.parametrize("segments", [1, 100, 1000])
def test_every_file_may_have_a_head(segments: int) -> None:
    """Hours of black, of which a segment is a few bytes: a chunk names each of them."""
    named = fingerprint()
    taught = [Taught(250, 60, np.repeat(directions(1), 6, axis=0))] * segments
    limit = allowed_bytes(named, segments, 0)
    assert len(align(named, taught, 1e5, limit).payload) <= limit


def test_beats_its_warm_start() -> None:
    """After rounding, latents and head are fitted to each other: nearer than principal components merely rounded."""
    from licodec.semantics import align as module

    taught = teach([(120, 1)], 48, rank=8)
    fitted = align(fingerprint(dimension=48), taught, 3e3, 10**6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_ROUNDS", 0)
        plain = align(fingerprint(dimension=48), taught, 3e3, 10**6)
    gained = (1 - plain.cosine) / (1 - fitted.cosine)
    assert gained > 1.05, gained


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(1, 5)), min_size=1, max_size=3),
    st.integers(1, 20),
    st.integers(0, 2**32 - 1),
    st.floats(1.0, 1e9),
)
def test_any_vectors(shape: list[tuple[int, int]], dimension: int, seed: int, mu: float) -> None:
    count = [knot_count(n, r) for n, r in shape]
    vectors = np.split(directions(sum(count), seed, dimension), np.cumsum(count)[:-1])
    taught = [Taught(n, r, v) for (n, r), v in zip(shape, vectors, strict=True)]
    made = align(fingerprint(dimension=dimension), taught, mu, 10**6)
    assert made.cosine == pytest.approx(cosines(made.payload, taught).mean(), abs=1e-3)


def test_vectors_that_are_all_the_same_need_no_components() -> None:
    one = directions(1)
    made = align(fingerprint(), [Taught(50, 5, np.repeat(one, 11, axis=0))], 1e5, 10**6)
    assert ChunkReader(made.payload, [50]).components == 0
    assert made.cosine > 0.9999


def test_opposite_vectors_whose_mean_is_nothing() -> None:
    one = directions(1)
    taught = [Taught(4, 1, np.concatenate([one, -one, one, -one]))]
    made = align(fingerprint(), taught, 1e5, 10**6)
    assert cosines(made.payload, taught).min() > 0.99


def test_strides() -> None:
    assert stride_of(250, 10.0) == 5
    assert stride_of(600, 10.0) == 12
    assert stride_of(24, 2.0) == 2
    assert stride_of(4, 4.0) == 1
    assert stride_of(1, 0.04) == 1
    assert stride_of(10_000, 0.5) == 64
    assert stride_of(9, 0.01) == 2


def test_budget() -> None:
    named = Fingerprint("builtin", "a" * 44, "00" * 32, "b" * 85, 384)
    assert allowed_bytes(named, 1, 10**7) == 150_000
    # A small file: the embedder's name, with the lengths of its parts, and room to say something.
    size = 7 + 44 + 32 + 85 + 3 + 2
    assert allowed_bytes(named, 1, 1000) == size + 256 + 8
    assert allowed_bytes(named, 100, 1000) == size + 256 + 800
    assert allowed_bytes(replace(named, dimension=1152), 1, 1000) == size + 1152 // 2 + 8
    assert weight_of_cosine(0.01, 1000, 50.0) == pytest.approx(0.01 * 65025 * 1000 / 50)
