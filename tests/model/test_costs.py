"""What a file may ask for: every number has a limit, and a file made to break it is refused before it costs memory."""

from __future__ import annotations

import tracemalloc
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from container import rebuild

import licodec
from licodec.container import Limits, LinrReader, LinrWriter, encode_head
from licodec.decoder import verify_symbols
from licodec.entropy.segment import SegmentReader
from licodec.errors import LimitError
from licodec.fit.presets import PRESETS, Quality
from licodec.fit.segment import fit_segment, split_groups
from licodec.model import costs, latent_inr
from licodec.model.config import PROFILE_PAPER, ModelConfig
from licodec.model.geometry import Geometry, to_working
from licodec.profiles import check_compute, open_player
from licodec.video.info import VideoInfo

CONFIG = ModelConfig(width=1, latent_dim=1, hyper_width=1)
UHD = VideoInfo(3840, 2160)


def header(groups: list[int], planes: int = 2) -> bytes:
    """A payload without network and without any word, of so many groups."""
    rows = min(8, 2 + max((g - 1).bit_length() for g in groups)) if groups else 1
    varints = b"".join(rebuild.varint(v) for v in (len(groups), *groups))
    return varints + b"\0" + bytes(rows * planes)


def hostile(path: Path, info: VideoInfo, conf: bytes, segments: int, groups: list[int]) -> int:
    """A file whose segments say nothing, many times; its size."""
    frames = sum(groups) + 1
    middle = [(b"SEGM", rebuild.times(i * frames, (frames, 1, 0)) + header(groups)) for i in range(segments)]
    return path.write_bytes(rebuild.file_of(*middle, head=encode_head(info, Limits()), conf=conf))


def refused(path: Path, limit: str, limits: Limits | None = None) -> None:
    """By every way to open it, naming the limit and the option, without memory for what is asked."""
    for read in (
        lambda: licodec.open(path, limits=limits or Limits()).planes(0),
        lambda: verify_symbols(path, limits=limits or Limits()),
    ):
        tracemalloc.start()
        try:
            with pytest.raises(LimitError, match=f"needs {limit} of .*--limit {limit}=") as error:
                read()
            # A picture's own positions may be there: they are bound by max_pixels.
            assert tracemalloc.get_traced_memory()[1] < 11 * costs.samples(Geometry.of(LinrReader(path).info)) + 10**7
        finally:
            tracemalloc.stop()
        assert path.name in str(error.value) or "segment" in str(error.value)


def test_a_small_file_cannot_ask_for_hours_of_16k(tmp_path: Path) -> None:
    """Seven hours at 24 a second, even with the smallest network there is."""
    path = tmp_path / "long.linr"
    assert hostile(path, VideoInfo(16384, 8192), CONFIG.to_bytes(), 9, [64] * 1024) < 12_000
    refused(path, "max_macs")


def test_a_network_too_wide_for_the_picture_is_refused_before_a_picture_is_allocated(tmp_path: Path) -> None:
    path = tmp_path / "wide.linr"
    assert hostile(path, VideoInfo(16384, 8192), ModelConfig(width=256).to_bytes(), 1, []) < 1000
    tracemalloc.start()
    with pytest.raises(LimitError, match="max_segment_bytes"):
        licodec.open(path)
    assert tracemalloc.get_traced_memory()[1] < 10**6
    tracemalloc.stop()


def test_a_small_segment_cannot_ask_for_more_memory_than_there_is(tmp_path: Path) -> None:
    path = tmp_path / "wide.linr"
    assert hostile(path, VideoInfo(16384, 8192), CONFIG.to_bytes(), 1, [64] * 20) < 1000
    refused(path, "max_segment_bytes")


def test_many_pictures_of_motion_alone_are_too_much(tmp_path: Path) -> None:
    path = tmp_path / "motion.linr"
    assert hostile(path, UHD, CONFIG.to_bytes(), 1, [64] * 1024) < 3000
    refused(path, "max_segment_bytes")


def test_parameters_of_the_default_profile(tmp_path: Path) -> None:
    path = tmp_path / "a.linr"
    hostile(path, VideoInfo(64, 64), ModelConfig(256, 256, 256, 16).to_bytes(), 1, [])
    refused(path, "max_parameters", Limits(max_parameters=10_000))


@pytest.mark.parametrize(
    ("change", "info", "limit"),
    [
        ({"width": 2048, "layers": 16, "rank": 64, "hyper_width": 1024}, VideoInfo(64, 48), "max_parameters"),
        ({"patch": 2, "grid_features": 64, "grid_levels": 8}, VideoInfo(4096, 4096), "max_parameters"),
        (
            {"patch": 2, "grid_levels": 0, "frequencies": 16, "width": 1, "layers": 2},
            VideoInfo(16384, 8192),
            "max_segment_bytes",
        ),
    ],
)
def test_the_paper_profile(change: dict[str, int], info: VideoInfo, limit: str, tmp_path: Path) -> None:
    path = tmp_path / "a.linr"
    conf = bytes([PROFILE_PAPER]) + replace(latent_inr.LatentINRConfig(), **change).to_bytes()
    with LinrWriter(path, info, conf) as writer:
        writer.add_segment(bytes(100), [0], [1])
        writer.finish()
    limits = Limits(max_segment_bytes=2**30) if limit == "max_segment_bytes" else None
    refused(path, limit, limits)


def test_counts_of_the_paper_profile_are_those_of_the_model() -> None:
    info = VideoInfo(70, 50)
    for config in (latent_inr.LatentINRConfig(width=32), latent_inr.LatentINRConfig(width=9, frequencies=3, patch=6)):
        model = latent_inr.build(config, info, 5)
        assert latent_inr.parameter_count(config, Geometry.of(info), 5) == sum(p.numel() for p in model.parameters())


def test_limits_are_plain_integers_that_cannot_overflow() -> None:
    largest = VideoInfo(65535, 65535, "444")
    config = ModelConfig(256, 256, 256, 16)
    macs = costs.frame_macs(Geometry.of(largest), config) * 2**62
    assert type(macs) is int
    assert macs > 2**100
    assert type(costs.segment_bytes(Geometry.of(largest), config, 2**62, (64,))) is int
    with pytest.raises(LimitError, match="max_macs"):
        check_compute(config.to_bytes(), largest, 2**62, Limits(max_segment_bytes=2**63), "a.linr")


@pytest.mark.parametrize("preset", PRESETS)
def test_what_the_presets_make_is_within_the_limits(preset: str) -> None:
    """Two hours of 4K at 60 a second (placebo: at 24), in segments of the default length."""
    config, geometry = ModelConfig(width=PRESETS[preset].width), Geometry.of(UHD)
    frames = 2 * 3600 * (24 if preset == "placebo" else 60)
    check_compute(config.to_bytes(), UHD, frames, Limits(), "a.linr")
    groups = split_groups(250, PRESETS[preset].group)
    assert costs.segment_bytes(geometry, config, 250, groups) < Limits().max_segment_bytes


def test_the_memory_of_a_segment_is_no_more_than_counted() -> None:
    """Of one with noise in it, by NumPy's allocations. (Its thread stacks and compiled code are not the file's.)"""
    info, frames = VideoInfo(128, 128), 9
    random = np.random.default_rng(0)
    pictures = [tuple(random.integers(0, 256, s) for s in info.plane_shapes) for _ in range(frames)]
    planes = [to_working(p, info) for p in pictures]
    geometry, preset = Geometry.of(info), replace(PRESETS["ultrafast"], steps=0, group=8)
    payload = fit_segment(geometry, CONFIG, planes.__getitem__, frames, Quality(10), preset)
    tracemalloc.start()
    player = open_player(payload, CONFIG.to_bytes(), info, frames, "a")
    for i in range(frames):
        player.render(i)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    counted = costs.segment_bytes(geometry, CONFIG, frames, (8,)) + 48 * len(payload)
    print(f"{peak / 2**20:.1f} MiB measured, {counted / 2**20:.1f} MiB counted")
    assert counted / 8 < peak < counted


def test_levels_cost_no_more_than_48_times_their_bits() -> None:
    """Six bytes a level that is not 0, each of which has a sign of one bit."""
    from entropy.samples import encoded

    payload, geometry, config = encoded("gray", 3, network=False, crf=0)
    reader = SegmentReader(payload, geometry, config, 3)
    for _ in reader.batches():
        pass
    kept = sum(lv.index.nbytes + lv.value.nbytes for p in reader.symbols.pictures.values() for lv in p.levels)
    assert 0 < kept < 48 * len(payload)


def test_the_encoder_refuses_before_it_works(clip: Path, tmp_path: Path) -> None:
    for name, value in (
        ("max_width", 63),
        ("max_pixels", 64 * 48 - 1),
        ("max_frames", 7),
        ("max_parameters", 100),
        ("max_macs", 10**6),
        ("max_segment_bytes", 1000),
        ("max_conf_bytes", 2),
    ):
        seen: list[licodec.Progress] = []
        settings = licodec.EncodeSettings(preset="ultrafast", limits=Limits(**{name: value}))
        with pytest.raises(LimitError, match=f"--limit {name}="):
            licodec.encode(clip, tmp_path / "a.linr", settings, progress=seen.append)
        assert not seen, name
        assert not (tmp_path / "a.linr").exists()


def test_every_limit_has_a_test_that_breaks_it() -> None:
    others = ("container/test_hostile.py", "semantics/test_chunk.py")
    text = Path(__file__).read_text() + "".join((Path(__file__).parents[1] / name).read_text() for name in others)
    for field in fields(Limits):
        assert f'"{field.name}"' in text or f"{field.name}=" in text, field.name


def test_limits_do_not_change_what_is_written(clip: Path) -> None:
    plain, raised = licodec.EncodeSettings(), licodec.EncodeSettings(limits=Limits(max_macs=2**60))
    assert plain.describe() == raised.describe()
    assert plain.describe() == "preset=medium"


def test_settings_are_described_by_what_is_not_the_default() -> None:
    described = licodec.EncodeSettings("fast", crf=31.0, seed=7, semantics="clip:/home/someone/x").describe()
    assert described == "preset=fast crf=31.0 seed=7 semantics=clip"


def test_a_limit_that_is_raised_is_kept_on(tmp_path: Path) -> None:
    path = tmp_path / "a.linr"
    hostile(path, VideoInfo(64, 64), CONFIG.to_bytes(), 1, [2])
    with pytest.raises(LimitError, match="max_macs"):
        licodec.open(path, limits=Limits(max_macs=1000))
    with licodec.open(path, limits=Limits(max_macs=10**9)) as video:
        assert np.all(video.planes(0)[0] == 128)
    with LinrReader(path, Limits(max_macs=1)) as reader:
        assert len(reader.pts) == 3, "what computes nothing, such as `info`, is not bound by compute"
