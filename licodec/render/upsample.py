"""Luma at twice the size: read bicubically, and what a small network makes of it.

A frame of a video is what is left of a finer picture after its samples were averaged, and after it was coded. The
network was shown such frames beside the pictures they came from (`benchmarks/train_upsampler.py`: none of the benchmark
suite). It is shipped with the codec, and nothing in a file depends on it.

Whatever part of a picture is asked for, it is computed in the same squares, so that the same samples come out.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from licodec.render.network import without_tf32
from licodec.render.small_network import Layers, convolved, layers_of
from licodec.render.tiles import Squares, surroundings
from licodec.render.window import UPSAMPLER, Window

_MIDDLE, _INPUT_SCALE, OUTPUT_SCALE = 128.0, 1 / 64, 16.0
_SQUARE, _SQUARE_ON_DEVICE = 128, 1024
"""Samples a side of what is worked on at a time: on a CPU what a layer makes of it stays in the second-level cache."""
_REACH = 2
"""Samples on each side that bicubic reading at twice the size looks at."""


class Upsampler:
    """The shipped network on a device."""

    def __init__(self, device: str) -> None:
        self.squares = Squares(_SQUARE if device == "cpu" else _SQUARE_ON_DEVICE)
        self._layers = layers_of("upsampler", device)
        self._bicubic = bicubic().to(device)

    def __call__(self, luma: Tensor, part: Window) -> Tensor:
        """[2 rows, 2 columns] of a part of a luma plane on the 8-bit scale; not clipped.

        Sample (2 y + j, 2 x + i) of the result lies at (y + (2 j - 1) / 4, x + (2 i - 1) / 4) of the part. Beyond the
        plane the nearest edge sample counts; of the plane, nothing is read that the part does not depend on.
        """
        rows, columns = part.shape((1, 1))
        out = torch.empty((2 * rows, 2 * columns), device=luma.device)

        def double(square: Window, inside: Window) -> None:
            made = self._doubled(surroundings(luma, square, part, self.squares.side, UPSAMPLER)[None, None])
            out[_twice(inside.within(part))] = made[_twice(inside.within(square))]

        self.squares.each(part, double)
        return out

    def _doubled(self, x: Tensor) -> Tensor:
        inner = slice(UPSAMPLER - _REACH, x.shape[-1] - UPSAMPLER + _REACH)
        with torch.inference_mode(), without_tf32():
            plain = F.conv2d(x[:, :, inner, inner], self._bicubic)
            return F.pixel_shuffle(plain + correction(self._layers, x), 2)[0, 0]


def _twice(part: Window) -> tuple[slice, slice]:
    return slice(2 * part.top, 2 * part.bottom), slice(2 * part.left, 2 * part.right)


def correction(layers: Layers, luma: Tensor) -> Tensor:
    """[n, 4, h, w] what is added to the four samples that bicubic reading makes of each of luma [n, 1, h', w'], where
    h' and w' are larger by what the layers look at around a sample."""
    return convolved(layers, (luma - _MIDDLE) * _INPUT_SCALE) * OUTPUT_SCALE


def bicubic() -> Tensor:
    """[4, 1, 5, 5] the kernel that pictures are read with (Keys, a = -3/4), at the four places in a sample."""
    distance = torch.arange(-2, 3) - torch.tensor([[-0.25], [0.25]])
    d = distance.abs()
    near = 1.25 * d**3 - 2.25 * d**2 + 1
    far = -0.75 * d**3 + 3.75 * d**2 - 6 * d + 3
    taps = torch.where(d <= 1, near, torch.where(d < 2, far, 0.0))
    return torch.einsum("jy,ix->jiyx", taps, taps).reshape(4, 1, 5, 5)
