"""Training of either network on a video, as published for HNeRV: Adam on the squared error, warm-up and cosine.

Batches of two frames, learning rate 1e-3, of which the first tenth of the schedule climbs from a tenth, the rest
falls along a cosine to nothing. The schedule runs over epochs, or over the seconds that there are.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch.nn import functional as F

from benchmarks.peers.models import Network
from benchmarks.peers.shape import Shape

RATE = 1e-3
BATCH = 2
WARM_UP = 0.1
EPOCHS = 300
"""Of the published figures."""


@dataclass(frozen=True)
class Budget:
    """How long to train: epochs, or until `seconds` after `started`."""

    epochs: int | None = EPOCHS
    seconds: float | None = None
    started: float = field(default_factory=time.monotonic)

    def spent(self, steps: int, epoch_steps: int) -> float:
        """Share that is over after some steps, 1 or more at the end."""
        if self.seconds is not None:
            return (time.monotonic() - self.started) / self.seconds
        assert self.epochs is not None
        return steps / (self.epochs * epoch_steps)


def rate_at(share: float) -> float:
    """Learning rate after a share (0..1) of the schedule."""
    if share < WARM_UP:
        return RATE * (0.1 + 0.9 * share / WARM_UP)
    return RATE * (1 + math.cos(math.pi * (share - WARM_UP) / (1 - WARM_UP))) / 2


def times(frames: int, device: torch.device | str = "cpu") -> torch.Tensor:
    """Times of the frames, 0 to just below 1, in float64."""
    return torch.arange(frames, device=device).double() / frames


def prepared(pictures: torch.Tensor, shape: Shape) -> torch.Tensor:
    """[n, 3, rows, columns] uint8 to 0..1, enlarged to what the network makes by repeating the last samples."""
    down, across = shape.padded[0] - shape.height, shape.padded[1] - shape.width
    return F.pad(pictures.float() / 255, (0, across, 0, down), mode="replicate")


def train(
    network: Network,
    shape: Shape,
    pictures: torch.Tensor,
    budget: Budget,
    *,
    device: str = "cpu",
    seed: int = 0,
    progress: Callable[[float, torch.Tensor], None] | None = None,
) -> int:
    """Train in place on pictures [frames, 3, height, width] of uint8; the number of epochs begun.

    In bfloat16 where the device computes convolutions in it; parameters and the loss stay float32. `progress` is
    told the share that is over and the mean squared error of the last batch, on the device: to read it is to wait.
    """
    # Channels last: NeRV trains in half the time on a CPU.
    network.to(device).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    generator = torch.Generator().manual_seed(seed)
    at = times(shape.frames, device)
    optimiser = torch.optim.Adam(network.parameters(), RATE)
    batch = min(BATCH, shape.frames)
    epoch_steps = shape.frames // batch
    steps = 0
    order: list[torch.Tensor] = []
    while (share := budget.spent(steps, epoch_steps)) < 1:
        order = order or list(torch.randperm(shape.frames, generator=generator)[: epoch_steps * batch].split(batch))
        chosen = order.pop()
        target = prepared(pictures[chosen].to(device), shape)
        for group in optimiser.param_groups:
            group["lr"] = rate_at(share)
        with fast_types(device):
            made = network(network.embed(target, at[chosen.to(device)]))
        window = (..., slice(shape.height), slice(shape.width))
        loss = F.mse_loss(made[window].float(), target[window])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        steps += 1
        if progress:
            progress(share, loss.detach())
    return -(-steps // epoch_steps)


def fast_types(device: str) -> torch.autocast:
    """bfloat16 for convolutions and matrix products on CUDA, and on CPUs with instructions for it."""
    kind = device.partition(":")[0]
    capable = kind == "cuda" or any(torch.cpu.get_capabilities().get(name) for name in ("amx_bf16", "avx512_bf16"))
    return torch.autocast(kind, torch.bfloat16, enabled=capable)


@torch.no_grad()
def embeddings(network: Network, shape: Shape, pictures: torch.Tensor, device: str = "cpu") -> torch.Tensor:
    """[frames, embedding, rows, columns] in float32: what HNeRV stores of each frame (empty for NeRV)."""
    if not shape.embedding:
        return torch.empty(shape.embeddings)
    at = times(shape.frames, device)
    made = []
    with fast_types(device):
        for i in range(shape.frames):
            picture = prepared(pictures[i : i + 1].to(device), shape)
            made.append(network.embed(picture, at[i : i + 1]).float().cpu())
    return torch.cat(made)
