"""Train the network that doubles luma, shipped with the renderer, on pieces of free pictures that move.

    python -m benchmarks.train_upsampler PICTURES --out licodec/render/upsampler.safetensors

PICTURES is the folder skimage/data of the package scikit-image, of which the pictures that are free are used
(`benchmarks.moving_pictures.FREE`); nothing of the benchmark suite. What the network sees is coded by licodec at
several qualities, a part of it not at all; what it is to find is the scene itself. The defaults are what the shipped
file was trained with.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.moving_pictures import Random, Rgb, coded, scene
from benchmarks.small_network import command_line, fit, new_layers
from licodec.model.geometry import from_working, to_working
from licodec.render import upsample
from licodec.render.resample import View, view_planes
from licodec.video import colour
from licodec.video.info import VideoInfo

CRFS = (None, 16, 20, 24, 28, 32)
SIZE = (320, 448)
WIDTH, LAYERS = 16, 3
"""Channels, and layers of 3 x 3 between the first, of 5 x 5, and the last."""
SCENES, STEPS, RATE = 120, 6000, 2.5e-3
PIECES, SIDE = 16, 48
"""Of a step, and samples a side of each."""
_REACH = 2 + LAYERS + 1

Halves = npt.NDArray[np.float16]
Sample = tuple[Halves, Halves]
"""(luma [1, h, w], the finer picture's luma [4, h, w] less what bicubic reading makes of it)."""


def make_samples(chosen: Sequence[Rgb], count: int, random: Random) -> Iterator[Sample]:
    """Four samples of each of `count` scenes."""
    rows, columns = SIZE
    info = VideoInfo(columns, rows, matrix=1, chroma_location=1)
    low = VideoInfo(columns // 2, rows // 2, matrix=1, chroma_location=1)
    view, kernel = View.of(info, (low.height, low.width)), upsample.bicubic()
    for n in range(count):
        fine = [colour.from_rgb(picture, info) for picture in scene(chosen, SIZE, range(6), random)]
        small = [from_working(view_planes(to_working(planes, info), view, info), low) for planes in fine]
        shown = coded(small, low, CRFS[n % len(CRFS)])
        for i in (0, 2, 4, 5):
            luma, wanted = (torch.from_numpy(p[i][0].astype(np.float32))[None, None] for p in (shown, fine))
            plain = F.conv2d(F.pad(luma, (2,) * 4, mode="replicate"), kernel)
            rest = (F.pixel_unshuffle(wanted, 2) - plain)[0]
            yield luma[0].numpy().astype(np.float16), rest.numpy().astype(np.float16)


def train(samples: Sequence[Sample], steps: int, out: Path) -> None:
    """Of the squared error beside what bicubic reading leaves; the last layer begins with zeros, adding nothing."""
    random = np.random.default_rng(0)
    layers = new_layers((WIDTH, 1, 5), *[(WIDTH, WIDTH, 3)] * LAYERS, (4, WIDTH, 3))

    def errors() -> tuple[Tensor, Tensor]:
        luma, rest = pieces(samples, random)
        made = upsample.correction(layers, luma) / upsample.OUTPUT_SCALE
        return ((made - rest) ** 2).mean((1, 2, 3)), (rest**2).mean((1, 2, 3))

    fit(layers, errors, steps, RATE, out)


def pieces(samples: Sequence[Sample], random: Random) -> tuple[Tensor, Tensor]:
    """(luma [n, 1, h, w] with what lies around, what is to be added [n, 4, SIDE, SIDE]), mirrored and turned."""
    inputs, wanted = [], []
    for _ in range(PIECES):
        luma, rest = samples[int(random.integers(len(samples)))]
        y, x = (random.integers(0, n - SIDE - 2 * _REACH) for n in luma.shape[1:])
        luma = luma[0, y : y + SIDE + 2 * _REACH, x : x + SIDE + 2 * _REACH]
        rest = rest[:, y + _REACH : y + _REACH + SIDE, x + _REACH : x + _REACH + SIDE]
        fine = F.pixel_shuffle(torch.from_numpy(rest.astype(np.float32)), 2)[0].numpy()
        axes = tuple(axis for axis in (0, 1) if random.random() < 0.5)
        luma, fine = np.flip(luma, axes), np.flip(fine, axes)
        if random.random() < 0.5:
            luma, fine = luma.T, fine.T
        inputs.append(torch.from_numpy(luma.astype(np.float32))[None])
        wanted.append(F.pixel_unshuffle(torch.from_numpy(fine.copy())[None], 2))
    return torch.stack(inputs), torch.stack(wanted) / upsample.OUTPUT_SCALE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status."""
    return command_line(arguments, __doc__, SCENES, STEPS, make_samples, train)


if __name__ == "__main__":
    sys.exit(main())
