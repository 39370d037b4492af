"""`cells` in tensors: all cells of a plane at once, on any device."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from licodec.render.cells import BEFORE, FRACTIONS, TAPS, WEIGHTS


class CellReader:
    """Reads planes by Lanczos' kernel, each cell at one fraction of a sample."""

    def __init__(self, device: str) -> None:
        self._weights = torch.from_numpy(WEIGHTS).to(device)

    def __call__(self, plane: Tensor, offsets: Tensor, corner: tuple[int, int], size: int) -> Tensor:
        """[down * size, across * size] samples.

        plane: [rows, columns] what is read; outside, the nearest edge sample. offsets: [down, across, 2] (x, y) samples
        by which cells of size x size samples are moved, of which the first one is at `corner` (row, column).
        """
        down, across = offsets.shape[:2]
        whole = offsets.floor()
        weights = self._between(offsets - whole)
        reach = torch.arange(size + TAPS - 1, device=plane.device) - BEFORE
        y, x = (torch.arange(n, device=plane.device) * size for n in (down, across))
        rows = (corner[0] + y[:, None] + whole[..., 1].long())[..., None] + reach
        columns = (corner[1] + x + whole[..., 0].long())[..., None] + reach
        rows, columns = rows.clip(0, plane.shape[0] - 1), columns.clip(0, plane.shape[1] - 1)
        patches = plane[rows[..., None], columns[..., None, :]]
        lines = _filtered(patches.movedim(-1, 0), weights[:, :, 0, :, None].unbind(2), size)
        read = _filtered(lines.movedim(-1, 0), weights[:, :, 1].unbind(2), size)
        return read.permute(2, 0, 3, 1).reshape(down * size, across * size)

    def _between(self, fractions: Tensor) -> Tensor:
        """[..., taps] weights at fractions of a sample."""
        place = fractions * FRACTIONS
        k = place.long().clip(max=FRACTIONS - 1)
        low, high = self._weights[k], self._weights[k + 1]
        return low + (place - k)[..., None] * (high - low)


def _filtered(samples: Tensor, weights: Sequence[Tensor], size: int) -> Tensor:
    """[size, ...] of samples [size + taps - 1, ...]."""
    total = weights[0] * samples[:size]
    for k in range(1, TAPS):
        total = total + weights[k] * samples[k : k + size]
    return total
