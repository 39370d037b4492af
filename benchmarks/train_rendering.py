"""Train the networks that are shipped with the renderer, on pieces of free pictures that move over one another.

    python -m benchmarks.train_rendering upsampler PICTURES --out licodec/render/upsampler.safetensors
    python -m benchmarks.train_rendering blender PICTURES --out licodec/render/blender.safetensors

PICTURES is the folder skimage/data of the package scikit-image, of which the pictures that are free are used
(`benchmarks.moving_pictures.FREE`); nothing of the benchmark suite. What the networks see is coded by licodec at
several qualities, a part of it not at all; what they are to find is the scene itself. The defaults are what the shipped
files were trained with.
"""

from __future__ import annotations

import argparse
import pickle
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

import licodec
from benchmarks.moving_pictures import Random, Rgb, pictures, scene
from licodec.model.geometry import Geometry, from_working, to_working
from licodec.render import blend, upsample
from licodec.render.flow import Flow
from licodec.render.numpy_renderer import NumpyRenderer
from licodec.render.resample import View, view_planes
from licodec.runtime import use_threads
from licodec.video import colour
from licodec.video.info import Frame, Plane, VideoInfo
from licodec.video.sink import open_sink

Floats = npt.NDArray[np.floating]
Sample = tuple[Floats, ...]


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


# Twice the size.

UPSAMPLER_CRFS = (None, 16, 20, 24, 28, 32)
UPSAMPLER_SIZE = (320, 448)
WIDTH, LAYERS = 16, 3
"""Channels, and layers of 3 x 3 between the first, of 5 x 5, and the last."""


def upsampler_samples(chosen: Sequence[Rgb], count: int, random: Random) -> Iterator[Sample]:
    """(luma [1, h, w], the finer picture's luma [4, h, w] less what bicubic reading makes of it) of `count` scenes."""
    rows, columns = UPSAMPLER_SIZE
    info = VideoInfo(columns, rows, matrix=1, chroma_location=1)
    low = VideoInfo(columns // 2, rows // 2, matrix=1, chroma_location=1)
    view, kernel = View.of(info, (low.height, low.width)), upsample.bicubic()
    for n in range(count):
        fine = [colour.from_rgb(picture, info) for picture in scene(chosen, UPSAMPLER_SIZE, range(6), random)]
        small = [from_working(view_planes(to_working(planes, info), view, info), low) for planes in fine]
        shown = coded(small, low, UPSAMPLER_CRFS[n % len(UPSAMPLER_CRFS)])
        for i in (0, 2, 4, 5):
            luma, wanted = (torch.from_numpy(p[i][0].astype(np.float32))[None, None] for p in (shown, fine))
            plain = F.conv2d(F.pad(luma, (2,) * 4, mode="replicate"), kernel)
            yield (
                luma[0].numpy().astype(np.float16),
                (F.pixel_unshuffle(wanted, 2) - plain)[0].numpy().astype(np.float16),
            )


def upsampler_layers() -> list[tuple[Tensor, Tensor]]:
    """Random layers, the last of zeros: nothing is added to bicubic reading."""
    shapes = [(WIDTH, 1, 5), *[(WIDTH, WIDTH, 3)] * LAYERS, (4, WIDTH, 3)]
    return _layers(shapes)


def upsampler_batch(
    samples: Sequence[Sample], random: Random
) -> Callable[[Sequence[tuple[Tensor, Tensor]]], tuple[Tensor, Tensor]]:
    """The errors of layers on sixteen pieces, of their own and of bicubic reading."""
    side, reach = 48, 2 + LAYERS + 1
    inputs, wanted = [], []
    for _ in range(16):
        luma, rest = samples[int(random.integers(len(samples)))]
        y, x = (random.integers(0, n - side - 2 * reach) for n in luma.shape[1:])
        luma = luma[:, y : y + side + 2 * reach, x : x + side + 2 * reach]
        rest = rest[:, y + reach : y + reach + side, x + reach : x + reach + side].reshape(2, 2, side, side)
        luma, rest = _turned((luma, rest), random)
        inputs.append(luma)
        wanted.append(rest.reshape(4, side, side) / upsample.OUTPUT_SCALE)
    x, y = _stacked(inputs), _stacked(wanted)

    def errors(layers: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        made = upsample.correction(layers, x) / upsample.OUTPUT_SCALE
        return ((made - y) ** 2).mean((1, 2, 3)), (y**2).mean((1, 2, 3))

    return errors


# Between two pictures.

BLENDER_CRFS = (None, 18, 23, 28, 33)
BLENDER_SIZE = (256, 320)
BLENDER_WIDTHS = (16, 24)


def blender_samples(chosen: Sequence[Rgb], count: int, random: Random) -> Iterator[Sample]:
    """(accounts [16, h, w], flows apart [1, h, w], luma [4, h, w], share [1]) of frames that were left out."""
    rows, columns = BLENDER_SIZE
    info = VideoInfo(columns, rows, matrix=1, chroma_location=1)
    renderer = NumpyRenderer(Geometry.of(info))
    for n in range(count):
        spacing = (2, 4, 8)[n % 3]
        frames = [colour.from_rgb(p, info) for p in scene(chosen, BLENDER_SIZE, range(2 * spacing + 1), random)]
        shown = [to_working(p, info) for p in coded(frames[::spacing], info, BLENDER_CRFS[n % len(BLENDER_CRFS)])]
        for g in range(2):
            flow = Flow.between(shown[g][0], shown[g + 1][0])
            for k in [1] if spacing == 2 else random.choice(np.arange(1, spacing), 2, replace=False):
                motion = flow.at(k / spacing)
                accounts = renderer.accounts(shown[g], shown[g + 1], motion, k / spacing)
                packed = _packed(np.stack([planes[0] for planes in accounts]))
                wanted = _packed(frames[g * spacing + k][0][None].astype(np.float32))
                yield packed, motion.apart[None], wanted, np.array([k / spacing], np.float32)


def blender_layers() -> list[tuple[Tensor, Tensor]]:
    """Random layers, the last of zeros: every account counts as much as the others."""
    a, b = BLENDER_WIDTHS
    widths = [(a, blend.INPUTS), (b, a), (b, b), (b, b), (a, b), (a, a), (blend.OUTPUTS, a)]
    return _layers([(outputs, inputs, 3) for outputs, inputs in widths])


def blender_batch(
    samples: Sequence[Sample], random: Random
) -> Callable[[Sequence[tuple[Tensor, Tensor]]], tuple[Tensor, Tensor]]:
    """The errors of layers on eight pieces, of their own and of the plain mean."""
    side = 48
    packed, distances, wanted, shares = [], [], [], []
    for _ in range(8):
        accounts, apart, luma, share = samples[int(random.integers(len(samples)))]
        y, x = (random.integers(0, n - side + 1) for n in luma.shape[1:])
        accounts, apart, luma = (p[:, y : y + side, x : x + side] for p in (accounts, apart, luma))
        accounts = accounts.reshape(blend.ACCOUNTS, 2, 2, side, side)
        if random.random() < 0.5:  # time runs backwards
            accounts, share = accounts[[1, 0, 3, 2]], 1 - share
        accounts, luma, apart = _turned((accounts, luma.reshape(2, 2, side, side), apart), random)
        packed.append(accounts.reshape(-1, side, side))
        distances.append(apart)
        wanted.append(luma.reshape(4, side, side))
        shares.append(share)
    c, d, y, t = _stacked(packed), _stacked(distances), _stacked(wanted), torch.from_numpy(np.concatenate(shares))

    def errors(layers: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        grouped, near = c.unflatten(1, (blend.ACCOUNTS, 4)), t.view(-1, 1, 1, 1)
        weights, correction = blend.blend(layers, c, d, t)
        made = (weights * grouped).sum(1) + correction
        plain = ((1 - near) * (grouped[:, 0] + grouped[:, 2]) + near * (grouped[:, 1] + grouped[:, 3])) / 2
        return ((made - y) ** 2).mean((1, 2, 3)) / 256, ((plain - y) ** 2).mean((1, 2, 3)) / 256

    return errors


# Both.


@dataclass(frozen=True)
class Task:
    """What is trained, with what, and how."""

    samples: Callable[[Sequence[Rgb], int, Random], Iterator[Sample]]
    layers: Callable[[], list[tuple[Tensor, Tensor]]]
    batch: Callable[[Sequence[Sample], Random], Callable[[Sequence[tuple[Tensor, Tensor]]], tuple[Tensor, Tensor]]]

    loss: Callable[[Tensor, Tensor], Tensor]
    """Of squared errors and those of the plain method: between error and its logarithm, so that neither easy nor hard
    pieces rule."""
    scenes: int
    seed: int
    steps: int
    rate: float


TASKS = {
    "upsampler": Task(
        upsampler_samples,
        upsampler_layers,
        upsampler_batch,
        lambda error, plain: (error / (plain + 0.02)).mean() + error.mean(),
        scenes=100,
        seed=1,
        steps=6000,
        rate=2.5e-3,
    ),
    "blender": Task(
        blender_samples,
        blender_layers,
        blender_batch,
        lambda error, plain: (error / (plain + 0.02)).mean() + 0.3 * error.mean().sqrt(),
        scenes=120,
        seed=7,
        steps=4000,
        rate=2e-3,
    ),
}


def train(task: Task, samples: Sequence[Sample], steps: int, out: Path) -> None:
    """Adam with a rate that rises and falls; the file is written every 500 steps."""
    torch.manual_seed(0)
    random, layers, start = np.random.default_rng(0), task.layers(), time.monotonic()
    parameters = [p for layer in layers for p in layer]
    print(f"{len(samples)} samples, {sum(p.numel() for p in parameters)} parameters")
    optimiser = torch.optim.Adam(parameters, lr=task.rate, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, task.rate, total_steps=steps, pct_start=0.1)
    gain = 0.0
    for step in range(1, steps + 1):
        error, plain = task.batch(samples, random)(layers)
        loss = task.loss(error, plain)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
        gain += 10 * float(torch.log10((plain + 1e-4) / (error.detach() + 1e-4)).mean())
        if step % 500 == 0 or step == steps:
            print(f"step {step}, {time.monotonic() - start:.0f} s: {gain / ((step - 1) % 500 + 1):+.3f} dB", flush=True)
            gain = 0.0
            tensors = {
                f"{i}.{name}": p.detach().contiguous()
                for i, layer in enumerate(layers)
                for name, p in zip(("weight", "bias"), layer, strict=True)
            }
            save_file(tensors, out)


def _layers(shapes: Sequence[tuple[int, int, int]]) -> list[tuple[Tensor, Tensor]]:
    torch.manual_seed(0)
    layers = []
    for outputs, inputs, side in shapes:
        layer = torch.nn.Conv2d(inputs, outputs, side)
        assert layer.bias is not None
        layers.append((layer.weight.detach().contiguous(memory_format=torch.channels_last), layer.bias.detach()))
    for parameter in layers[-1]:
        parameter.zero_()
    return [(kernel.requires_grad_(), bias.requires_grad_()) for kernel, bias in layers]


def _packed(planes: Floats) -> Floats:
    """[n, rows, columns] to [4 n, rows / 2, columns / 2]."""
    return F.pixel_unshuffle(torch.from_numpy(planes), 2).numpy().astype(np.float16)


def _turned(arrays: Sequence[Floats], random: Random) -> list[Floats]:
    """Mirrored and turned alike. The last axes are rows and columns; where there are more than three, the two before
    them are those of the samples (j, i) at each place."""
    flip_y, flip_x, turn = random.random(3) < 0.5
    return [_turn(array, bool(flip_y), bool(flip_x), bool(turn)) for array in arrays]


def _turn(array: Floats, flip_y: bool, flip_x: bool, turn: bool) -> Floats:
    inside = array.ndim > 3
    if flip_y:
        array = np.flip(array, (-4, -2) if inside else -2)
    if flip_x:
        array = np.flip(array, (-3, -1) if inside else -1)
    if turn:
        array = array.swapaxes(-1, -2)
        array = array.swapaxes(-3, -4) if inside else array
    return array


def _stacked(arrays: Sequence[Floats]) -> Tensor:
    return torch.from_numpy(np.stack(arrays).astype(np.float32))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", choices=sorted(TASKS))
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scenes", type=int, help="how many to make")
    parser.add_argument("--steps", type=int, help="of training")
    parser.add_argument("--keep", type=Path, help="file in which samples are kept between runs")
    options = parser.parse_args(arguments)
    use_threads(None)
    task = TASKS[options.network]
    if options.keep and options.keep.exists():
        samples = pickle.loads(options.keep.read_bytes())
    else:
        chosen, random = pictures(options.pictures), np.random.default_rng(task.seed)
        samples = list(task.samples(chosen, options.scenes or task.scenes, random))
        if options.keep:
            options.keep.write_bytes(pickle.dumps(samples))
    train(task, samples, options.steps or task.steps, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
