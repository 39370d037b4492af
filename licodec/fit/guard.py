"""Trainings that diverge: noticed, taken back to the last good state, gone on with smaller steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

Warn = Callable[[str], None]

EVERY = 50
"""Steps between looks: to read the loss at each would wait for the device each time."""
LOWER = 0.25
"""What the steps are multiplied by after a divergence."""
MOST = 5
"""Divergences after which a training is given up: then its steps are a thousandth of what they were."""


class Guard:
    """Keeps the last good values of the tensors in training. Call `watch` after every step."""

    def __init__(self, tensors: Sequence[torch.Tensor], worst: float, warn: Warn) -> None:
        """`worst`: mean loss above which the training has diverged, as it has when a value is not finite."""
        self._tensors, self._worst, self._warn = tensors, worst, warn
        self._kept = [t.detach().clone() for t in tensors]
        self._kept_at = self._step = 0
        self._sum: torch.Tensor | float = 0.0
        self._count = self._times = 0
        self.factor = 1.0
        """What steps are to be multiplied by."""

    @property
    def gave_up(self) -> bool:
        """Whether it diverged too often; the tensors are those of the last good state."""
        return self._times >= MOST

    def watch(self, loss: torch.Tensor, *, look: bool = False) -> bool:
        """Whether the training was taken back; then what the optimiser remembers is of no use.

        `look`: now, because what follows needs a good state.
        """
        self._step += 1
        self._sum = self._sum + loss.detach()
        self._count += 1
        if self._count < EVERY and not look:
            return False
        mean, self._sum, self._count = float(self._sum) / self._count, 0.0, 0
        if math.isfinite(mean) and mean <= self._worst and all(bool(t.isfinite().all()) for t in self._tensors):
            self._kept, self._kept_at = [t.detach().clone() for t in self._tensors], self._step
            return False
        for tensor, kept in zip(self._tensors, self._kept, strict=True):
            tensor.detach().copy_(kept)
        self._times += 1
        self.factor *= LOWER
        self._warn(
            f"training diverged before step {self._step} (loss {mean:.3g}): back to what it was after step "
            f"{self._kept_at}, " + ("given up" if self.gave_up else f"on with {self.factor:.3g} of the learning rate")
        )
        return True
