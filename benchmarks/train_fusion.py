"""Train the network that weighs accounts of what lies between two pictures, on free pictures that move.

    python -m benchmarks.train_fusion PICTURES --out licodec/render/fusion.safetensors

PICTURES as in `benchmarks.train_upsampler`. What the network sees is made, by the renderer, of pictures that licodec
coded at several qualities, a part of them not at all; what is to come of it is the frame between them. The defaults are
what the shipped file was trained with.
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
from licodec.model.geometry import Geometry, to_working
from licodec.render import fusion
from licodec.render.flow import Flow
from licodec.render.numpy_renderer import NumpyRenderer
from licodec.render.window import FUSION
from licodec.video import colour
from licodec.video.info import VideoInfo

CRFS = (None, 20, 26, 32)
SPACINGS = (2, 4, 8)
SIZE = (256, 352)
WIDTH, LAYERS = 16, 4
SCENES, STEPS, RATE = 120, 6000, 2.5e-3
PIECES, SIDE = 16, 64
"""Of a step, and luma samples a side of each."""
_SCALE = 16.0
"""Of errors, so that they are a few units."""

Sample = tuple[npt.NDArray[np.float16], npt.NDArray[np.float16], float]
"""(luma [ACCOUNTS, rows, columns] of the accounts, luma of the frame itself, share of the way)."""


def make_samples(chosen: Sequence[Rgb], count: int, random: Random) -> Iterator[Sample]:
    """Two samples from each of two gaps of `count` scenes; as for a network that only sees the earlier half."""
    info = VideoInfo(SIZE[1], SIZE[0], matrix=1, chroma_location=1)
    renderer = NumpyRenderer(Geometry.of(info))
    for n in range(count):
        spacing = SPACINGS[n % len(SPACINGS)]
        frames = [colour.from_rgb(p, info) for p in scene(chosen, SIZE, range(2 * spacing + 1), random)]
        kept = coded(frames[::spacing], info, CRFS[n // len(SPACINGS) % len(CRFS)])
        for gap in range(2):
            first, second = (to_working(planes, info) for planes in kept[gap : gap + 2])
            flow = Flow.between(first[0], second[0])
            for k in random.choice(range(1, spacing), min(2, spacing - 1), replace=False):
                share = float(k) / spacing
                accounts = renderer.accounts(first, second, flow.at(share), share)
                lumas = np.stack([planes[0] for planes in accounts]).astype(np.float16)
                truth = frames[gap * spacing + int(k)][0].astype(np.float16)
                if share > 0.5:
                    lumas, share = lumas[fusion.MIRRORED], 1 - share
                yield lumas, truth, share


def train(samples: Sequence[Sample], steps: int, out: Path) -> None:
    """Of the squared error beside that of the mean; the last layer begins with zeros, as if nothing were known."""
    random = np.random.default_rng(0)
    channels = fusion.ACCOUNTS + 2
    layers = new_layers((WIDTH, channels, 3), *[(WIDTH, WIDTH, 3)] * (LAYERS - 2), (fusion.ACCOUNTS, WIDTH, 3))

    def errors() -> tuple[Tensor, Tensor]:
        lumas, truth, share = pieces(samples, random)
        expected = fusion.prior(share)[..., None, None]
        counts = F.interpolate(fusion.shares(layers, F.avg_pool2d(lumas, 2), share), scale_factor=2)
        inner = lumas[..., FUSION:-FUSION, FUSION:-FUSION]
        made, plain = ((((w * inner).sum(1) - truth) / _SCALE).square().mean((1, 2)) for w in (counts, expected))
        return made, plain

    fit(layers, errors, steps, RATE, out)


def pieces(samples: Sequence[Sample], random: Random) -> tuple[Tensor, Tensor, Tensor]:
    """(luma [n, ACCOUNTS, h, w] with what lies around, [n, SIDE, SIDE] truth, [n] share), mirrored and turned."""
    inputs, wanted, ways = [], [], []
    wide = SIDE + 2 * FUSION
    for _ in range(PIECES):
        lumas, truth, share = samples[int(random.integers(len(samples)))]
        y, x = (2 * random.integers(0, (n - wide) // 2) for n in truth.shape)
        parts = [lumas[:, y : y + wide, x : x + wide], truth[None, y : y + wide, x : x + wide]]
        axes = tuple(axis for axis in (1, 2) if random.random() < 0.5)
        parts = [np.flip(part, axes) for part in parts]
        if random.random() < 0.5:
            parts = [part.transpose(0, 2, 1) for part in parts]
        around, here = (torch.from_numpy(part.astype(np.float32)) for part in parts)
        inputs.append(around)
        wanted.append(here[0, FUSION:-FUSION, FUSION:-FUSION])
        ways.append(share)
    return torch.stack(inputs), torch.stack(wanted), torch.tensor(ways)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status."""
    return command_line(arguments, __doc__, SCENES, STEPS, make_samples, train)


if __name__ == "__main__":
    sys.exit(main())
