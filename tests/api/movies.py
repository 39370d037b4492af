"""Small videos whose content at any place and time is known, and files of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
from fit.patterns import texture
from video.clips import write_av

import licodec
from licodec.video.info import VideoInfo

_PIX_FMT = {
    ("420", 8): "yuv420p",
    ("422", 8): "yuv422p",
    ("444", 8): "yuv444p",
    ("gray", 8): "gray",
    ("rgb", 8): "gbrp",
    ("420", 10): "yuv420p10le",
    ("rgb", 10): "gbrp10le",
}


@dataclass(frozen=True)
class Movie:
    """Frames and their times."""

    info: VideoInfo
    pictures: list[tuple[np.ndarray, ...]] = field(repr=False)
    pts: tuple[int, ...] = ()
    """In ticks of the info's time base; empty: one tick each."""

    def write(self, path: Path) -> None:
        """Uncompressed, in a container that keeps exact times."""
        rgb = self.info.chroma == "rgb"
        write_av(
            path,
            [(p[1], p[2], p[0]) if rgb else p for p in self.pictures],
            _PIX_FMT[self.info.chroma, self.info.bit_depth],
            codec="rawvideo",
            container="nut",
            time_base=self.info.time_base,
            pts=self.pts or None,
        )

    def times(self) -> list[Fraction]:
        """Seconds at which each frame begins."""
        return [t * self.info.time_base for t in self.pts or range(len(self.pictures))]


def pan(info: VideoInfo, times: Sequence[float], speed: tuple[float, float] = (2.0, 1.0), seed: int = 1) -> Movie:
    """A textured plane that moves `speed` luma samples (x, y) a frame, at these times (frames)."""
    peak = (1 << info.bit_depth) - 1
    textures = [texture(seed + 10 * i, shortest=9 if i == 0 else 20) for i in range(len(info.plane_shapes))]
    pictures = []
    for t in times:
        planes = []
        for i, (rows, columns) in enumerate(info.plane_shapes):
            sx, sy = info.subsampling if i else (1, 1)
            y, x = np.mgrid[:rows, :columns]
            value = textures[i](x * sx - speed[0] * t, y * sy - speed[1] * t)
            planes.append(np.rint(value * (peak / 255)).astype(info.dtype))
        pictures.append(tuple(planes))
    return Movie(info, pictures)


@dataclass(frozen=True)
class Encoded:
    """A movie, the file made of it, and what the encoder said."""

    movie: Movie
    source: Path
    path: Path
    report: licodec.EncodeReport


def encoded(movie: Movie, folder: Path, **settings: object) -> Encoded:
    """Encode a movie with the preset `ultrafast` and these settings."""
    source, path = folder / "source.nut", folder / "out.linr"
    movie.write(source)
    return Encoded(movie, source, path, licodec.encode(source, path, ultrafast(**settings)))


def ultrafast(**settings: object) -> licodec.EncodeSettings:
    """Settings with the preset `ultrafast`; one thread, as is quickest for pictures this small."""
    return licodec.EncodeSettings(**{"preset": "ultrafast", "threads": 1} | settings)  # type: ignore[arg-type]


def psnr(a: np.ndarray, b: np.ndarray, peak: int = 255) -> float:
    """In dB."""
    error = float(np.square(a.astype(np.float64) - b).mean())
    return 10 * np.log10(peak**2 / max(error, 1e-6))
