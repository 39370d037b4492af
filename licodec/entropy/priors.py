"""What the picture models know before the first symbol: tables shipped with the codec.

`priors.bin` is part of the format (its SHA-256 is in `bitstream_spec.md`). It was learnt by
`benchmarks/train_priors.py` from footage that is not in the benchmark suite.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

import numpy as np
import zstandard

from licodec.container import ByteReader, ByteWriter
from licodec.entropy.mixing import BinaryModel, State

_FILE = "priors.bin"
_CONFIDENCE = 60
"""Times seen are cut to this: a prior is a belief, and the video itself must be able to change it."""
_SHARE_UNIT, _WEIGHT_UNIT = 1 << 12, 1 << 8


def pack(states: dict[str, State]) -> bytes:
    """States to the bytes of the priors file."""
    writer = ByteWriter()
    writer.varint(len(states))
    for name, (share, seen, weights) in states.items():
        encoded = name.encode()
        writer.u8(len(encoded))
        writer.raw(encoded)
        writer.varint(len(seen))
        writer.raw((share // _SHARE_UNIT).astype("<u2").tobytes())
        writer.raw(np.minimum(seen, _CONFIDENCE).astype("<u1").tobytes())
        writer.varint(weights.shape[0])
        writer.varint(weights.shape[1])
        writer.raw(np.clip(weights // _WEIGHT_UNIT, -(1 << 15), (1 << 15) - 1).astype("<i2").tobytes())
    return zstandard.ZstdCompressor(level=19).compress(writer.to_bytes())


def unpack(data: bytes) -> dict[str, State]:
    """Inverse of `pack`."""
    reader = ByteReader(zstandard.ZstdDecompressor().decompress(data), _FILE)
    states = {}
    for _ in range(reader.varint()):
        name = reader.raw(reader.u8()).decode()
        count = reader.varint()
        share = np.frombuffer(reader.raw(2 * count), "<u2").astype(np.int64) * _SHARE_UNIT
        seen = np.frombuffer(reader.raw(count), "<u1").astype(np.int64)
        shape = (reader.varint(), reader.varint())
        weights = np.frombuffer(reader.raw(2 * shape[0] * shape[1]), "<i2").astype(np.int64).reshape(shape)
        states[name] = (share, seen, weights * _WEIGHT_UNIT)
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
