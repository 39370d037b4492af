"""Any picture of a segment, in any order: references are rendered when they are needed and kept for a while."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Generic

import numpy as np
import numpy.typing as npt

from licodec.container import DEFAULT_LIMITS, Limits
from licodec.entropy.segment import SegmentReader
from licodec.errors import DamagedFileError
from licodec.model import motion
from licodec.model.config import ModelConfig
from licodec.model.costs import check_segment
from licodec.model.pyramid import Picture
from licodec.model.symbols import PictureSymbols, SegmentSymbols
from licodec.quant.steps import LATENT_STEP
from licodec.render.flow import Flow
from licodec.render.renderer import Array, Content, Renderer

_KEEP_BYTES = 256 << 20
"""Contents kept, or as many as a group has pictures if that is more: coding and playing render each picture once."""
_AHEAD = 6
"""Batches parsed before they are asked for: about a group."""


class Contents(Generic[Array]):
    """Renders contents from symbols on demand, references first, and remembers the latest."""

    def __init__(self, renderer: Renderer[Array], symbols: SegmentSymbols) -> None:
        self._renderer: Renderer[Array] = renderer
        self._symbols = symbols
        size = 4 * sum(rows * columns for rows, columns in renderer.geometry.shapes)
        self._capacity = max(max(symbols.groups, default=0) + 4, _KEEP_BYTES // (3 * size))
        self._kept: OrderedDict[int, Content[Array]] = OrderedDict()
        self.motion: motion.Known = {}

    def add(self, picture: Picture) -> None:
        """Take the motion of a picture whose symbols have become known (its references' before it)."""
        symbols = self._symbols.pictures[picture.frame]
        shape = self._renderer.geometry.node_shapes[0]
        self.motion[picture.frame] = motion.fields(picture, symbols.corrections, self.motion, shape)

    def put(self, picture: Picture, content: Content[Array]) -> None:
        """Take the content of a picture that was rendered elsewhere; its references are kept or not needed."""
        self._kept[picture.frame] = content
        self._keep(picture)

    def __call__(self, picture: Picture, pictures: dict[int, Picture]) -> Content[Array]:
        """Content of a picture; `pictures` finds its references."""
        # A stack and no recursion: the anchors of a segment are a chain of up to a thousand.
        wanted = [picture]
        while wanted:
            missing = [pictures[r] for r in wanted[-1].refs if r not in self._kept]
            if wanted[-1].frame not in self._kept and missing:
                wanted += missing
                continue
            self._keep(wanted.pop())
        return self._kept[picture.frame]

    def _keep(self, picture: Picture) -> None:
        """Render a picture whose references are kept, or find it; it and they are now the latest."""
        for r in picture.refs:
            if r in self._kept:
                self._kept.move_to_end(r)
        if picture.frame not in self._kept:
            self._kept[picture.frame] = self._render(picture)
        self._kept.move_to_end(picture.frame)
        while len(self._kept) > self._capacity:
            self._kept.popitem(last=False)

    def _render(self, picture: Picture) -> Content[Array]:
        symbols = self._symbols.pictures[picture.frame]
        fields = self.motion[picture.frame]
        references = [self._kept[f.target].planes for f in fields]
        prediction = self._renderer.predict(fields, symbols.blend, references)
        steps = [self._symbols.step(picture, g) for g in range(len(symbols.levels))]
        return self._renderer.reconstruct(prediction, fields, symbols, steps)


def _ahead(batches: Iterator[list[Picture]]) -> Iterator[list[Picture]]:
    """The same batches, the next few parsed in a thread while the caller renders."""
    pool = ThreadPoolExecutor(1)
    waiting = deque(pool.submit(next, batches, None) for _ in range(_AHEAD))
    try:
        while (batch := waiting.popleft().result()) is not None:
            waiting.append(pool.submit(next, batches, None))
            yield batch
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


class SegmentPlayer(Generic[Array]):
    """One segment of a file: `render(i)` for its frames, `between(i, a)` for the time after them."""

    def __init__(
        self,
        payload: bytes,
        renderer: Renderer[Array],
        config: ModelConfig,
        frames: int,
        where: str = "",
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._renderer: Renderer[Array] = renderer
        self._reader = SegmentReader(payload, renderer.geometry, config, frames, where)
        check_segment(renderer.geometry, config, frames, self._reader.symbols.groups, limits, where)
        self._symbols = self._reader.symbols
        self._batches: Iterator[list[Picture]] = _ahead(self._reader.batches())
        self._pictures: dict[int, Picture] = {}
        self._contents: Contents[Array] = Contents(renderer, self._symbols)
        self._network = renderer.load(config, self._symbols)
        self._flow: tuple[int, Flow] | None = None
        self.frames, self._where = frames, where

    def _parse_to(self, frame: int) -> None:
        """Symbols come in coding order: read on until this frame's are there."""
        while frame not in self._pictures:
            batch = next(self._batches, None)
            if batch is None:
                raise DamagedFileError(f"{self._where}: cannot be read past the damage before frame {frame}")
            for picture in batch:
                self._pictures[picture.frame] = picture
                self._contents.add(picture)

    def parse(self) -> dict[int, PictureSymbols]:
        """Read every symbol of the segment."""
        for frame in range(self.frames):
            self._parse_to(frame)
        return self._symbols.pictures

    def _content(self, frame: int) -> Content[Array]:
        self._parse_to(frame)
        return self._contents(self._pictures[frame], self._pictures)

    def _latent(self, frame: int) -> npt.NDArray[np.float32]:
        return self._symbols.pictures[frame].latent.astype(np.float32) * np.float32(LATENT_STEP)

    def render(self, frame: int, latent: npt.NDArray[np.float32] | None = None) -> tuple[Array, ...]:
        """Planes of a frame at its own time; `latent` replaces its own."""
        content = self._content(frame)
        return self._renderer.synthesise(self._network, content, self._latent(frame) if latent is None else latent)

    def between(self, frame: int, share: float) -> tuple[Array, ...]:
        """Planes at a time after `frame`, `share` (0..1) of the way to the next frame of the segment.

        The flow between the two is followed from both sides; latents are interpolated as in Latent-INR:
        z = (1 - share) z_t + share z_{t+1}.
        """
        if share <= 0 or frame + 1 >= self.frames:
            return self.render(frame)
        if share >= 1:
            return self.render(frame + 1)
        first, second = self._content(frame), self._content(frame + 1)
        if self._flow is None or self._flow[0] != frame:
            lumas = (self._renderer.fetch(content.planes[0]) for content in (first, second))
            self._flow = frame, Flow.between(*lumas)
        content = self._renderer.between(first.planes, second.planes, self._flow[1].at(share), share)
        z = (1 - share) * self._latent(frame) + share * self._latent(frame + 1)
        return self._renderer.synthesise(self._network, content, z)
