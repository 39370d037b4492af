"""Adds to the corpus what real files hold: python tests/fuzz/make_corpus.py"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import zstandard
from conformance.check import files
from container import rebuild
from entropy.samples import any_modes, on_trellis

from fuzz.run import CORPUS, NAMES
from fuzz.targets import join
from licodec.entropy.segment import quantiser_rows, write_segment
from licodec.model.config import ModelConfig
from licodec.model.geometry import Geometry
from licodec.model.pyramid import pyramid
from licodec.model.symbols import NetworkSymbols, PictureSymbols, SegmentSymbols
from licodec.model.synthesis import parameter_shapes
from licodec.semantics.chunk import Head, SegmentLatents, knot_count, write_chunk
from licodec.semantics.fingerprint import Fingerprint
from licodec.video.info import CHROMA_FORMATS, ChromaFormat, VideoInfo

KEPT = (b"HEAD", b"CONF", b"SEGM", b"INDX", b"encS", b"zzzz")


def add(name: str, data: bytes) -> None:
    """An input, named by its digest."""
    folder = CORPUS / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / hashlib.sha1(data).hexdigest()[:16]).write_bytes(data)


def main() -> None:
    """See above."""
    for path in files():
        data = path.read_bytes()
        chunks = rebuild.split(data)
        if len(data) < 1500:
            add("container", data)
            add("sealed", join([chunk for chunk in chunks[:-1] if chunk[0] in KEPT]))
        for kind, payload in chunks:
            if kind == b"HEAD":
                add("header", b"\0" + payload)
            elif kind == b"SEGM":
                add("header", b"\1" + payload[: rebuild.times_length(payload)])
            elif kind == b"INDX":
                add("header", b"\2" + payload)
            elif kind == b"CONF":
                add("config", payload)
    add("header", b"\3" + zstandard.compress(b"SEGM" * 40))
    # Payloads that fit the shapes the targets choose by their first byte.
    for choice in (0, 21, 42, 63, 4):
        chroma = CHROMA_FORMATS[choice % 5]
        width, height = ((16, 16), (33, 17), (1, 9), (24, 8))[choice // 5 % 4]
        frames = (1, 2, 4, 6)[choice // 20 % 4]
        for network in (False, True):
            payload = _payload(chroma, frames, width, height, network=network)
            for name in ("entropy", "agreement", "player"):
                add(name, bytes([choice]) + payload)
    for choice, frames in enumerate(((1,), (9, 4), (2, 1, 17))):
        for components in (0, 2):
            add("meaning", bytes([choice]) + _meaning(frames, components))
    print({name: len(list((CORPUS / name).iterdir())) for name in NAMES})


def _sparse(random: np.random.Generator, shape: tuple[int, ...], most: int, density: float) -> np.ndarray:
    values = random.integers(-most, most + 1, shape) * (random.random(shape) < density)
    return values.astype(np.int16)


def _payload(chroma: ChromaFormat, frames: int, width: int, height: int, *, network: bool) -> bytes:
    """Random symbols of a shape that `targets._segment` knows, written by the encoder's own syntax."""
    config = ModelConfig(latent_dim=2, width=2, hyper_width=2)
    geometry = Geometry.of(VideoInfo(width, height, chroma))
    groups = (2, frames - 3) if frames > 3 else (frames - 1,) if frames > 1 else ()
    random = np.random.default_rng(frames)
    rows = quantiser_rows(groups)
    symbols = SegmentSymbols(groups, random.integers(0, 224, (rows, len(geometry.groups))).astype(np.uint8))
    if network:
        shapes = parameter_shapes(geometry, config)
        symbols.network = NetworkSymbols(
            [random.integers(-3, 4, shape).astype(np.int32) for shape in shapes],
            random.integers(0, 20, len(shapes)).tolist(),
            random.integers(-9, 10, (frames, config.latent_dim)).astype(np.int32),
        )
    for batch in pyramid(groups):
        for picture in batch:
            p = PictureSymbols.blank(geometry, picture)
            p.starts = [random.integers(0, 2, s.shape).astype(np.uint8) for s in p.starts]
            p.corrections = [[_sparse(random, n.shape, 9, 0.1) for n in nodes] for nodes in p.corrections]
            for g in range(len(geometry.groups)):
                p.modes[g] = any_modes(random, p.sizes[g], g)
                p.levels[g] = on_trellis(p.sizes[g], _sparse(random, p.levels[g].shape, 5, 0.02))
            symbols.pictures[picture.frame] = p
    return write_segment(symbols, geometry)


def _meaning(frames: tuple[int, ...], components: int) -> bytes:
    random = np.random.default_rng(components)
    about = Fingerprint("fake", "vectors", "0f" * 32, "none", 6)
    mean, basis = random.integers(-90, 90, 6, np.int32), random.integers(-20, 20, (6, components), np.int32)
    codes = [random.integers(-9, 9, (knot_count(n, 2), components), np.int32) for n in frames]
    segments = [SegmentLatents(n, 2, c) for n, c in zip(frames, codes, strict=True)]
    return write_chunk(Head(about, mean, basis, (20, *[24] * components)), segments)


if __name__ == "__main__":
    main()
