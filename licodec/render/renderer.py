"""The steps of rendering, from symbols to a picture.

    predict        what the references say, warped along the motion and blended
    reconstruct    the content: prediction and residual, with its intra blocks, deblocked and filtered; what other
                   pictures refer to
    between        the content at a time between two pictures
    synthesise     the picture: content and what the network makes of it for a latent
    view           the picture at another size, or a region of it
    download, rgb  integer planes on the host, or an RGB tensor on the device

The steps are the same everywhere. What differs is the kind of array, and the few operations that two twins
give for theirs: `NumpyRenderer`, OpenCV on the CPU (in float32 the reference, with which the encoder closes
its loop), and `TorchRenderer`, which keeps everything on a device. Frames at their own times and size take no torch on
the CPU: to load it takes longer than to decode a small video.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from licodec.model import cosine
from licodec.model.config import ModelConfig
from licodec.model.cosine import SUPER, padded
from licodec.model.geometry import PEAK, Floats, Geometry
from licodec.model.intra import LUMA, NO_LUMA, fill, under_chroma
from licodec.model.motion import Field, Vectors, surround
from licodec.model.symbols import NetworkSymbols, PictureSymbols, SparseLevels
from licodec.quant.steps import FILTER_STEP, coefficients_of
from licodec.render import loop_filter
from licodec.render.blocks import occupied
from licodec.render.deblock import limits, strengths
from licodec.render.flow import DENSITY, Motion
from licodec.render.intra import reach
from licodec.render.resample import View
from licodec.render.warp import sample_positions, to_samples
from licodec.render.window import Window
from licodec.runtime import load_torch
from licodec.video.info import Plane, VideoInfo

if TYPE_CHECKING:
    import torch

    from licodec.render.fusion import Fusion

Array = TypeVar("Array", Floats, "torch.Tensor")
"""What a renderer computes with: float32, samples on the 8-bit scale."""

MIDDLE = np.float32(128)
FIRST_SHARE = np.array([0.5, 1.0, 0.0], np.float32)
"""Of the first prediction, for each way of blending."""


@dataclass(frozen=True)
class Prediction(Generic[Array]):
    """What the references say about a picture."""

    planes: tuple[Array, ...]
    apart: Array | None
    """Luma of the first prediction less the second; None with fewer than two."""


@dataclass(frozen=True)
class Unfiltered(Generic[Array]):
    """A window of a picture before its filters."""

    planes: tuple[Array, ...]
    parts: tuple[Array, ...]
    """The residual of each plane by itself."""
    apart: Array | None
    """As in `Prediction`."""


@dataclass(frozen=True)
class Content(Generic[Array]):
    """A picture before synthesis."""

    planes: tuple[Array, ...]
    apart: Array | None
    """As in `Prediction`."""
    residual: Array
    """Luma residual by itself."""
    window: Window
    """Where the planes are right; they are of the picture's size whatever it is."""


class Renderer(ABC, Generic[Array]):
    """The steps of rendering for pictures of one geometry."""

    device: str
    """Where the arrays are."""
    one_by_one: bool
    """Whether only one thread at a time may make a content."""

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = geometry
        self.whole = Window.whole(geometry)
        # Planes with equal steps have equal shapes, and read their references at equal positions.
        self._shapes = {geometry.step(i): shape for i, shape in enumerate(geometry.shapes)}
        self._samples: dict[tuple[int, int], Array] = {
            step: self.upload(sample_positions(shape)) for step, shape in self._shapes.items()
        }
        self._bases: dict[int, Array] = {size: self.upload(cosine.basis(size)) for size in cosine.SIZES}

    @cached_property
    def _fusion(self) -> Fusion:
        load_torch()
        from licodec.render.fusion import Fusion

        return Fusion(self.device)

    # What is the same for every kind of array.

    def content(
        self,
        fields: Sequence[Field],
        symbols: PictureSymbols,
        references: Sequence[tuple[Array, ...]],
        steps: Sequence[float],
        window: Window,
    ) -> Content[Array]:
        """The content of a picture, right in a window: `predict`, then `reconstruct`."""
        around = self.around(window, symbols)
        prediction = self.predict(fields, symbols.blend, references, around)
        return self.reconstruct(prediction, fields, symbols, steps, window)

    def predict(
        self,
        fields: Sequence[Field],
        blend: npt.NDArray[np.uint8] | None,
        references: Sequence[tuple[Array, ...]],
        window: Window | None = None,
    ) -> Prediction[Array]:
        """Warp each reference and blend the two, in a window (default: everywhere); middle grey when there is none.

        Luma of a picture between its references is read anew where both count alike (`bidirectional`).
        """
        window = window or self.whole
        if not fields:
            shapes = (window.shape(self.geometry.step(i)) for i in range(len(self.geometry.shapes)))
            return Prediction(tuple(self.upload(np.full(shape, MIDDLE)) for shape in shapes), None)
        if blend is None:
            return Prediction(self._follow(references[0], fields[0].vectors, window), None)
        between = surround(fields)
        wide = window.read_by_refinement(self.geometry) if between else window
        first, second = (self._follow(planes, f.vectors, wide) for planes, f in zip(references, fields, strict=True))
        if between:
            first, second = self._refined(references, fields, first, second, blend, wide)
        apart, planes = self._blended(first, second, blend, wide)
        return Prediction(self._inner(planes, window, wide), self._inner((apart,), window, wide)[0])

    def _inner(self, planes: tuple[Array, ...], window: Window, wide: Window) -> tuple[Array, ...]:
        """The window of planes of a wider one."""
        if window == wide:
            return planes
        inner = window.within(wide)
        return tuple(self._part(plane, inner.of(self.geometry.step(i))) for i, plane in enumerate(planes))

    def reconstruct(
        self,
        prediction: Prediction[Array],
        fields: Sequence[Field],
        symbols: PictureSymbols,
        steps: Sequence[float],
        window: Window | None = None,
    ) -> Content[Array]:
        """The content of a picture: prediction and residual, deblocked and filtered; `steps`: of each plane group's
        coefficients.

        The content is what other pictures refer to: a network inside the prediction loop would be applied to its
        own output again and again (tried: it sharpens until it loses). `window`: where it is wanted (default:
        everywhere); then the prediction is that of `around`.
        """
        window = window or self.whole
        around = self.around(window, symbols)
        made = self._with_intra(self._with_residual(prediction, symbols, steps, around), symbols, around)
        return self._behind_filters(made, fields, symbols, steps, window, around)

    def _with_residual(
        self, prediction: Prediction[Array], symbols: PictureSymbols, steps: Sequence[float], window: Window
    ) -> Unfiltered[Array]:
        """All but the intra blocks."""
        parts: list[Array] = []
        for g, members in enumerate(self.geometry.groups):
            place = window.of(self.geometry.step(members[0]))
            parts += self._residual(symbols.sizes[g], symbols.levels[g], steps[g], place)
        return Unfiltered(tuple(map(self._add, prediction.planes, parts)), tuple(parts), prediction.apart)

    def _with_intra(self, made: Unfiltered[Array], symbols: PictureSymbols, window: Window) -> Unfiltered[Array]:
        """The intra blocks, too: of the others around them, and of each other."""
        planes, luma = list(made.planes), None
        for g, members in enumerate(self.geometry.groups):
            modes, under = symbols.modes[g], NO_LUMA
            if not modes.any():
                continue
            step = self.geometry.step(members[0])
            rows, columns = window.of(step)
            if (modes == LUMA).any():
                luma = self.fetch(planes[0]) if luma is None else luma
                under = under_chroma(luma, step, (rows.stop - rows.start, columns.stop - columns.start))
            for i in members:
                # Block after block: nothing for a device. Of few pictures, and of little in most of those.
                plane, residual = self.fetch(planes[i]), self.fetch(made.parts[i])
                fill(plane, (rows.start, columns.start), residual, symbols.sizes[g], modes, under)
                planes[i] = self.upload(plane)
                luma = plane if i == 0 else luma
        return replace(made, planes=tuple(planes))

    def _behind_filters(
        self,
        made: Unfiltered[Array],
        fields: Sequence[Field],
        symbols: PictureSymbols,
        steps: Sequence[float],
        window: Window,
        around: Window,
    ) -> Content[Array]:
        """The content right in a window; `made` is `around` it."""
        planes = []
        for g, members in enumerate(self.geometry.groups):
            left, above = strengths(self.geometry, g, fields, symbols, around)
            for i in members:
                plane = self._deblock(made.planes[i], left, above, *limits(steps[g]))
                planes.append(self.filter(plane, symbols.filters[g], steps[g]))
        content = Content(tuple(planes), made.apart, made.parts[0], window)
        return content if around == self.whole else self._placed(content, around)

    def around(self, window: Window, symbols: PictureSymbols) -> Window:
        """What must be there of a picture before its filters, so that it is right in a window behind them."""
        if window == self.whole:
            return window
        return reach(window.before_filters(self.geometry), self.geometry, symbols)

    def filter(self, plane: Array, weights: npt.NDArray[np.int32], step: float) -> Array:
        """A plane of a group behind the group's loop filter."""
        if not weights.any():
            return plane
        return self._filter(plane, weights.astype(np.float32) * np.float32(FILTER_STEP), loop_filter.limit(step))

    def _placed(self, content: Content[Array], window: Window) -> Content[Array]:
        """Arrays of a window, in ones of the picture's size."""
        steps = [self.geometry.step(i) for i in range(len(content.planes))]
        planes = tuple(self._place(p, step, window) for p, step in zip(content.planes, steps, strict=True))
        apart = None if content.apart is None else self._place(content.apart, (1, 1), window)
        return Content(planes, apart, self._place(content.residual, (1, 1), window), content.window)

    def _place(self, array: Array, step: tuple[int, int], window: Window) -> Array:
        if window == self.whole:
            return array
        out = self._empty(self._shapes[step])
        out[window.of(step)] = array
        return out

    def between(
        self,
        first: tuple[Array, ...],
        second: tuple[Array, ...],
        motion: Motion,
        share: float,
        window: Window | None = None,
    ) -> Content[Array]:
        """The content `share` (between 0 and 1) of the way from one picture to another, in a window (default:
        everywhere): six accounts of it, weighed at every place.
        """
        window = window or self.whole
        read = window.read_by_fusion(self.geometry)
        accounts = self.accounts(first, second, motion, share, read)
        weights = self._fusion([self._as_tensor(planes[0]) for planes in accounts], share, read, window)
        inner, planes = window.within(read), list[Array]()
        for i, seen in enumerate(zip(*accounts, strict=True)):
            step = self.geometry.step(i)
            planes.append(self._weighed([plane[inner.of(step)] for plane in seen], weights, step))
        apart = (accounts[0][0] - accounts[1][0])[inner.of((1, 1))]
        return self._placed(Content(tuple(planes), apart, self._zeros(window.shape((1, 1))), window), window)

    def accounts(
        self,
        first: tuple[Array, ...],
        second: tuple[Array, ...],
        motion: Motion,
        share: float,
        window: Window | None = None,
    ) -> list[tuple[Array, ...]]:
        """Both pictures at the time `share` of the way: along the mean motion, each along the flow from itself, and
        each as it is; in a window (default: everywhere).

        The second two, as if that flow held for the points at the places it reaches, and read bilinearly: wrong in
        other places, and less noisy.
        """
        window = window or self.whole
        ways = (
            (first, motion.mean, -share, False),
            (second, motion.mean, 1 - share, False),
            (first, motion.forward, -share, True),
            (second, motion.backward, share - 1, True),
        )
        moved = [self._warp_all(planes, self._positions(v, s, window), linear) for planes, v, s, linear in ways]
        steps = [self.geometry.step(i) for i in range(len(first))]
        still = [tuple(p[window.of(s)] for p, s in zip(planes, steps, strict=True)) for planes in (first, second)]
        return moved + still

    def synthesise(
        self,
        network: Any,
        content: Content[Array],
        latent: npt.NDArray[np.float32],
        window: Window | None = None,
    ) -> tuple[Array, ...]:
        """The picture: content plus what the network (see `load`) corrects for a latent [latent_dim], clipped to the
        sample range; None: the content itself.

        Planes are of the picture's size whatever the window is in which they are wanted (default: everywhere).
        """
        window = window or self.whole
        steps = [self.geometry.step(i) for i in range(len(content.planes))]
        if network is None:
            shown = tuple(p[window.of(step)].clip(0, PEAK) for p, step in zip(content.planes, steps, strict=True))
        else:
            shown = self._corrected(network, content, latent, window)
        return tuple(self._place(plane, step, window) for plane, step in zip(shown, steps, strict=True))

    def _add(self, plane: Array, other: Array) -> Array:
        """The sum in the range of samples."""
        return (plane + other).clip(0, PEAK)

    def _positions(self, flow: npt.NDArray, share: float, window: Window) -> dict[tuple[int, int], Array]:
        """For each step: [rows, columns, 2] where the samples of such a plane in a window read, a share of the way
        along vectors DENSITY samples apart."""
        at: dict[tuple[int, int], Array] = {}
        for step, samples in self._samples.items():
            nodes, part = self._nodes_around(flow, DENSITY, step, window)
            moved = self._dense(to_samples(nodes, step) * np.float32(share), DENSITY, step, part)
            at[step] = moved + samples[window.of(step)]
        return at

    def _warp_all(
        self, planes: Sequence[Array], at: dict[tuple[int, int], Array], linear: bool = False
    ) -> tuple[Array, ...]:
        return tuple(self._warp(plane, at[self.geometry.step(i)], linear) for i, plane in enumerate(planes))

    def _residual(
        self, sizes: npt.NDArray[np.uint8], levels: SparseLevels, step: float, part: tuple[slice, slice]
    ) -> list[Array]:
        """[rows, columns] of each plane of a group, in a part of it: inverse transforms of what blocks hold."""
        rows, columns = part
        # In whole blocks of the largest size.
        top, left = rows.start // SUPER * SUPER, columns.start // SUPER * SUPER
        shape = (levels.shape[0], padded(rows.stop - top), padded(columns.stop - left))
        out = self._zeros(shape)
        for blocks in occupied(sizes, levels, (top, left), shape[1:]):
            n, basis = blocks.size, self._bases[blocks.size]
            coefficients = self._zeros((blocks.place.shape[1], n, n))
            coefficients.reshape(-1)[self.upload(blocks.index)] = self.upload(coefficients_of(blocks.value, step))
            plane, row, column = self.upload(blocks.place)
            cells = out.reshape(shape[0], shape[1] // n, n, shape[2] // n, n).swapaxes(2, 3)
            cells[plane, row, column] = basis.T @ coefficients @ basis
        return list(out[:, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left])

    def _nodes_around(
        self, nodes: npt.NDArray, spacing: int, step: tuple[int, int], window: Window
    ) -> tuple[npt.NDArray, tuple[slice, slice]]:
        """The nodes that a window reads, one more on each side; its (rows, columns) in what they are enlarged to."""
        top, left = max(window.top // spacing - 1, 0), max(window.left // spacing - 1, 0)
        part = nodes[top : -(-window.bottom // spacing) + 1, left : -(-window.right // spacing) + 1]
        rows, columns = window.of(step)
        down, across = top * spacing // step[1], left * spacing // step[0]
        return part, (
            slice(rows.start - down, rows.stop - down),
            slice(columns.start - across, columns.stop - across),
        )

    # What each kind of array needs of its own.

    @abstractmethod
    def fetch(self, array: Array) -> Floats:
        """An array of the device, on the host."""

    @abstractmethod
    def load(self, config: ModelConfig, network: NetworkSymbols) -> Any:
        """A segment's network as this renderer runs it."""

    @abstractmethod
    def _corrected(
        self, network: Any, content: Content[Array], latent: npt.NDArray[np.float32], window: Window
    ) -> tuple[Array, ...]:
        """Planes of a window with what the network corrects, clipped to the sample range."""

    @abstractmethod
    def upload(self, array: npt.NDArray) -> Array:
        """An array of the host, on the device."""

    @abstractmethod
    def _zeros(self, shape: tuple[int, ...]) -> Array: ...

    @abstractmethod
    def _empty(self, shape: tuple[int, ...]) -> Array: ...

    @abstractmethod
    def _dense(self, nodes: npt.NDArray, spacing: int, step: tuple[int, int], part: tuple[slice, slice]) -> Array:
        """Node values [rows, columns(, c)] of the host, `spacing` luma samples apart, at a part of the samples."""

    @abstractmethod
    def _follow(self, planes: tuple[Array, ...], vectors: Vectors, window: Window) -> tuple[Array, ...]:
        """A window of a picture as its reference has it: planes read along the motion vectors of cells."""

    @abstractmethod
    def _part(self, plane: Array, part: tuple[slice, slice]) -> Array:
        """A part of a plane, as the next steps take it."""

    @abstractmethod
    def _refined(
        self,
        references: Sequence[tuple[Array, ...]],
        fields: Sequence[Field],
        first: tuple[Array, ...],
        second: tuple[Array, ...],
        blend: npt.NDArray[np.uint8],
        window: Window,
    ) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """Both predictions (of a window, which may be used), of which luma is read anew as in `bidirectional`."""

    @abstractmethod
    def _blended(
        self, first: tuple[Array, ...], second: tuple[Array, ...], blend: npt.NDArray[np.uint8], window: Window
    ) -> tuple[Array, tuple[Array, ...]]:
        """(luma of the first prediction less the second, both blended as cells say); of a window, which may be used."""

    @abstractmethod
    def _weighed(self, accounts: Sequence[Array], weights: torch.Tensor, step: tuple[int, int]) -> Array:
        """The sum of a plane's accounts; weights: [accounts, rows / 2, columns / 2] of luma."""

    @abstractmethod
    def _warp(self, plane: Array, at: Array, linear: bool = False) -> Array:
        """Samples of a plane at positions [rows, columns, 2] (x, y): bicubic or bilinear; outside, the nearest edge
        sample."""

    @abstractmethod
    def _deblock(self, plane: Array, left: Floats, above: Floats, most: float, uneven: float) -> Array:
        """A plane smoothed by `deblock.smooth` across its left edges, then its upper ones; the plane may be reused."""

    @abstractmethod
    def _filter(self, plane: Array, weights: Floats, most: float) -> Array:
        """`loop_filter.filtered`."""

    @abstractmethod
    def _as_tensor(self, array: Array) -> torch.Tensor: ...

    @abstractmethod
    def view(self, planes: tuple[Array, ...], view: View, info: VideoInfo) -> tuple[Array, ...]:
        """The planes of `view`, each at the size that the chroma format gives it; `info`: of the video."""

    @abstractmethod
    def download(self, planes: tuple[Array, ...], info: VideoInfo) -> tuple[Plane, ...]:
        """Integer planes on the host, rounded to nearest, in the format and the size that `info` states."""

    @abstractmethod
    def rgb(self, planes: tuple[Array, ...], info: VideoInfo) -> torch.Tensor:
        """[3, height, width] uint8 or uint16 on the device: `licodec.video.colour.to_rgb` of `download`."""
