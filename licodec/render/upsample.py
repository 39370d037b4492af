"""Luma at twice the size: read bicubically, and what a small network makes of it.

A frame of a video is what is left of a finer picture after its samples were averaged, and after it was coded. The
network was shown such frames beside the pictures they came from (`benchmarks/train_upsampler.py`: none of the benchmark
suite). It is shipped with the codec, and nothing in a file depends on it.

Whatever part of a picture is asked for, it is computed in the same tiles, so that the same samples come out.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files

import torch
import torch.nn.functional as F
from safetensors.torch import load
from torch import Tensor

from licodec.render.network import _without_tf32

_FILE = "upsampler.safetensors"
_MIDDLE, _INPUT_SCALE, OUTPUT_SCALE = 128.0, 1 / 64, 16.0
_SLOPE = 0.1
"""Of the rectifiers below zero."""
TILE = 128
"""Samples a side of the tiles on a CPU: what a layer makes of one stays in the second-level cache."""
_TILE_ON_DEVICE = 1024
_REACH = 2
"""Samples on each side that bicubic reading at twice the size looks at."""


Layers = Sequence[tuple[Tensor, Tensor]]
"""(kernel [outputs, inputs, side, side], bias) of each layer."""


class Upsampler:
    """The shipped network on a device."""

    def __init__(self, device: torch.device) -> None:
        self.tile = TILE if device.type == "cpu" else _TILE_ON_DEVICE
        weights = {name: w.to(device) for name, w in shipped().items()}
        self._layers = [
            (weights[f"{i}.weight"].contiguous(memory_format=torch.channels_last), weights[f"{i}.bias"])
            for i in range(len(weights) // 2)
        ]
        self.reach = sum(kernel.shape[-1] // 2 for kernel, _ in self._layers)
        """Samples on each side that a sample depends on."""
        self._bicubic = bicubic().to(device)

    def __call__(self, luma: Tensor, part: tuple[slice, slice]) -> Tensor:
        """[2 rows, 2 columns] of a part (rows, columns) of a luma plane on the 8-bit scale; not clipped.

        Sample (2 y + j, 2 x + i) of the result lies at (y + (2 j - 1) / 4, x + (2 i - 1) / 4) of the part. Beyond the
        plane the nearest edge sample counts.
        """
        rows, columns = part
        out = torch.empty((2 * (rows.stop - rows.start), 2 * (columns.stop - columns.start)), device=luma.device)
        for top in range(rows.start // self.tile * self.tile, rows.stop, self.tile):
            for left in range(columns.start // self.tile * self.tile, columns.stop, self.tile):
                made = self._doubled(self._around(luma, top, left))
                y, x = max(top, rows.start), max(left, columns.start)
                bottom, right = min(top + self.tile, rows.stop), min(left + self.tile, columns.stop)
                out[
                    2 * (y - rows.start) : 2 * (bottom - rows.start),
                    2 * (x - columns.start) : 2 * (right - columns.start),
                ] = made[2 * (y - top) : 2 * (bottom - top), 2 * (x - left) : 2 * (right - left)]
        return out

    def _around(self, luma: Tensor, top: int, left: int) -> Tensor:
        """[1, 1, h, w] a tile and what its samples depend on: always of the same size."""
        across = torch.arange(-self.reach, self.tile + self.reach, device=luma.device)
        rows, columns = (
            (across + start).clip_(0, size - 1) for start, size in zip((top, left), luma.shape, strict=True)
        )
        return luma[rows[:, None], columns][None, None]

    def _doubled(self, x: Tensor) -> Tensor:
        inner = slice(self.reach - _REACH, x.shape[-1] - self.reach + _REACH)
        with torch.inference_mode(), _without_tf32():
            plain = F.conv2d(x[:, :, inner, inner], self._bicubic)
            return F.pixel_shuffle(plain + correction(self._layers, x), 2)[0, 0]


def correction(layers: Layers, luma: Tensor) -> Tensor:
    """[n, 4, h, w] what is added to the four samples that bicubic reading makes of each of luma [n, 1, h', w'], where
    h' and w' are larger by what the layers look at around a sample."""
    x = ((luma - _MIDDLE) * _INPUT_SCALE).contiguous(memory_format=torch.channels_last)
    for i, layer in enumerate(layers):
        x = F.conv2d(x, *layer)
        x = F.leaky_relu(x, _SLOPE) if i + 1 < len(layers) else x
    return x * OUTPUT_SCALE


@lru_cache(maxsize=1)
def shipped() -> dict[str, Tensor]:
    """Kernels and biases in the package: `0.weight` [outputs, inputs, rows, columns], `0.bias` and so on."""
    return load((files("licodec.render") / _FILE).read_bytes())


def bicubic() -> Tensor:
    """[4, 1, 5, 5] the kernel that pictures are read with (Keys, a = -3/4), at the four places in a sample."""
    distance = torch.arange(-2, 3) - torch.tensor([[-0.25], [0.25]])
    d = distance.abs()
    near = 1.25 * d**3 - 2.25 * d**2 + 1
    far = -0.75 * d**3 + 3.75 * d**2 - 6 * d + 3
    taps = torch.where(d <= 1, near, torch.where(d < 2, far, 0.0))
    return torch.einsum("jy,ix->jiyx", taps, taps).reshape(4, 1, 5, 5)
