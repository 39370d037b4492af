"""The modulated network: packing, identity at zero, shapes, and gradients that reach the latents."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from video.clips import noise

from licodec.model import synthesis
from licodec.model.config import ModelConfig
from licodec.model.geometry import Geometry, to_working
from licodec.quant.steps import weight_step_of
from licodec.render.network import apply
from licodec.video.info import CHROMA_FORMATS, ChromaFormat, VideoInfo

CONFIG = ModelConfig(latent_dim=5, width=6, hyper_width=4, rank=2)
EVERY_FORMAT = pytest.mark.parametrize("chroma", CHROMA_FORMATS)


def network(geometry: Geometry, seed: int = 0) -> list[torch.Tensor]:
    """Random parameters."""
    generator = torch.Generator().manual_seed(seed)
    return [0.3 * torch.randn(s, generator=generator) for s in synthesis.parameter_shapes(geometry, CONFIG)]


def silent_hypernetworks(parameters: list[torch.Tensor]) -> list[torch.Tensor]:
    """The same base network; the hypernetworks' last layers say zero."""
    return [torch.zeros_like(p) if i % 6 in (4, 5) else p for i, p in enumerate(parameters)]


def run(parameters: list[torch.Tensor], latents: torch.Tensor, x: torch.Tensor, geometry: Geometry) -> torch.Tensor:
    """Correction [frames, content, h, w] of inputs [frames, inputs, h, w], each frame by its own latent."""
    shapes = synthesis.layer_shapes(geometry, CONFIG)
    factors = [synthesis.modulations(parameters, z, shapes, CONFIG.rank, torch.tanh) for z in latents]
    return torch.cat([apply(parameters, f, seen[None]) for f, seen in zip(factors, x, strict=True)])


def inputs(geometry: Geometry, frames: int = 2, half: tuple[int, int] = (6, 5)) -> torch.Tensor:
    generator = torch.Generator().manual_seed(9)
    return torch.randn((frames, synthesis.input_channels(geometry), *half), generator=generator)


@EVERY_FORMAT
@given(size=st.tuples(st.integers(1, 21), st.integers(1, 21)))
def test_unpack_undoes_pack(chroma: ChromaFormat, size: tuple[int, int]) -> None:
    info = VideoInfo(*size, chroma)
    geometry = Geometry.of(info)
    planes = to_working(noise(info), info)
    packed = synthesis.pack(planes, geometry)
    assert packed.shape == (synthesis.content_channels(geometry), -(-size[1] // 2), -(-size[0] // 2))
    for a, b in zip(planes, synthesis.unpack(packed, geometry), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("chroma", "channels"), [("gray", 4), ("420", 6), ("422", 8), ("444", 12), ("rgb", 12)])
def test_packed_channels_of_each_format(chroma: ChromaFormat, channels: int) -> None:
    geometry = Geometry.of(VideoInfo(8, 8, chroma))
    assert synthesis.content_channels(geometry) == channels
    assert synthesis.input_channels(geometry) == channels + 12


def test_a_packed_sample_holds_a_square_of_luma_and_its_chroma() -> None:
    geometry = Geometry.of(VideoInfo(4, 2))
    luma = np.arange(8, dtype=np.float32).reshape(2, 4)
    u, v = np.array([[10, 11]], np.float32), np.array([[20, 21]], np.float32)
    assert synthesis.pack((luma, u, v), geometry)[:, 0, 1].tolist() == [2, 3, 6, 7, 11, 21]


@EVERY_FORMAT
def test_network_input_has_the_channels_the_first_layer_reads(chroma: ChromaFormat) -> None:
    info = VideoInfo(13, 7, chroma)
    geometry = Geometry.of(info)
    planes = to_working(noise(info), info)
    for apart in (None, planes[0] - 100):
        made = synthesis.network_input(planes, apart, planes[0] - 128, geometry)
        whole = np.concatenate([made, synthesis.phases((4, 7))])
        assert whole.shape == (synthesis.layer_shapes(geometry, CONFIG)[0][1], 4, 7)
        assert whole.dtype == np.float32


def test_which_prediction_was_larger_does_not_matter_to_the_network() -> None:
    geometry = Geometry.of(VideoInfo(6, 4, "gray"))
    apart, rest = np.random.default_rng(0).normal(0, 9, (2, 4, 6)).astype(np.float32)
    content = (np.full((4, 6), 50, np.float32),)
    a, b = (synthesis.network_input(content, sign * apart, rest, geometry) for sign in (1, -1))
    np.testing.assert_array_equal(a, b)


def test_phases_repeat_every_transform_cell() -> None:
    """8 luma samples are 4 packed ones; inside, all places differ."""
    phases = synthesis.phases((8, 12))
    np.testing.assert_allclose(phases[:, :4, :4], phases[:, 4:, 8:], atol=1e-6)
    cell = phases[:, :4, :4].reshape(4, 16).T
    assert len(np.unique(cell.round(4), axis=0)) == 16


@EVERY_FORMAT
def test_hypernetworks_that_say_zero_leave_the_base_network_as_it_is(chroma: ChromaFormat) -> None:
    geometry = Geometry.of(VideoInfo(12, 10, chroma))
    parameters = silent_hypernetworks(network(geometry))
    latents = torch.randn((2, CONFIG.latent_dim))
    for factor in synthesis.modulations(
        parameters, latents[0], synthesis.layer_shapes(geometry, CONFIG), CONFIG.rank, torch.tanh
    ):
        assert (factor == 1).all()
    x = inputs(geometry)
    expected = x
    for layer in range(synthesis.LAYERS):
        kernel, bias = parameters[6 * layer : 6 * layer + 2]
        expected = torch.conv2d(expected, kernel, bias, padding=1)
        if layer + 1 < synthesis.LAYERS:
            expected = expected.relu()
    torch.testing.assert_close(run(parameters, latents, x, geometry), expected, rtol=1e-4, atol=1e-3)


def test_factors_are_twice_the_sigmoid_of_a_low_rank_product() -> None:
    geometry = Geometry.of(VideoInfo(12, 10))
    parameters = network(geometry)
    latent = 3 * torch.randn(CONFIG.latent_dim, generator=torch.Generator().manual_seed(1))
    shapes = synthesis.layer_shapes(geometry, CONFIG)
    for shape, factor in zip(
        shapes, synthesis.modulations(parameters, latent, shapes, CONFIG.rank, torch.tanh), strict=True
    ):
        assert factor.shape == shape
        assert 0 < factor.min() < 1 < factor.max() < 2
        assert torch.linalg.matrix_rank(torch.logit(factor.double() / 2), rtol=1e-3) == CONFIG.rank


@EVERY_FORMAT
def test_parameter_shapes_are_those_that_apply_reads(chroma: ChromaFormat) -> None:
    """Every parameter changes what comes out, and it has the content's channels."""
    geometry = Geometry.of(VideoInfo(12, 10, chroma))
    parameters = [p.requires_grad_() for p in network(geometry)]
    latents = torch.randn((2, CONFIG.latent_dim), generator=torch.Generator().manual_seed(2))
    made = run(parameters, latents, inputs(geometry), geometry)
    assert made.shape == (2, synthesis.content_channels(geometry), 6, 5)
    made.square().sum().backward()
    assert len(parameters) == 6 * synthesis.LAYERS
    for parameter in parameters:
        assert parameter.grad is not None
        assert parameter.grad.abs().max() > 0


def test_gradients_reach_every_frame_s_own_latent() -> None:
    geometry = Geometry.of(VideoInfo(12, 10))
    latents = torch.randn((3, CONFIG.latent_dim)).requires_grad_()
    made = run(network(geometry), latents, inputs(geometry, frames=3), geometry)
    (gradient,) = torch.autograd.grad(made[1].square().sum(), latents)
    assert gradient[1].abs().min() > 0
    assert (gradient[[0, 2]] == 0).all()


def test_crops_come_out_together_as_they_do_alone_and_latents_make_them_differ() -> None:
    geometry = Geometry.of(VideoInfo(12, 10))
    parameters, x = network(geometry), inputs(geometry, frames=3)
    latents = torch.randn((2, CONFIG.latent_dim), generator=torch.Generator().manual_seed(3))
    shapes = synthesis.layer_shapes(geometry, CONFIG)
    factors = [synthesis.modulations(parameters, z, shapes, CONFIG.rank, torch.tanh) for z in latents]
    together = apply(parameters, factors[0], x)
    for alone, made in zip(x, together, strict=True):
        torch.testing.assert_close(apply(parameters, factors[0], alone[None])[0], made, rtol=1e-4, atol=1e-3)
    assert (apply(parameters, factors[1], x) - together).abs().max() > 0.1


def test_weights_are_integers_times_their_steps() -> None:
    weights = [np.array([[-3, 0], [7, 1]], np.int32), np.array([5], np.int32)]
    a, b = synthesis.dequantise(weights, [8, 255])
    assert a.tolist() == [[-0.75, 0.0], [1.75, 0.25]]
    assert b.tolist() == pytest.approx([5 * weight_step_of(255)])
    assert a.dtype == b.dtype == np.float32
