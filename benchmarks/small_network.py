"""Training of the small convolutional networks that are shipped with the renderer."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

Layers = list[tuple[Tensor, Tensor]]
"""(kernel [outputs, inputs, side, side], bias) of each."""


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
