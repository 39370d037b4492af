"""Video without end to train with: pieces of pictures that move over one another, with known times in between."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

import licodec
from licodec.errors import UsageError
from licodec.video.info import Frame, Plane, VideoInfo
from licodec.video.sink import open_sink

Rgb = npt.NDArray[np.uint8]
Random = np.random.Generator

FREE = [
    "astronaut",
    "brick",
    "camera",
    "cell",
    "chelsea",
    "coffee",
    "coins",
    "grass",
    "gravel",
    "horse",
    "hubble_deep_field",
    "ihc",
    "microaneurysms",
    "retina",
    "rocket",
    "text",
]
"""Pictures in the package scikit-image (skimage/data) that its documentation says are CC0, in the public domain or
without known restrictions."""


def pictures(folder: Path) -> list[Rgb]:
    """The free pictures of a folder, RGB; UsageError if there are none."""
    paths = [path for path in sorted(folder.iterdir()) if path.stem in FREE]
    if not paths:
        raise UsageError(f"{folder}: none of the pictures {', '.join(FREE)}; name skimage/data of scikit-image")
    return [cv2.cvtColor(cv2.imread(str(path), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB) for path in paths]


@dataclass(frozen=True)
class _Layer:
    """A picture, where it is opaque, and how it moves."""

    texture: npt.NDArray[np.float32]
    share: npt.NDArray[np.float32]
    centre: npt.NDArray[np.float64]
    velocity: npt.NDArray[np.float64]
    sway: npt.NDArray[np.float64]
    phase: float
    turn: float
    zoom: float

    def at(self, t: float, size: tuple[int, int]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """(colours, opacity) in the frame at time t."""
        rows, columns = self.texture.shape[:2]
        place = self.centre + self.velocity * t + self.sway * np.sin(0.35 * t + self.phase)
        matrix = cv2.getRotationMatrix2D((columns / 2, rows / 2), self.turn * t, self.zoom**t)
        matrix[:, 2] += place - (columns / 2, rows / 2)
        shape = (size[1], size[0])
        colours = cv2.warpAffine(self.texture, matrix, shape, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        return colours, cv2.warpAffine(self.share, matrix, shape, flags=cv2.INTER_LINEAR)[..., None]


def scene(chosen: Sequence[Rgb], size: tuple[int, int], times: Sequence[float], random: Random) -> list[Rgb]:
    """[rows, columns, 3] at each of the times (in frames): a ground that moves, and up to five pieces in front.

    Half of them as soft as what most lenses and most codecs leave.
    """
    layers = [_layer(chosen, size, random, whole=True)]
    layers += [_layer(chosen, size, random, whole=False) for _ in range(random.integers(1, 6))]
    noise, blur = random.uniform(0, 1.5), random.choice([0.0, random.uniform(0.4, 1.4)])
    out = []
    for t in times:
        picture = np.zeros((*size, 3), np.float32)
        for layer in layers:
            colours, share = layer.at(t, size)
            picture += share * (colours - picture)
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), blur), np.float32) if blur else picture
        picture += random.normal(0, noise, picture.shape)
        out.append(np.clip(np.rint(picture), 0, 255).astype(np.uint8))
    return out


def _layer(chosen: Sequence[Rgb], size: tuple[int, int], random: Random, *, whole: bool) -> _Layer:
    side = int(1.6 * max(size)) if whole else int(random.uniform(0.15, 0.6) * min(size)) + 8
    texture = _texture(chosen[int(random.integers(len(chosen)))], side, random)
    pace = 1.5 if whole else 3.0
    return _Layer(
        texture=texture,
        share=np.ones((side, side), np.float32) if whole else _blob(side, random),
        centre=np.array(size[::-1]) * (0.5 if whole else random.uniform(0.1, 0.9, 2)),
        velocity=random.normal(0, pace, 2) * random.choice([0.3, 1.0, 2.0]),
        sway=random.normal(0, 2.0, 2) * random.integers(0, 2),
        phase=random.uniform(0, 6.3),
        turn=random.normal(0, 0.5 if whole else 1.5) * random.integers(0, 2),
        zoom=1 + random.normal(0, 0.004),
    )


def _texture(picture: Rgb, side: int, random: Random) -> npt.NDArray[np.float32]:
    """A square piece, never enlarged (so that it is as sharp as a picture can be), mirrored beyond its edges."""
    scale = random.uniform(0.35, 1.0)
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    if random.random() < 0.5:
        small = small[:, ::-1]
    if random.random() < 0.3:
        small = small.transpose(1, 0, 2)
    y, x = (random.integers(0, max(1, n - side + 1)) for n in small.shape[:2])
    piece = small[y : y + side, x : x + side]
    below, right = side - piece.shape[0], side - piece.shape[1]
    piece = cv2.copyMakeBorder(np.ascontiguousarray(piece), 0, below, 0, right, cv2.BORDER_REFLECT)
    gain, lift = random.uniform(0.6, 1.1, 3), random.uniform(-25, 25)
    return np.clip(piece * gain + lift, 0, 255).astype(np.float32)


def _blob(side: int, random: Random) -> npt.NDArray[np.float32]:
    """Opacity of a shape with edges a sample wide."""
    y, x = np.mgrid[:side, :side] / (side / 2) - 1.0
    angle, radius = np.arctan2(y, x), np.hypot(y, x)
    edge = 0.65 + sum(random.normal(0, 0.12 / k) * np.cos(k * angle + random.uniform(0, 6.3)) for k in range(1, 7))
    if random.random() < 0.3:
        edge, radius = np.full_like(edge, 0.7), np.maximum(np.abs(y), np.abs(x))
    return np.clip((edge - radius) * side / 2 / random.uniform(0.7, 2.5), 0, 1).astype(np.float32)


def coded(frames: Sequence[tuple[Plane, ...]], info: VideoInfo, crf: float | None) -> Sequence[tuple[Plane, ...]]:
    """The frames after licodec; None: as they are."""
    if crf is None:
        return frames
    with tempfile.TemporaryDirectory() as folder:
        source, file = Path(folder) / "a.y4m", Path(folder) / "a.linr"
        with open_sink(source, info) as sink:
            for i, planes in enumerate(frames):
                sink.write(Frame(planes, i, 1))
        licodec.encode(source, file, licodec.EncodeSettings(preset="ultrafast", crf=crf))
        with licodec.open(file) as video:
            return [video.planes(i) for i in range(len(video))]
