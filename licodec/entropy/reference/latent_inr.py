"""`Paper profile`: the symbols of its segments, decoded slowly."""

from __future__ import annotations

import itertools
import struct

import numpy as np

from licodec.container import ByteReader
from licodec.entropy.latent_inr import LatentINRSymbols
from licodec.entropy.reference.mixing import RangeDecoder
from licodec.entropy.reference.tensors import TensorSyntax
from licodec.model.geometry import Geometry

_SYMBOL_MAX = 1 << 20


def decode_latent_inr(payload: bytes, conf: bytes, geometry: Geometry, frames: int) -> LatentINRSymbols:
    """All symbols of a segment of the paper profile; `conf`: what follows the profile number in CONF.

    Raises:
        DamagedFileError: the payload is not what the specification allows.
    """
    shapes = _shapes(conf, geometry, frames)
    reader = ByteReader(payload)
    steps = tuple(b - 256 if b > 127 else b for b in reader.raw(len(shapes)))
    if reader.remaining % 4:
        raise reader.damaged("the range-coded part is not whole words")
    coder = RangeDecoder(reader.raw(reader.remaining))
    syntax = TensorSyntax(coder, len(shapes), "")
    tensors = tuple(syntax.decode(kind, shape) for kind, shape in enumerate(shapes))
    coder.finish()
    if any(np.abs(t).max(initial=0) > _SYMBOL_MAX for t in tensors):
        raise reader.damaged("a symbol out of range")
    return LatentINRSymbols(steps, tensors)


def _shapes(conf: bytes, geometry: Geometry, frames: int) -> list[tuple[int, ...]]:
    """Shapes of the tensors, in the order of the table."""
    latent, layers, width, rank, hyper, octaves, levels, features, patch = struct.unpack("<HBHBHBBBB", conf)
    rows, columns = (-(-length // patch) for length in geometry.shapes[0])
    sx, sy = geometry.subsampling
    samples = patch * patch + (2 * (patch // sx) * (patch // sy) if len(geometry.shapes) == 3 else 0)
    shapes: list[tuple[int, ...]] = [(frames, latent)]
    shapes += [(features, -(-rows // 2**j), -(-columns // 2**j)) for j in range(levels)]
    ends = [4 * octaves + levels * features, *[width] * (layers - 1), samples]
    for inputs, outputs in itertools.pairwise(ends):
        low_rank = rank * (inputs + outputs)
        shapes += [(inputs, outputs), (outputs,), (hyper, latent), (hyper,), (low_rank, hyper), (low_rank,)]
    return shapes
