"""Train the network that doubles luma, shipped with the renderer, on pieces of free pictures that move.

    python -m benchmarks.train_upsampler PICTURES --out licodec/render/upsampler.safetensors

PICTURES is the folder skimage/data of the package scikit-image, of which the pictures that are free are used
(`benchmarks.moving_pictures.FREE`); nothing of the benchmark suite. What the network sees is coded by licodec at
several qualities, a part of it not at all; what it is to find is the scene itself. The defaults are what the shipped
file was trained with.
"""

from __future__ import annotations

import argparse
import pickle
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

import licodec
from benchmarks.moving_pictures import Random, Rgb, pictures, scene
from licodec.model.geometry import from_working, to_working
from licodec.render import upsample
from licodec.render.resample import View, view_planes
from licodec.runtime import use_threads
from licodec.video import colour
from licodec.video.info import Frame, Plane, VideoInfo
from licodec.video.sink import open_sink

CRFS = (None, 16, 20, 24, 28, 32)
SIZE = (320, 448)
WIDTH, LAYERS = 16, 3
"""Channels, and layers of 3 x 3 between the first, of 5 x 5, and the last."""
SCENES, STEPS, RATE = 100, 6000, 2.5e-3
PIECES, SIDE = 16, 48
"""Of a step, and samples a side of each."""
_REACH = 2 + LAYERS + 1

Halves = npt.NDArray[np.float16]
Sample = tuple[Halves, Halves]
"""(luma [1, h, w], the finer picture's luma [4, h, w] less what bicubic reading makes of it)."""
Layers = list[tuple[Tensor, Tensor]]


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


def coded(frames: Sequence[tuple[Plane, ...]], info: VideoInfo, crf: float | None) -> Sequence[tuple[Plane, ...]]:
    """The frames after licodec; None: as they are."""
    if crf is None:
        return frames
    with tempfile.TemporaryDirectory() as folder:
        source, file = Path(folder) / "a.y4m", Path(folder) / "a.linr"
        with open_sink(source, info) as sink:
            for i, planes in enumerate(frames):
                sink.write(Frame(planes, i, 1))
        licodec.encode(source, file, licodec.EncodeSettings(preset="ultrafast", crf=crf))
        with licodec.open(file) as video:
            return [video.planes(i) for i in range(len(video))]


def train(samples: Sequence[Sample], steps: int, out: Path) -> None:
    """Adam with a rate that rises and falls; the file is written every 500 steps."""
    torch.manual_seed(0)
    random, layers, start = np.random.default_rng(0), new_layers(), time.monotonic()
    parameters = [p for layer in layers for p in layer]
    print(f"{len(samples)} samples, {sum(p.numel() for p in parameters)} parameters")
    optimiser = torch.optim.Adam(parameters, lr=RATE, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps, pct_start=0.1)
    gain = 0.0
    for step in range(1, steps + 1):
        luma, rest = pieces(samples, random)
        made = upsample.correction(layers, luma) / upsample.OUTPUT_SCALE
        error, plain = ((made - rest) ** 2).mean((1, 2, 3)), (rest**2).mean((1, 2, 3))
        # Between error and its logarithm, so that neither easy nor hard pieces rule.
        loss = (error / (plain + 0.02)).mean() + error.mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
        gain += 10 * float(torch.log10((plain + 1e-4) / (error.detach() + 1e-4)).mean())
        if step % 500 == 0 or step == steps:
            print(f"step {step}, {time.monotonic() - start:.0f} s: {gain / ((step - 1) % 500 + 1):+.3f} dB", flush=True)
            gain = 0.0
            named = (
                (f"{i}.{name}", p) for i, layer in enumerate(layers) for name, p in zip(_NAMES, layer, strict=True)
            )
            save_file({name: p.detach().contiguous() for name, p in named}, out)


_NAMES = ("weight", "bias")


def new_layers() -> Layers:
    """Random layers, the last of zeros: nothing is added to bicubic reading."""
    layers: Layers = []
    for outputs, inputs, side in ((WIDTH, 1, 5), *[(WIDTH, WIDTH, 3)] * LAYERS, (4, WIDTH, 3)):
        layer = torch.nn.Conv2d(inputs, outputs, side)
        assert layer.bias is not None
        layers.append((layer.weight.detach().contiguous(memory_format=torch.channels_last), layer.bias.detach()))
    for parameter in layers[-1]:
        parameter.zero_()
    return [(kernel.requires_grad_(), bias.requires_grad_()) for kernel, bias in layers]


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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scenes", type=int, default=SCENES, help="how many to make")
    parser.add_argument("--steps", type=int, default=STEPS, help="of training")
    parser.add_argument("--keep", type=Path, help="file in which samples are kept between runs")
    options = parser.parse_args(arguments)
    use_threads(None)
    if options.keep and options.keep.exists():
        samples = pickle.loads(options.keep.read_bytes())
    else:
        samples = list(make_samples(pictures(options.pictures), options.scenes, np.random.default_rng(1)))
        if options.keep:
            options.keep.write_bytes(pickle.dumps(samples))
    train(samples, options.steps, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
