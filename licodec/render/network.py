"""The synthesis network of a segment at work on one picture, on any device.

The same function as `licodec.model.synthesis.apply` on what `network_input` packs, laid out for speed: channels
last (twice as fast as channels first on a CPU), no grouped convolution, no copy through the host.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F

from licodec.model import synthesis
from licodec.model.config import ModelConfig
from licodec.model.geometry import Geometry
from licodec.model.symbols import SegmentSymbols
from licodec.model.synthesis import INPUT_SCALE, OUTPUT_SCALE


@contextmanager
def _without_tf32() -> Iterator[None]:
    """float32 means float32: left alone, cuDNN takes TF32 for it, with its 10 bits."""
    convolutions = torch.backends.cudnn.conv  # type: ignore[attr-defined]
    before = convolutions.fp32_precision
    convolutions.fp32_precision = "ieee"
    try:
        yield
    finally:
        convolutions.fp32_precision = before


class Network:
    """The modulated network with a segment's dequantised weights."""

    def __init__(
        self,
        geometry: Geometry,
        config: ModelConfig,
        symbols: SegmentSymbols,
        *,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        assert symbols.weights is not None
        self._geometry, self._rank, self._dtype = geometry, config.rank, dtype
        self._layers = synthesis.layer_shapes(geometry, config)
        self._weights = [w.to(device) for w in synthesis.dequantise(symbols.weights, symbols.weight_steps)]
        rows, columns = geometry.shapes[0]
        self._half = (-(-rows // 2), -(-columns // 2))
        self._phases = torch.from_numpy(synthesis.phases(self._half)).to(device)

    def __call__(
        self,
        planes: Sequence[torch.Tensor],
        apart: torch.Tensor | None,
        residual: torch.Tensor,
        latent: torch.Tensor,
    ) -> list[torch.Tensor]:
        """[rows, columns] correction of each plane, for a content (see `Content`) and a latent [latent_dim]."""
        factors = synthesis.modulations(self._weights, latent[None], self._layers, self._rank)
        x = self._input(planes, apart, residual)
        with _without_tf32():
            for i, factor in enumerate(factors):
                kernel, bias = self._weights[6 * i], self._weights[6 * i + 1]
                x = F.conv2d(x, (kernel * factor[0, ..., None, None]).to(x.dtype), bias.to(x.dtype), padding=1)
                x = F.relu_(x) if i + 1 < len(factors) else x
        return self._unfold(x[0].float() * OUTPUT_SCALE)

    def _input(
        self, planes: Sequence[torch.Tensor], apart: torch.Tensor | None, residual: torch.Tensor
    ) -> torch.Tensor:
        """[1, inputs, h, w] channels last."""
        content = torch.cat([self._fold(plane, self._geometry.step(i)) for i, plane in enumerate(planes)])
        rest = self._fold(residual, (1, 1))
        disagreement = torch.zeros_like(rest) if apart is None else self._fold(apart, (1, 1)).abs()
        x = torch.cat([content - 128, disagreement, rest]) * INPUT_SCALE
        x = torch.cat([x, self._phases])[None]
        return x.contiguous(memory_format=torch.channels_last).to(self._dtype)

    def _fold(self, plane: torch.Tensor, step: tuple[int, int]) -> torch.Tensor:
        """[samples, h, w]: the samples of each 2 x 2 luma square; odd edges repeat."""
        (h, w), fx, fy = self._half, 2 // step[0], 2 // step[1]
        missing = (0, w * fx - plane.shape[1], 0, h * fy - plane.shape[0])
        if any(missing):
            plane = F.pad(plane[None], missing, mode="replicate")[0]
        return plane.reshape(h, fy, w, fx).permute(1, 3, 0, 2).reshape(fy * fx, h, w)

    def _unfold(self, packed: torch.Tensor) -> list[torch.Tensor]:
        """The planes that [content, h, w] holds."""
        (h, w), out = self._half, []
        steps = [self._geometry.step(i) for i in range(len(self._geometry.shapes))]
        counts = [4 // (sx * sy) for sx, sy in steps]
        for part, (sx, sy), (rows, columns) in zip(packed.split(counts), steps, self._geometry.shapes, strict=True):
            fx, fy = 2 // sx, 2 // sy
            plane = part.reshape(fy, fx, h, w).permute(2, 0, 3, 1).reshape(h * fy, w * fx)
            out.append(plane[:rows, :columns])
        return out
