"""SOAP against Adam on a problem whose inputs hang together."""

from __future__ import annotations

import pytest
import torch

from licodec.fit.soap import Soap


def least_squares(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(weights [3, 2, 2, 2], inputs [256, 8], wanted [256, 3]); components of inputs nearly the same."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn((256, 1), generator=generator) + 0.05 * torch.randn((256, 8), generator=generator)
    wanted = x @ torch.randn((8, 3), generator=generator)
    return torch.zeros((3, 2, 2, 2), requires_grad=True), x, wanted


def error(weights: torch.Tensor, x: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    return (x @ weights.reshape(3, 8).T - wanted).square().mean()


def descend(optimiser: torch.optim.Optimizer, steps: int, problem: tuple[torch.Tensor, ...]) -> float:
    for _ in range(steps):
        optimiser.zero_grad()
        error(*problem).backward()
        optimiser.step()
    return float(error(*problem))


def test_what_hangs_together_does_not_slow_it_down() -> None:
    turned, plain = least_squares(), least_squares()
    by_soap = descend(Soap([turned[0]], [], (0.05, 0.05)), 200, turned)
    by_adam = descend(torch.optim.Adam([plain[0]], lr=0.05, betas=(0.9, 0.98)), 200, plain)
    assert by_soap < 0.1 * by_adam
    assert by_soap < 1e-3 * float(problem_at_zero())


def problem_at_zero() -> torch.Tensor:
    return error(*least_squares())


def test_the_rest_is_left_to_adam() -> None:
    ours, theirs = least_squares(), least_squares()
    descend(Soap([], [ours[0]], (0.1, 0.02)), 20, ours)
    descend(torch.optim.Adam([theirs[0]], lr=0.02, betas=(0.9, 0.98), eps=1e-12), 20, theirs)
    torch.testing.assert_close(ours[0], theirs[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("matrices", [True, False])
def test_without_a_rate_or_a_gradient_nothing_moves(matrices: bool) -> None:
    problem = least_squares()
    problem[0].data.fill_(0.5)
    idle = torch.ones(3, 2, requires_grad=True)
    tensors = [problem[0], idle]
    descend(Soap(tensors if matrices else [], [] if matrices else tensors, (0.0, 0.0)), 3, problem)
    assert (problem[0] == 0.5).all()
    assert (idle == 1).all()


def test_a_gradient_that_is_not_finite_is_for_the_guard_to_notice() -> None:
    problem = least_squares()
    problem[1][0, 0] = torch.inf
    assert not torch.tensor(descend(Soap([problem[0]], [], (0.05, 0.05)), 8, problem)).isfinite()
