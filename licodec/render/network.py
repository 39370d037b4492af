"""The synthesis network in torch: in training, and at work on one picture on any device.

The same input as `licodec.model.synthesis.network_input` packs, without a copy through the host. What renders on the
CPU is `licodec.render.compiled_network`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F

from licodec.model import synthesis
from licodec.model.config import ModelConfig
from licodec.model.geometry import Geometry
from licodec.model.symbols import NetworkSymbols
from licodec.model.synthesis import INPUT_SCALE, OUTPUT_SCALE
from licodec.render.window import Window


@contextmanager
def without_tf32() -> Iterator[None]:
    """float32 means float32: left alone, cuDNN takes TF32 for it, with its 10 bits, and a user may let cuBLAS do so."""
    parts: Any = (torch.backends.cudnn.conv, torch.backends.cuda.matmul)  # type: ignore[attr-defined]
    before = [part.fp32_precision for part in parts]
    for part in parts:
        part.fp32_precision = "ieee"
    try:
        yield
    finally:
        for part, precision in zip(parts, before, strict=True):
            part.fp32_precision = precision


def apply(parameters: Sequence[torch.Tensor], factors: Sequence[torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """[crops, inputs, h, w] of one frame to its correction [crops, content, h, w], over OUTPUT_SCALE, in x's dtype.

    Channels last is twice as fast as channels first on a CPU.
    """
    for i, factor in enumerate(factors):
        kernel, bias = parameters[6 * i : 6 * i + 2]
        x = F.conv2d(x, (kernel * factor[..., None, None]).to(x.dtype), bias.to(x.dtype), padding=1)
        x = F.relu_(x) if i + 1 < len(factors) else x
    return x


class Network:
    """The modulated network with a segment's dequantised weights."""

    def __init__(
        self,
        geometry: Geometry,
        config: ModelConfig,
        network: NetworkSymbols,
        *,
        device: str,
        dtype: torch.dtype,
    ) -> None:
        self._geometry, self._rank, self._dtype = geometry, config.rank, dtype
        self._layers = synthesis.layer_shapes(geometry, config)
        self._weights = [torch.from_numpy(w).to(device) for w in synthesis.dequantise(network.weights, network.steps)]
        rows, columns = geometry.shapes[0]
        self._half = (-(-rows // 2), -(-columns // 2))
        self._phases = torch.from_numpy(synthesis.phases(self._half)).to(device)
        self._whole = Window.whole(geometry)

    def __call__(
        self,
        planes: Sequence[torch.Tensor],
        apart: torch.Tensor | None,
        residual: torch.Tensor,
        latent: torch.Tensor,
        window: Window | None = None,
    ) -> list[torch.Tensor]:
        """[rows, columns] correction of each plane, for a content (see `Content`) and a latent [latent_dim].

        window: where it is wanted (default: everywhere).
        """
        window = window or self._whole
        around = window.read_by_network(self._geometry)
        x = self._pack(planes, apart, residual, around)
        factors = synthesis.modulations(self._weights, latent, self._layers, self._rank, torch.tanh)
        with without_tf32():
            packed = apply(self._weights, factors, x)
        return self._unpack(packed[0].float() * OUTPUT_SCALE, window.within(around))

    def _pack(
        self, planes: Sequence[torch.Tensor], apart: torch.Tensor | None, residual: torch.Tensor, window: Window
    ) -> torch.Tensor:
        """[1, inputs, h, w] of a window, channels last."""
        content = torch.cat([self._fold(plane, self._geometry.step(i), window) for i, plane in enumerate(planes)])
        rest = self._fold(residual, (1, 1), window)
        disagreement = torch.zeros_like(rest) if apart is None else self._fold(apart, (1, 1), window).abs()
        x = torch.cat([content - 128, disagreement, rest]) * INPUT_SCALE
        x = torch.cat([x, self._phases[:, *window.of((2, 2))]])[None]
        return x.contiguous(memory_format=torch.channels_last).to(self._dtype)

    def _fold(self, plane: torch.Tensor, step: tuple[int, int], window: Window) -> torch.Tensor:
        """[samples, h, w]: the samples of each 2 x 2 luma square of a window; odd edges repeat."""
        (h, w), fx, fy = window.shape((2, 2)), 2 // step[0], 2 // step[1]
        plane = plane[window.of(step)]
        missing = (0, w * fx - plane.shape[1], 0, h * fy - plane.shape[0])
        if any(missing):
            plane = F.pad(plane[None], missing, mode="replicate")[0]
        return plane.reshape(h, fy, w, fx).permute(1, 3, 0, 2).reshape(fy * fx, h, w)

    def _unpack(self, packed: torch.Tensor, window: Window) -> list[torch.Tensor]:
        """A window of the planes that [content, h, w] holds."""
        (h, w), out = packed.shape[1:], []
        steps = [self._geometry.step(i) for i in range(len(self._geometry.shapes))]
        counts = [4 // (sx * sy) for sx, sy in steps]
        for part, (sx, sy) in zip(packed.split(counts), steps, strict=True):
            fx, fy = 2 // sx, 2 // sy
            plane = part.reshape(fy, fx, h, w).permute(2, 0, 3, 1).reshape(h * fy, w * fx)
            out.append(plane[window.of((sx, sy))])
        return out
