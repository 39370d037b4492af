"""The steps of rendering, from symbols to a picture.

    predict        what the references say, warped along the motion and blended
    reconstruct    the content: prediction and residual, deblocked; what other pictures refer to
    between        the content at a time between two pictures
    synthesise     the picture: content and what the network makes of it for a latent
    view           the picture at another size, or a region of it
    download, rgb  integer planes on the host, or an RGB tensor on the device

The steps are the same everywhere. What differs is the kind of array, and the few operations that two twins
give for theirs: `NumpyRenderer`, OpenCV on the CPU (in float32 the reference, with which the encoder closes
its loop), and `TorchRenderer`, which keeps everything on a device.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from licodec.model import cosine
from licodec.model.config import ModelConfig
from licodec.model.geometry import BLEND, PEAK, Floats, Geometry
from licodec.model.motion import Field
from licodec.model.symbols import PictureSymbols, SegmentSymbols, SparseLevels
from licodec.quant.steps import coefficients_of
from licodec.render.blend import Blender
from licodec.render.blocks import occupied
from licodec.render.deblock import limits, strengths
from licodec.render.flow import DENSITY, Motion
from licodec.render.network import Network
from licodec.render.resample import View
from licodec.render.warp import sample_positions, to_samples
from licodec.video.info import Plane, VideoInfo

Array = TypeVar("Array", Floats, torch.Tensor)
"""What a renderer computes with: float32, samples on the 8-bit scale."""

MIDDLE = np.float32(128)
_FIRST_SHARE = np.array([0.5, 1.0, 0.0], np.float32)


@dataclass(frozen=True)
class Prediction(Generic[Array]):
    """What the references say about a picture."""

    planes: tuple[Array, ...]
    apart: Array | None
    """Luma of the first prediction less the second; None with fewer than two."""


@dataclass(frozen=True)
class Content(Generic[Array]):
    """A picture before synthesis."""

    planes: tuple[Array, ...]
    apart: Array | None
    """As in `Prediction`."""
    residual: Array
    """Luma residual by itself."""


class Renderer(ABC, Generic[Array]):
    """The steps of rendering for pictures of one geometry."""

    device: torch.device
    """Where the arrays are."""
    network_type = torch.float32
    """What the synthesis network computes in; everything else is float32."""

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = geometry
        # Planes with equal steps have equal shapes, and read their references at equal positions.
        self._shapes = {geometry.step(i): shape for i, shape in enumerate(geometry.shapes)}
        self._samples: dict[tuple[int, int], Array] = {
            step: self.upload(sample_positions(shape)) for step, shape in self._shapes.items()
        }
        self._blender_there: Blender | None = None
        self._bases: dict[int, Array] = {size: self.upload(cosine.basis(size)) for size in cosine.SIZES}

    # What is the same for every kind of array.

    def predict(
        self,
        fields: Sequence[Field],
        blend: npt.NDArray[np.uint8] | None,
        references: Sequence[tuple[Array, ...]],
    ) -> Prediction[Array]:
        """Warp each reference and blend the two; middle grey when there is none."""
        if not fields:
            return Prediction(tuple(self.upload(np.full(shape, MIDDLE)) for shape in self.geometry.shapes), None)
        at = [self._positions(field.vectors) for field in fields]
        if blend is None:
            return Prediction(self._warp_all(references[0], at[0]), None)
        share = {step: self._dense(_FIRST_SHARE[blend], BLEND, step) for step in self._shapes}
        pairs = zip(*map(self._warp_all, references, at), strict=True)
        planes, apart = [], []
        for i, (first, second) in enumerate(pairs):
            apart.append(first - second)
            planes.append(second + share[self.geometry.step(i)] * apart[i])
        return Prediction(tuple(planes), apart[0])

    def reconstruct(
        self,
        prediction: Prediction[Array],
        fields: Sequence[Field],
        symbols: PictureSymbols,
        steps: Sequence[float],
    ) -> Content[Array]:
        """The content of a picture: prediction and residual, deblocked; `steps`: of each plane group's coefficients.

        The content is what other pictures refer to: a network inside the prediction loop would be applied to its
        own output again and again (tried: it sharpens until it loses).
        """
        parts, planes = [], []
        for g, members in enumerate(self.geometry.groups):
            rows, columns = self.geometry.shapes[members[0]]
            parts += list(self._residual(symbols.sizes[g], symbols.levels[g], steps[g])[:, :rows, :columns])
            left, above = strengths(self.geometry, g, fields, symbols)
            for i in members:
                plane = (prediction.planes[i] + parts[i]).clip(0, PEAK)
                planes.append(self._deblock(plane, left, above, *limits(steps[g])))
        return Content(tuple(planes), prediction.apart, parts[0])

    def between(
        self, first: tuple[Array, ...], second: tuple[Array, ...], motion: Motion, share: float
    ) -> Content[Array]:
        """The content `share` (between 0 and 1) of the way from one picture to another."""
        accounts = self.accounts(first, second, motion, share)
        lumas = [self._as_tensor(planes[0]) for planes in accounts]
        weights, correction = self._blender()(lumas, self._as_tensor(self.upload(motion.apart)), share)
        planes = []
        for i in range(len(first)):
            sx, sy = self.geometry.step(i)
            # Of chroma: the mean of the weights of its luma samples.
            w = weights if (sx, sy) == (1, 1) else F.avg_pool2d(weights[None], (sy, sx), ceil_mode=True)[0]
            plane = torch.stack([self._as_tensor(account[i]) for account in accounts]).mul_(w).sum(0)
            planes.append(self._as_array(plane + correction if i == 0 else plane).clip(0, PEAK))
        apart = accounts[0][0] - accounts[1][0]
        return Content(tuple(planes), apart, self._zeros(self.geometry.shapes[0]))

    def accounts(
        self, first: tuple[Array, ...], second: tuple[Array, ...], motion: Motion, share: float
    ) -> list[tuple[Array, ...]]:
        """Both pictures at the time `share` of the way: along the mean motion, and each along the flow from itself.

        The latter, as if that flow held for the points at the places it reaches, and read bilinearly: wrong in other
        places, and less noisy.
        """
        ways = (
            (first, motion.mean * np.float32(-share), False),
            (second, motion.mean * np.float32(1 - share), False),
            (first, motion.forward * np.float32(-share), True),
            (second, motion.backward * np.float32(share - 1), True),
        )
        return [self._warp_all(planes, self._positions(v, flow=True), linear) for planes, v, linear in ways]

    def _blender(self) -> Blender:
        if self._blender_there is None:
            self._blender_there = Blender(self.device)
        return self._blender_there

    def load(self, config: ModelConfig, symbols: SegmentSymbols) -> Network | None:
        """A segment's network on the renderer's device; None for a segment without."""
        if symbols.weights is None:
            return None
        return Network(self.geometry, config, symbols, device=self.device, dtype=self.network_type)

    def synthesise(
        self, network: Network | None, content: Content[Array], latent: npt.NDArray[np.float32]
    ) -> tuple[Array, ...]:
        """The picture: content plus the network's correction for a latent [latent_dim], clipped to the sample range."""
        planes = content.planes
        if network is not None:
            z = self._as_tensor(self.upload(latent))
            apart = None if content.apart is None else self._as_tensor(content.apart)
            correction = network([self._as_tensor(p) for p in planes], apart, self._as_tensor(content.residual), z)
            planes = tuple(p + self._as_array(c) for p, c in zip(planes, correction, strict=True))
        return tuple(p.clip(0, PEAK) for p in planes)

    def _positions(self, vectors: npt.NDArray, *, flow: bool = False) -> dict[tuple[int, int], Array]:
        """For each step: [rows, columns, 2] where the samples of such a plane read along motion vectors.

        `flow`: along vectors DENSITY samples apart and interpolated in between, and not those of cells.
        """
        at: dict[tuple[int, int], Array] = {}
        for step, samples in self._samples.items():
            nodes = to_samples(vectors, step)
            at[step] = (self._dense(nodes, DENSITY, step) if flow else self._blocks(nodes, step)) + samples
        return at

    def _warp_all(
        self, planes: Sequence[Array], at: dict[tuple[int, int], Array], linear: bool = False
    ) -> tuple[Array, ...]:
        return tuple(self._warp(plane, at[self.geometry.step(i)], linear) for i, plane in enumerate(planes))

    def _residual(self, sizes: npt.NDArray[np.uint8], levels: SparseLevels, step: float) -> Array:
        """[planes, rows, columns] of a group: inverse transforms of the blocks that hold anything."""
        planes, rows, columns = levels.shape
        out = self._zeros(levels.shape)
        for blocks in occupied(sizes, levels):
            n, basis = blocks.size, self._bases[blocks.size]
            coefficients = self._zeros((blocks.place.shape[1], n, n))
            coefficients.reshape(-1)[self.upload(blocks.index)] = self.upload(coefficients_of(blocks.value, step))
            plane, row, column = self.upload(blocks.place)
            cells = out.reshape(planes, rows // n, n, columns // n, n).swapaxes(2, 3)
            cells[plane, row, column] = basis.T @ coefficients @ basis
        return out

    def fetch(self, array: Array) -> Floats:
        """An array of the device, on the host."""
        return self._as_tensor(array).cpu().numpy()

    # What each kind of array needs of its own.

    @abstractmethod
    def upload(self, array: npt.NDArray) -> Array:
        """An array of the host, on the device."""

    @abstractmethod
    def _zeros(self, shape: tuple[int, ...]) -> Array: ...

    @abstractmethod
    def _dense(self, nodes: npt.NDArray, spacing: int, step: tuple[int, int]) -> Array:
        """Node values [rows, columns(, c)] of the host, `spacing` luma samples apart, at every sample of a plane."""

    @abstractmethod
    def _blocks(self, nodes: npt.NDArray, step: tuple[int, int]) -> Array:
        """Values of motion nodes [rows, columns, c] of the host, the same at every sample of a plane in their cells."""

    @abstractmethod
    def _warp(self, plane: Array, at: Array, linear: bool = False) -> Array:
        """Samples of a plane at positions [rows, columns, 2] (x, y): bicubic or bilinear; outside, the nearest edge
        sample."""

    @abstractmethod
    def _deblock(self, plane: Array, left: Floats, above: Floats, most: float, uneven: float) -> Array:
        """A plane smoothed by `deblock.smooth` across its left edges, then its upper ones; the plane may be reused."""

    @abstractmethod
    def _as_tensor(self, array: Array) -> torch.Tensor: ...

    @abstractmethod
    def _as_array(self, tensor: torch.Tensor) -> Array: ...

    @abstractmethod
    def view(self, planes: tuple[Array, ...], view: View, info: VideoInfo) -> tuple[Array, ...]:
        """The planes of `view`, each at the size that the chroma format gives it; `info`: of the video."""

    @abstractmethod
    def download(self, planes: tuple[Array, ...], info: VideoInfo) -> tuple[Plane, ...]:
        """Integer planes on the host, rounded to nearest, in the format and the size that `info` states."""

    @abstractmethod
    def rgb(self, planes: tuple[Array, ...], info: VideoInfo) -> torch.Tensor:
        """[3, height, width] uint8 or uint16 on the device: `licodec.video.colour.to_rgb` of `download`."""
