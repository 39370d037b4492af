"""The chunk `semL`: what is written is read, by an independent reading too; what lies is refused before it costs."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from licodec.container import ByteWriter, Limits
from licodec.errors import DamagedFileError, LicodecError, LimitError
from licodec.semantics.chunk import (
    VALUE_MAX,
    ChunkReader,
    Head,
    SegmentLatents,
    knot_count,
    knots,
    write_chunk,
)
from licodec.semantics.fingerprint import Fingerprint
from licodec.semantics.reference import read_chunk

FINGERPRINT = Fingerprint("hf", "CLIPModel tiny", "0123456789abcdef" * 4, "64x64 bicubic", 6)

values = st.one_of(st.integers(-3, 3), st.integers(-VALUE_MAX, VALUE_MAX))
texts = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=15)
shapes = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 9)), min_size=1, max_size=4)


@st.composite
def contents(draw: st.DrawFn) -> tuple[Head, list[SegmentLatents]]:
    dimension = draw(st.integers(1, 12))
    components = draw(st.integers(0, min(4, dimension)))
    fingerprint = Fingerprint(
        draw(texts), draw(texts), draw(st.binary(min_size=32, max_size=32)).hex(), draw(texts), dimension
    )
    head = Head(
        fingerprint,
        draw(arrays(np.int32, dimension, elements=values)),
        draw(arrays(np.int32, (dimension, components), elements=values)),
        tuple(draw(st.lists(st.integers(0, 255), min_size=components + 1, max_size=components + 1))),
    )
    segments = [
        SegmentLatents(n, r, draw(arrays(np.int32, (knot_count(n, r), components), elements=values)))
        for n, r in draw(shapes)
    ]
    return head, segments


def sample(components: int = 2, frames: tuple[int, ...] = (9, 1)) -> tuple[Head, list[SegmentLatents]]:
    random = np.random.default_rng(1)
    head = Head(
        FINGERPRINT,
        random.integers(-20, 20, 6, np.int32),
        random.integers(-20, 20, (6, components), np.int32),
        (20, *[24] * components),
    )
    segments = [SegmentLatents(n, 2, random.integers(-9, 9, (knot_count(n, 2), components), np.int32)) for n in frames]
    return head, segments


def same(reader: ChunkReader, head: Head, segments: list[SegmentLatents]) -> None:
    found = reader.head()
    assert found.fingerprint == reader.fingerprint == head.fingerprint
    assert found.steps == head.steps
    np.testing.assert_array_equal(found.mean, head.mean)
    np.testing.assert_array_equal(found.basis, head.basis)
    for got, wanted in zip(reader.segments(), segments, strict=True):
        assert (got.frames, got.stride) == (wanted.frames, wanted.stride)
        np.testing.assert_array_equal(got.codes, wanted.codes)


@settings(deadline=None, max_examples=60)
@given(contents())
def test_what_is_written_is_read(content: tuple[Head, list[SegmentLatents]]) -> None:
    head, segments = content
    payload = write_chunk(head, segments)
    frames = [s.frames for s in segments]
    same(ChunkReader(payload, frames), head, segments)
    for cut in {0, 1, len(payload) // 2, len(payload) - 1}:
        with pytest.raises(DamagedFileError):
            reader = ChunkReader(payload[:cut], frames)
            reader.head(), reader.segments()


def test_the_reference_reads_the_same() -> None:
    head, segments = sample(3, (33, 1, 2, 12))
    slow = read_chunk(write_chunk(head, segments), [s.frames for s in segments])
    np.testing.assert_array_equal(slow.mean, head.mean)
    np.testing.assert_array_equal(slow.basis, head.basis)
    for got, wanted in zip(slow.latents, segments, strict=True):
        np.testing.assert_array_equal(got, wanted.codes)


def test_a_segment_is_found_without_the_others() -> None:
    head, segments = sample(2, (9, 20, 7))
    payload = bytearray(write_chunk(head, segments))
    reader = ChunkReader(bytes(payload), [9, 20, 7])
    _, start, end = reader._segments[0]
    position = len(payload) - reader._segments[-1][2]
    payload[position + start : position + end] = bytes(end - start)
    broken = ChunkReader(bytes(payload), [9, 20, 7])
    for i in (1, 2):
        np.testing.assert_array_equal(broken.segment(i).codes, segments[i].codes)


def test_every_truncation_and_flip_is_latents_or_an_error() -> None:
    payload = write_chunk(*sample())
    random = np.random.default_rng(0)
    copies = [payload[:n] for n in range(len(payload))]
    for _ in range(300):
        copy = bytearray(payload)
        copy[random.integers(len(copy))] ^= 1 << random.integers(8)
        copies.append(bytes(copy))
    outcomes = {"latents": 0, "refused": 0}
    for copy in copies:
        try:
            reader = ChunkReader(copy, (9, 1), Limits(max_latent_values=10_000), "file.linr")
            reader.head(), reader.segments()
            outcomes["latents"] += 1
        except LicodecError as error:
            outcomes["refused"] += 1
            assert isinstance(error, LimitError) or str(error).startswith("file.linr")
    assert outcomes["refused"] > len(payload)
    assert outcomes["latents"] < 300


def text(value: bytes) -> bytes:
    out = ByteWriter()
    out.varint(len(value))
    return out.to_bytes() + value


def made(
    provider: bytes = b"hf", architecture: bytes = b"a", dimension: int = 6, components: int = 0, rest: bytes = b""
) -> bytes:
    """A chunk up to K, then `rest`."""
    out = ByteWriter()
    out.raw(text(provider) + text(architecture) + bytes(32) + text(b"p"))
    out.varint(dimension)
    out.varint(components)
    return out.to_bytes() + rest


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (made(provider=b""), "a text of 0 bytes"),
        (made(provider=b"x" * 65), "a text of 65 bytes"),
        (made(architecture=b"x" * 1025), "a text of 1025 bytes"),
        (made(architecture=b"\xff"), "not UTF-8"),
        (made(dimension=0), "vectors of 0 components"),
        (made(dimension=8193), "vectors of 8193 components"),
        (made(dimension=2**60), "vectors of"),
        (made(components=7), "7 components for vectors of 6"),
        (made(dimension=8192, components=257), "257 components"),
        (made(), "cut short"),
        (made(rest=b"\0\3abc"), "3 bytes, which are no whole"),
        (made(rest=b"\0\0\0"), "0 segments where the file has 1"),
        (made(rest=b"\0\0\2\5\1\0\5\1\0"), "2 segments where the file has 1"),
        (made(rest=b"\0\0\1\6\1\0"), "6 frames where the file has 5"),
        (made(rest=b"\0\0\1\5\0\0"), "a stride of 0"),
        (made(rest=b"\0\0\1\5\x81\x08\0"), "a stride of 1025"),
        (made(rest=b"\0\0\1\5\1\2"), "2 bytes, which are no whole"),
        (made(rest=b"\0\0\1\5\1\4"), "streams of 4 bytes where 0 are left"),
        (made(rest=b"\0\0\1\5\1\0\0"), "streams of 0 bytes where 1 are left"),
    ],
)
def test_chunks_that_lie(payload: bytes, message: str) -> None:
    with pytest.raises(DamagedFileError, match=f"^here: .*{message}"):
        ChunkReader(payload, [5], where="here")


def test_limits_come_before_memory() -> None:
    frames = 2**22
    payload = made(dimension=8192, components=256, rest=bytes(257) + b"\0\1\x80\x80\x80\x02\1\0")
    tracemalloc.start()
    try:
        with pytest.raises(LimitError, match="max_latent_values"):
            ChunkReader(payload, [frames])
        assert tracemalloc.get_traced_memory()[1] < 200_000
    finally:
        tracemalloc.stop()


def test_values_out_of_range_are_refused() -> None:
    head, segments = sample(1, (3,))
    far = replace(segments[0], codes=np.array([[VALUE_MAX], [-VALUE_MAX]], np.int32))
    assert ChunkReader(write_chunk(head, [far]), [3]).segment(0).codes.max() == VALUE_MAX
    for wrong in (
        (replace(head, mean=head.mean + VALUE_MAX + 30), segments),
        (head, [replace(far, codes=far.codes * 2)]),
    ):
        with pytest.raises(ValueError, match="over 32768"):
            write_chunk(*wrong)


def test_a_sum_of_differences_out_of_range(monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer without conscience."""
    monkeypatch.setattr("licodec.semantics.chunk._check", lambda *_: None)
    head, segments = sample(1, (3,))
    for value in (VALUE_MAX + 1, 2**23):
        far = replace(segments[0], codes=np.array([[value], [0]], np.int32))
        with pytest.raises(DamagedFileError, match="latents of segment 0: a latent is over"):
            ChunkReader(write_chunk(head, [far]), [3]).segment(0)
    with pytest.raises(DamagedFileError, match="head: a value is over"):
        ChunkReader(write_chunk(replace(head, mean=head.mean + 40_000), segments), [3]).head()


def test_knots_and_what_lies_between() -> None:
    assert knots(1, 5).tolist() == [0]
    assert knots(2, 5).tolist() == [0, 1]
    assert knots(11, 5).tolist() == [0, 5, 10]
    assert knots(12, 5).tolist() == [0, 5, 10, 11]
    assert all(len(knots(n, r)) == knot_count(n, r) for n in range(1, 30) for r in range(1, 12))
    latents = SegmentLatents(12, 5, np.array([[0], [10], [20], [0]], np.int32))
    at = latents.at(np.array([-1, 0, 0.5, 1, 5, 7.5, 10, 10.5, 11, 40]))
    np.testing.assert_allclose(at[:, 0], [0, 0, 1, 2, 10, 15, 20, 10, 0, 0])
    alone = SegmentLatents(1, 1, np.array([[7]], np.int32))
    np.testing.assert_allclose(alone.at(np.array([0, 0.5])), [[7], [7]])


@pytest.mark.parametrize(
    "change",
    [
        {"provider": ""},
        {"provider": "x" * 65},
        {"architecture": "é" * 513},
        {"weights": "0" * 63},
        {"weights": "A" * 64},
        {"weights": "x" * 64},
        {"dimension": 0},
        {"dimension": 8193},
    ],
)
def test_fingerprints_that_make_no_sense(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        replace(FINGERPRINT, **change)
