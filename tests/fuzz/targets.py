"""One function a layer that takes any bytes: whatever they are, it returns or raises one of the file's own errors.

A target that raises anything else, takes seconds or gigabytes, or breaks an assertion has found a fault.
"""

from __future__ import annotations

import hashlib
import io
import sys
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).parents[1]))

from conformance.check import sha256

from licodec.container import ByteReader, Limits, LinrReader, inflate, scan, verify
from licodec.container.header import encode_head, parse_head
from licodec.container.index import encode_index, parse_index
from licodec.container.times import encode_times, read_times
from licodec.entropy.reference import decode_segment
from licodec.entropy.segment import SegmentReader
from licodec.errors import DamagedFileError, LimitError, UnsupportedError
from licodec.model.config import PROFILE_DEFAULT, PROFILE_PAPER, ModelConfig
from licodec.model.cosine import SIZES
from licodec.model.geometry import Geometry
from licodec.model.intra import LUMA, MODES
from licodec.model.latent_inr import LatentINRConfig
from licodec.profiles import check_compute, open_player
from licodec.semantics.chunk import ChunkReader
from licodec.semantics.reference import read_chunk
from licodec.semantics.track import Track
from licodec.video.info import CHROMA_FORMATS, VideoInfo

REFUSED = (DamagedFileError, UnsupportedError, LimitError)
"""The only errors that the content of a file may cause."""
LIMITS = Limits(
    max_width=64,
    max_height=64,
    max_pixels=4096,
    max_frames=4096,
    max_chunk_bytes=1 << 20,
    max_inflated_bytes=1 << 20,
    max_parameters=1 << 16,
    max_segment_bytes=1 << 28,
    max_macs=1 << 32,
)


_PAPER = LatentINRConfig(
    latent_dim=2, layers=2, width=4, rank=1, hyper_width=2, frequencies=1, grid_levels=1, grid_features=2, patch=8
)


def container(data: bytes) -> None:
    """A file as it lies on the disk."""
    whole = _read_all(data)
    problems = verify(data, LIMITS)
    assert whole == (not problems)
    end = min(10, len(data))
    for chunk in scan(data):
        assert chunk.offset == end
        assert chunk.length > 0
        end += chunk.length
    assert end == len(data)


def sealed(data: bytes) -> None:
    """A file whose checksums and digest are right whatever is in it: what comes behind them is reached."""
    chunks = split(data)
    out = b"\x89LINR\r\n\x1a\0\0"
    index_at = 0
    for kind, payload in chunks:
        index_at = len(out) if kind == b"INDX" else index_at
        out += _chunk(kind, payload)
    out += _chunk(b"ENDF", index_at.to_bytes(8, "little") + hashlib.sha256(out).digest())
    container(out)


def header(data: bytes) -> None:
    """HEAD, a time table, an index and a zstandard frame; what parses must be written the same way again."""
    rest = data[1:]
    which = data[0] % 4 if data else 0
    if which == 0:
        assert encode_head(parse_head(rest, LIMITS), LIMITS) == rest
    elif which == 1:
        reader = ByteReader(rest)
        pts, durations = read_times(reader, LIMITS)
        assert encode_times(pts, durations) == rest[: reader.position]
    elif which == 2:
        directory = parse_index(rest, 48, 4096, LIMITS)
        assert list(directory.pts) == sorted(set(directory.pts))
        assert parse_index(encode_index(rest[1:]), 48, 4096, LIMITS) if rest[:1] == b"\0" else True
    else:
        assert len(inflate(rest, LIMITS)) <= LIMITS.max_inflated_bytes


def config(data: bytes) -> None:
    """CONF of either profile: a shape that is refused, or within the limits."""
    conf = bytes([data[0] % 4 if data else 0]) + data[1:]
    info = VideoInfo(33, 17)
    check_compute(conf, info, 1000, LIMITS, "fuzzed")
    if conf[0] == PROFILE_PAPER:
        assert LatentINRConfig.from_bytes(conf[1:]).to_bytes() == conf[1:]
    elif conf[0] == PROFILE_DEFAULT:
        reader = ByteReader(conf)
        reader.u8()
        assert ModelConfig.from_reader(reader).to_bytes() == conf


def entropy(data: bytes) -> None:
    """A segment's payload: every symbol within its range, in the shape that it has to have."""
    conf, info, frames, payload = _segment(data)
    reader = SegmentReader(payload, Geometry.of(info), _model(conf), frames)
    for batch in reader.batches():
        for picture in batch:
            symbols = reader.symbols.pictures[picture.frame]
            for levels in symbols.levels:
                assert levels.dense().shape == levels.shape
            assert all(sizes.max() < len(SIZES) for sizes in symbols.sizes)
            assert all(modes.max() < MODES for modes in symbols.modes)
            assert not (symbols.modes[0] == LUMA).any()
    assert len(reader.symbols.pictures) == frames


def agreement(data: bytes) -> None:
    """A segment's payload: the fast and the slow decoder find the same symbols, or both refuse."""
    conf, info, frames, payload = _segment(data)
    geometry, model = Geometry.of(info), _model(conf)
    try:
        slow = decode_segment(payload, geometry, model, frames)
    except DamagedFileError:
        slow = None
    try:
        fast = SegmentReader(payload, geometry, model, frames)
        for _ in fast.batches():
            pass
    except DamagedFileError:
        assert slow is None, "only the fast decoder refuses"
        raise
    assert slow is not None, "only the slow decoder refuses"
    assert sha256(fast.symbols) == sha256(slow)


def player(data: bytes) -> None:
    """A segment of either profile, rendered: samples within their range, whatever the symbols say."""
    conf, info, frames, payload = _segment(data, paper=bool(data[:1] and data[0] & 128))
    opened = open_player(payload, conf, info, frames, "fuzzed", limits=LIMITS)
    for picture in (opened.render(frames - 1), opened.between(0, 0.5)):
        for plane, shape in zip(picture, info.plane_shapes, strict=True):
            assert plane.shape == shape
            assert np.isfinite(plane).all()
            assert plane.min() >= 0
            assert plane.max() <= 256


def meaning(data: bytes) -> None:
    """A chunk `semL`: the fast and the slow reader find the same integers, and every vector is one; or both refuse."""
    frames = ((1,), (9, 4), (2, 1, 17))[data[0] % 3 if data else 0]
    payload = data[1:]
    chunk = ChunkReader(payload, frames, Limits(max_latent_values=4096))
    try:
        slow = read_chunk(payload, frames)
    except DamagedFileError:
        slow = None
    try:
        head, segments = chunk.head(), chunk.segments()
    except DamagedFileError:
        assert slow is None, "only the fast reader refuses"
        raise
    assert slow is not None, "only the slow reader refuses"
    assert sha256(slow.steps, slow.mean, slow.basis, slow.latents) == sha256(
        head.steps, head.mean, head.basis, [s.codes for s in segments]
    )
    firsts = tuple(np.cumsum([0, *frames[:-1]]).tolist())
    vectors = Track(Path(), head, tuple(segments), firsts, np.arange(sum(frames)) / 25, sum(frames) / 25).vectors()
    assert vectors.shape == (sum(frames), head.fingerprint.dimension)
    assert np.isfinite(vectors).all()
    assert (np.linalg.norm(vectors, axis=1) < 1.001).all()


TARGETS: dict[str, Callable[[bytes], None]] = {
    f.__name__: f for f in (container, sealed, header, config, entropy, agreement, player, meaning)
}


def run(target: Callable[[bytes], None], data: bytes) -> str:
    """Outcome of one input: `read`, or the name of the error that it was refused with. Others are raised."""
    try:
        target(data)
    except REFUSED as error:
        assert str(error).isprintable(), "an error must be one line that steers no terminal"
        return type(error).__name__
    return "read"


_KINDS = (b"HEAD", b"CONF", b"SEGM", b"INDX", b"auxS", b"encS", b"zzzz", b"ZZZZ")


def split(data: bytes) -> list[tuple[bytes, bytes]]:
    """Chunks from any bytes: a byte for the type, two for the length, the payload."""
    source, chunks = io.BytesIO(data), []
    while head := source.read(3):
        chunks.append((_KINDS[head[0] % len(_KINDS)], source.read(int.from_bytes(head[1:], "little"))))
    return chunks


def join(chunks: list[tuple[bytes, bytes]]) -> bytes:
    """The inverse of `split`."""
    return b"".join(bytes([_KINDS.index(kind)]) + len(p).to_bytes(2, "little") + p for kind, p in chunks)


def _read_all(data: bytes) -> bool:
    """Whether it is sound; a damaged one must at least be opened to save what is left, or refused again."""
    try:
        with LinrReader(data, LIMITS) as reader:
            return not reader.verify()
    except DamagedFileError:
        pass
    try:
        with LinrReader(data, LIMITS, salvage=True) as reader:
            assert reader.verify(), "a damaged file without a problem"
    except DamagedFileError:
        pass
    return False


def _chunk(kind: bytes, payload: bytes) -> bytes:
    size, out = len(payload), b""
    while size >= 128:
        out, size = out + bytes([size % 128 + 128]), size // 128
    body = kind + out + bytes([size]) + payload
    return body + zlib.crc32(body).to_bytes(4, "little")


def _segment(data: bytes, *, paper: bool = False) -> tuple[bytes, VideoInfo, int, bytes]:
    """CONF, video and number of frames by the first byte; the payload."""
    choice, payload = data[0] if data else 0, data[1:]
    chroma = CHROMA_FORMATS[choice % 5]
    info = VideoInfo(*((16, 16), (33, 17), (1, 9), (24, 8))[choice // 5 % 4], chroma, time_base=Fraction(1, 25))
    frames = (1, 2, 4, 6)[choice // 20 % 4]
    if paper:
        config = LatentINRConfig(
            latent_dim=2,
            layers=2,
            width=4,
            rank=1,
            hyper_width=2,
            frequencies=1,
            grid_levels=1,
            grid_features=2,
            patch=8,
        )
        return bytes([PROFILE_PAPER]) + config.to_bytes(), info, frames, payload
    return ModelConfig(latent_dim=2, width=2, hyper_width=2).to_bytes(), info, frames, payload


def _model(conf: bytes) -> ModelConfig:
    reader = ByteReader(conf)
    reader.u8()
    return ModelConfig.from_reader(reader)
