"""Any picture of a segment, in any order: references are rendered when they are needed and kept for a while."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from licodec.entropy.segment import SegmentReader
from licodec.model import motion
from licodec.model.config import ModelConfig
from licodec.model.geometry import Floats, Geometry, Planes
from licodec.model.motion import NODE, UNIT, Field
from licodec.model.pyramid import Picture
from licodec.model.symbols import PictureSymbols, SegmentSymbols
from licodec.quant.steps import LATENT_STEP
from licodec.render.picture import Synthesis, content_of, predict
from licodec.render.warp import positions, warp

_KEEP = 24
"""Contents kept at least: more than a pyramid has open at a time, so that playing renders each picture once."""
_KEEP_BYTES = 256 << 20


@dataclass(frozen=True)
class Content:
    """A picture before synthesis."""

    planes: Planes
    apart: Floats | None
    residual: Floats


class Contents:
    """Renders contents from symbols on demand, references first, and remembers the latest."""

    def __init__(self, geometry: Geometry, symbols: SegmentSymbols) -> None:
        self._geometry, self._symbols = geometry, symbols
        size = 4 * sum(rows * columns for rows, columns in geometry.shapes)
        self._capacity = max(_KEEP, _KEEP_BYTES // (3 * size))
        self._kept: OrderedDict[int, Content] = OrderedDict()
        self.motion: motion.Known = {}

    def add(self, picture: Picture) -> None:
        """Take the motion of a picture whose symbols have become known (its references' before it)."""
        symbols = self._symbols.pictures[picture.frame]
        shape = self._geometry.node_shapes[0]
        self.motion[picture.frame] = motion.fields(picture, symbols.corrections, self.motion, shape)

    def __call__(self, picture: Picture, pictures: dict[int, Picture]) -> Content:
        """Content of a picture; `pictures` finds its references."""
        found = self._kept.get(picture.frame)
        if found is None:
            fields = self.motion[picture.frame]
            references = [self(pictures[f.target], pictures).planes for f in fields]
            found = self._render(picture, fields, references)
            self._kept[picture.frame] = found
            while len(self._kept) > self._capacity:
                self._kept.popitem(last=False)
        self._kept.move_to_end(picture.frame)
        return found

    def _render(self, picture: Picture, fields: list[Field], references: list[Planes]) -> Content:
        symbols = self._symbols.pictures[picture.frame]
        prediction = predict(self._geometry, fields, symbols.blend, references)
        steps = [self._symbols.step(picture, g) for g in range(len(self._geometry.groups))]
        planes, luma = content_of(self._geometry, prediction, symbols, steps)
        return Content(planes, prediction.apart, luma)


class SegmentPlayer:
    """One segment of a file: `render(i)` for its frames, `between(i, a)` for the time after them."""

    def __init__(self, payload: bytes, geometry: Geometry, config: ModelConfig, frames: int, where: str = "") -> None:
        self._geometry = geometry
        self._reader = SegmentReader(payload, geometry, config, frames, where)
        self._symbols = self._reader.symbols
        self._batches: Iterator[list[Picture]] = self._reader.batches()
        self._pictures: dict[int, Picture] = {}
        self._contents = Contents(geometry, self._symbols)
        self._synthesis = Synthesis(geometry, config, self._symbols)
        self.frames = frames

    def _parse_to(self, frame: int) -> None:
        """Symbols come in coding order: read on until this frame's are there."""
        while frame not in self._pictures:
            for picture in next(self._batches):
                self._pictures[picture.frame] = picture
                self._contents.add(picture)

    def parse(self) -> dict[int, PictureSymbols]:
        """Read every symbol of the segment."""
        for frame in range(self.frames):
            self._parse_to(frame)
        return self._symbols.pictures

    def _content(self, frame: int) -> Content:
        self._parse_to(frame)
        return self._contents(self._pictures[frame], self._pictures)

    def _latent(self, frame: int) -> npt.NDArray[np.float32]:
        return self._symbols.pictures[frame].latent.astype(np.float32) * np.float32(LATENT_STEP)

    def render(self, frame: int, latent: npt.NDArray[np.float32] | None = None) -> Planes:
        """Planes of a frame at its own time; `latent` replaces its own."""
        content = self._content(frame)
        z = self._latent(frame) if latent is None else latent
        return self._synthesis(content.planes, content.apart, content.residual, z)

    def between(self, frame: int, share: float) -> Planes:
        """Planes at a time after `frame`, `share` (0..1) of the way to the next frame of the segment.

        The motion that the file holds between the two is followed from both sides; latents are interpolated as in
        Latent-INR: z = (1 - share) z_t + share z_{t+1}.
        """
        if share <= 0 or frame + 1 >= self.frames:
            return self.render(frame)
        if share >= 1:
            return self.render(frame + 1)
        first, second = self._content(frame), self._content(frame + 1)
        vectors = self._vectors_between(frame)
        planes: list[Floats] = []
        apart: Floats | None = None
        start = _at_time(vectors, share)
        for i, shape in enumerate(self._geometry.shapes):
            step = self._geometry.step(i)
            a = warp(first.planes[i], positions(start * -share, shape, step))
            b = warp(second.planes[i], positions(start * (1 - share), shape, step))
            planes.append((1 - np.float32(share)) * a + np.float32(share) * b)
            if i == 0:
                apart = a - b
        z = (1 - np.float32(share)) * self._latent(frame) + np.float32(share) * self._latent(frame + 1)
        return self._synthesis(tuple(planes), apart, np.zeros_like(planes[0]), z)

    def _vectors_between(self, frame: int) -> Floats:
        """Vectors from `frame` to the next one (quarter samples). One of two neighbours always refers to the other."""
        for field in self._contents.motion[frame]:
            if field.target == frame + 1:
                return field.vectors.astype(np.float32)
        for field in self._contents.motion[frame + 1]:
            if field.target == frame:
                back = field.vectors.astype(np.float32)
                return -_at_time(back, 1.0)
        raise AssertionError("neighbours without motion between them")


def _at_time(vectors: Floats, share: float) -> Floats:
    """Vectors of the points that pass through each node at time `share`: v(y) where y + share v(y) = x."""
    rows, columns = vectors.shape[:2]
    grid = np.stack(np.meshgrid(np.arange(columns, dtype=np.float32), np.arange(rows, dtype=np.float32)), axis=-1)
    out = vectors
    for _ in range(3):
        at = grid - out * np.float32(share / (UNIT * NODE))
        out = cv2.remap(vectors, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return out
