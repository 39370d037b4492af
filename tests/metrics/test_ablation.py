"""The ablations: every variant changes something, and says rightly who can decode it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from test_rd import result

from benchmarks.ablation import Ablated, main, markdown
from benchmarks.variants import FULL, Muon, Variant, _orthogonal, variants
from licodec.decoder import decode
from licodec.encoder import EncodeSettings, encode
from licodec.errors import LicodecError
from licodec.fit import synthesis as training
from licodec.fit.presets import PRESETS, Quality
from licodec.video.info import Frame, VideoInfo
from licodec.video.sink import open_sink

STEPS = 8
FRAMES = 9


@pytest.fixture(scope="module", autouse=True)
def small_networks() -> Iterator[None]:
    """Networks are trained for a moment, and kept whatever they are worth; `ultrafast` looks ahead and denoises."""
    with pytest.MonkeyPatch.context() as patch:
        for question in ("network_may_pay", "network_pays"):
            patch.setattr(f"licodec.fit.segment.SegmentFit.{question}", lambda *_: True)
        patch.setattr("licodec.fit.segment._FULL_TRAINING", 1)
        # A price that a network so little trained can pay: it would be all zeros.
        patch.setattr(Quality, "bit_worth_overall", 0.01)
        patch.setitem(PRESETS, "ultrafast", replace(PRESETS["ultrafast"], look_ahead=True, denoise=True, steps=STEPS))
        yield


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine frames of noise that is drawn out and moves: motion, residual and blocks of all sizes."""
    path = tmp_path_factory.mktemp("ablation") / "a.y4m"
    info = VideoInfo(64, 48)
    rng = np.random.default_rng(0)
    texture = rng.normal(0, 1, (80, 96))
    for axis in (0, 1):
        texture = sum(np.roll(texture, k, axis) for k in range(5))
    with open_sink(path, info) as sink:
        for t in range(FRAMES):
            luma = 120 + 8 * texture[3 * t : 3 * t + 48, 2 * t : 2 * t + 64] + rng.normal(0, 3, (48, 64))
            chroma = 128 + 4 * texture[t : t + 24, 2 * t : 2 * t + 32]
            planes = tuple(p.clip(0, 255).astype(np.uint8) for p in (luma, chroma, 255 - chroma))
            sink.write(Frame(planes, t, 1))
    return path


Made = Callable[[Variant], tuple[bytes, str]]


@pytest.fixture(scope="module")
def made(small_networks: None, clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Maker of a variant's file, and the hash of what it decodes to within the variant."""
    path = tmp_path_factory.mktemp("made") / "a.linr"

    def make(variant: Variant) -> tuple[bytes, str]:
        with variant.applied("ultrafast"):
            encode(clip, path, EncodeSettings("ultrafast", crf=20, threads=1), overwrite=True)
            return path.read_bytes(), decoded(path)

    return make


@pytest.fixture(scope="module")
def whole(made: Made) -> tuple[bytes, str]:
    """What the full model makes."""
    return made(variants()[FULL])


def decoded(path: Path) -> str:
    target = path.with_suffix(".y4m")
    decode(path, target, overwrite=True)
    return hashlib.sha256(target.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", [name for name in variants() if name != FULL])
def test_a_variant_changes_the_file_and_says_who_can_decode_it(
    name: str, made: Made, whole: tuple[bytes, str], tmp_path: Path
) -> None:
    variant = variants()[name]
    data, picture = made(variant)
    if name == "bf16 off" and not training._has_bfloat16("cpu"):
        assert data == whole[0]
        return
    assert data != whole[0]
    path = tmp_path / "b.linr"
    path.write_bytes(data)
    try:
        ordinary = decoded(path) == picture
    except LicodecError:
        ordinary = False
    assert ordinary == (not variant.own_format)


def test_nothing_stays_replaced(made: Made, whole: tuple[bytes, str]) -> None:
    for name in ("mixing off", "deblocking off", "bf16 off", "modulation off", "width x 2"):
        made(variants()[name])
    assert made(variants()[FULL]) == whole


def test_modulation_off_costs_no_bits_to_speak_of(made: Made) -> None:
    sizes = [len(made(variants()[name])[0]) for name in (FULL, "modulation off", "network off")]
    assert sizes == sorted(sizes, reverse=True)


def test_without_motion_all_vectors_are_zero(clip: Path, tmp_path: Path) -> None:
    from licodec.container import ByteReader, LinrReader
    from licodec.entropy.segment import SegmentReader
    from licodec.model.config import ModelConfig
    from licodec.model.geometry import Geometry

    moving = {}
    for name in (FULL, "motion off"):
        path = tmp_path / "a.linr"
        with variants()[name].applied("ultrafast"):
            encode(clip, path, EncodeSettings("ultrafast", crf=20, threads=1), overwrite=True)
        with LinrReader(path) as file:
            conf = ByteReader(file.conf, "")
            conf.u8()
            reader = SegmentReader(
                file.read_segment(0), Geometry.of(file.info), ModelConfig.from_reader(conf), FRAMES, ""
            )
            for _ in reader.batches():
                pass
        pictures = reader.symbols.pictures.values()
        moving[name] = sum(int(np.abs(step).sum()) for p in pictures for field in p.corrections for step in field)
    assert moving[FULL] > 0
    assert moving["motion off"] == 0


def test_a_name_that_the_codec_does_not_have_ends_the_run() -> None:
    broken = Variant("x", "", lambda: [("licodec.fit.segment.no_such_thing", None)])
    with pytest.raises(AttributeError, match="no_such_thing"), broken.applied("ultrafast"):
        pass


def test_a_variant_is_a_codec_in_a_process_of_its_own(clip: Path, tmp_path: Path) -> None:
    ablated = Ablated("mixing off", "ultrafast", 3.0, (30.0,))
    encoded = ablated.encode(clip, tmp_path, 30.0)
    assert encoded.size == encoded.path.stat().st_size
    assert ablated.decode(encoded.path, tmp_path).exists()


def test_unknown_variants_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "motion off,wings off"]) == 2
    assert "no variant ['wings off']" in capsys.readouterr().err


def test_the_table_compares_with_the_full_model() -> None:
    lines = [
        replace(result("medium-60s", factor, point), codec=name, encode_seconds=seconds)
        for name, factor, seconds in ((FULL, 1, 10.0), ("motion off", 1.25, 8.0))
        for point in range(4)
    ]
    table = markdown(lines)
    assert "| motion off medium-60s | +25.0 / +25.0 / +25.0 | +25.0 / +25.0 / +25.0 |" in table
    assert "| motion off | 8.0 |" in table
    assert "| deblocking off | edges of blocks as they are | the process that encoded it |" in table


def test_orthogonal_directions_have_singular_values_near_one() -> None:
    generator = torch.Generator().manual_seed(0)
    for shape in ((8, 30), (30, 8)):
        values = torch.linalg.svdvals(_orthogonal(torch.randn(shape, generator=generator)))
        assert 0.6 < float(values.min()) <= float(values.max()) < 1.3


def test_muon_descends() -> None:
    generator = torch.Generator().manual_seed(0)
    wanted = torch.randn((4, 3, 3, 3), generator=generator)
    kernel, bias = torch.zeros((4, 3, 3, 3), requires_grad=True), torch.zeros(4, requires_grad=True)
    optimiser = Muon([kernel], [bias], (0.02, 0.02))
    losses = []
    for _ in range(200):
        loss = (kernel - wanted).square().sum() + (bias - 1).square().sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.1 * losses[0]
