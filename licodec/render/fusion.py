"""What lies between two pictures, out of six accounts of it: a small network weighs them at every place.

The two pictures along the mean of both flows, each along its own flow, and each as it is. Where motion is sure, the
first four together have the least noise; at edges of what moves some are wrong. The network was shown moving pictures
of which all frames are known (`benchmarks/train_fusion.py`: none of the benchmark suite). It is shipped with the codec,
and nothing in a file depends on it.

It sees luma at half the size, and weighs squares of 2 x 2 samples. Whatever part of a picture is asked for, it is
computed in the same squares, so that the same samples come out.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from licodec.render.network import without_tf32
from licodec.render.small_network import Layers, convolved, layers_of
from licodec.render.tiles import Squares, surroundings
from licodec.render.window import FUSION, Window

ACCOUNTS = 6
MIRRORED = [1, 0, 3, 2, 5, 4]
"""The accounts when the two pictures change places."""
_STILL = 0.02
"""What the two pictures as they are count before the network has a say."""
_MIDDLE, _LEVEL_SCALE, _DIFFERENCE_SCALE = 128.0, 1 / 64, 1 / 16
_SQUARE, _SQUARE_ON_DEVICE = 96, 512
"""Places a side of what is worked on at a time: on a CPU what a layer makes of it stays in the second-level cache."""
_REACH = FUSION // 2


class Fusion:
    """The shipped network on a device."""

    def __init__(self, device: str) -> None:
        self.squares = Squares(_SQUARE if device == "cpu" else _SQUARE_ON_DEVICE)
        self._layers = layers_of("fusion", device)

    def __call__(self, lumas: Sequence[Tensor], share: float, read: Window, part: Window) -> Tensor:
        """[ACCOUNTS, rows / 2, columns / 2] what each account counts in a part of a picture; in all 1.

        lumas: of the accounts in `read`, as much of the picture as `Window.read_by_fusion` says; both begin at even
        rows and columns.
        """
        later = share > 0.5
        order = MIRRORED if later else range(ACCOUNTS)
        planes = halved(torch.stack([lumas[k] for k in order]))
        out = torch.empty((ACCOUNTS, *part.shape((2, 2))), device=planes.device)
        around, wanted = _half(read), _half(part)

        def weigh(square: Window, inside: Window) -> None:
            x = surroundings(planes, square.within(around), wanted.within(around), self.squares.side, _REACH)
            with torch.inference_mode(), without_tf32():
                made = shares(self._layers, x[None], torch.full((1,), min(share, 1 - share), device=x.device))[0]
            out[:, *inside.within(wanted).of((1, 1))] = made[:, *inside.within(square).of((1, 1))]

        self.squares.each(wanted, weigh)
        return out[MIRRORED] if later else out


def shares(layers: Layers, lumas: Tensor, share: Tensor) -> Tensor:
    """[n, ACCOUNTS, h, w] what each account counts, of their luma [n, ACCOUNTS, h', w'] at half the size, where h' and
    w' are larger by what the layers look at around a place; share: [n] of the way, at most 1/2."""
    expected = prior(share)[..., None, None]
    mean = (lumas * expected).sum(1, keepdim=True)
    way = share[:, None, None, None].expand_as(mean)
    x = torch.cat([(lumas - mean) * _DIFFERENCE_SCALE, (mean - _MIDDLE) * _LEVEL_SCALE, way], dim=1)
    return F.softmax(convolved(layers, x) + expected.log(), dim=1)


def prior(share: Tensor) -> Tensor:
    """[n, ACCOUNTS] what accounts count where nothing is known, for shares [n]: those of the nearer picture more."""
    near, far = 1 - share, share
    moved, still = (1 - _STILL) / 2, _STILL
    return torch.stack([near * moved, far * moved, near * moved, far * moved, near * still, far * still], dim=1)


def halved(planes: Tensor) -> Tensor:
    """Means of 2 x 2 samples of planes [n, rows, columns]; odd edges repeat."""
    below, right = planes.shape[1] % 2, planes.shape[2] % 2
    if below or right:
        planes = F.pad(planes[None], (0, right, 0, below), mode="replicate")[0]
    return F.avg_pool2d(planes, 2)


def _half(window: Window) -> Window:
    """The same place at half the size."""
    rows, columns = window.of((2, 2))
    return Window(rows.start, rows.stop, columns.start, columns.stop)
