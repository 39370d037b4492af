"""The codec with one part switched off: what `benchmarks.ablation` measures.

A variant replaces functions or settings of the encoder inside a process of its own, so that the codec itself needs
no options for it. Where it changes what the symbols mean (`own_format`), the file is decoded in that same process;
any other variant's file is an ordinary one. A name that the codec no longer has ends the run: nothing is measured
that was not changed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

import numpy as np
import torch

from licodec.entropy import kernels
from licodec.entropy.kernels import MAX_LEVELS
from licodec.entropy.segment import PictureCoder
from licodec.fit import synthesis as training
from licodec.fit.motion import FieldSearch
from licodec.fit.presets import PRESETS
from licodec.fit.trellis import dependent_levels
from licodec.model import synthesis
from licodec.model.config import ModelConfig
from licodec.model.geometry import Geometry
from licodec.model.motion import level_shapes
from licodec.model.symbols import FILTER_WEIGHTS

Patch = tuple[str, Any]
"""(dotted name of what is replaced, what replaces it)"""

FULL = "full"


@dataclass(frozen=True)
class Variant:
    """One part off."""

    name: str
    """In results."""
    about: str
    """What is different."""
    patches: Callable[[], list[Patch]] = list
    """What is replaced."""
    preset: Callable[[Any], Any] = lambda preset: preset
    """The preset that is used, from the one asked for."""
    own_format: bool = False
    """Whether only the same process can decode the file."""

    @contextmanager
    def applied(self, preset: str) -> Iterator[None]:
        """The codec of this process as this variant, the preset of that name included."""
        with ExitStack() as stack:
            stack.enter_context(mock.patch.dict(PRESETS, {preset: self.preset(PRESETS[preset])}))
            for target, value in self.patches():
                stack.enter_context(mock.patch(target, value))
            yield


def variants() -> dict[str, Variant]:
    """All of them by name, the full model first."""
    config = _with_config
    found = [
        Variant(FULL, "everything on"),
        Variant("motion off", "all vectors zero", _no_motion),
        Variant("network off", "no synthesis network", preset=lambda p: replace(p, steps=0)),
        *(
            Variant(
                f"modulation off, layer {i + 1}",
                f"layer {i + 1} of {synthesis.LAYERS} of the network the same for all frames",
                functools.partial(_no_modulation, {i}),
            )
            for i in range(synthesis.LAYERS)
        ),
        Variant(
            "modulation off",
            "no latents: the network the same for all frames",
            functools.partial(_no_modulation, set(range(synthesis.LAYERS))),
        ),
        Variant("rank 2", "modulation of rank 2 instead of 1", config(rank=2)),
        Variant("rank 4", "modulation of rank 4", config(rank=4)),
        Variant("latent 2", "latents of 2 components instead of 8", config(latent_dim=2)),
        Variant("latent 16", "latents of 16 components", config(latent_dim=16)),
        Variant("width x 1/2", "half the channels", preset=lambda p: replace(p, width=p.width // 2)),
        Variant("width x 2", "twice the channels", preset=lambda p: replace(p, width=2 * p.width)),
        Variant(
            "Adam instead of SOAP",
            "on the kernels, too, at the rate of the rest",
            lambda: [("licodec.fit.synthesis.Soap", Adam)],
        ),
        Variant("Muon instead of SOAP", "on kernels; Adam on the rest", lambda: [("licodec.fit.synthesis.Soap", Muon)]),
        Variant(
            "bits in training off",
            "squared error alone; steps as they are",
            lambda: [("licodec.fit.synthesis._BIT_WORTH", 0.0)],
        ),
        Variant(
            "bf16 off",
            "training in float32, as processors without bfloat16 do anyway",
            lambda: [("licodec.fit.synthesis._has_bfloat16", lambda device: False)],
        ),
        Variant(
            "mixing off",
            "one context for each decision, its weights put back before each batch",
            _no_mixing,
            own_format=True,
        ),
        Variant(
            "priors off",
            "context models start from nothing",
            lambda: [*_shipped_rates(), ("licodec.entropy.segment.shipped", dict)],
            own_format=True,
        ),
        Variant(
            "RDO off",
            "the nearest levels behind a dead zone (1/6); block sizes and about where blocks end still chosen",
            lambda: [("licodec.fit.blocks.dependent_levels", _rounded)],
        ),
        Variant(
            "look-ahead off",
            "no place matters more than another",
            lambda: [
                ("licodec.fit.segment.look_ahead", lambda *_: {}),
                ("licodec.fit.segment.SegmentFit.weigh", lambda *_: None),
            ],
        ),
        Variant("intra off", "no block predicted from the picture itself", preset=lambda p: replace(p, intra=-1)),
        Variant("denoising off", "all pictures coded as they are", preset=lambda p: replace(p, denoise=False)),
        Variant(
            "one quality",
            "all levels of the pyramid quantised alike",
            lambda: [("licodec.fit.presets.Quality.offset", lambda quality, level: 0.0)],
        ),
        Variant(
            "deblocking off",
            "edges of blocks as they are",
            lambda: [("licodec.render.numpy_renderer.NumpyRenderer._deblock", _as_it_is)],
            own_format=True,
        ),
        Variant(
            "loop filter off",
            "deblocked pictures as they are; all weights 0",
            lambda: [("licodec.fit.closed_loop.fit_filter", _no_filter)],
        ),
    ]
    return {variant.name: variant for variant in found}


def _no_filter(*arguments: object) -> np.ndarray:
    return np.zeros(FILTER_WEIGHTS, np.int32)


def _with_config(**changes: int) -> Callable[[], list[Patch]]:
    return lambda: [("licodec.fit.fitter.ModelConfig", functools.partial(ModelConfig, **changes))]


def _no_motion() -> list[Patch]:
    def corrections(search: FieldSearch, *rest: object) -> tuple[np.ndarray, list[np.ndarray]]:
        shapes = level_shapes(*search.luma.shape)
        return np.zeros(shapes[-1], np.uint8), [np.zeros((*shape, 2), np.int16) for shape in shapes]

    return [("licodec.fit.motion.FieldSearch.corrections", corrections)]


def _no_modulation(layers: set[int]) -> list[Patch]:
    """Factors of one in these layers, and zeros for what would have made them: they cost next to nothing."""
    modulations, begin = synthesis.modulations, training._Model.__init__

    def fixed(*arguments: Any) -> list[Any]:
        factors = modulations(*arguments)
        return [0 * f + 1 if i in layers else f for i, f in enumerate(factors)]

    def blank(model: Any, *arguments: Any) -> None:
        begin(model, *arguments)
        parameters, latents = model.tensors()
        for i, parameter in enumerate(parameters):
            layer, kind = divmod(i, len(parameters) // synthesis.LAYERS)
            # The first two of a layer are kernel and bias, the others its hypernetwork.
            if layer in layers and kind >= 2:
                parameter.data.zero_()
        if len(layers) == synthesis.LAYERS:
            latents.data.zero_()

    return [("licodec.model.synthesis.modulations", fixed), ("licodec.fit.synthesis._Model.__init__", blank)]


def _shipped_rates() -> list[Patch]:
    """The encoder decides by what the shipped models say, whatever it codes with."""
    coder = PictureCoder(Geometry(((32, 32), (16, 16), (16, 16)), (2, 2)))
    residual = [[coder.rates(g, level) for level in range(MAX_LEVELS)] for g in range(2)]
    motion = [[coder.motion_rates(level, second) for second in range(2)] for level in range(MAX_LEVELS)]

    def rates(self: PictureCoder, g: int, level: int) -> Any:
        return residual[g][min(level, MAX_LEVELS - 1)]

    def motion_rates(self: PictureCoder, level: int, second: int) -> Any:
        return motion[min(level, MAX_LEVELS - 1)][second]

    name = "licodec.entropy.segment.PictureCoder"
    return [(f"{name}.rates", rates), (f"{name}.motion_rates", motion_rates)]


def _no_mixing() -> list[Patch]:
    """Before each batch of pictures all weight goes back to the first context of each decision."""
    code = PictureCoder.code

    def alone(self: PictureCoder, *args: Any) -> None:
        for model in self.models().values():
            weights = model.mixer.weights
            weights[:] = 0
            weights[: model.selectors, 0] = 1 << kernels.WEIGHT_BITS
        code(self, *args)

    return [*_shipped_rates(), ("licodec.entropy.segment.PictureCoder.code", alone)]


_DEAD_ZONE = 1 / 6
"""Of a step: what the reference software of H.264 and HEVC rounds less of pictures predicted from others."""


def _rounded(x: np.ndarray, plain: np.ndarray, worth: np.ndarray, *rest: Any) -> np.ndarray:
    """`dependent_levels`, but the nearest of what is left of each coefficient behind a dead zone, whatever it costs."""
    left = np.sign(x) * np.maximum(np.abs(x) - np.float32(_DEAD_ZONE), 0)
    return dependent_levels(left, plain, worth * np.float32(1e4), *rest)


def _as_it_is(renderer: object, plane: np.ndarray, *rest: object) -> np.ndarray:
    return plane


class Adam(torch.optim.Adam):
    """Adam in the place of SOAP."""

    def __init__(self, matrices: Sequence[Any], rest: Sequence[Any], rates: tuple[float, float]) -> None:
        groups = [{"params": list(matrices)}, {"params": list(rest)}]
        super().__init__(groups, lr=rates[1], betas=(0.9, 0.98))

    def step(self, closure: Any = None) -> Any:
        """One step, of the kernels at the rate of the rest."""
        self.param_groups[0]["lr"] = self.param_groups[1]["lr"]
        return super().step(closure)


class Muon(Adam):
    """Adam, but kernels go along the nearest orthogonal matrix to their momentum.

    Jordan et al., "Muon", 2024, with the quintic iteration given there; scaled to the length of Adam's steps as in Liu
    et al., arXiv 2502.16982.
    """

    def __init__(self, matrices: Sequence[Any], rest: Sequence[Any], rates: tuple[float, float]) -> None:
        super().__init__(matrices, rest, rates)
        self._momenta: dict[torch.Tensor, torch.Tensor] = {}

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Kernels first; Adam then passes over them, as they have no gradient left."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.dim() == 4 and p.grad is not None:
                    momentum = self._momenta.setdefault(p, torch.zeros_like(p))
                    momentum.lerp_(p.grad, 0.05)
                    direction = _orthogonal((0.05 * p.grad + 0.95 * momentum).flatten(1))
                    p.add_(direction.view_as(p), alpha=-group["lr"] * 0.2 * max(direction.shape) ** 0.5)
                    p.grad = None
        return super().step(closure)


def _orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """The orthogonal factor of a matrix, roughly: singular values end in 0.7 to 1.2."""
    x = matrix / (matrix.norm() + 1e-12)
    wide = x.shape[0] <= x.shape[1]
    x = x if wide else x.T
    for _ in range(5):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x if wide else x.T
