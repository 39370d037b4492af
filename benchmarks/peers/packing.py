"""A trained network as a file: quantised as its paper says, entropy coded with constriction.

    magic        b"peer1\0"
    u32          bytes of the head
    head         zstandard of: u32 length and JSON {"shape", "info"}; for each tensor float32 minimum and step; tables
    rest         words of a range coder: tensor after tensor, each with the table of its own values

Tensors are quantised uniformly between their least and largest value: parameters with 8 bits, embeddings with 6. A
table is the counts of the values scaled to bytes; small tensors share one. Written and read on one machine: the
numbers of a benchmark, not a format to keep.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import constriction
import numpy as np
import numpy.typing as npt
import torch
import zstandard

from benchmarks.peers.models import Network, build
from benchmarks.peers.shape import Shape
from licodec.errors import DamagedFileError
from licodec.video.info import VideoInfo

MAGIC = b"peer1\0"
PARAMETER_BITS, EMBEDDING_BITS = 8, 6
_SMALL = 4096
"""Tensors with fewer values share a table."""
_INFO = ("chroma", "bit_depth", "matrix", "full_range", "chroma_location", "time_base")

Levels = npt.NDArray[np.uint8]


def write(path: Path, network: Network, shape: Shape, embeddings: torch.Tensor, info: VideoInfo) -> int:
    """Write the file; its bytes."""
    tensors = [p.detach().float().cpu().numpy() for p in network.stored()]
    coded = [_quantised(t, PARAMETER_BITS) for t in tensors]
    if shape.embedding:
        coded.append(_quantised(embeddings.numpy(), EMBEDDING_BITS))
    tables: dict[int, npt.NDArray[np.uint8]] = {}
    for key, members in _sharing([levels.size for levels, _, _ in coded]):
        counts = np.bincount(np.concatenate([coded[i][0] for i in members]), minlength=1 << PARAMETER_BITS)
        # No value that occurs may have a share of nothing.
        tables[key] = np.ceil(counts * (255 / counts.max())).astype(np.uint8)
    encoder = constriction.stream.queue.RangeEncoder()
    for key, members in _sharing([levels.size for levels, _, _ in coded]):
        for i in members:
            encoder.encode(coded[i][0].astype(np.int32), _model(tables[key]))
    values = {name: str(getattr(info, name)) if name == "time_base" else getattr(info, name) for name in _INFO}
    text = json.dumps({"shape": asdict(shape), "info": values}, separators=(",", ":")).encode()
    ranges = np.array([(low, step) for _, low, step in coded], "<f4").tobytes()
    head = struct.pack("<I", len(text)) + text + ranges + b"".join(t.tobytes() for t in tables.values())
    head = zstandard.ZstdCompressor(level=19).compress(head)
    data = MAGIC + struct.pack("<I", len(head)) + head + encoder.get_compressed().astype("<u4").tobytes()
    path.write_bytes(data)
    return len(data)


def read(path: Path) -> tuple[Network, Shape, torch.Tensor, VideoInfo]:
    """The network as a decoder has it, its shape, the embeddings (empty for NeRV) and the format of the video.

    DamagedFileError if it is not such a file, or ends early.
    """
    data = path.read_bytes()
    if not data.startswith(MAGIC):
        raise DamagedFileError(f"{path}: not written by benchmarks.peers")
    try:
        return _parsed(data[len(MAGIC) :])
    except (struct.error, zstandard.ZstdError, ValueError, KeyError) as error:
        raise DamagedFileError(f"{path}: {error}") from None


def _parsed(data: bytes) -> tuple[Network, Shape, torch.Tensor, VideoInfo]:
    (length,) = struct.unpack_from("<I", data)
    head, rest = zstandard.ZstdDecompressor().decompress(data[4 : 4 + length]), data[4 + length :]
    (length,) = struct.unpack_from("<I", head)
    about, head = json.loads(head[4 : 4 + length]), head[4 + length :]
    shape = _shape(about["shape"])
    info = VideoInfo(shape.width, shape.height, **about["info"] | {"time_base": Fraction(about["info"]["time_base"])})
    network = build(shape)
    sizes = [p.numel() for p in network.stored()] + ([math.prod(shape.embeddings)] if shape.embedding else [])
    ranges = np.frombuffer(head[: 8 * len(sizes)], "<f4").reshape(-1, 2)
    tables = np.frombuffer(head[8 * len(sizes) :], np.uint8).reshape(-1, 1 << PARAMETER_BITS)
    decoder = constriction.stream.queue.RangeDecoder(np.frombuffer(rest, "<u4").astype(np.uint32))
    values: list[torch.Tensor] = [torch.empty(0)] * len(sizes)
    for table, (_, members) in zip(tables, _sharing(sizes), strict=True):
        for i in members:
            levels = decoder.decode(_model(table), sizes[i])
            values[i] = torch.from_numpy(ranges[i, 0] + ranges[i, 1] * levels.astype(np.float32))
    with torch.no_grad():
        for parameter, value in zip(network.stored(), values, strict=False):
            parameter.copy_(value.reshape(parameter.shape))
    embeddings = values[-1].reshape(shape.embeddings) if shape.embedding else torch.empty(shape.embeddings)
    return network, shape, embeddings, info


def _shape(values: dict[str, Any]) -> Shape:
    return Shape(**values | {name: tuple(values[name]) for name in ("grid", "strides")})


def _quantised(values: npt.NDArray[np.float32], bits: int) -> tuple[Levels, np.float32, np.float32]:
    """(levels, least value, step) of a tensor."""
    low, high = np.float32(values.min()), np.float32(values.max())
    step = np.float32((high - low) / ((1 << bits) - 1)) or np.float32(1)
    return np.rint((values - low) / step).clip(0, (1 << bits) - 1).astype(np.uint8).reshape(-1), low, step


def _sharing(sizes: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
    """(table, tensors that use it), in the order of the file."""
    small = [i for i, size in enumerate(sizes) if size < _SMALL]
    yield from ((i, [i]) for i, size in enumerate(sizes) if size >= _SMALL)
    if small:
        yield small[0], small


def _model(table: npt.NDArray[np.uint8]) -> Any:
    """Shares as they are; those of nothing get constriction's least one, which no value needs."""
    shares = table.astype(np.float32)
    return constriction.stream.model.Categorical(shares / shares.sum(), perfect=False)
