"""The steps of rendering with NumPy and OpenCV on the CPU: the reference. Its twin is `torch_renderer`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from licodec.model.geometry import Floats, Planes, from_working
from licodec.model.motion import NODE
from licodec.render.deblock import smooth
from licodec.render.renderer import Renderer
from licodec.render.resample import View, view_planes
from licodec.render.warp import blocks, dense, warp
from licodec.video import colour
from licodec.video.info import Plane, VideoInfo


class NumpyRenderer(Renderer[Floats]):
    """Renders on the CPU, into NumPy arrays."""

    device = torch.device("cpu")

    def upload(self, array: npt.NDArray) -> Floats:
        return array

    def _zeros(self, shape: tuple[int, ...]) -> Floats:
        return np.zeros(shape, np.float32)

    def _dense(self, nodes: npt.NDArray, spacing: int, step: tuple[int, int]) -> Floats:
        return dense(nodes, self._shapes[step], (spacing // step[0], spacing // step[1]))

    def _blocks(self, nodes: npt.NDArray, step: tuple[int, int]) -> Floats:
        return blocks(nodes, self._shapes[step], (NODE // step[0], NODE // step[1]))

    def _warp(self, plane: Floats, at: Floats, linear: bool = False) -> Floats:
        return warp(plane, at, linear)

    def _deblock(self, plane: Floats, left: Floats, above: Floats, most: float, uneven: float) -> Floats:
        smooth(plane, left, most, uneven)
        smooth(plane.T, above.T, most, uneven)
        return plane

    def _as_tensor(self, array: Floats) -> torch.Tensor:
        return torch.from_numpy(array)

    def _as_array(self, tensor: torch.Tensor) -> Floats:
        return tensor.numpy()

    def view(self, planes: Planes, view: View, info: VideoInfo) -> Planes:
        return view_planes(planes, view, info)

    def download(self, planes: Planes, info: VideoInfo) -> tuple[Plane, ...]:
        return from_working(planes, info)

    def rgb(self, planes: Planes, info: VideoInfo) -> torch.Tensor:
        picture = colour.to_rgb(from_working(planes, info), info)
        return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))
