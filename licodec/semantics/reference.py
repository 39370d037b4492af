"""A slow reader of the chunk `semL`, written from `bitstream_spec.md` for tests; see `licodec.entropy.reference`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from licodec.container import ByteReader
from licodec.entropy.reference.mixing import RangeDecoder
from licodec.entropy.reference.tensors import TensorSyntax
from licodec.errors import DamagedFileError

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Meaning:
    """The integers of a chunk."""

    fingerprint: tuple[str, str, bytes, str, int]
    steps: tuple[int, ...]
    mean: Ints
    """[D]"""
    basis: Ints
    """[D, K]"""
    latents: list[Ints]
    """[knots, K] of each segment."""


def read_chunk(payload: bytes, frames: Sequence[int]) -> Meaning:
    """Raises DamagedFileError for what the specification does not allow in a file of segments of so many frames."""
    data = ByteReader(payload)
    provider, architecture = _text(data, 64), _text(data, 1024)
    weights, preprocessing, dimension = data.raw(32), _text(data, 1024), data.varint()
    components = data.varint()
    if not 1 <= dimension <= 8192 or components > min(dimension, 256):
        raise data.damaged("dimensions out of range")
    steps = tuple(data.u8() for _ in range(components + 1))
    head = data.raw(_words(data))
    if data.varint() != len(frames):
        raise data.damaged("another number of segments")
    entries = [(data.varint(), data.varint(), _words(data)) for _ in frames]
    if [entry[0] for entry in entries] != list(frames) or not all(1 <= stride <= 1024 for _, stride, _ in entries):
        raise data.damaged("other segments")
    mean, basis = _tensors(head, [(dimension,), (dimension, components)])
    latents = []
    for count, stride, size in entries:
        knots = len({*range(0, count - 1, stride), count - 1})
        (differences,) = _tensors(data.raw(size), [(knots, components)])
        latents.append(_checked(np.cumsum(differences, axis=0)))
    data.end()
    return Meaning((provider, architecture, weights, preprocessing, dimension), steps, mean, basis, latents)


def _tensors(stream: bytes, shapes: Sequence[tuple[int, ...]]) -> list[Ints]:
    coder = RangeDecoder(stream)
    syntax = TensorSyntax(coder, len(shapes), "")
    found = [
        syntax.decode(kind, shape).astype(np.int64) if np.prod(shape) else np.zeros(shape, np.int64)
        for kind, shape in enumerate(shapes)
    ]
    coder.finish()
    return [_checked(values) for values in found] if len(shapes) == 2 else found


def _checked(values: Ints) -> Ints:
    if np.abs(values).max(initial=0) > 1 << 15:
        raise DamagedFileError("a value is over 32768")
    return values


def _text(data: ByteReader, most: int) -> str:
    size = data.varint()
    if not 1 <= size <= most:
        raise data.damaged("a text of this length")
    try:
        return data.raw(size).decode()
    except UnicodeDecodeError:
        raise data.damaged("a text that is not UTF-8") from None


def _words(data: ByteReader) -> int:
    size = data.varint()
    if size % 4:
        raise data.damaged("a stream of no whole words")
    return size
