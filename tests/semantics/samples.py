"""Files that hold nothing but meaning, and an embedder that knows colours."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from licodec.container import SEMANTIC_LATENTS, LinrWriter
from licodec.semantics.align import Taught, align
from licodec.semantics.chunk import knots
from licodec.semantics.embedder import Picture, Vectors, check_texts, unit
from licodec.semantics.fingerprint import Fingerprint
from licodec.video.info import VideoInfo

DIMENSION = 24
FPS = 10
INFO = VideoInfo(64, 48, primaries=1, transfer=1, matrix=1, time_base=Fraction(1, FPS))
COLOURS = {
    "red": (230, 30, 30),
    "green": (30, 200, 40),
    "blue": (40, 50, 230),
    "gray": (120, 120, 120),
}


class ColourEmbedder:
    """Vectors are the mean colour of a picture, less gray, and a constant: what all pictures have in common."""

    def __init__(self, weights: str = "c0" * 32) -> None:
        self.fingerprint = Fingerprint("fake", "colours", weights, "none", 4)
        self.dim = 4
        self.pictures = 0

    def embed_images(self, pictures: Sequence[Picture]) -> Vectors:
        self.pictures += len(pictures)
        return self._vectors([p.reshape(-1, 3).mean(axis=0) for p in pictures])

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        return self._vectors([COLOURS.get(text, (120, 120, 120)) for text in check_texts(texts)])

    def _vectors(self, colours: Sequence[Sequence[float]]) -> Vectors:
        numbers = np.asarray(colours, np.float64).reshape(-1, 3)
        return unit(np.column_stack([numbers / 255 - 0.47, np.full(len(numbers), 0.3)]), "fake")


def fingerprint(weights: str = "ab" * 32, dimension: int = DIMENSION) -> Fingerprint:
    return Fingerprint("fake", "vectors", weights, "none", dimension)


def directions(count: int, seed: int = 0, dimension: int = DIMENSION) -> Vectors:
    """[count, dimension] about at right angles to each other, of length 1, all with something in common."""
    random = np.random.default_rng(seed)
    common = random.normal(size=dimension) * 0.3
    return unit(random.normal(size=(count, dimension)) + common, "sample")


def write(
    path: Path,
    segments: Sequence[Vectors],
    *,
    about: Fingerprint | None = None,
    stride: int = 1,
    start: int = 0,
    fps: int = FPS,
    mu: float = 1e6,
) -> Path:
    """A file whose frames have these vectors, [frames, dimension] for each segment; there is no video in it."""
    about = about or fingerprint()
    taught = [Taught(len(v), stride, v[knots(len(v), stride)]) for v in segments]
    first = start
    info = VideoInfo(64, 48, primaries=1, transfer=1, matrix=1, time_base=Fraction(1, fps))
    with LinrWriter(path, info, b"conf") as writer:
        for vectors in segments:
            writer.add_segment(b"", range(first, first + len(vectors)), [1] * len(vectors))
            first += len(vectors)
        writer.add_ancillary(SEMANTIC_LATENTS, align(about, taught, mu, 10**6).payload)
        writer.finish()
    return path


def held(vector: Vectors, frames: int, seed: int = 0, noise: float = 0.01) -> Vectors:
    """A shot: frames that stay near one vector."""
    random = np.random.default_rng(seed)
    return unit(vector + random.normal(0, noise, (frames, len(vector))), "sample")


def faded(a: Vectors, b: Vectors, frames: int) -> Vectors:
    """From one vector to another."""
    share = np.linspace(0, 1, frames)[:, None]
    return unit((1 - share) * a + share * b, "sample")
