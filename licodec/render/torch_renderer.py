"""The steps of rendering with PyTorch on any device, to which only symbols go. Its twin is `numpy_renderer`.

Bicubic reading is the same function in both (a = -3/4, edges repeated), positions and vectors are exact in
float32 up to the normalisation that `grid_sample` wants: planes agree to about 0.001 on the 8-bit scale.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from licodec.model.cosine import CELL
from licodec.model.geometry import PEAK, Geometry
from licodec.model.motion import NODE
from licodec.render import colour
from licodec.render.deblock import WINDOW
from licodec.render.renderer import Renderer
from licodec.render.resample import Sampling, Taps, View, samplings
from licodec.render.upsample import Upsampler
from licodec.video.info import Plane, VideoInfo


class TorchRenderer(Renderer[Tensor]):
    """Renders on a device, into tensors."""

    def __init__(self, geometry: Geometry, device: str, network_type: torch.dtype = torch.float32) -> None:
        self.device, self.network_type = torch.device(device), network_type
        self._halves: dict[torch.Size, Tensor] = {}
        self._upsampler = Upsampler(self.device)
        super().__init__(geometry)

    def upload(self, array: npt.NDArray) -> Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        # From pinned memory the copy waits for nothing that the device is still busy with.
        tensor = tensor.pin_memory() if self.device.type == "cuda" else tensor
        return tensor.to(self.device, non_blocking=True)

    def _zeros(self, shape: tuple[int, ...]) -> Tensor:
        return torch.zeros(shape, device=self.device)

    def _dense(self, nodes: npt.NDArray, spacing: int, step: tuple[int, int]) -> Tensor:
        rows, columns = self._shapes[step]
        size = (nodes.shape[0] * spacing // step[1], nodes.shape[1] * spacing // step[0])
        channels = self.upload(nodes.reshape(*nodes.shape[:2], -1)).permute(2, 0, 1)[None]
        full = F.interpolate(channels, size, mode="bilinear", align_corners=False)[0, :, :rows, :columns]
        return full.permute(1, 2, 0).reshape(rows, columns, *nodes.shape[2:])

    def _blocks(self, nodes: npt.NDArray, step: tuple[int, int]) -> Tensor:
        rows, columns = self._shapes[step]
        across = self.upload(nodes).repeat_interleave(NODE // step[0], 1)
        return across.repeat_interleave(NODE // step[1], 0)[:rows, :columns]

    def _warp(self, plane: Tensor, at: Tensor, linear: bool = False) -> Tensor:
        if plane.shape not in self._halves:
            last = np.array([plane.shape[1] - 1, plane.shape[0] - 1], np.float32)
            self._halves[plane.shape] = self.upload(2 / np.maximum(last, 1))
        source, grid = plane[None, None], (at * self._halves[plane.shape] - 1)[None]
        mode = "bilinear" if linear else "bicubic"
        return F.grid_sample(source, grid, mode=mode, padding_mode="border", align_corners=True)[0, 0]

    def _deblock(self, plane: Tensor, left: npt.NDArray, above: npt.NDArray, most: float, uneven: float) -> Tensor:
        plane = _smooth(plane, self.upload(left), most, uneven)
        return _smooth(plane.T, self.upload(above).T, most, uneven).T

    def _as_tensor(self, array: Tensor) -> Tensor:
        return array

    def _as_array(self, tensor: Tensor) -> Tensor:
        return tensor

    def view(self, planes: tuple[Tensor, ...], view: View, info: VideoInfo) -> tuple[Tensor, ...]:
        if view.is_native(info):
            return planes
        return tuple(self._read(plane, s) for plane, s in zip(planes, samplings(view, info), strict=True))

    def _read(self, plane: Tensor, sampling: Sampling) -> Tensor:
        rows, columns = sampling.rows, sampling.columns
        plane = self._upsampler(plane, sampling.doubled) if sampling.doubled else plane
        plane = self._taps(rows.mean).of_rows(plane) if rows.mean else plane
        plane = self._taps(columns.mean).of_columns(plane) if columns.mean else plane
        if not sampling.between:
            return plane
        if samples := sampling.samples(plane.shape):
            return plane[samples].clip(0, PEAK)
        out = torch.empty((len(rows.positions), len(columns.positions)), device=self.device)
        at_columns = self.upload(columns.positions)
        for band, at_rows in sampling.bands():
            at = torch.meshgrid(self.upload(at_rows), at_columns, indexing="ij")
            out[band] = self._warp(plane, torch.stack(at[::-1], dim=-1))
        return out.clip_(0, PEAK)

    def _taps(self, taps: Taps[npt.NDArray]) -> Taps[Tensor]:
        return Taps(self.upload(taps.index), self.upload(taps.weight))

    def download(self, planes: tuple[Tensor, ...], info: VideoInfo) -> tuple[Plane, ...]:
        return tuple(codes.cpu().numpy() for codes in colour.codes(planes, info))

    def rgb(self, planes: tuple[Tensor, ...], info: VideoInfo) -> Tensor:
        return colour.to_rgb(colour.codes(planes, info), info)


def _smooth(plane: Tensor, strength: Tensor, most: float, uneven: float) -> Tensor:
    """`deblock.smooth` for all edges at once."""
    rows, columns = plane.shape
    half = WINDOW // 2
    edges = (columns - half) // CELL
    if edges < 1:
        return plane
    reach = slice(CELL - half, CELL - half + edges * WINDOW)
    window = plane[:, reach].unflatten(1, (edges, WINDOW))
    p3, p2, p1, p0, q0, q1, q2, q3 = window.unbind(-1)
    s = strength[:, 1 : edges + 1].repeat_interleave(CELL, 0)[:rows]
    t = s * most
    bend_p, bend_q = (p2 - 2 * p1 + p0).abs(), (q2 - 2 * q1 + q0).abs()
    gate = _ramp(bend_p + bend_q, 0.6 * uneven) * (s > 0)
    flat = _ramp(bend_p + bend_q, uneven / 6) * _ramp((p3 - p0).abs() + (q3 - q0).abs(), uneven / 6)
    # Where there is no edge the gate is closed, and this only must not be 0 / 0.
    strong = gate * flat * _ramp((q0 - p0).abs(), 3 * t + (s == 0))
    jump = (9 * (q0 - p0) - 3 * (q1 - p1)) / 16
    weak = (gate - strong) * _ramp(jump.abs(), 12 * t + (s == 0))
    jump = jump.clip(-t, t)
    changes = []
    for a3, a2, a1, a0, b0, b1, bend, move in (
        (p3, p2, p1, p0, q0, q1, bend_p, jump),
        (q3, q2, q1, q0, p0, p1, bend_q, -jump),
    ):
        outer = strong * ((2 * a3 - 5 * a2 + a1 + a0 + b0) / 8).clip(-2 * t, 2 * t)
        middle = strong * ((a2 - 3 * a1 + a0 + b0) / 4).clip(-2 * t, 2 * t)
        middle = middle + weak * _ramp(bend, uneven / 9) * ((a2 - 2 * a1 + a0 + 2 * move) / 4).clip(-t / 2, t / 2)
        inner = strong * ((a2 + 2 * a1 - 6 * a0 + 2 * b0 + b1) / 8).clip(-2 * t, 2 * t) + weak * move
        changes.append([torch.zeros_like(outer), outer, middle, inner])
    change = torch.stack([*changes[0], *changes[1][::-1]], dim=-1)
    out = plane.clone()
    out[:, reach] += change.flatten(1)
    return out


def _ramp(value: Tensor, end: Tensor | float) -> Tensor:
    """As `deblock._ramp`."""
    return (2 - 2 * value / end).clip(0, 1)
