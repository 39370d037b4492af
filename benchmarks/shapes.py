"""Generated clips whose captions are true: a shape of a colour that moves in some way over a gray ground."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from licodec.video.info import Frame, VideoInfo
from licodec.video.sink import open_sink

SIDE = 64
FRAMES = 24
FPS = 12
_FINE = 4
"""Shapes are drawn so many times as large, and then shrunk: their edges are smooth."""

COLOURS = {
    "red": (225, 35, 35),
    "green": (40, 180, 50),
    "blue": (40, 70, 230),
    "yellow": (240, 225, 40),
    "purple": (150, 40, 190),
    "orange": (245, 140, 25),
    "white": (245, 245, 245),
    "cyan": (50, 215, 225),
    "pink": (250, 150, 190),
    "black": (15, 15, 15),
}
SHAPES = ("circle", "square", "triangle", "star", "cross", "ring", "bar", "crescent")
MOTIONS = (
    "slides along the top",
    "slides along the bottom",
    "climbs on the left",
    "climbs on the right",
    "grows in the middle",
    "swings across the middle",
)

Rgb = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Scene:
    """What a clip shows."""

    colour: str
    shape: str
    motion: str

    @property
    def caption(self) -> str:
        """The sentence that is true of it."""
        return f"{'an' if self.colour[0] in 'aeiou' else 'a'} {self.colour} {self.shape} {self.motion}"


SCENES = [Scene(*parts) for parts in product(COLOURS, SHAPES, MOTIONS)]
"""All of them: 480."""


def split(held_out: int = 200, seed: int = 0) -> tuple[list[Scene], list[Scene]]:
    """(scenes to train with, scenes that are held out): no scene is in both, though every word is in each."""
    order = np.random.default_rng(seed).permutation(len(SCENES))
    return [SCENES[i] for i in order[held_out:]], [SCENES[i] for i in order[:held_out]]


def picture(scene: Scene, share: float, random: np.random.Generator) -> Rgb:
    """[64, 64, 3] at a time from 0 to 1 of the clip; `random` decides ground, size and direction, so pass one in the
    same state for every frame of a clip."""
    ground = _ground(random)
    size = random.uniform(0.15, 0.2)
    wander, turn = random.uniform(-0.05, 0.05), random.uniform(-0.3, 0.3)
    if random.random() < 0.5:
        share = 1 - share
    along = 0.2 + 0.6 * share
    x, y = {
        "slides along the top": (along, 0.2 + wander / 2),
        "slides along the bottom": (along, 0.8 + wander / 2),
        "climbs on the left": (0.2 + wander / 2, along),
        "climbs on the right": (0.8 + wander / 2, along),
        "grows in the middle": (0.5 + wander, 0.5),
        "swings across the middle": (0.5 + 0.25 * math.sin(2 * math.pi * share), 0.5 + wander),
    }[scene.motion]
    if scene.motion == "grows in the middle":
        size *= 0.8 + 1.2 * share
    mask = _mask(scene.shape, x, y, size, turn)
    colour = np.array(COLOURS[scene.colour], np.float32)
    return np.rint(ground + (colour - ground) * mask[:, :, None]).clip(0, 255).astype(np.uint8)


def clip(scene: Scene, seed: int, frames: int = FRAMES) -> list[Rgb]:
    """The frames of a clip."""
    return [picture(scene, i / max(1, frames - 1), np.random.default_rng(seed)) for i in range(frames)]


def write(path: Path, pictures: Sequence[Rgb], fps: int = FPS) -> None:
    """A y4m, 4:4:4, BT.709."""
    info = VideoInfo(SIDE, SIDE, "444", primaries=1, transfer=1, matrix=1, time_base=Fraction(1, fps))
    with open_sink(path, info, overwrite=True) as sink:
        for i, rgb in enumerate(pictures):
            sink.write(Frame(_ycc(rgb), i, 1))


def _ycc(rgb: Rgb) -> tuple[npt.NDArray[np.uint8], ...]:
    """BT.709, limited range."""
    r, g, b = np.moveaxis(rgb.astype(np.float64) / 255, 2, 0)
    y = 0.2126 * r + 0.7152 * g + 0.0722 * b
    planes = (16 + 219 * y, 128 + 224 * (b - y) / 1.8556, 128 + 224 * (r - y) / 1.5748)
    return tuple(np.rint(p).astype(np.uint8) for p in planes)


def _ground(random: np.random.Generator) -> npt.NDArray[np.float32]:
    """A gray slope with soft blotches."""
    coarse = random.normal(0, 12, (6, 6)).astype(np.float32)
    blotches = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    rows, columns = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    slope = random.uniform(-40, 40) * rows + random.uniform(-40, 40) * columns
    gray = random.uniform(80, 140) + slope + blotches
    return np.repeat(gray[:, :, None], 3, axis=2).astype(np.float32)


def _mask(shape: str, x: float, y: float, size: float, turn: float) -> npt.NDArray[np.float32]:
    side = SIDE * _FINE
    canvas = np.zeros((side, side), np.uint8)
    centre, radius = (round(x * side), round(y * side)), size * side

    def polygon(points: Sequence[tuple[float, float]]) -> None:
        c, s = math.cos(turn), math.sin(turn)
        turned = [(centre[0] + radius * (c * a - s * b), centre[1] + radius * (s * a + c * b)) for a, b in points]
        cv2.fillPoly(canvas, [np.rint(turned).astype(np.int32)], 255)

    if shape in ("circle", "ring", "crescent"):
        cv2.circle(canvas, centre, round(radius), 255, -1)
        if shape == "ring":
            cv2.circle(canvas, centre, round(radius * 0.55), 0, -1)
        if shape == "crescent":
            away = (centre[0] + round(radius * 0.55), centre[1] - round(radius * 0.25))
            cv2.circle(canvas, away, round(radius * 0.85), 0, -1)
    elif shape == "cross":
        polygon([(-1, -0.3), (1, -0.3), (1, 0.3), (-1, 0.3)])
        polygon([(-0.3, -1), (0.3, -1), (0.3, 1), (-0.3, 1)])
    elif shape == "bar":
        polygon([(-1.2, -0.35), (1.2, -0.35), (1.2, 0.35), (-1.2, 0.35)])
    elif shape == "square":
        polygon([(-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)])
    else:
        spikes, inner = (3, 0.5) if shape == "triangle" else (5, 0.42)
        angles = [math.pi * (i / spikes - 0.5) for i in range(2 * spikes)]
        polygon([(r * math.cos(a), r * math.sin(a)) for a, r in zip(angles, [1.1, 1.1 * inner] * spikes, strict=True)])
    return cv2.resize(canvas, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
