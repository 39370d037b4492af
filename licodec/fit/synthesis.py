"""Training of the synthesis network, its hypernetworks and the latents on a segment's own pictures."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from licodec.entropy.segment import LATENT_LIMIT, WEIGHT_LIMIT
from licodec.fit.guard import Guard, Warn
from licodec.fit.soap import Soap
from licodec.fit.threads import each
from licodec.model import synthesis
from licodec.model.config import ModelConfig
from licodec.model.geometry import Floats, Geometry, Planes
from licodec.model.symbols import NetworkSymbols
from licodec.model.synthesis import INPUT_SCALE, OUTPUT_SCALE
from licodec.quant.steps import LATENT_STEP, weight_index_of, weight_step_of
from licodec.render.network import apply
from licodec.runtime import one_torch_thread

CROP = 64
"""Side of a training crop in packed samples (half luma samples)."""
_BUDGET = 400 << 20
"""Bytes of crops kept for a segment."""
_BATCH = 4
_PICTURES = 2
"""Pictures that a batch is of. Crops of one share their kernels: one convolution instead of one for each crop."""
_RISE = 0.15
"""Share of the steps in which the learning rates rise."""
_ROUND_FROM = 0.3
"""Share of the steps after which parameters and latents are rounded (straight-through), and bits count."""
_RATES = (0.02, 0.005)
"""Learning rates of the kernels (by SOAP) and of the rest (by Adam)."""
_BIT_WORTH = 2.0
"""Of bits estimated by `_bits`, over that of bits."""
_STRUCTURE = 0.25
"""What lost structure counts beside squared error, where there is no network yet: squared error alone smooths."""
_STRUCTURE_WORTH = 500.0
"""Squared error that all structure is worth at most: where brightness alone is wrong, next to nothing of it is lost."""
_SCALES, _WINDOW, _CONTRAST = 2, 8, (0.03 * 255) ** 2
"""Of `lost_structure`: scales from half the size on, samples a side of windows, which overlap by half, C2 of SSIM."""
_PROBES = 8
"""Batches that the curvature is estimated from."""
_STEP_BOUNDS = (1e-4, 2.0)


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
        self._seed = seed
        self._phases = synthesis.phases(self._half)
        # Tensors: NumPy takes twenty times as long to halve a number.
        self.inputs = torch.empty((frames, self._each, *self._crop, inputs), dtype=torch.float16)
        """[frames, crops, h, w, channels]"""
        self.wanted = torch.empty((frames, self._each, *self._crop, wanted), dtype=torch.float16)

    def add(self, frame: int, source: Planes, content: Planes, apart: Floats | None, rest: Floats) -> None:
        """Take crops of one picture: `content` is what the network gets, `source` what it should make of it.

        On any thread: which crops these are hangs on the frame alone.
        """
        random = np.random.default_rng((self._seed, frame))
        inputs = np.concatenate([synthesis.network_input(content, apart, rest, self._geometry), self._phases])
        wanted = synthesis.pack(tuple(s - c for s, c in zip(source, content, strict=True)), self._geometry)
        for i in range(self._each):
            y = int(random.integers(0, self._half[0] - self._crop[0] + 1))
            x = int(random.integers(0, self._half[1] - self._crop[1] + 1))
            window = (slice(None), slice(y, y + self._crop[0]), slice(x, x + self._crop[1]))
            self.inputs[frame, i] = torch.from_numpy(inputs[window]).movedim(0, -1)
            self.wanted[frame, i] = torch.from_numpy(wanted[window]).movedim(0, -1)

    @property
    def coverage(self) -> float:
        """Packed samples of a picture for each one in its crops."""
        return self._half[0] * self._half[1] / (self._each * self._crop[0] * self._crop[1])


@dataclass
class TrainedSynthesis:
    """Quantised result of the training."""

    network: NetworkSymbols
    gain: float
    """Squared error (luma-weighted) that the network takes away over the whole segment, as trained."""


def _round(x: torch.Tensor, step: torch.Tensor | float) -> torch.Tensor:
    """Rounded forward, identity backward."""
    return x + (torch.round(x / step) * step - x).detach()


def _integers(x: torch.Tensor, step: float, most: int) -> npt.NDArray[np.int32]:
    """Symbols of a tensor, within what the file can hold."""
    return torch.round(x.detach() / step).clamp(-most, most).cpu().numpy().astype(np.int32)


def _bits(symbols: torch.Tensor) -> torch.Tensor:
    """About what symbols cost, by a function with a gradient."""
    return torch.log2(1 + 2 * symbols.square()).sum()


def lost_structure(content: torch.Tensor, wanted: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
    """1 less the contrast and structure of SSIM (Wang et al., 2004) between content + wanted and content + made: the
    sum of its means at the scales at which MS-SSIM looks closest; all [crops, 4, h, w] packed luma."""
    before, right, now = (part.mean(dim=1) for part in (content, wanted, made))
    x = torch.stack([2 * before + right + now, now - right], dim=1)
    lost = x.new_zeros(())
    for _ in range(_SCALES):
        if min(x.shape[-2:]) < _WINDOW:
            break
        mean, square = F.avg_pool2d(torch.cat([x, x.square()], dim=1), _WINDOW, _WINDOW // 2).split(2, dim=1)
        # Variances of the sum and of the difference: half of both is the sum of the pictures' own.
        both, apart = (square - mean.square()).unbind(dim=1)
        lost = lost + (apart / ((both + apart) / 2 + _CONTRAST)).mean()
        x = F.avg_pool2d(x, 2)
    return lost


def _one_cycle(step: int, steps: int) -> float:
    """Part of the largest learning rate: cosines up from a 25th in the first 15% of the steps, and down to nothing."""
    peak = _RISE * steps - 1
    low, share = (1 / 25, step / peak) if step < peak else (0.0, 1 - (step - peak) / (steps - 1 - peak))
    return low + (1 - low) * (1 - math.cos(math.pi * share)) / 2


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
    """Parameters and latents in training: the kernels, and in one vector, which is faster, all else."""

    def __init__(self, geometry: Geometry, config: ModelConfig, frames: int, generator: torch.Generator) -> None:
        self.shapes = synthesis.layer_shapes(geometry, config)
        self.rank = config.rank
        self._kernels, rest = list[torch.Tensor](), list[torch.Tensor]()
        for i, shape in enumerate(synthesis.parameter_shapes(geometry, config)):
            layer, kind = divmod(i, 6)
            if kind == 0 and layer + 1 < synthesis.LAYERS:
                spread = float(np.sqrt(2 / np.prod(shape[1:])))
            elif kind in (2, 4):
                spread = 0.3
            else:
                spread = 0.0
            (rest if kind else self._kernels).append(torch.randn(shape, generator=generator) * spread)
        rest.append(torch.randn((frames, config.latent_dim), generator=generator) * 0.1)
        self._rest_shapes = [tensor.shape for tensor in rest]
        self._rest = torch.cat([tensor.flatten() for tensor in rest])
        self.steps: list[int] | None = None
        self._rest_steps = torch.ones(1)

    def to(self, device: str) -> None:
        """Move everything to a device, before training."""
        self._kernels = [kernel.to(device).requires_grad_() for kernel in self._kernels]
        self._rest = self._rest.to(device).requires_grad_()

    @property
    def trained(self) -> list[torch.Tensor]:
        """What the optimiser changes."""
        return [*self._kernels, self._rest]

    def optimiser(self, rates: tuple[float, float] = _RATES) -> Soap:
        """For what is trained."""
        return Soap(self._kernels, [self._rest], rates)

    def tensors(self) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Parameters in the file's order, and latents."""
        return self.apart(self._kernels, self._rest)

    def rounded(self) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Parameters and latents as the decoder will see them, as far as steps are known."""
        if self.steps is None:
            return self.tensors()
        kernels = [_round(kernel, step) for kernel, step in zip(self._kernels, self._kernel_steps, strict=True)]
        return self.apart(kernels, _round(self._rest, self._rest_steps))

    def bits(self) -> torch.Tensor:
        """What parameters and latents will cost in the file, once steps are known."""
        kernels = [_bits(kernel / step) for kernel, step in zip(self._kernels, self._kernel_steps, strict=True)]
        return torch.stack([*kernels, _bits(self._rest / self._rest_steps)]).sum()

    def choose_steps(self, curvatures: Sequence[float], bit_worth: float) -> None:
        """Fix the step of each tensor, by the mean curvature c of the squared error along its n parameters.

        A step s adds n c s^2 / 24 to the error and saves n log2(s) bits: the best is at c s^2 / 12 = worth / ln 2.
        """
        low, high = _STEP_BOUNDS
        best = (math.sqrt(12 * bit_worth / (math.log(2) * max(c, 1e-30))) for c in curvatures)
        self.steps = [weight_index_of(min(max(step, low), high)) for step in best]
        rest = [*(weight_step_of(k) for i, k in enumerate(self.steps) if i % 6), LATENT_STEP]
        sizes = torch.tensor([math.prod(shape) for shape in self._rest_shapes])
        self._rest_steps = torch.tensor(rest).repeat_interleave(sizes).to(self._rest.device)

    @property
    def _kernel_steps(self) -> list[float]:
        return [weight_step_of(k) for k in (self.steps or [])[::6]]

    def apart(self, kernels: Sequence[torch.Tensor], rest: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Tensors in the order of the file's parameters, and of latents, from what is shaped like `trained`."""
        parts = rest.split([math.prod(shape) for shape in self._rest_shapes])
        *others, latents = (part.view(shape) for part, shape in zip(parts, self._rest_shapes, strict=True))
        layers = range(synthesis.LAYERS)
        return [tensor for i in layers for tensor in (kernels[i], *others[5 * i : 5 * i + 5])], latents


def _has_bfloat16(device: str) -> bool:
    """Whether a device has bfloat16; a processor that imitates it takes nine times as long as in float32."""
    return torch.device(device).type != "cpu" or torch.cpu._is_avx512_bf16_supported()


@one_torch_thread()
def train(
    crops: CropSet,
    geometry: Geometry,
    config: ModelConfig,
    frames: int,
    steps: int,
    *,
    bit_worth: float,
    seed: int,
    device: str = "cpu",
    seconds: float | None = None,
    progress: Callable[[int, int], None] | None = None,
    warn: Warn = lambda text: None,
) -> TrainedSynthesis:
    """Fit network and latents to the crops: squared error and lost structure, and from a part of the steps on rounding
    and bits.

    `bit_worth`: squared error (luma-weighted, of the whole segment) that a bit is worth.

    A training that diverges goes back to its last good state, on with smaller steps, and tells `warn`.
    `seconds` shortens the schedule to the time there is (then the result depends on the machine's speed).
    """
    generator = torch.Generator().manual_seed(seed)
    model = _Model(geometry, config, frames, generator)
    sx, sy = geometry.subsampling
    chroma = synthesis.content_channels(geometry) - 4
    importance = torch.tensor([1.0] * 4 + [float(sx * sy)] * chroma)[None, :, None, None]
    model.to(device)
    on_cpu, halved = torch.device(device).type == "cpu", _has_bfloat16(device)
    inputs, wanted, importance = (t.to(device) for t in (crops.inputs, crops.wanted, importance))
    samples = crops.coverage * wanted.numel()
    waiting: list[int] = []

    def some() -> list[tuple[int, torch.Tensor]]:
        """A batch: pictures, and some crops of each."""
        while len(waiting) < _PICTURES:
            waiting.extend(torch.randperm(frames, generator=generator).tolist())
        size = (_BATCH // _PICTURES,)
        return [(waiting.pop(), torch.randint(0, inputs.shape[1], size, generator=generator)) for _ in range(_PICTURES)]

    def seen(k: int, which: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """[crops, channels, h, w], channels last: what the network is given of some crops of a picture, and what it
        should make of it."""
        given, goal = (t[k].index_select(0, which.to(t.device)).float().movedim(-1, 1) for t in (inputs, wanted))
        return given, goal

    def corrections(batch: Iterable[tuple[int, torch.Tensor]]) -> Iterator[torch.Tensor]:
        """Of some crops of pictures, given what the network is given of them."""
        parameters, latents = model.rounded()
        for k, given in batch:
            factors = synthesis.modulations(parameters, latents[k], model.shapes, model.rank, torch.tanh)
            made = apply(parameters, factors, given.bfloat16() if halved else given)
            yield made.float() * OUTPUT_SCALE

    def squares(goal: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
        """Squared errors of some crops of a picture."""
        return (made - goal).square() * importance

    def lost(given: torch.Tensor, goal: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
        """Structure that is lost in the first half of some crops of a picture, which tells enough."""
        part = -(-len(given) // 2)
        return lost_structure(given[:part, :4] / INPUT_SCALE, goal[:part, :4], made[:part, :4])

    def loss_of(pictures: Sequence[tuple[int, torch.Tensor]]) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        """Part of a batch's loss that pictures of it have, and its gradients."""
        given, goals = zip(*(seen(k, which) for k, which in pictures), strict=True)
        made = corrections((k, shown) for (k, _), shown in zip(pictures, given, strict=True))
        losses = [
            squares(goal, m).mean() + structure_worth * lost(shown, goal, m)
            for shown, goal, m in zip(given, goals, made, strict=True)
        ]
        loss = torch.stack(losses).sum() / _PICTURES
        return loss.detach(), torch.autograd.grad(loss, model.trained)

    def descend(optimiser: Soap) -> torch.Tensor:
        batch = some()
        losses, gradients = zip(*each(loss_of, [[picture] for picture in batch] if on_cpu else [batch]), strict=True)
        if model.steps is not None:
            cost = model.bits() * (_BIT_WORTH * bit_worth / samples)
            gradients = (*gradients, torch.autograd.grad(cost, model.trained))
        for parameter, *parts in zip(model.trained, *gradients, strict=True):
            parameter.grad = torch.stack(parts).sum(dim=0)
        optimiser.step()
        return torch.stack(losses).sum()

    def curvatures() -> list[float]:
        """Mean second derivative of the segment's squared error along the parameters of each tensor (Gauss-Newton)."""
        sums = [0.0] * synthesis.LAYERS * 6
        for _ in range(_PROBES):
            for made in corrections((k, seen(k, which)[0]) for k, which in some()):
                # Random signs: what samples share in a gradient cancels, the squares stay.
                signs = (torch.randint(0, 2, made.shape, generator=generator) * 2 - 1).to(made.device)
                along = torch.autograd.grad((made * importance.sqrt() * signs).sum(), model.trained)
                share = 2 * samples / (made.numel() * _PROBES * _PICTURES)
                gradients = model.apart(along[:-1], along[-1])[0]
                sums = [c + share * float(g.square().mean()) for c, g in zip(sums, gradients, strict=True)]
        return sums

    # As it is without a network.
    idle, idle_lost = 0.0, 0.0
    for k in range(frames):
        given, goal = seen(k, torch.arange(min(_BATCH, inputs.shape[1])))
        idle_lost += float(lost(given, goal, torch.zeros_like(goal)))
        idle += float((wanted[k].float().square().sum(dim=(0, 1, 2)) * importance.flatten()).sum()) / wanted.numel()
    structure_worth = min(_STRUCTURE_WORTH, _STRUCTURE * idle * frames / max(idle_lost, 1e-9))
    if seconds is not None:
        steps = _affordable(steps, seconds, lambda: descend(model.optimiser((0.0, 0.0))))
    # Worse than no network by more than a rounding: a training has no business there.
    guard = Guard(model.trained, 2 * (1 + _STRUCTURE) * idle + 1, warn)
    optimiser = model.optimiser()
    for step in range(steps):
        for group, rate in zip(optimiser.param_groups, _RATES, strict=True):
            group["lr"] = guard.factor * rate * _one_cycle(step, steps)
        if model.steps is None and step >= _ROUND_FROM * steps:
            model.choose_steps(curvatures(), bit_worth)
        loss = descend(optimiser)
        round_next = model.steps is None and step + 1 >= _ROUND_FROM * steps
        if guard.watch(loss, look=round_next or step + 1 == steps):
            optimiser.state.clear()
        if guard.gave_up:
            break
        if progress:
            progress(step + 1, steps)
    if model.steps is None:
        model.choose_steps(curvatures(), bit_worth)
    gain = 0.0
    with torch.no_grad():
        for k in range(frames):
            for which in torch.arange(inputs.shape[1]).split(_BATCH):
                given, goal = seen(k, which)
                (made,) = corrections([(k, given)])
                gain += float((squares(goal, torch.zeros_like(made)) - squares(goal, made)).sum())
    assert model.steps is not None
    sizes = [weight_step_of(k) for k in model.steps]
    parameters, z = model.tensors()
    weights = [_integers(p, s, WEIGHT_LIMIT) for p, s in zip(parameters, sizes, strict=True)]
    latents = _integers(z, LATENT_STEP, LATENT_LIMIT)
    # What does not even give a number is worth nothing.
    gain = gain * crops.coverage if math.isfinite(gain) else -math.inf
    return TrainedSynthesis(NetworkSymbols(weights, model.steps, latents), gain)
