"""What is shown between two pictures, from four accounts of it.

Each of the two pictures is carried to the time asked for in two ways (see `Renderer.between`). They are right in
different places: a small network says how much each one counts, sample by sample, and adds a correction of luma. It was
trained on pieces of pictures that move over one another, coded by licodec (`benchmarks/train_rendering.py`: none of the
benchmark suite). It is shipped with the codec, and nothing in a file depends on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files

import torch
import torch.nn.functional as F
from safetensors.torch import load
from torch import Tensor

from licodec.render.network import without_tf32
from licodec.render.window import BLENDER_CELL

_FILE = "blender.safetensors"
ACCOUNTS = 4
"""The first and the second picture along the mean flow, then along the flow that starts at each."""
INPUTS, OUTPUTS = 4 * ACCOUNTS + 2, 4 * ACCOUNTS + 4
"""Channels for each 2 x 2 samples of luma: accounts, how far the flows are apart, the time; weights and correction."""
_MIDDLE, _INPUT_SCALE, _OUTPUT_SCALE = 128.0, 1 / 64, 16.0
_APART, _APART_SCALE = 16.0, 1 / 4
_SLOPE = 0.1

Layers = Sequence[tuple[Tensor, Tensor]]
"""(kernel [outputs, inputs, 3, 3], bias) of the seven layers."""


class Blender:
    """The shipped network on a device."""

    def __init__(self, device: torch.device) -> None:
        weights = {name: w.to(device) for name, w in shipped().items()}
        self._layers = [
            (weights[f"{i}.weight"].contiguous(memory_format=torch.channels_last), weights[f"{i}.bias"])
            for i in range(len(weights) // 2)
        ]

    def __call__(self, lumas: Sequence[Tensor], apart: Tensor, share: float) -> tuple[Tensor, Tensor]:
        """([4, rows, columns] weights that sum to 1, [rows, columns] correction of luma).

        Args:
            lumas: the accounts, [rows, columns] each, on the 8-bit scale.
            apart: [rows / 2, columns / 2], rounded up, how far the two flows are apart, in luma samples.
            share: of the way from the first picture to the second, between 0 and 1.
        """
        rows, columns = lumas[0].shape
        missing = (0, -columns % BLENDER_CELL, 0, -rows % BLENDER_CELL)
        accounts = F.pad(torch.stack(list(lumas))[None], missing, mode="replicate")
        half = [length // 2 for length in accounts.shape[2:]]
        missing = (0, half[1] - apart.shape[1], 0, half[0] - apart.shape[0])
        apart = F.pad(apart[None, None], missing, mode="replicate")
        with torch.inference_mode(), without_tf32():
            # Filled there: a copy would wait for the device.
            time = torch.full((1,), share, dtype=torch.float32, device=apart.device)
            weights, correction = blend(self._layers, F.pixel_unshuffle(accounts, 2), apart, time)
            weights = F.pixel_shuffle(weights.flatten(1, 2), 2)[0, :, :rows, :columns]
            return weights, F.pixel_shuffle(correction, 2)[0, 0, :rows, :columns]


def blend(layers: Layers, accounts: Tensor, apart: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    """[n, 4, 4, h, w] weights of each account at the four samples of each place, [n, 4, h, w] correction.

    `accounts`: [n, 16, h, w], the four samples of the first, of the second and so on; `apart`: [n, 1, h, w];
    `share`: [n].
    """
    n, _, h, w = accounts.shape
    times = share.view(n, 1, 1, 1)
    distance = apart.clamp(max=_APART) * _APART_SCALE
    x = torch.cat([(accounts - _MIDDLE) * _INPUT_SCALE, distance, (2 * times - 1).expand(n, 1, h, w)], 1)
    x = _layer(layers[0], x.contiguous(memory_format=torch.channels_last))
    # What lies around decides what is in front: two layers at half of that density see 30 samples far.
    y = _layer(layers[3], _layer(layers[2], _layer(layers[1], x, stride=2)))
    y = _layer(layers[4], y, rectified=False)
    x = F.leaky_relu(x + F.interpolate(y, size=(h, w), mode="nearest"), _SLOPE)
    x = _layer(layers[6], _layer(layers[5], x), rectified=False)
    # Without the network: the mean of both ways, each picture counting by how near its time is.
    prior = torch.stack([torch.log(1 - share), torch.log(share)] * 2, 1).view(n, ACCOUNTS, 1, 1, 1)
    weights = torch.softmax(x[:, : 4 * ACCOUNTS].unflatten(1, (ACCOUNTS, 4)) + prior, 1)
    return weights, _OUTPUT_SCALE * x[:, 4 * ACCOUNTS :]


def _layer(layer: tuple[Tensor, Tensor], x: Tensor, stride: int = 1, rectified: bool = True) -> Tensor:
    x = F.conv2d(x, *layer, stride=stride, padding=1)
    return F.leaky_relu(x, _SLOPE) if rectified else x


@lru_cache(maxsize=1)
def shipped() -> dict[str, Tensor]:
    """Kernels and biases in the package: `0.weight`, `0.bias` and so on."""
    return load((files("licodec.render") / _FILE).read_bytes())
