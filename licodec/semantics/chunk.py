"""The chunk `semL`: one head and the semantic latents of every frame, as integers, and back.

A frame's entry in the latent dictionary is its z, which modulates the network and is coded among the segment's
pictures, and its semantic latent s, which is here. The head, an affine map, reads s alone: so a file is searched
without parsing a picture, a head is added without touching the video, and segments without network have meaning too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from licodec.container import DEFAULT_LIMITS, ByteReader, ByteWriter, Limits
from licodec.entropy.coder import BitDecoder, BitEncoder
from licodec.entropy.weights import TensorCoder
from licodec.errors import DamagedFileError
from licodec.quant.steps import weight_step_of
from licodec.semantics.fingerprint import Fingerprint

COMPONENTS_MAX = 256
STRIDE_MAX = 1024
VALUE_MAX = 1 << 15
"""Largest magnitude of a head's values and of a latent."""
_MEAN, _BASIS = 0, 1

Codes = npt.NDArray[np.int32]
Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Head:
    """The affine map from semantic latents to the embedder's space."""

    fingerprint: Fingerprint
    """Of the embedder whose vectors it reproduces."""
    mean: Codes
    """[dimension] vector of the latent 0, in steps."""
    basis: Codes
    """[dimension, components] in steps of each component."""
    steps: tuple[int, ...]
    """Step indices (`licodec.quant.steps.weight_step_of`): the mean's, then one of each component."""

    @property
    def components(self) -> int:
        """Components of a semantic latent."""
        return self.basis.shape[1]

    def matrix(self) -> Vectors:
        """[dimension, components + 1] real numbers, the mean last: a latent s stands for matrix @ [s, 1]."""
        scale = np.array([weight_step_of(i) for i in (*self.steps[1:], self.steps[0])], np.float32)
        return np.column_stack([self.basis, self.mean]).astype(np.float32) * scale


@dataclass(frozen=True)
class SegmentLatents:
    """The semantic latents of a segment, at some of its frames, between which they are interpolated."""

    frames: int
    """Frames of the segment."""
    stride: int
    """The frames 0, stride, 2 stride, ... and the last one have a latent: the knots."""
    codes: Codes
    """[knots, components]"""

    def at(self, frames: npt.NDArray[np.floating] | npt.NDArray[np.integer]) -> Vectors:
        """[len(frames), components] latents at frame numbers, which need not be whole; linear between knots."""
        places = knots(self.frames, self.stride)
        at = np.clip(np.asarray(frames, np.float64), 0, self.frames - 1)
        after = np.clip(np.searchsorted(places, at, "right"), 1, max(1, len(places) - 1))
        before = after - 1
        after = np.minimum(after, len(places) - 1)
        gap = np.maximum(places[after] - places[before], 1)
        share = ((at - places[before]) / gap)[:, None]
        return ((1 - share) * self.codes[before] + share * self.codes[after]).astype(np.float32)


def knots(frames: int, stride: int) -> npt.NDArray[np.int64]:
    """Frames of a segment that have a latent of their own."""
    return np.append(np.arange(0, frames - 1, stride), frames - 1)


def knot_count(frames: int, stride: int) -> int:
    """How many they are."""
    return 1 + -(-(frames - 1) // stride)


def write_chunk(head: Head, segments: Sequence[SegmentLatents], limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Payload of a chunk. Raises ValueError for numbers that the format does not hold, LimitError for too many."""
    _check(head, segments, limits)
    out = ByteWriter()
    head.fingerprint.write(out)
    out.varint(head.components)
    for step in head.steps:
        out.u8(step)
    encoder = BitEncoder()
    _code_head(encoder, head.mean, head.basis)
    stream = encoder.finish()
    out.varint(len(stream))
    out.raw(stream)
    out.varint(len(segments))
    streams = []
    for segment in segments:
        coder = BitEncoder()
        differences = np.diff(segment.codes, axis=0, prepend=np.zeros((1, head.components), np.int32))
        if head.components:
            TensorCoder(1).code(coder, 0, np.ascontiguousarray(differences, np.int32))
        streams.append(coder.finish())
        out.varint(segment.frames)
        out.varint(segment.stride)
        out.varint(len(streams[-1]))
    out.raw(b"".join(streams))
    return out.to_bytes()


def _check(head: Head, segments: Sequence[SegmentLatents], limits: Limits) -> None:
    dimension, components = head.basis.shape
    if (
        head.mean.shape != (head.fingerprint.dimension,)
        or dimension != len(head.mean)
        or len(head.steps) != components + 1
        or components > min(COMPONENTS_MAX, dimension)
    ):
        raise ValueError(f"a head of {head.mean.shape} and {head.basis.shape} does not fit {head.fingerprint}")
    for segment in segments:
        if segment.codes.shape != (knot_count(segment.frames, segment.stride), components):
            raise ValueError(f"latents of {segment.codes.shape} do not fit {segment.frames} frames")
        if not 1 <= segment.stride <= STRIDE_MAX:
            raise ValueError(f"a stride of {segment.stride} is outside 1..{STRIDE_MAX}")
    if any(np.abs(a).max(initial=0) > VALUE_MAX for a in (head.mean, head.basis, *(s.codes for s in segments))):
        raise ValueError(f"a value is over {VALUE_MAX}")
    limits.check("max_latent_values", dimension * (components + 1) + sum(s.codes.size for s in segments))


def _code_head(coder: BitEncoder | BitDecoder, mean: Codes, basis: Codes) -> None:
    """In place for a decoder."""
    tensors = TensorCoder(2)
    tensors.code(coder, _MEAN, mean)
    if basis.size:
        tensors.code(coder, _BASIS, basis)


class ChunkReader:
    """Reads a chunk: its fields when it is opened, the head and each segment when they are asked for.

    Raises DamagedFileError beginning with `where`, or LimitError before anything of that size is allocated.
    """

    def __init__(
        self, payload: bytes, frames: Sequence[int], limits: Limits = DEFAULT_LIMITS, where: str = "semL"
    ) -> None:
        """`frames`: of each segment of the file, which the chunk must agree with."""
        data = ByteReader(payload, where)
        self._where = where
        self.fingerprint = Fingerprint.read(data)
        """Of the embedder."""
        dimension = self.fingerprint.dimension
        self.components = data.varint()
        """Of a semantic latent."""
        if self.components > min(COMPONENTS_MAX, dimension):
            raise data.damaged(f"{self.components} components for vectors of {dimension}")
        self._steps = tuple(data.raw(self.components + 1))
        self._head_stream = data.raw(_whole_words(data, data.varint()))
        count = data.varint()
        if count != len(frames):
            raise data.damaged(f"has {count} segments where the file has {len(frames)}")
        values = dimension * (self.components + 1)
        self._segments: list[tuple[int, int, int]] = []
        """(stride, first byte of the stream, byte after it)"""
        position = 0
        for expected in frames:
            found, stride, size = data.varint(), data.varint(), _whole_words(data, data.varint())
            if found != expected:
                raise data.damaged(f"a segment of {found} frames where the file has {expected}")
            if not 1 <= stride <= STRIDE_MAX:
                raise data.damaged(f"a stride of {stride}, outside 1..{STRIDE_MAX}")
            values += knot_count(found, stride) * self.components
            self._segments.append((stride, position, position + size))
            position += size
        if position != data.remaining:
            raise data.damaged(f"streams of {position} bytes where {data.remaining} are left")
        limits.check("max_latent_values", values)
        self._streams = data.raw(position)
        self._frames = tuple(frames)

    def __len__(self) -> int:
        """Number of segments."""
        return len(self._segments)

    def head(self) -> Head:
        """The head."""
        dimension = self.fingerprint.dimension
        mean, basis = np.zeros(dimension, np.int32), np.zeros((dimension, self.components), np.int32)
        decoder = BitDecoder(self._head_stream)
        with _named(f"{self._where}: head"):
            _code_head(decoder, mean, basis)
            decoder.finish()
            if max(np.abs(mean).max(), np.abs(basis).max(initial=0)) > VALUE_MAX:
                raise DamagedFileError(f"a value is over {VALUE_MAX}")
        return Head(self.fingerprint, mean, basis, (*self._steps,))

    def segment(self, index: int) -> SegmentLatents:
        """The latents of one segment, found without those of others."""
        stride, start, end = self._segments[index]
        frames = self._frames[index]
        differences = np.zeros((knot_count(frames, stride), self.components), np.int32)
        decoder = BitDecoder(self._streams[start:end])
        with _named(f"{self._where}: latents of segment {index}"):
            if self.components:
                TensorCoder(1).code(decoder, 0, differences)
            decoder.finish()
            codes = np.cumsum(differences, axis=0, dtype=np.int64)
            if np.abs(codes).max(initial=0) > VALUE_MAX:
                raise DamagedFileError(f"a latent is over {VALUE_MAX}")
        return SegmentLatents(frames, stride, codes.astype(np.int32))

    def segments(self) -> list[SegmentLatents]:
        """All of them."""
        return [self.segment(i) for i in range(len(self))]


def _whole_words(data: ByteReader, size: int) -> int:
    if size % 4:
        raise data.damaged(f"an entropy-coded part of {size} bytes, which are no whole 32-bit words")
    return size


@contextlib.contextmanager
def _named(where: str) -> Iterator[None]:
    """Give DamagedFileError the place it comes from."""
    try:
        yield
    except DamagedFileError as error:
        raise DamagedFileError(f"{where}: {error}") from None
