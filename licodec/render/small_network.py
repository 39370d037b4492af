"""The small convolutional networks that are shipped with the renderer. Nothing in a file depends on them."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

import torch
import torch.nn.functional as F
from safetensors.torch import load
from torch import Tensor

_SLOPE = 0.1
"""Of the rectifiers below zero."""

Layers = list[tuple[Tensor, Tensor]]
"""(kernel [outputs, inputs, side, side], bias) of each layer."""


def layers_of(name: str, device: str) -> Layers:
    """The layers of a shipped network on a device."""
    weights = {key: tensor.to(device) for key, tensor in _shipped(name).items()}
    return [
        (weights[f"{i}.weight"].contiguous(memory_format=torch.channels_last), weights[f"{i}.bias"])
        for i in range(len(weights) // 2)
    ]


@lru_cache
def _shipped(name: str) -> dict[str, Tensor]:
    """Kernels and biases in the package: `0.weight` [outputs, inputs, rows, columns], `0.bias` and so on."""
    return load((files("licodec.render") / f"{name}.safetensors").read_bytes())


def convolved(layers: Layers, x: Tensor) -> Tensor:
    """What layers without padding make of [n, inputs, h, w]; rectified between them."""
    x = x.contiguous(memory_format=torch.channels_last)
    for i, layer in enumerate(layers):
        x = F.conv2d(x, *layer)
        x = F.leaky_relu(x, _SLOPE) if i + 1 < len(layers) else x
    return x
