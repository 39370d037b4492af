"""Training of the small convolutional networks that are shipped with the renderer."""

from __future__ import annotations

import argparse
import pickle
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from benchmarks.moving_pictures import Random, Rgb, pictures
from licodec.render.small_network import Layers
from licodec.runtime import use_threads

Sample = TypeVar("Sample")


def command_line(
    arguments: Sequence[str] | None,
    about: str | None,
    scenes: int,
    steps: int,
    make_samples: Callable[[Sequence[Rgb], int, Random], Iterator[Sample]],
    train: Callable[[Sequence[Sample], int, Path], None],
) -> int:
    """Run a trainer's command line: samples of so many scenes, or those kept, and so many steps; the exit status."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scenes", type=int, default=scenes, help="how many to make")
    parser.add_argument("--steps", type=int, default=steps, help="of training")
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


def new_layers(*shapes: tuple[int, int, int]) -> Layers:
    """Random layers of (outputs, inputs, side), the last of zeros."""
    torch.manual_seed(0)
    layers: Layers = []
    for outputs, inputs, side in shapes:
        layer = torch.nn.Conv2d(inputs, outputs, side)
        assert layer.bias is not None
        layers.append((layer.weight.detach().contiguous(memory_format=torch.channels_last), layer.bias.detach()))
    for parameter in layers[-1]:
        parameter.zero_()
    return [(kernel.requires_grad_(), bias.requires_grad_()) for kernel, bias in layers]


def fit(layers: Layers, errors: Callable[[], tuple[Tensor, Tensor]], steps: int, rate: float, out: Path) -> None:
    """Adam with a rate that rises and falls; the file is written every 500 steps.

    errors: ([n], [n]) squared errors of pieces, by the layers and without them, for errors of a few units.
    """
    parameters, start, gain = [p for layer in layers for p in layer], time.monotonic(), 0.0
    print(f"{sum(p.numel() for p in parameters)} parameters")
    optimiser = torch.optim.Adam(parameters, lr=rate, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.1)
    for step in range(1, steps + 1):
        error, plain = errors()
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
            named = ((f"{i}.{n}", p) for i, layer in enumerate(layers) for n, p in zip(_NAMES, layer, strict=True))
            save_file({name: p.detach().contiguous() for name, p in named}, out)


_NAMES = ("weight", "bias")
