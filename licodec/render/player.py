"""Any picture of a segment, in any order: references are rendered when they are needed and kept for a while."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import repeat
from threading import RLock
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
from licodec.render.window import Window, union
from licodec.runtime import in_order

_KEEP_BYTES = 256 << 20
"""Contents kept, or as many as a group has pictures if that is more: coding and playing render each picture once."""
_AHEAD = 6
"""Batches parsed before they are asked for: about a group."""
_PREPARED = 8
"""Frames from one that is played to the one whose content is prepared. The first of a group takes five contents, for
which all others would wait."""
_NOWHERE = Window(0, 0, 0, 0)


class Contents(Generic[Array]):
    """Renders contents from symbols on demand, references first, and remembers the latest."""

    def __init__(self, renderer: Renderer[Array], symbols: SegmentSymbols) -> None:
        self._renderer: Renderer[Array] = renderer
        self._symbols = symbols
        size = 4 * sum(rows * columns for rows, columns in renderer.geometry.shapes)
        self._capacity = max(max(symbols.groups, default=0) + 4, _KEEP_BYTES // (3 * size))
        self._kept: OrderedDict[int, Content[Array]] = OrderedDict()
        self._windows: dict[int, Window] = {}
        self.motion: motion.Known = {}

    def add(self, picture: Picture) -> None:
        """Take the motion of a picture whose symbols have become known (its references' before it)."""
        symbols = self._symbols.pictures[picture.frame]
        shape = self._renderer.geometry.node_shapes[0]
        self.motion[picture.frame] = motion.fields(picture, symbols.starts, symbols.corrections, self.motion, shape)

    def put(self, picture: Picture, content: Content[Array]) -> None:
        """Take the content of a picture that was rendered elsewhere; its references are kept or not needed."""
        self._kept[picture.frame] = content
        self._keep(picture)

    def plan(self, wanted: Mapping[int, Window], pictures: Mapping[int, Picture]) -> None:
        """From now on render only what is needed to show these windows of these pictures; none: everything.

        `pictures`: those known, in coding order. What is rendered already and is less than needed is rendered again.
        """
        self._windows = {}
        geometry, whole = self._renderer.geometry, self._renderer.whole
        if all(window == whole for window in wanted.values()):
            return
        for frame in reversed(list(pictures)):
            asked = [wanted[frame].coded(geometry)] if frame in wanted else []
            asked += [self._windows[frame]] if frame in self._windows else []
            if not asked:
                continue
            self._windows[frame] = union(asked)
            before = self._renderer.around(self._windows[frame], self._symbols.pictures[frame])
            fields = self.motion[frame]
            before = before.read_by_refinement(geometry) if motion.surround(fields) else before
            for field in fields:
                read = before.followed(field.vectors, geometry)
                known = self._windows.get(field.target)
                self._windows[field.target] = read if known is None else known | read

    def _has(self, frame: int) -> bool:
        """Whether as much of a picture is kept as is needed."""
        return frame in self._kept and self._window(frame) in self._kept[frame].window

    def _window(self, frame: int) -> Window:
        return self._windows.get(frame, self._renderer.whole)

    def __call__(self, picture: Picture, pictures: Mapping[int, Picture]) -> Content[Array]:
        """Content of a picture; `pictures` finds its references."""
        # A stack and no recursion: the anchors of a segment are a chain of up to a thousand.
        wanted = [picture]
        while wanted:
            missing = [pictures[r] for r in wanted[-1].refs if not self._has(r)]
            if missing and not self._has(wanted[-1].frame):
                wanted += missing
                continue
            self._keep(wanted.pop())
        return self._kept[picture.frame]

    def prepare(self, picture: Picture, pictures: Mapping[int, Picture]) -> None:
        """Render one picture that is missing, of this one and those that it refers to."""
        while missing := [r for r in picture.refs if not self._has(r)]:
            picture = pictures[missing[0]]
        if not self._has(picture.frame):
            self._keep(picture)

    def _keep(self, picture: Picture) -> None:
        """Render a picture whose references are kept, or find it; it and they are now the latest."""
        for r in picture.refs:
            if r in self._kept:
                self._kept.move_to_end(r)
        if not self._has(picture.frame):
            self._kept[picture.frame] = self._render(picture)
        self._kept.move_to_end(picture.frame)
        while len(self._kept) > self._capacity:
            self._kept.popitem(last=False)

    def _render(self, picture: Picture) -> Content[Array]:
        symbols = self._symbols.pictures[picture.frame]
        fields = self.motion[picture.frame]
        references = [self._kept[f.target].planes for f in fields]
        steps = [self._symbols.step(picture, g) for g in range(len(symbols.levels))]
        return self._renderer.content(fields, symbols, references, steps, self._window(picture.frame))


class SegmentPlayer(Generic[Array]):
    """One segment of a file: `render(i)` for its frames, `between(i, a)` for the time after them.

    Several threads may ask at once: one after the other makes contents, in which pictures refer to each other, and
    all make pictures of them.
    """

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
        reader = SegmentReader(
            payload,
            renderer.geometry,
            config,
            frames,
            where,
            lambda groups: check_segment(renderer.geometry, config, frames, groups, limits, where),
        )
        self._symbols, batches = reader.symbols, reader.batches()
        self._batches: Iterator[list[Picture] | None] = in_order(lambda _: next(batches, None), repeat(0), 1, _AHEAD)
        self._pictures: dict[int, Picture] = {}
        self._contents: Contents[Array] = Contents(renderer, self._symbols)
        network = self._symbols.network
        self._network = None if network is None else renderer.load(config, network)
        latents = np.zeros((frames, config.latent_dim), np.int32) if network is None else network.latents
        self._latents = latents.astype(np.float32) * np.float32(LATENT_STEP)
        self._shown: Window = renderer.whole
        self._asked: dict[int, Window] = {}
        self._flow: tuple[int, Flow] | None = None
        self._rendered = deque[int](maxlen=_PREPARED)
        self._damage: DamagedFileError | None = None
        self._one_by_one = RLock()
        self.frames, self._where = frames, where

    def _parse_to(self, frame: int) -> None:
        """Symbols come in coding order: read on until this frame's are there."""
        while frame not in self._pictures:
            if self._damage:
                raise self._damage
            try:
                batch = next(self._batches, None)
            except DamagedFileError as error:
                self._damage = error
                raise
            if batch is None:
                raise DamagedFileError(f"{self._where}: cannot be read past the damage before frame {frame}")
            for picture in batch:
                self._pictures[picture.frame] = picture
                self._contents.add(picture)

    def parse(self) -> dict[int, PictureSymbols]:
        """Read every symbol of the segment."""
        with self._one_by_one:
            for frame in range(self.frames):
                self._parse_to(frame)
        return self._symbols.pictures

    def _contents_of(self, shown: Window, wanted: dict[int, Window]) -> list[Content[Array]]:
        """Contents of pictures, right in the windows wanted, for a view that shows a window."""
        for frame in wanted:
            self._parse_to(frame)
        if shown != self._shown:
            # Of a region asked for once, only what this picture needs.
            self._shown, self._asked = shown, {} if shown == self._renderer.whole else wanted
            self._contents.plan(self._asked, self._pictures)
        elif shown != self._renderer.whole and not all(w in self._asked.get(f, _NOWHERE) for f, w in wanted.items()):
            # Of one asked for again, what all pictures of the segment need: each is to be rendered once.
            self.parse()
            every = union([*self._asked.values(), *wanted.values()])
            self._asked = dict.fromkeys(self._pictures, every)
            self._contents.plan(self._asked, self._pictures)
        return [self._contents(self._pictures[frame], self._pictures) for frame in wanted]

    def render(
        self, frame: int, latent: npt.NDArray[np.float32] | None = None, *, window: Window | None = None
    ) -> tuple[Array, ...]:
        """Planes of a frame at its own time; `latent` replaces its own.

        `window`: what is needed of them, the rest may be anything (default: everything).
        """
        shown = window or self._renderer.whole
        with self._one_by_one:
            (content,) = self._contents_of(shown, {frame: shown})
            if frame - 1 in self._rendered and shown == self._renderer.whole:
                self._prepare(min(frame + _PREPARED, self.frames - 1))
            self._rendered.append(frame)
        latent = self._latents[frame] if latent is None else latent
        return self._renderer.synthesise(self._network, content, latent, shown)

    def _prepare(self, frame: int) -> None:
        """Of frames played one after the other: make a content that a later one takes, while others make pictures."""
        with suppress(DamagedFileError):  # which is told when it is reached
            self._parse_to(frame)
            self._contents.prepare(self._pictures[frame], self._pictures)

    def between(self, frame: int, share: float, *, window: Window | None = None) -> tuple[Array, ...]:
        """Planes at a time after `frame`, `share` (0..1) of the way to the next frame of the segment.

        The flow between the two is followed from both sides; latents are interpolated as in Latent-INR:
        z = (1 - share) z_t + share z_{t+1}. `window`: as in `render`. The flow is that of whole pictures, so
        that both are needed as a whole; what is made of them is made in the window only.
        """
        if share <= 0 or frame + 1 >= self.frames:
            return self.render(frame, window=window)
        if share >= 1:
            return self.render(frame + 1, window=window)
        whole, shown = self._renderer.whole, window or self._renderer.whole
        with self._one_by_one:
            first, second = self._contents_of(shown, {frame: whole, frame + 1: whole})
            if self._flow is None or self._flow[0] != frame:
                lumas = (self._renderer.fetch(content.planes[0]) for content in (first, second))
                self._flow = frame, Flow.between(*lumas)
            flow = self._flow[1]
        read = shown.read_by_network(self._renderer.geometry)
        content = self._renderer.between(first.planes, second.planes, flow.at(share), share, read)
        z = (1 - share) * self._latents[frame] + share * self._latents[frame + 1]
        return self._renderer.synthesise(self._network, content, z, shown)
