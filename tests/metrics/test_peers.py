"""NeRV and HNeRV as codecs: shapes as published, files that another process decodes, the check of the figures."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.codecs import codec
from benchmarks.peers import coding, packing, published, training
from benchmarks.peers.models import build, count, shape_for
from benchmarks.peers.shape import Shape, grid_and_strides
from benchmarks.peers.training import Budget, embeddings, rate_at, times
from licodec.errors import DamagedFileError
from licodec.metrics.compare import measured_rgb
from licodec.video.info import Frame, VideoInfo
from licodec.video.sink import open_sink
from licodec.video.source import open_source

ROOT = Path(__file__).parents[2]
MODELS = ("nerv", "hnerv")
FRAMES, ROWS, COLUMNS = 6, 38, 50
"""Of the test clip, whose size no grid fits."""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Coloured bars that move, 4:2:0."""
    path = tmp_path_factory.mktemp("peers") / "bars.y4m"
    info = VideoInfo(COLUMNS, ROWS)
    with open_sink(path, info) as sink:
        for t in range(FRAMES):
            planes = []
            for i, (rows, columns) in enumerate(info.plane_shapes):
                y, x = np.mgrid[:rows, :columns] * (2 if i else 1)
                planes.append(np.rint(120 + 60 * np.sin((x + 2 * t) / 6 + i) * np.cos(y / 9)).astype(np.uint8))
            sink.write(Frame(tuple(planes), t, 1))
    return path


@pytest.mark.parametrize(
    ("model", "grid", "strides", "embedding"),
    [("nerv", (8, 16), (5, 4, 2, 2), 0), ("hnerv", (2, 4), (5, 4, 4, 2, 2), 16)],
)
@pytest.mark.parametrize("size", [0.75e6, 1.5e6, 3e6])
def test_shapes_for_bunnys_crop_are_the_published_ones(model, grid, strides, embedding, size) -> None:
    shape = shape_for(model, 640, 1280, 132, size)
    assert (shape.grid, shape.strides, shape.embedding, shape.least) == (grid, strides, embedding, 12)
    assert shape.padded == (640, 1280)
    assert 0.94 * size <= count(shape) <= size


@pytest.mark.parametrize("height", [34, 144, 272, 720, 1080])
@pytest.mark.parametrize(("rows", "stages"), [(2, 5), (8, 4), (1, 4)])
def test_the_grid_covers_the_picture(height: int, rows: int, stages: int) -> None:
    width = height * 16 // 9
    grid, strides = grid_and_strides(height, width, rows, stages)
    scale = math.prod(strides)
    assert len(strides) <= stages
    assert height <= grid[0] * scale < height + scale
    assert width <= grid[1] * scale < width + scale
    assert rows <= min(grid)


@pytest.mark.parametrize("model", MODELS)
def test_a_network_stores_what_is_counted_and_no_encoder(model: str) -> None:
    shape = shape_for(model, ROWS, COLUMNS, FRAMES, 20_000)
    network = build(shape)
    stored = sum(p.numel() for p in network.stored())
    assert count(shape) == stored + FRAMES * shape.embedding * math.prod(shape.grid) <= 20_000
    learnt = sum(p.numel() for p in network.parameters())
    assert learnt == stored if model == "nerv" else learnt > stored


@pytest.mark.parametrize("model", MODELS)
def test_fewer_parameters_never_make_a_larger_network(model: str) -> None:
    sizes = [count(shape_for(model, 144, 176, 120, n)) for n in (5e3, 1e4, 2e4, 5e4, 1e5, 1e6)]
    assert sizes == sorted(sizes)
    assert sizes[0] < 1e4


def test_the_learning_rate_climbs_then_falls_along_a_cosine() -> None:
    shares = np.linspace(0, 1, 101)
    rates = [rate_at(float(share)) for share in shares]
    assert rates[0] == pytest.approx(1e-4)
    assert max(rates) == rates[10] == pytest.approx(1e-3)
    assert rates[55] == pytest.approx(0.5e-3)
    assert rates[-1] == pytest.approx(0)


def test_a_budget_is_spent_by_the_clock_or_by_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training.time, "monotonic", lambda: 130.0)
    assert Budget(None, 60.0, started=100.0).spent(7, 3) == 0.5
    assert Budget(4).spent(6, 3) == 0.5


@pytest.mark.parametrize(("model", "epochs"), [("nerv", 150), ("hnerv", 60)])
def test_a_file_is_decoded_by_another_process_to_what_was_learnt(
    model: str, epochs: int, clip: Path, tmp_path: Path
) -> None:
    encoded, decoded = tmp_path / "a.peer", tmp_path / "a.y4m"
    done = coding.encode(clip, encoded, model, 20_000, None, Budget(epochs))
    assert f"{encoded.stat().st_size:,} bytes" in done
    assert 0.5 * 20_000 < encoded.stat().st_size < 1.2 * 20_000
    command = [sys.executable, "-m", "benchmarks.peers", "decode", str(encoded), str(decoded)]
    subprocess.run(command, cwd=ROOT, check=True)
    truth, info = coding.load(clip)
    made, about = coding.load(decoded)
    assert (about.time_base, about.chroma, about.bit_depth) == (info.time_base, info.chroma, info.bit_depth)
    # Better than the best single picture by a factor of three in squared error: it follows the motion.
    still = (truth - truth.float().mean(dim=0)).square().mean()
    assert (truth.float() - made.float()).square().mean() < still / 3


@pytest.mark.parametrize("model", MODELS)
def test_epochs_make_the_same_file_again(model: str, clip: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        coding.encode(clip, tmp_path / name, model, 8_000, None, Budget(3))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def trained(model: str, clip: Path) -> tuple:
    pictures, info = coding.load(clip)
    shape = shape_for(model, info.height, info.width, len(pictures), 8_000)
    torch.manual_seed(1)
    network = build(shape)
    training.train(network, shape, pictures, Budget(2))
    return network, shape, embeddings(network, shape, pictures), info


@pytest.mark.parametrize("model", MODELS)
def test_what_is_read_is_what_was_written_within_half_a_step(model: str, clip: Path, tmp_path: Path) -> None:
    network, shape, stored, info = trained(model, clip)
    path = tmp_path / "a"
    assert packing.write(path, network, shape, stored, info) == path.stat().st_size
    again, same, restored, about = packing.read(path)
    assert same == shape
    assert about == info
    pairs = [(a.detach(), b.detach(), 8) for a, b in zip(network.stored(), again.stored(), strict=True)]
    if shape.embedding:
        pairs.append((stored, restored, 6))
    for a, b, bits in pairs:
        step = float(a.max() - a.min()) / (2**bits - 1)
        assert a.shape == b.shape
        assert float((a - b).abs().max()) <= 0.51 * step
        assert len(b.unique()) <= 2**bits
    assert times(4).tolist() == [0, 0.25, 0.5, 0.75]


def test_a_tensor_of_one_value_survives(clip: Path, tmp_path: Path) -> None:
    network, shape, stored, info = trained("nerv", clip)
    with torch.no_grad():
        network.stored()[1].fill_(0.375)
    packing.write(tmp_path / "a", network, shape, stored, info)
    assert (packing.read(tmp_path / "a")[0].stored()[1] == 0.375).all()


def test_what_is_no_such_file_is_refused(clip: Path, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"not one")
    with pytest.raises(DamagedFileError, match="not written by"):
        packing.read(path)
    coding.encode(clip, path, "nerv", 8_000, None, Budget(1))
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DamagedFileError):
        packing.read(path)


@pytest.mark.parametrize("chroma", ["420", "422", "444", "gray"])
@pytest.mark.parametrize("bits", [8, 10])
def test_planes_of_the_rgb_that_is_measured_are_the_planes_themselves(random_frames, chroma, bits: int) -> None:
    """Where nothing was clipped on the way: colours away from the ends of the range."""
    info = VideoInfo(11, 7, chroma=chroma, bit_depth=bits)
    [frame] = random_frames(info, 1)
    scale = 1 << (bits - 8)
    planes = tuple((100 * scale + plane.astype(int) // 8).astype(info.dtype) for plane in frame.planes)
    rgb = measured_rgb(Frame(planes, 0, 1), info).astype(np.float32) / 255
    for made, plane in zip(coding.to_planes(rgb, info), planes, strict=True):
        assert made.dtype == plane.dtype
        assert np.abs(made.astype(int) - plane).max() <= scale


def test_taking_means_for_chroma_makes_an_error_smaller() -> None:
    info = VideoInfo(64, 48)
    planes = tuple(
        np.full(shape, value, np.uint8) for shape, value in zip(info.plane_shapes, (120, 110, 140), strict=True)
    )
    rgb = measured_rgb(Frame(planes, 0, 1), info).astype(np.float32)
    wrong = rgb + np.random.default_rng(0).normal(0, 10, rgb.shape).astype(np.float32)
    made = measured_rgb(Frame(coding.to_planes(wrong / 255, info), 0, 1), info)
    # What is left of the error: all of luma's part, a quarter of chroma's two.
    assert np.square(made - rgb).mean() < 0.7 * np.square(wrong - rgb).mean()


def test_bits_a_pixel_are_met_roughly_as_a_codec_of_the_benchmark(clip: Path, tmp_path: Path) -> None:
    peer = codec("hnerv-2s", (6.0,))
    assert (peer.name, peer.preset, peer.points) == ("hnerv", "2s", (6.0,))
    encoded = peer.encode(clip, tmp_path, 6.0)
    assert encoded.size == encoded.path.stat().st_size
    assert 8 * encoded.size / (FRAMES * ROWS * COLUMNS) == pytest.approx(6.0, rel=0.2)
    with open_source(peer.decode(encoded.path, tmp_path)) as source:
        assert sum(1 for _ in source.frames()) == FRAMES


def test_the_check_of_published_figures_goes_on_where_it_was(clip: Path, tmp_path: Path) -> None:
    said: list[str] = []
    arguments = (clip, tmp_path, MODELS, (0.008,), 2, "cpu", said.append)
    table = published.check(*arguments)
    lines = [json.loads(line) for line in (tmp_path / "published.jsonl").read_text().splitlines()]
    assert [line["model"] for line in lines] == list(MODELS)
    for line in lines:
        assert line["published"] is None
        assert 5 < line["psnr_rgb_of_the_file"] < 40
        assert line["psnr_rgb"] == pytest.approx(line["psnr_rgb_of_the_file"], abs=1)
    assert table.read_text().count("| 0.008M") == 0
    assert "| hnerv 0.008M | 2 |" in table.read_text()
    count = len(said)
    published.check(*arguments)
    assert len(said) == count


def test_a_table_says_what_was_reproduced() -> None:
    line = {
        **{"model": "hnerv", "size": 1.5, "epochs": 300, "psnr_rgb_of_the_file": 35.0, "bpp": 0.1, "seconds": 1.0},
        "device": "x",
    }
    near = published._table([line | {"psnr_rgb": 35.4, "published": 35.57}])
    far = published._table([line | {"psnr_rgb": 34.4, "published": 35.57}])
    assert "| 35.40 | 35.57 | yes |" in near
    assert "| 34.40 | 35.57 | no |" in far


def test_bad_requests_of_the_command_line_end_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.peers", "encode", "no.y4m", str(tmp_path / "a"), "--model", "nerv"]
    done = subprocess.run([*command, "--bpp", "1"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("benchmarks.peers: ")
    assert done.stderr.count("\n") == 1


def test_shapes_are_plain_values() -> None:
    """They are what a file states."""
    shape = Shape("nerv", 1, 2, 3, (4, 5), (2, 3), 6, 7)
    assert packing._shape(json.loads(json.dumps(shape.__dict__))) == shape
