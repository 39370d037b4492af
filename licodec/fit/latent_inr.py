"""The fit of a segment of the paper profile: train, choose the steps, train on through the rounding."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from licodec.entropy.latent_inr import SYMBOL_MAX, LatentINRSymbols, step_index, step_size, write_symbols
from licodec.fit.fitter import Budget, Report
from licodec.fit.guard import Guard, Warn
from licodec.fit.presets import Quality
from licodec.fit.settings import EncodeSettings
from licodec.model.config import PROFILE_PAPER
from licodec.model.geometry import Geometry, to_working
from licodec.model.latent_inr import LatentINRConfig, build, check_segment, pack, patch_shapes
from licodec.video.info import Frame, Plane, VideoInfo

_CONFIG = LatentINRConfig(width=256, rank=1)
"""Minutes on a CPU are too few for the published width: see `benchmarks` for both."""
_FRAMES, _PATCHES = 4, 1024
"""Frames of a batch, and patches of each."""
_MUON_RATE, _ADAM_RATE = 0.03, 3e-3
_WARM_UP = 20
_STEPS = {"ultrafast": 300, "fast": 1500, "medium": 6000, "slow": 25000, "placebo": 100000}
"""Training steps of each preset."""
_ROUND_FROM = 0.75
"""Share of the budget after which the network is trained as the decoder will see it, rounded."""
_WORTH = 0.05
"""Squared error (8-bit scale) that a bit must save, over the squared step of the rate factor: half of what the default
profile asks where nothing hangs on a sample."""
_WORST = 4.0
"""Mean squared error, of samples from 0 to 1, beyond which a training has diverged: any picture is closer than 1."""
_PROBES = 8
"""Batches that the sensitivities are estimated from."""


class LatentINRFitter:
    """Makes the payloads of a file of the paper profile; see `fit.fitter.Fitter`."""

    def __init__(self, info: VideoInfo, settings: EncodeSettings, device: str) -> None:
        """`device` is not used: this profile is trained on the CPU."""
        self._info, self._config, self._seed, self._limits = info, _CONFIG, settings.seed, settings.limits
        self._steps = _STEPS[settings.preset]
        self.conf = bytes([PROFILE_PAPER]) + self._config.to_bytes()

    def fit(
        self,
        frames: Sequence[Frame],
        crf: float,
        budget: Budget,
        *,
        quick: bool,
        report: Report,
        partial: bytes | None,
        save_partial: Callable[[bytes], None] | None,
        warn: Warn,
    ) -> bytes:
        """Payload of a segment. An interrupted segment begins again: nothing is saved on the way."""
        steps = max(1, self._steps // 10) if quick else self._steps
        check_segment(self._config, Geometry.of(self._info), len(frames), self._limits)
        symbols = fit(
            [f.planes for f in frames],
            self._info,
            self._config,
            seconds=math.inf if budget.left is None else budget.left,
            steps=steps,
            lam=_WORTH * Quality(crf).plain_step ** 2,
            seed=self._seed,
            progress=lambda share, _: report("train", int(share * steps), steps),
            warn=warn,
        )
        return write_symbols(symbols)


def fit(
    frames: Sequence[tuple[Plane, ...]],
    info: VideoInfo,
    config: LatentINRConfig,
    *,
    seconds: float,
    lam: float,
    steps: int | None = None,
    progress: Callable[[float, float], None] | None = None,
    seed: int = 0,
    warn: Warn = lambda text: None,
) -> LatentINRSymbols:
    """Fit the paper profile's model to one segment.

    Args:
        frames: integer planes of each frame, as `VideoInfo` describes them.
        seconds: time to spend.
        lam: squared error that a bit must save, on the 8-bit scale, summed over samples (a chroma sample
            counted for all luma samples that it covers); more: a smaller file.
        steps: training steps after which to stop even if time remains; if that comes first, the result
            depends on the seed and the machine's arithmetic alone.
        progress: called after every step with the share of the budget used and the PSNR of the batch in dB.
        seed: of the initial values and of the order of batches.
        warn: told when the training diverges; it goes back to its last good state then, and on with smaller steps.

    Returns:
        What `write_symbols` writes.

    Raises:
        LimitError: the model is too big.
    """
    return _Fit(frames, info, config, seed).run(seconds, lam, steps, progress, warn)


class _Fit:
    """Parameters in training: in float32, and as the working copy that is rounded and may be in bfloat16.

    Gradients are taken at the copy and applied to the original: the straight-through estimator.
    """

    def __init__(
        self, frames: Sequence[tuple[Plane, ...]], info: VideoInfo, config: LatentINRConfig, seed: int
    ) -> None:
        self._random = np.random.default_rng(seed)
        self._generator = torch.Generator().manual_seed(seed)
        self._model = build(config, info, len(frames))
        geometry = self._model.geometry
        # float16 holds samples of up to 10 bits exactly, and of 16 bits to 1/16 of an 8-bit step.
        packed = [pack(to_working(f, info), geometry, config.patch).astype(np.float16) for f in frames]
        self._patches = torch.from_numpy(np.stack(packed))
        # As in RGB, a chroma sample weighs as much as the luma samples that it covers.
        areas = [a * b for a, b in patch_shapes(geometry, config.patch)]
        self._importance = torch.cat([torch.full((area,), areas[0] / area) for area in areas])
        mean = self._patches.float().mean(dim=(0, 1)) / 255 - 0.5
        self._model.initialise(mean, self._generator)
        self._working = build(config, info, len(frames)).to(_dtype())
        self._steps: list[int] | None = None

    def run(
        self,
        seconds: float,
        lam: float,
        steps: int | None,
        progress: Callable[[float, float], None] | None,
        warn: Warn,
    ) -> LatentINRSymbols:
        optimisers = self._optimisers()
        guard = Guard(list(self._model.parameters()), _WORST, warn)
        start, step, done = time.monotonic(), 0, 0.0
        while done < 1 and not guard.gave_up:
            if self._steps is None and done >= _ROUND_FROM:
                self._steps = self._choose_steps(lam)
            loss = self._gradients()
            for optimiser, rate in optimisers:
                warm = min(1, (step + 1) / _WARM_UP)
                optimiser.param_groups[0]["lr"] = guard.factor * rate * warm * (1 + math.cos(math.pi * done)) / 2
                optimiser.step()
            step += 1
            done = max((time.monotonic() - start) / max(seconds, 1e-3), step / steps if steps else 0)
            round_next = self._steps is None and done >= _ROUND_FROM
            if guard.watch(torch.tensor(loss), look=done >= 1 or round_next):
                for optimiser, _ in optimisers:
                    optimiser.state.clear()
            if progress:
                progress(min(done, 1.0), -10 * math.log10(max(loss, 1e-10)))
        return self._symbols(self._steps or self._choose_steps(lam))

    def _optimisers(self) -> list[tuple[torch.optim.Optimizer, float]]:
        """Muon (Jordan et al. 2024) for the matrices, Adam for latents, grids and biases; their learning rates."""
        matrices = [m for layer in self._model.layers for m in layer.matrices()]
        chosen = {id(m) for m in matrices}
        rest = [p for p in self._model.parameters() if id(p) not in chosen]
        muon = torch.optim.Muon(matrices, weight_decay=0.0)
        return [(muon, _MUON_RATE), (torch.optim.Adam(rest, betas=(0.9, 0.99)), _ADAM_RATE)]

    def _gradients(self) -> float:
        """Gradients of one batch's mean squared error, which is returned."""
        made, wanted = self._batch()
        loss = ((made - wanted).square() * self._importance).mean() / self._importance.mean()
        for parameter, gradient in zip(self._model.parameters(), self._backward(loss), strict=True):
            parameter.grad = gradient
        return float(loss.detach())

    def _backward(self, value: Tensor) -> list[Tensor]:
        """Gradients of a value with respect to each parameter of the working copy, in float32."""
        return [g.float() for g in torch.autograd.grad(value, list(self._working.parameters()))]

    def _batch(self) -> tuple[Tensor, Tensor]:
        """(made, wanted) samples [frames, patches, samples] of some patches of some frames."""
        self._refresh()
        frames, patches = self._patches.shape[:2]
        t = torch.from_numpy(self._random.permutation(frames)[:_FRAMES])
        i = torch.from_numpy(self._random.permutation(patches)[:_PATCHES])
        made = self._working(self._working.latents[t], self._working.encoding()[i].to(_dtype()))
        return made.float(), self._patches[t[:, None], i].float() / 255 - 0.5

    @torch.no_grad()
    def _refresh(self) -> None:
        """Bring the working copy up to date: rounded, once there are steps."""
        for i, (parameter, copy) in enumerate(zip(self._model.parameters(), self._working.parameters(), strict=True)):
            step = step_size(self._steps[i]) if self._steps else None
            copy.copy_(torch.round(parameter / step) * step if step else parameter)

    def _choose_steps(self, lam: float) -> list[int]:
        """The steps that minimise squared error + lam * bits, by a second-order expansion of the error.

        Rounding adds noise of variance step^2 / 12, so the error grows by h step^2 / 12 a parameter, where h
        is the mean diagonal of the Gauss-Newton matrix J^T J; the bits fall by log2(step). The derivative is
        zero at step^2 = 6 lam / (h ln 2). For random signs v, E[(J^T v)_i^2] = (J^T J)_ii (Hutchinson 1989).
        """
        sensitivities = np.zeros(len(list(self._model.parameters())))
        for _ in range(_PROBES):
            made, _ = self._batch()
            signs = torch.randint(0, 2, made.shape, generator=self._generator) * 2 - 1
            gradients = self._backward((made * signs * self._importance.sqrt()).sum())
            whole = self._patches.numel() / made.numel()
            squares = [float(g.square().mean()) for g in gradients]
            sensitivities += np.array(squares) * whole * 255**2 / _PROBES
        optimal = np.sqrt(6 * lam / (np.maximum(sensitivities, 1e-12) * math.log(2)))
        return [step_index(float(step)) for step in optimal]

    def _symbols(self, steps: list[int]) -> LatentINRSymbols:
        rounded = [
            torch.round(p.detach() / step_size(k)).clamp(-SYMBOL_MAX, SYMBOL_MAX)
            for p, k in zip(self._model.parameters(), steps, strict=True)
        ]
        return LatentINRSymbols(tuple(steps), tuple(r.numpy().astype(np.int32) for r in rounded))


def _dtype() -> torch.dtype:
    """bfloat16 where the processor multiplies it natively, else float32."""
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return torch.bfloat16 if supported() else torch.float32
