"""Training of the synthesis network, its hypernetworks and the latents on a segment's own pictures."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from licodec.entropy.segment import LATENT_LIMIT, WEIGHT_LIMIT
from licodec.fit.guard import LOWER, Guard, Warn
from licodec.model import synthesis
from licodec.model.config import ModelConfig
from licodec.model.geometry import Floats, Geometry, Planes
from licodec.quant.steps import LATENT_STEP, weight_index_of, weight_step_of

CROP = 64
"""Side of a training crop in packed samples (half luma samples)."""
_BUDGET = 400 << 20
"""Bytes of crops kept for a segment."""
_BATCH = 8
_ROUND_FROM = 0.5
"""Share of the steps after which parameters and latents are rounded (straight-through)."""
_RELATIVE_STEP = 0.25
"""Quantisation step of a parameter tensor over its standard deviation: about four bits a weight."""


class CropSet:
    """Random crops of network inputs and wanted corrections, the same number from every picture.

    As many as cover the pictures, as the memory for them allows, or as `steps` of training will see.
    """

    def __init__(self, geometry: Geometry, frames: int, seed: int, steps: int) -> None:
        self._geometry = geometry
        rows, columns = geometry.shapes[0]
        self._half = (-(-rows // 2), -(-columns // 2))
        self._crop = (min(CROP, self._half[0]), min(CROP, self._half[1]))
        inputs, wanted = synthesis.input_channels(geometry), synthesis.content_channels(geometry)
        whole = -(-self._half[0] // CROP) * -(-self._half[1] // CROP)
        size = 2 * (inputs + wanted) * self._crop[0] * self._crop[1]
        self._each = max(1, min(whole, _BUDGET // (size * frames), -(-steps * _BATCH // frames)))
        self._random = np.random.default_rng(seed)
        self._phases = synthesis.phases(self._half)
        count = self._each * frames
        self.inputs = np.empty((count, inputs, *self._crop), np.float16)
        self.wanted = np.empty((count, wanted, *self._crop), np.float16)
        self.frames = np.empty(count, np.int64)
        """Which frame each crop is of."""
        self._count = 0

    def add(self, frame: int, source: Planes, content: Planes, apart: Floats | None, rest: Floats) -> None:
        """Take crops of one picture: `content` is what the network gets, `source` what it should make of it."""
        inputs = np.concatenate([synthesis.network_input(content, apart, rest, self._geometry), self._phases])
        wanted = synthesis.pack(tuple(s - c for s, c in zip(source, content, strict=True)), self._geometry)
        for _ in range(self._each):
            y = int(self._random.integers(0, self._half[0] - self._crop[0] + 1))
            x = int(self._random.integers(0, self._half[1] - self._crop[1] + 1))
            window = (slice(None), slice(y, y + self._crop[0]), slice(x, x + self._crop[1]))
            self.inputs[self._count] = inputs[window]
            self.wanted[self._count] = wanted[window]
            self.frames[self._count] = frame
            self._count += 1

    @property
    def coverage(self) -> float:
        """Packed samples of a picture for each one in its crops."""
        return self._half[0] * self._half[1] / (self._each * self._crop[0] * self._crop[1])


@dataclass
class TrainedSynthesis:
    """Quantised result of the training."""

    weights: list[npt.NDArray[np.int32]]
    steps: list[int]
    latents: npt.NDArray[np.int32]
    """[frames, latent_dim]"""
    gain: float
    """Squared error (luma-weighted) that the network takes away over the whole segment, as trained."""


def _round(x: torch.Tensor, step: torch.Tensor | float) -> torch.Tensor:
    """Rounded forward, identity backward."""
    return x + (torch.round(x / step) * step - x).detach()


def _integers(x: torch.Tensor, step: float, most: int) -> npt.NDArray[np.int32]:
    """Symbols of a tensor, within what the file can hold."""
    return torch.round(x.detach() / step).clamp(-most, most).cpu().numpy().astype(np.int32)


_RATE = 5e-3
_TIMED_STEPS = 8


def _affordable(steps: int, seconds: float, trial: Callable[[], object]) -> int:
    """How many of `steps` fit into `seconds`, by timing a few."""
    trial()
    start = time.monotonic()
    for _ in range(_TIMED_STEPS):
        trial()
    each = (time.monotonic() - start) / _TIMED_STEPS
    return max(1, min(steps, int(seconds / each) - _TIMED_STEPS))


class _Model:
    """Parameters and latents in training."""

    def __init__(self, geometry: Geometry, config: ModelConfig, frames: int, generator: torch.Generator) -> None:
        self.shapes = synthesis.layer_shapes(geometry, config)
        self.rank = config.rank
        self.parameters = []
        for i, shape in enumerate(synthesis.parameter_shapes(geometry, config)):
            layer, kind = divmod(i, 6)
            if kind == 0 and layer + 1 < synthesis.LAYERS:
                spread = float(np.sqrt(2 / np.prod(shape[1:])))
            elif kind in (2, 4):
                spread = 0.3
            else:
                spread = 0.0
            self.parameters.append((torch.randn(shape, generator=generator) * spread).requires_grad_())
        self.latents = (torch.randn((frames, config.latent_dim), generator=generator) * 0.1).requires_grad_()
        self.steps: list[int] | None = None

    def to(self, device: str) -> None:
        """Move everything to a device, before training."""
        self.parameters = [p.detach().to(device).requires_grad_() for p in self.parameters]
        self.latents = self.latents.detach().to(device).requires_grad_()

    @property
    def trained(self) -> list[torch.Tensor]:
        """What the optimiser changes."""
        return [*self.parameters, self.latents]

    def choose_steps(self) -> None:
        """Fix each tensor's step by its spread."""
        self.steps = []
        for p in self.parameters:
            spread = max(float(p.detach().square().mean().sqrt()), 1e-4)
            step = spread * _RELATIVE_STEP
            self.steps.append(weight_index_of(step))

    def current(self) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Parameters and latents as the decoder will see them."""
        if self.steps is None:
            return self.parameters, self.latents
        sizes = [weight_step_of(k) for k in self.steps]
        return [_round(p, s) for p, s in zip(self.parameters, sizes, strict=True)], _round(self.latents, LATENT_STEP)


def train(
    crops: CropSet,
    geometry: Geometry,
    config: ModelConfig,
    frames: int,
    steps: int,
    *,
    seed: int,
    device: str = "cpu",
    seconds: float | None = None,
    progress: Callable[[int, int], None] | None = None,
    warn: Warn = lambda text: None,
) -> TrainedSynthesis:
    """Fit network and latents to the crops by Adam on the squared error, the second half with rounding.

    A training that diverges goes back to its last good state, on with smaller steps, and tells `warn`.
    `seconds` shortens the schedule to the time there is (then the result depends on the machine's speed).
    """
    generator = torch.Generator().manual_seed(seed)
    model = _Model(geometry, config, frames, generator)
    inputs, wanted, owners = (torch.from_numpy(a) for a in (crops.inputs, crops.wanted, crops.frames))
    sx, sy = geometry.subsampling
    chroma = synthesis.content_channels(geometry) - 4
    importance = torch.tensor([1.0] * 4 + [float(sx * sy)] * chroma)[None, :, None, None]
    model.to(device)
    inputs, wanted, importance, owners = (t.to(device) for t in (inputs, wanted, importance, owners))

    def error(batch: torch.Tensor) -> torch.Tensor:
        parameters, latents = model.current()
        factors = synthesis.modulations(parameters, latents[owners[batch]], model.shapes, model.rank)
        made = synthesis.apply(parameters, factors, inputs[batch].bfloat16()).float()
        return (made - wanted[batch].float()).square() * importance

    def descend(optimiser: torch.optim.Optimizer) -> torch.Tensor:
        loss = error(torch.randint(0, len(inputs), (_BATCH,), generator=generator)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss

    if seconds is not None:
        steps = _affordable(steps, seconds, lambda: descend(torch.optim.SGD(model.trained, lr=0.0)))
    # Worse than no network by more than a rounding: a training has no business there.
    idle = sum(float((w.float().square() * importance).sum()) for w in wanted.split(_BATCH)) / wanted.numel()
    guard = Guard(model.trained, 2 * idle + 1, warn)
    optimiser = torch.optim.Adam(model.trained, lr=_RATE, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=max(steps, 2), pct_start=0.15)
    for step in range(steps):
        if model.steps is None and step >= _ROUND_FROM * steps:
            model.choose_steps()
        loss = descend(optimiser)
        schedule.step()
        round_next = model.steps is None and step + 1 >= _ROUND_FROM * steps
        if guard.watch(loss, look=round_next or step + 1 == steps):
            optimiser.state.clear()
            for group in optimiser.param_groups:
                for bound in ("initial_lr", "max_lr", "min_lr"):
                    group[bound] *= LOWER
        if guard.gave_up:
            break
        if progress:
            progress(step + 1, steps)
    if model.steps is None:
        model.choose_steps()
    gain = 0.0
    with torch.no_grad():
        for batch in torch.arange(len(inputs)).split(_BATCH):
            gain += float((wanted[batch].float().square() * importance).sum() - error(batch).sum())
    assert model.steps is not None
    sizes = [weight_step_of(k) for k in model.steps]
    weights = [_integers(p, s, WEIGHT_LIMIT) for p, s in zip(model.parameters, sizes, strict=True)]
    latents = _integers(model.latents, LATENT_STEP, LATENT_LIMIT)
    # What does not even give a number is worth nothing.
    gain = gain * crops.coverage if math.isfinite(gain) else -math.inf
    return TrainedSynthesis(weights, model.steps, latents, gain)
