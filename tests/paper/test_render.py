"""What the model makes of coordinates, latents and times."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from licodec.entropy.latent_inr import write_symbols
from licodec.model.geometry import Geometry, Planes
from licodec.model.latent_inr import (
    LatentINR,
    LatentINRConfig,
    build,
    load,
    pack,
    patch_grid,
    patch_shapes,
    read_payload,
    unpack,
)
from licodec.render.latent_inr import LatentINRPlayer
from licodec.render.resample import View, view_planes
from licodec.video.info import ChromaFormat, VideoInfo
from tests.paper.clips import TINY, random_symbols

FORMATS = [
    VideoInfo(32, 24),
    VideoInfo(33, 25),
    VideoInfo(175, 143),
    VideoInfo(1, 1),
    VideoInfo(31, 17, chroma="gray"),
    VideoInfo(31, 17, chroma="422"),
    VideoInfo(31, 17, chroma="444", bit_depth=10),
    VideoInfo(31, 17, chroma="rgb"),
]


def random_model(info: VideoInfo, frames: int = 3, config: LatentINRConfig = TINY) -> LatentINR:
    return load(build(config, info, frames), random_symbols(config, info, frames))


def equal(a: Planes, b: Planes) -> bool:
    return all(np.array_equal(p, q) for p, q in zip(a, b, strict=True))


def distance(a: Planes, b: Planes) -> float:
    return float(sum(np.square(p - q).sum() for p, q in zip(a, b, strict=True)))


@pytest.mark.parametrize("info", FORMATS, ids=lambda i: f"{i.width}x{i.height}-{i.chroma}")
@pytest.mark.parametrize("patch", [2, 8, 16])
def test_unpack_undoes_pack(info: VideoInfo, patch: int) -> None:
    random = np.random.default_rng(0)
    planes = tuple(random.random(shape, np.float32) for shape in info.plane_shapes)
    geometry = Geometry.of(info)
    packed = pack(planes, geometry, patch)
    rows, columns = patch_grid(geometry, patch)
    assert packed.shape == (rows * columns, sum(a * b for a, b in patch_shapes(geometry, patch)))
    assert equal(unpack(packed, geometry, patch), planes)


@pytest.mark.parametrize("info", FORMATS, ids=lambda i: f"{i.width}x{i.height}-{i.chroma}")
def test_planes_have_the_videos_shapes(info: VideoInfo) -> None:
    planes = random_model(info).planes(1)
    assert tuple(p.shape for p in planes) == info.plane_shapes
    assert all(p.dtype == np.float32 and p.min() >= 0 and p.max() <= 255 for p in planes)


def test_the_formula() -> None:
    """theta_t = theta * sigmoid(P Q), written out with numpy for one frame, layer by layer."""
    model = random_model(VideoInfo(16, 16))
    z = model.latents[1].numpy()
    x = model.encoding().numpy()
    for i, layer in enumerate(model.layers):
        hidden = np.tanh(layer.hidden.weight.numpy() @ z + layer.hidden.bias.numpy())
        factors = layer.factors.weight.numpy() @ hidden + layer.factors.bias.numpy()
        p = factors[: layer.inputs * layer.rank].reshape(layer.inputs, layer.rank)
        q = factors[layer.inputs * layer.rank :].reshape(layer.rank, layer.outputs)
        theta = layer.weight.numpy() / (1 + np.exp(-p @ q))
        x = (np.maximum(x, 0) if i else x) @ theta + layer.bias.numpy()
    expected = np.clip((x + 0.5) * 255, 0, 255)
    np.testing.assert_allclose(pack(model.planes(1), model.geometry, TINY.patch), expected, atol=0.01)


@pytest.mark.parametrize("frequencies", [0, 4])
@pytest.mark.parametrize("levels", [0, 3])
def test_encodings_tell_patches_apart(frequencies: int, levels: int) -> None:
    if not frequencies and not levels:
        return
    config = LatentINRConfig(4, 2, 8, 1, 4, frequencies, levels, 4, 8)
    features = random_model(VideoInfo(40, 24), 1, config).encoding()
    assert features.shape == (15, 4 * frequencies + 4 * levels)
    assert len(torch.unique(features, dim=0)) == 15


def test_two_renders_of_a_decoded_payload_are_identical() -> None:
    info = VideoInfo(100, 60)
    data = write_symbols(random_symbols(TINY, info, 3))
    first, second = (read_payload(data, TINY, info, 3) for _ in range(2))
    for time in (0, 0.3, 2):
        assert equal(first.planes(time), second.planes(time))


def test_times_outside_are_held() -> None:
    model = random_model(VideoInfo(16, 16))
    assert equal(model.planes(-5), model.planes(0))
    assert equal(model.planes(99), model.planes(2))
    assert equal(random_model(VideoInfo(16, 16), 1).planes(0.5), random_model(VideoInfo(16, 16), 1).planes(0))


def test_latents_between_frames_are_interpolated() -> None:
    model = random_model(VideoInfo(16, 16))
    torch.testing.assert_close(model.latent(1.25), 0.75 * model.latents[1] + 0.25 * model.latents[2])
    assert torch.equal(model.latent(1), model.latents[1])


def test_exchanging_latents_exchanges_frames() -> None:
    model = random_model(VideoInfo(32, 24))
    before = [model.planes(t) for t in range(3)]
    assert not equal(before[0], before[2])
    with torch.no_grad():
        model.latents[[0, 2]] = model.latents[[2, 0]]
    assert equal(model.planes(0), before[2])
    assert equal(model.planes(1), before[1])
    assert equal(model.planes(2), before[0])


@pytest.mark.parametrize("chroma", ["420", "444", "gray"])
def test_native_size_is_scale_one(chroma: ChromaFormat) -> None:
    info = VideoInfo(33, 25, chroma=chroma)
    planes = random_model(info).planes(1)
    assert equal(view_planes(planes, View.of(info), info), planes)


def test_player() -> None:
    info = VideoInfo(32, 24)
    player = LatentINRPlayer(write_symbols(random_symbols(TINY, info, 3)), TINY.to_bytes(), info, 3, "segment 0")
    assert player.frames == 3
    assert equal(player.render(1), random_model(info).planes(1))
    assert equal(player.between(1, 0.5), random_model(info).planes(1.5))
