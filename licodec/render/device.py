"""The renderer for a device."""

from __future__ import annotations

from typing import Any

from licodec.model.geometry import Geometry
from licodec.render.numpy_renderer import NumpyRenderer
from licodec.render.renderer import Renderer
from licodec.runtime import load_torch


def open_renderer(geometry: Geometry, device: str = "cpu", *, exact: bool = True, fused: bool = False) -> Renderer[Any]:
    """The renderer that serves a device (cpu, cuda or cuda:n).

    `exact`: float32 throughout. Otherwise the synthesis network computes in half precision on a GPU. (bfloat16 was
    tried, on CPUs that have it: a third faster, but its 8 bits are off by up to 0.6 code values.) `fused`: compile for
    the GPU, see `TorchRenderer`.
    """
    if device == "cpu":
        return NumpyRenderer(geometry)
    load_torch()
    import torch

    from licodec.render.torch_renderer import TorchRenderer

    return TorchRenderer(geometry, device, torch.float32 if exact else torch.float16, fused=fused)
