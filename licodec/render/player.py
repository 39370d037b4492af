"""Any picture of a segment, in any order: references are rendered when they are needed and kept for a while."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import repeat
from threading import Condition, RLock
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
"""Contents kept, or what others refer to in a group and on the way to the first frame of the next one, and leaves, if
that is more: coding and playing render each picture once."""
_LEAVES = 6
"""Contents kept of leaves of the pyramid, which go first: those prepared (half of `_PREPARED`) or shown."""
_AHEAD = 6
"""Batches parsed before they are asked for: about a group."""
_PREPARED = 8
"""Frames from one that is played to the one whose content is prepared. The first of a group takes five contents, for
which all others would wait."""
_NOWHERE = Window(0, 0, 0, 0)
Windows = Mapping[int, Window]
"""What is needed of pictures, by frame: of others everything."""
_EVERYTHING: Windows = {}


class Contents(Generic[Array]):
    """Renders contents from symbols on demand, references first, and remembers those latest rendered or referred to.

    Several threads may ask at once: each renders what no other one does yet.
    """

    def __init__(self, renderer: Renderer[Array], symbols: SegmentSymbols) -> None:
        self._renderer: Renderer[Array] = renderer
        self._symbols = symbols
        size = 4 * sum(rows * columns for rows, columns in renderer.geometry.shapes)
        group = max(symbols.groups, default=0)
        self._capacity = max(group // 2 + group.bit_length() + _LEAVES, _KEEP_BYTES // (3 * size))
        self._kept: OrderedDict[int, Content[Array]] = OrderedDict()
        self._leaves: OrderedDict[int, None] = OrderedDict()
        """Of those kept."""
        self._under_way: set[int] = set()
        self._changed = Condition()
        """Holds what is kept and what is under way."""
        self.motion: motion.Known = {}

    def add(self, picture: Picture) -> None:
        """Take the motion of a picture whose symbols have become known (its references' before it)."""
        symbols = self._symbols.pictures[picture.frame]
        shape = self._renderer.geometry.node_shapes[0]
        self.motion[picture.frame] = motion.fields(picture, symbols.starts, symbols.corrections, self.motion, shape)

    def put(self, picture: Picture, content: Content[Array]) -> None:
        """Take the content of a picture that was rendered elsewhere; its references are kept or not needed."""
        with self._changed:
            self._keep(picture, content)

    def plan(self, wanted: Windows, pictures: Mapping[int, Picture]) -> Windows:
        """What is needed of pictures to show these windows of these; empty where that is everything.

        `pictures`: those known, in coding order.
        """
        geometry, whole = self._renderer.geometry, self._renderer.whole
        if all(window == whole for window in wanted.values()):
            return {}
        needed = dict[int, Window]()
        for frame in reversed(list(pictures)):
            asked = [wanted[frame].coded(geometry)] if frame in wanted else []
            asked += [needed[frame]] if frame in needed else []
            if not asked:
                continue
            needed[frame] = union(asked)
            before = self._renderer.around(needed[frame], self._symbols.pictures[frame])
            fields = self.motion[frame]
            before = before.read_by_refinement(geometry) if motion.surround(fields) else before
            for field in fields:
                read = before.followed(field.vectors, geometry)
                known = needed.get(field.target)
                needed[field.target] = read if known is None else known | read
        return needed

    def __call__(
        self, picture: Picture, pictures: Mapping[int, Picture], windows: Windows = _EVERYTHING
    ) -> Content[Array]:
        """Content of a picture; `pictures` finds its references.

        windows: a `plan` by which what is kept and is less than needed is rendered again.
        """
        while True:
            with self._changed:
                if self._has(picture.frame, windows):
                    return self._kept[picture.frame]
            self.prepare(picture, pictures, windows, wait=True)

    def prepare(
        self,
        picture: Picture,
        pictures: Mapping[int, Picture],
        windows: Windows = _EVERYTHING,
        *,
        wait: bool = False,
    ) -> None:
        """Render one picture that is missing, of this one and those that it refers to.

        Where other threads render all that could be: nothing, or `wait` for one of them.
        """
        with self._changed:
            while missing := [r for r in picture.refs if not self._has(r, windows)]:
                picture = pictures[next((r for r in missing if r not in self._under_way), missing[0])]
            if self._has(picture.frame, windows):
                return
            if picture.frame in self._under_way or (self._under_way and self._renderer.one_by_one):
                if wait:
                    self._changed.wait()
                return
            self._under_way.add(picture.frame)
            references = {r: self._kept[r].planes for r in picture.refs}
        try:
            content = self._render(picture, references, windows.get(picture.frame, self._renderer.whole))
            with self._changed:
                self._keep(picture, content)
        finally:
            with self._changed:
                self._under_way.discard(picture.frame)
                self._changed.notify_all()

    def _has(self, frame: int, windows: Windows) -> bool:
        """Whether as much of a picture is kept as is needed."""
        return frame in self._kept and windows.get(frame, self._renderer.whole) in self._kept[frame].window

    def _keep(self, picture: Picture, content: Content[Array]) -> None:
        """It and its references are now the latest."""
        self._kept[picture.frame] = content
        for frame in (*picture.refs, picture.frame):
            if frame in self._kept:
                self._kept.move_to_end(frame)
        if picture.leaf:
            self._leaves[picture.frame] = None
        while len(self._kept) > self._capacity:
            crowd = self._leaves if len(self._leaves) > _LEAVES else self._kept
            oldest = next(iter(crowd))
            del self._kept[oldest]
            self._leaves.pop(oldest, None)

    def _render(self, picture: Picture, references: dict[int, tuple[Array, ...]], window: Window) -> Content[Array]:
        symbols = self._symbols.pictures[picture.frame]
        fields = self.motion[picture.frame]
        steps = [self._symbols.step(picture, g) for g in range(len(symbols.levels))]
        return self._renderer.content(fields, symbols, [references[f.target] for f in fields], steps, window)


class SegmentPlayer(Generic[Array]):
    """One segment of a file: `render(i)` for its frames, `between(i, a)` for the time after them.

    Several threads may ask at once.
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
        self._needed: Windows = _EVERYTHING
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

    def _content_of(self, frame: int, shown: Window) -> Content[Array]:
        """Content of a picture, right in the window that a view shows of it."""
        with self._one_by_one:
            self._parse_to(frame)
            if shown != self._renderer.whole:
                # One after the other, as each of another region makes less of what is kept.
                self._plan(frame, shown)
                return self._contents(self._pictures[frame], self._pictures, self._needed)
        return self._contents(self._pictures[frame], self._pictures)

    def _plan(self, frame: int, shown: Window) -> None:
        """Find out what is needed of all pictures."""
        if shown != self._shown:
            # Of a region asked for once, only what this picture needs.
            self._shown, self._asked = shown, {frame: shown}
        elif shown not in self._asked.get(frame, _NOWHERE):
            # Of one asked for again, what all pictures of the segment need: each is to be rendered once.
            self.parse()
            self._asked = dict.fromkeys(self._pictures, union([*self._asked.values(), shown]))
        else:
            return
        self._needed = self._contents.plan(self._asked, self._pictures)

    def render(
        self, frame: int, latent: npt.NDArray[np.float32] | None = None, *, window: Window | None = None
    ) -> tuple[Array, ...]:
        """Planes of a frame at its own time; `latent` replaces its own.

        `window`: what is needed of them, the rest may be anything (default: everything).
        """
        shown = window or self._renderer.whole
        content = self._content_of(frame, shown)
        if frame - 1 in self._rendered and shown == self._renderer.whole:
            self._prepare(min(frame + _PREPARED, self.frames - 1))
        self._rendered.append(frame)
        latent = self._latents[frame] if latent is None else latent
        return self._renderer.synthesise(self._network, content, latent, shown)

    def _prepare(self, frame: int) -> None:
        """Of frames played one after the other: make a content that a later one takes, while others make pictures."""
        with suppress(DamagedFileError):  # which is told when it is reached
            with self._one_by_one:
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
        first, second = (self._content_of(f, whole) for f in (frame, frame + 1))
        with self._one_by_one:
            if self._flow is None or self._flow[0] != frame:
                lumas = (self._renderer.fetch(content.planes[0]) for content in (first, second))
                self._flow = frame, Flow.between(*lumas)
            flow = self._flow[1]
        read = shown.read_by_network(self._renderer.geometry)
        content = self._renderer.between(first.planes, second.planes, flow.at(share), share, read)
        z = (1 - share) * self._latents[frame] + share * self._latents[frame + 1]
        return self._renderer.synthesise(self._network, content, z, shown)
