"""What the picture models know before the first symbol: tables shipped with the codec.

`priors.bin` is part of the format (its SHA-256 is in `bitstream_spec.md`). It was learnt by
`benchmarks/train_priors.py` from footage that is not in the benchmark suite.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt
import zstandard

from licodec.container import ByteReader, ByteWriter
from licodec.entropy.mixing import BinaryModel

_FILE = "priors.bin"
_CONFIDENCE = 255
"""Counts are scaled down to this: a prior is a belief, and the video itself must be able to change it."""
_WEIGHT_UNIT = 256

Ints = npt.NDArray[np.int64]
State = tuple[Ints, Ints, Ints]


def pack(states: dict[str, State]) -> bytes:
    """States to the bytes of the priors file."""
    writer = ByteWriter()
    writer.varint(len(states))
    for name, (seen, ones, weights) in states.items():
        encoded = name.encode()
        writer.u8(len(encoded))
        writer.raw(encoded)
        over = np.maximum(1, -(-seen // _CONFIDENCE))
        writer.varint(len(seen))
        writer.raw((seen // over).astype("<u1").tobytes())
        writer.raw((ones // over).astype("<u1").tobytes())
        writer.varint(weights.shape[0])
        writer.varint(weights.shape[1])
        writer.raw((weights // _WEIGHT_UNIT).astype("<i2").tobytes())
    return zstandard.ZstdCompressor(level=19).compress(writer.to_bytes())


def unpack(data: bytes) -> dict[str, State]:
    """Inverse of `pack`."""
    reader = ByteReader(zstandard.ZstdDecompressor().decompress(data), _FILE)
    states = {}
    for _ in range(reader.varint()):
        name = reader.raw(reader.u8()).decode()
        count = reader.varint()
        seen = np.frombuffer(reader.raw(count), "<u1").astype(np.int64)
        ones = np.frombuffer(reader.raw(count), "<u1").astype(np.int64)
        shape = (reader.varint(), reader.varint())
        weights = np.frombuffer(reader.raw(2 * shape[0] * shape[1]), "<i2").astype(np.int64).reshape(shape)
        states[name] = (seen, ones, weights * _WEIGHT_UNIT)
    reader.end()
    return states


@lru_cache(maxsize=1)
def shipped() -> dict[str, State]:
    """The states in the package."""
    path = files("licodec.entropy") / _FILE
    return unpack(path.read_bytes())


def restore(models: dict[str, BinaryModel], states: dict[str, State]) -> None:
    """Start models from states of the same name; a model without one starts from nothing."""
    for name, model in models.items():
        if name in states:
            model.restore(*states[name])
