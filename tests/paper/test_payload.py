"""The payload and the configuration: exact round trips, and one kind of error for whatever is not a payload."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from licodec.entropy.latent_inr import (
    STEP_MAX,
    STEP_MIN,
    SYMBOL_MAX,
    LatentINRSymbols,
    read_symbols,
    step_index,
    step_size,
    write_symbols,
)
from licodec.errors import DamagedFileError, LimitError
from licodec.model.latent_inr import LatentINRConfig, build, load, read_payload
from licodec.video.info import VideoInfo
from tests.paper.clips import TINY, equal_parameters, random_symbols

INFO = VideoInfo(32, 24)
FRAMES = 3
SYMBOLS = random_symbols(TINY, INFO, FRAMES)
PAYLOAD = write_symbols(SYMBOLS)
SHAPES = [t.shape for t in SYMBOLS.tensors]


def test_symbols_round_trip() -> None:
    read = read_symbols(PAYLOAD, SHAPES)
    assert read.steps == SYMBOLS.steps
    assert all(np.array_equal(a, b) for a, b in zip(read.tensors, SYMBOLS.tensors, strict=True))
    assert write_symbols(read) == PAYLOAD


def test_largest_symbols_round_trip() -> None:
    ends = np.array([-SYMBOL_MAX, SYMBOL_MAX, 0, 1, -1], np.int32)
    read = read_symbols(write_symbols(LatentINRSymbols((STEP_MIN, STEP_MAX), (ends, ends[:1]))), [(5,), (1,)])
    assert np.array_equal(read.tensors[0], ends)
    assert read.steps == (STEP_MIN, STEP_MAX)


def test_writer_refuses_what_the_reader_would() -> None:
    with pytest.raises(ValueError, match="step indices"):
        write_symbols(LatentINRSymbols((STEP_MAX + 1,), (np.zeros(1, np.int32),)))
    with pytest.raises(ValueError, match="symbol"):
        write_symbols(LatentINRSymbols((0,), (np.full(1, SYMBOL_MAX + 1, np.int32),)))


def test_model_from_payload_is_symbols_times_steps() -> None:
    model = read_payload(PAYLOAD, TINY, INFO, FRAMES)
    assert equal_parameters(model, load(build(TINY, INFO, FRAMES), SYMBOLS))
    expected = SYMBOLS.tensors[0] * np.float32(2.0 ** (-SYMBOLS.steps[0] / 8))
    np.testing.assert_allclose(model.latents.numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("index", [STEP_MIN, -9, -8, -1, 0, 1, 7, 8, STEP_MAX])
def test_step_sizes(index: int) -> None:
    assert step_size(index) == pytest.approx(2.0 ** (-index / 8), rel=1e-15)
    assert step_index(step_size(index)) == index


@pytest.mark.parametrize("length", [0, 1, len(SHAPES) - 1, len(SHAPES) + 1, len(PAYLOAD) - 1])
def test_cut_payload(length: int) -> None:
    with pytest.raises(DamagedFileError, match="segment 4"):
        read_payload(PAYLOAD[:length], TINY, INFO, FRAMES, "segment 4")


@settings(max_examples=25, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_a_model_or_damaged(data: bytes) -> None:
    _read_and_render(data)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, len(PAYLOAD) - 1), st.integers(1, 255), st.integers(0, 100))
def test_any_change_is_a_model_or_damaged(at: int, flip: int, cut: int) -> None:
    data = bytearray(PAYLOAD)
    data[at] ^= flip
    _read_and_render(bytes(data[: len(data) - 4 * cut]))


def _read_and_render(data: bytes) -> None:
    """A range coder cannot tell damage (the container's CRC can): what parses must render to real samples."""
    try:
        model = read_payload(data, TINY, INFO, FRAMES)
    except DamagedFileError:
        return
    for plane in model.planes(0.5):
        assert ((plane >= 0) & (plane <= 255)).all()


def test_config_round_trip() -> None:
    for config in (LatentINRConfig(), TINY, replace(TINY, frequencies=6, grid_levels=0)):
        assert LatentINRConfig.from_bytes(config.to_bytes()) == config


@given(st.binary(max_size=16))
def test_any_config_bytes_are_a_config_or_damaged(data: bytes) -> None:
    try:
        config = LatentINRConfig.from_bytes(data)
    except DamagedFileError:
        return
    assert config.to_bytes() == data


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 0}, "width is 0, outside 1..2048"),
        ({"patch": 7}, "patch is 7, which is odd"),
        ({"frequencies": 0, "grid_levels": 0}, "no coordinate"),
    ],
)
def test_config_refuses(change: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(LatentINRConfig(), **change)


@pytest.mark.parametrize(
    ("config", "info", "frames", "what"),
    [
        (replace(TINY, patch=2), VideoInfo(16384, 8192), 1, "max_parameters"),
        (replace(TINY, latent_dim=1024), INFO, 1 << 20, "max_parameters"),
        (replace(TINY, width=2048, layers=16, rank=64, hyper_width=1024), INFO, 1, "max_parameters"),
        (replace(TINY, layers=2, width=2048, rank=8, hyper_width=1024), INFO, 1, "max_parameters"),
    ],
)
def test_limits_before_allocation(config: LatentINRConfig, info: VideoInfo, frames: int, what: str) -> None:
    with pytest.raises(LimitError, match=what):
        read_payload(PAYLOAD, config, info, frames)
