"""The steps of rendering with compiled loops and OpenCV on the CPU: the reference. Its twin is `torch_renderer`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from licodec.model.config import ModelConfig
from licodec.model.geometry import BLEND, PEAK, Floats, Planes, from_working
from licodec.model.motion import NODE, UNIT, Field, Vectors
from licodec.model.symbols import NetworkSymbols
from licodec.render import bidirectional, cells, kernels
from licodec.render.compiled_network import CompiledNetwork
from licodec.render.deblock import smooth
from licodec.render.loop_filter import filtered
from licodec.render.renderer import FIRST_SHARE, Content, Renderer
from licodec.render.resample import View, view_planes
from licodec.render.warp import dense, phase_weights, warp
from licodec.render.window import Window
from licodec.video import colour
from licodec.video.info import Plane, VideoInfo

if TYPE_CHECKING:
    import torch


class NumpyRenderer(Renderer[Floats]):
    """Renders on the CPU, into NumPy arrays."""

    device = "cpu"
    one_by_one = False

    def upload(self, array: npt.NDArray) -> Floats:
        return array

    def fetch(self, array: Floats) -> Floats:
        return array

    def _zeros(self, shape: tuple[int, ...]) -> Floats:
        return np.zeros(shape, np.float32)

    def _empty(self, shape: tuple[int, ...]) -> Floats:
        return np.empty(shape, np.float32)

    def _dense(self, nodes: npt.NDArray, spacing: int, step: tuple[int, int], part: tuple[slice, slice]) -> Floats:
        rows, columns = part
        return dense(nodes, (rows.stop, columns.stop), (spacing // step[0], spacing // step[1]))[rows, columns]

    def _warp(self, plane: Floats, at: Floats, linear: bool = False) -> Floats:
        return warp(plane, at, linear)

    def _follow(self, planes: Planes, vectors: Vectors, window: Window) -> Planes:
        steps = [self.geometry.step(i) for i in range(len(planes))]
        return tuple(follow(plane, vectors, step, window.of(step)) for plane, step in zip(planes, steps, strict=True))

    def _part(self, plane: Floats, part: tuple[slice, slice]) -> Floats:
        return np.ascontiguousarray(plane[part])

    def _refined(
        self,
        references: Sequence[Planes],
        fields: Sequence[Field],
        first: Planes,
        second: Planes,
        blend: npt.NDArray[np.uint8],
        window: Window,
    ) -> tuple[Planes, Planes]:
        luma, vectors = (references[0][0], references[1][0]), (fields[0].vectors, fields[1].vectors)
        bidirectional.refined(luma, vectors, first[0], second[0], blend, (window.top, window.left))
        return first, second

    def _blended(
        self, first: Planes, second: Planes, blend: npt.NDArray[np.uint8], window: Window
    ) -> tuple[Floats, Planes]:
        for i, planes in enumerate(zip(first, second, strict=True)):
            (sx, sy), (rows, columns) = self.geometry.step(i), window.of(self.geometry.step(i))
            kernels.blend(*planes, FIRST_SHARE[blend], (BLEND // sx, BLEND // sy), (rows.start, columns.start))
        return first[0], second

    def _add(self, plane: Floats, other: Floats) -> Floats:
        out = np.empty(plane.shape, np.float32)
        kernels.add(plane, other, PEAK, out)
        return out

    def _deblock(self, plane: Floats, left: Floats, above: Floats, most: float, uneven: float) -> Floats:
        smooth(plane, left, most, uneven)
        smooth(plane.T, above.T, most, uneven)
        return plane

    def _filter(self, plane: Floats, weights: Floats, most: float) -> Floats:
        return filtered(plane, weights, most)

    def _weighed(self, accounts: Sequence[Floats], weights: torch.Tensor, step: tuple[int, int]) -> Floats:
        out = np.zeros(accounts[0].shape, np.float32)
        for plane, weight in zip(accounts, weights.numpy(), strict=True):
            kernels.add_weighed(plane, weight, step, out)
        return np.clip(out, 0, PEAK, out=out)

    def load(self, config: ModelConfig, network: NetworkSymbols) -> CompiledNetwork:
        return CompiledNetwork(self.geometry, config, network)

    def _corrected(
        self, network: Any, content: Content[Floats], latent: npt.NDArray[np.float32], window: Window
    ) -> Planes:
        corrected: Planes = network(content.planes, content.apart, content.residual, latent, window)
        return corrected

    def _as_tensor(self, array: Floats) -> torch.Tensor:
        import torch

        return torch.from_numpy(array)

    def view(self, planes: Planes, view: View, info: VideoInfo) -> Planes:
        return view_planes(planes, view, info)

    def download(self, planes: Planes, info: VideoInfo) -> tuple[Plane, ...]:
        return _codes(planes, info)

    def rgb(self, planes: Planes, info: VideoInfo) -> torch.Tensor:
        import torch

        picture = colour.to_rgb(_codes(planes, info), info)
        return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))


def _codes(planes: Planes, info: VideoInfo) -> tuple[Plane, ...]:
    if info.chroma == "rgb":
        return from_working(planes, info)
    out = []
    for plane in planes:
        out.append(np.empty(plane.shape, info.dtype))
        kernels.codes(plane, 1 << (info.bit_depth - 8), (1 << info.bit_depth) - 1, out[-1])
    return tuple(out)


def follow(plane: Floats, vectors: Vectors, step: tuple[int, int], part: tuple[slice, slice]) -> Floats:
    """A part (rows, columns) of a picture's plane as its reference has it, along the motion vectors of cells.

    A plane as fine as luma is read by Lanczos' kernel, a coarser one, of which a vector has finer fractions, by Keys'.
    """
    (sx, sy), (rows, columns) = step, part
    shape = rows.stop - rows.start, columns.stop - columns.start
    if step == (1, 1):
        return cells.follow(plane, vectors, (rows.start, columns.start), shape)
    out = np.empty(shape, np.float32)
    lines = np.empty((NODE // sy + 3, out.shape[1]), np.float32)
    weights = phase_weights(UNIT * sx), phase_weights(UNIT * sy)
    kernels.warp(plane, vectors, weights, (NODE // sx, NODE // sy), (rows.start, columns.start), lines, out)
    return out
