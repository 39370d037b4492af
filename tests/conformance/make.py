"""Makes the files of this folder anew, with what every reader must get from them.

    python tests/conformance/make.py [NAME ...]      (all, or those named)

Real files by the real encoder, small, one for each profile and feature. Beside each lie pictures that the reference
renderer makes of it; manifest.json holds the SHA-256 of all integers. Files of a released version are never made anew:
they are added to, and stay decodable.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from unittest import mock

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from api.movies import Movie, pan, ultrafast
from semantics.samples import ColourEmbedder
from video.clips import write_av_sound

import licodec
from conformance.check import FOLDER, MANIFEST, files, integers, pictures
from licodec.container import LinrReader, LinrWriter
from licodec.fit.presets import PRESETS, Quality
from licodec.model.latent_inr import LatentINRConfig
from licodec.semantics import realign
from licodec.semantics.embedder import Embedder
from licodec.video.info import Frame, VideoInfo

SMALL = VideoInfo(32, 24)
TICKS = Fraction(1, 1000)
NTSC = Fraction(1001, 30000)
TINY = LatentINRConfig(
    latent_dim=4, layers=3, width=16, rank=1, hyper_width=8, frequencies=2, grid_levels=2, grid_features=4, patch=8
)
HDR = replace(
    SMALL,
    chroma="422",
    bit_depth=10,
    rotation=270,
    sample_aspect=Fraction(64, 45),
    primaries=9,
    transfer=16,
    matrix=9,
    full_range=True,
    chroma_location=3,
    time_base=NTSC,
)


def variable() -> Movie:
    """A variable frame rate and two cuts: three segments."""
    info = replace(SMALL, time_base=TICKS, rotation=90)
    shots = [pan(info, range(n), seed=seed).pictures for seed, n in ((1, 4), (7, 5), (12, 4))]
    pts = (100, 140, 180, 181, 260, 300, 333, 366, 400, 440, 480, 600, 601)
    return Movie(info, [picture for shot in shots for picture in shot], pts)


def flat() -> Movie:
    """Black, then white: nothing to code, and everything."""
    return Movie(SMALL, [tuple(np.full(s, v, np.uint8) for s in SMALL.plane_shapes) for v in (16, 16, 235, 235)])


def noise() -> Movie:
    """Nothing can be predicted."""
    random = np.random.default_rng(5)
    info = VideoInfo(16, 16)
    return Movie(info, [tuple(random.integers(0, 256, s).astype(np.uint8) for s in info.plane_shapes) for _ in "abc"])


MOVIES: dict[str, tuple[Callable[[], Movie], dict[str, object]]] = {
    "420-8": (lambda: pan(SMALL, range(4)), {"crf": 26}),
    "420-10": (lambda: pan(replace(SMALL, bit_depth=10), range(3)), {"crf": 20}),
    "422-10-hdr": (lambda: pan(HDR, range(3)), {}),
    "444-16": (lambda: pan(VideoInfo(24, 16, "444", 16), range(3)), {"crf": 8}),
    "gray-8": (lambda: pan(VideoInfo(32, 24, "gray"), range(3)), {}),
    "gray-16": (lambda: pan(VideoInfo(24, 16, "gray", 16), range(2)), {"crf": 12}),
    "rgb-8": (lambda: pan(VideoInfo(32, 24, "rgb"), range(3)), {}),
    "rgb-10": (lambda: pan(VideoInfo(24, 16, "rgb", 10), range(2)), {}),
    "odd": (lambda: pan(VideoInfo(33, 17), range(4)), {}),
    "one-row": (lambda: pan(VideoInfo(40, 1), range(3)), {}),
    "one-column": (lambda: pan(VideoInfo(1, 40, "422"), range(3)), {}),
    "one-sample": (lambda: pan(VideoInfo(1, 1), range(2)), {}),
    "one-frame": (lambda: pan(VideoInfo(40, 33), [0]), {}),
    "deep": (lambda: pan(SMALL, range(18), speed=(1.2, -0.6)), {"crf": 34, "group": 16}),
    "short-groups": (lambda: pan(SMALL, range(9)), {"crf": 34, "group": 2, "keyint": 5}),
    "variable": (variable, {"crf": 32}),
    "flat": (flat, {}),
    "noise": (noise, {"crf": 36}),
    "paper": (lambda: pan(replace(SMALL, chroma="444"), range(3)), {"profile": "paper"}),
    "paper-gray": (lambda: pan(VideoInfo(17, 33, "gray"), range(2)), {"profile": "paper"}),
}
"""Source and settings of each file."""
NETWORKS = ("420-8", "422-10-hdr", "444-16", "gray-8", "rgb-8", "odd", "one-row", "deep")
"""Files that keep their network whatever it is worth; the others drop it."""


class Source:
    """A movie as `open_source` would give it: not all of these formats can be in a file."""

    path, warnings = "-", ()

    def __init__(self, movie: Movie) -> None:
        self.info, self._movie = movie.info, movie
        self.frame_count_hint = len(movie.pictures)

    def frames(self) -> Iterator[Frame]:
        """All of them."""
        pts = self._movie.pts or range(len(self._movie.pictures))
        for planes, start, end in zip(self._movie.pictures, pts, [*pts[1:], pts[-1] + 7], strict=True):
            yield Frame(planes, start, end - start)

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def make(name: str) -> None:
    """Encode one file and keep its pictures."""
    movie, settings = MOVIES[name]
    with mock.patch("licodec.encoder.open_source", lambda _: Source(movie())):
        encode("-", FOLDER / f"{name}.linr", network=name in NETWORKS, **settings)


def encode(
    source: str | Path, target: Path, *, network: bool, embedder: Embedder | None = None, **settings: object
) -> None:
    """With a network small and little trained, so that the file is too."""
    with (
        # A price that a network so little trained can pay: it would be all zeros.
        mock.patch.object(Quality, "bit_worth_overall", 0.01) if network else contextlib.nullcontext(),
        mock.patch.dict(PRESETS, ultrafast=replace(PRESETS["ultrafast"], intra=8, steps=40 if network else 0, width=4)),
        mock.patch("licodec.fit.segment._MOST_OF_PAYLOAD", float("inf")),
        mock.patch("licodec.fit.segment._FULL_TRAINING", 1),
        mock.patch("licodec.fit.latent_inr._CONFIG", TINY),
    ):
        licodec.encode(source, target, ultrafast(**settings), overwrite=True, embedder=embedder)


def make_sound() -> None:
    """Audio, subtitles and a font in `auxS`, and chunks that no reader knows."""
    with tempfile.TemporaryDirectory() as folder:
        write_av_sound(source := Path(folder) / "source.mkv", subtitles=True, frames=4)
        encode(source, whole := Path(folder) / "a.linr", network=False, crf=40.0)
        with LinrReader(whole) as reader, LinrWriter(FOLDER / "sound.linr", reader.info, reader.conf) as writer:
            writer.add_ancillary("zzzz", b"first")
            for i in range(len(reader.segments)):
                writer.add_segment(reader.read_segment(i), list(reader.pts), list(reader.durations))
            writer.add_ancillary("zzzz", b"second")
            writer.add_ancillary("auxS", reader.ancillary("auxS")[0])
            writer.add_ancillary("encS", "préréglage \x1b[2J".encode())
            writer.finish()


def make_meaning() -> None:
    """Three segments under two heads, of which one has components and the other only a mean."""
    target = FOLDER / "meaning.linr"
    with mock.patch("licodec.encoder.open_source", lambda _: Source(variable())):
        encode("-", target, network=False, embedder=ColourEmbedder(), crf=32.0, semantics_weight=1.0)
    realign(target, ColourEmbedder("5e" * 32), weight=1e-6)


SPECIAL = {"sound": make_sound, "meaning": make_meaning}


def main() -> None:
    """See above."""
    FOLDER.mkdir(exist_ok=True)
    names = sys.argv[1:] or [*MOVIES, *SPECIAL]
    if not sys.argv[1:]:
        for old in FOLDER.iterdir():
            old.unlink()
    for name in names:
        if name in SPECIAL:
            SPECIAL[name]()
        else:
            make(name)
    manifest = {}
    for path in files():
        if path.stem in names:
            np.savez_compressed(path.with_suffix(".npz"), **pictures(path))
        manifest[path.stem] = {"bytes": path.stat().st_size, "integers": integers(path)}
    MANIFEST.write_text(json.dumps(manifest, indent=1) + "\n")
    total = sum(path.stat().st_size for path in FOLDER.iterdir())
    print(f"{len(manifest)} files, {total:,} bytes with their pictures and the manifest")


if __name__ == "__main__":
    main()
