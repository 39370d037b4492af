"""The optimiser of small networks: Adam in the eigenbasis of Shampoo's preconditioner (SOAP, arXiv 2409.11321)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch

_BETAS = (0.9, 0.98)
"""Decays of the mean and of the squares."""
_SPREAD = 0.95
"""Decay of the preconditioner."""
_EVERY = 5
"""Steps between two turns of its basis."""
_EPSILON = 1e-12
_LONGEST = 2.0
"""Component of a direction; Adam's are never much longer in a basis that stays."""


class Soap:
    """SOAP for matrices (kernels are [outputs, rest]), Adam for the rest.

    To be used as an optimiser of torch, but none: at the first of those torch loads its compiler, for two seconds.
    """

    def __init__(
        self, matrices: Sequence[torch.Tensor], rest: Sequence[torch.Tensor], rates: tuple[float, float]
    ) -> None:
        """`rates`: learning rates of `matrices` and `rest`."""
        self.param_groups: list[dict[str, Any]] = [
            {"params": list(matrices), "lr": rates[0], "turned": True},
            {"params": list(rest), "lr": rates[1], "turned": False},
        ]
        self.state: dict[torch.Tensor, dict[str, Any]] = defaultdict(dict)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for group in self.param_groups:
            for p in group["params"]:
                p.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """One step of every tensor that has a gradient."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.sub_(self._direction(p, group["turned"]).reshape(p.shape), alpha=group["lr"])

    def _direction(self, p: torch.Tensor, turned: bool) -> torch.Tensor:
        first, second = _BETAS
        assert p.grad is not None
        gradient = p.grad.reshape(len(p), -1) if turned else p.grad
        state = self.state[p]
        if not state:
            state.update(step=0, mean=torch.zeros_like(gradient), square=torch.zeros_like(gradient))
            if turned:
                state["sides"] = [gradient.new_zeros(n, n) for n in gradient.shape]
        if turned:
            for side, product in zip(state["sides"], (gradient @ gradient.T, gradient.T @ gradient), strict=True):
                side.lerp_(product, 1 - _SPREAD)
            if "basis" not in state:
                # There is no basis yet to know this gradient's squares in: it only gives one.
                state["basis"] = [_eigenvectors(side) for side in state["sides"]]
                return torch.zeros_like(gradient)
        state["step"] += 1
        left, right = state["basis"] if turned else (None, None)
        state["mean"].lerp_(gradient, 1 - first)
        state["square"].lerp_(_turn(gradient, left, right).square(), 1 - second)
        mean = _turn(state["mean"], left, right) / (1 - first ** state["step"])
        size = (state["square"] / (1 - second ** state["step"])).sqrt() + _EPSILON
        if not turned:
            return mean / size
        # A basis that has just turned has components whose squares are not yet known to be large.
        direction = (mean / size).clamp(-_LONGEST, _LONGEST)
        assert left is not None and right is not None
        if state["step"] % _EVERY == 0:
            # A step of the power iteration follows the eigenvectors, at a fraction of what finding them takes.
            state["basis"] = [
                torch.linalg.qr(side @ b)[0] for side, b in zip(state["sides"], state["basis"], strict=True)
            ]
        return left @ direction @ right.T


def _eigenvectors(side: torch.Tensor) -> torch.Tensor:
    """Of a symmetric matrix, in the columns; any basis of one that is not finite, which is the caller's to notice."""
    try:
        return torch.linalg.eigh(side)[1]
    except torch.linalg.LinAlgError:
        # In single precision LAPACK gives up on some matrices that lack rank, too.
        return torch.linalg.eigh(side.double().nan_to_num(0, 0, 0))[1].to(side.dtype)


def _turn(x: torch.Tensor, left: torch.Tensor | None, right: torch.Tensor | None) -> torch.Tensor:
    return x if left is None or right is None else left.T @ x @ right
