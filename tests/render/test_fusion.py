"""What lies between two pictures, weighed out of accounts of it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from api.movies import psnr
from fit.patterns import texture

from licodec.model.geometry import Geometry
from licodec.render import fusion
from licodec.render.flow import Flow
from licodec.render.fusion import ACCOUNTS, MIRRORED, Fusion
from licodec.render.numpy_renderer import NumpyRenderer
from licodec.render.torch_renderer import TorchRenderer
from licodec.render.window import FUSION, Window
from licodec.video.info import VideoInfo

SIZE = (202, 231)
"""Larger than a square of the grid both ways, with an odd edge."""
GEOMETRY = Geometry.of(VideoInfo(SIZE[1], SIZE[0]))
WHOLE = Window.whole(GEOMETRY)


@pytest.fixture(scope="module")
def lumas() -> list[torch.Tensor]:
    random = np.random.default_rng(0)
    ground = random.uniform(0, 255, SIZE)
    return [torch.from_numpy((ground + random.normal(0, 20, SIZE)).astype(np.float32)) for _ in range(ACCOUNTS)]


@pytest.fixture(scope="module")
def fuse() -> Fusion:
    return Fusion("cpu")


def cut(lumas: list[torch.Tensor], window: Window) -> list[torch.Tensor]:
    return [luma[window.of((1, 1))] for luma in lumas]


def test_all_accounts_together_are_one(lumas: list[torch.Tensor], fuse: Fusion) -> None:
    made = fuse(lumas, 0.3, WHOLE, WHOLE)
    assert made.shape == (ACCOUNTS, 101, 116)
    assert made.min() >= 0
    torch.testing.assert_close(made.sum(0), torch.ones(101, 116))


def test_parts_are_the_whole_to_the_last_bit(lumas: list[torch.Tensor], fuse: Fusion) -> None:
    """Wherever the cuts are, and when no more is there than a part is said to read."""
    whole = fuse(lumas, 0.3, WHOLE, WHOLE)
    for y_cuts, x_cuts in (((0, 192, 202), (0, 192, 231)), ((0, 2, 190, 202), (0, 6, 194, 231))):
        lines = []
        for y in pairwise(y_cuts):
            parts = [Window(*y, *x) for x in pairwise(x_cuts)]
            reads = [part.read_by_fusion(GEOMETRY) for part in parts]
            made = [fuse(cut(lumas, read), 0.3, read, part) for read, part in zip(reads, parts, strict=True)]
            lines.append(torch.cat(made, dim=2))
        assert torch.equal(torch.cat(lines, dim=1), whole)


def test_it_reads_as_far_as_windows_say(fuse: Fusion) -> None:
    reach = FUSION // 2
    random = torch.Generator().manual_seed(1)
    lumas = (100 * torch.rand((1, ACCOUNTS, 31, 31), generator=random)).requires_grad_()
    fusion.shares(fuse._layers, lumas, torch.tensor([0.4]))[0, 0, 15 - reach, 15 - reach].backward()
    assert lumas.grad is not None
    rows, columns = lumas.grad[0].abs().sum(0).nonzero().unbind(1)
    for found in (rows, columns):
        assert (found.min(), found.max()) == (15 - reach, 15 + reach)


def test_time_backwards_is_the_same(lumas: list[torch.Tensor], fuse: Fusion) -> None:
    there, back = fuse(lumas, 0.375, WHOLE, WHOLE), fuse([lumas[k] for k in MIRRORED], 0.625, WHOLE, WHOLE)
    assert torch.equal(there, back[MIRRORED])


def test_near_a_picture_it_is_that_picture(lumas: list[torch.Tensor], fuse: Fusion) -> None:
    made = fuse(lumas, 0.001, WHOLE, WHOLE)
    assert made[[1, 3, 5]].sum(0).mean() < 0.02


def passing(t: float) -> np.ndarray:
    """A square that passes before a ground which moves the other way."""
    ground, front = texture(3, shortest=9), texture(4, shortest=9)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    picture = ground(x + 1.5 * t, y)
    inside = (abs(y - 100) < 40) & (abs(x - 60 - 12 * t) < 40)
    picture[inside] = front(x - 12 * t, y)[inside]
    return picture.astype(np.float32)


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_where_something_is_uncovered_it_is_better_than_the_mean(share: float) -> None:
    info = VideoInfo(SIZE[1], SIZE[0], "gray")
    first, second, truth = (passing(t) for t in (0, 1, share))
    motion = Flow.between(first, second).at(share)
    renderer = NumpyRenderer(Geometry.of(info))
    made = renderer.between((first,), (second,), motion, share).planes[0]
    accounts = [planes[0] for planes in renderer.accounts((first,), (second,), motion, share)]
    counts = [(1 - share) / 2, share / 2, (1 - share) / 2, share / 2]
    mean = sum(c * plane for c, plane in zip(counts, accounts, strict=False))
    assert psnr(made, truth) > psnr(mean, truth) + 0.2
    twin = TorchRenderer(Geometry.of(info), "cpu")
    tensors = [(torch.from_numpy(plane),) for plane in (first, second)]
    other = twin.between(tensors[0], tensors[1], motion, share).planes[0].numpy()
    assert np.abs(other - made).max() < 0.05
