"""Damaged payloads: symbols or a LicodecError, never anything else."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

import numpy as np
import pytest

from licodec.container import ByteWriter
from licodec.entropy.reference import decode_segment
from licodec.entropy.segment import LATENT_LIMIT, WEIGHT_LIMIT, SegmentReader, write_network, write_segment
from licodec.errors import DamagedFileError, LicodecError
from licodec.model.config import ModelConfig
from licodec.model.geometry import Geometry
from licodec.model.intra import LUMA, MODES
from licodec.model.symbols import FILTER_MAX, NetworkSymbols
from licodec.model.synthesis import parameter_shapes
from licodec.quant.steps import QUANTISER_MAX
from licodec.video.info import VideoInfo

from .samples import CONFIG, assert_same, decoded, encoded

FRAMES = 3
RANDOM = 60
Sample = tuple[bytes, Geometry, ModelConfig]


@pytest.fixture(scope="module")
def sample() -> Sample:
    return encoded("420", FRAMES, network=False, width=16, height=16, crf=38)


@pytest.fixture(scope="module")
def sample_with_network() -> Sample:
    return encoded("gray", FRAMES, network=True, width=16, height=16, crf=38)


def flipped(payload: bytes, seed: int) -> Iterable[bytes]:
    """Copies with one to three bits changed."""
    random = np.random.default_rng(seed)
    for _ in range(RANDOM):
        copy = bytearray(payload)
        for _ in range(random.integers(1, 4)):
            copy[random.integers(len(copy))] ^= 1 << random.integers(8)
        yield bytes(copy)


def outcomes(sample: Sample, payloads: Iterable[bytes]) -> Counter[str]:
    """What the fast decoder says of each payload, printed; of some, the reference must say the same."""
    _, geometry, config = sample
    counts: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    for i, payload in enumerate(payloads):
        symbols = None
        try:
            symbols = decoded(payload, geometry, config, FRAMES)
            counts["symbols"] += 1
        except LicodecError as error:
            counts[re.sub(r"\d+", "n", str(error).split(":")[-1].strip())] += 1
        except Exception as error:  # every other kind is what these tests look for
            faults[f"{type(error).__name__}: {error}"] += 1
        if i % 8 == 0:
            if symbols is None:
                with pytest.raises(DamagedFileError):
                    decode_segment(payload, geometry, config, FRAMES)
            else:
                assert_same(symbols, decode_segment(payload, geometry, config, FRAMES))
    for what, count in (counts + faults).most_common():
        print(f"{count:5} {what}")
    if faults:
        pytest.fail(f"errors that are no LicodecError: {dict(faults)}")
    return counts


def test_every_truncation(sample: Sample) -> None:
    payload = sample[0]
    counts = outcomes(sample, (payload[:n] for n in range(len(payload))))
    assert counts.total() == len(payload)


def test_bit_flips(sample: Sample, sample_with_network: Sample) -> None:
    for seed, whole in enumerate((sample, sample_with_network)):
        outcomes(whole, flipped(whole[0], seed))


def test_random_streams(sample: Sample) -> None:
    random = np.random.default_rng(2)
    head = bytes([1, FRAMES - 1, 0, 100, 100, 110, 110, 120, 120])
    outcomes(sample, (head + random.bytes(4 * random.integers(0, 200)) for _ in range(RANDOM)))


def test_what_no_encoder_says_is_refused_by_name() -> None:
    """Random streams until one has an extent beyond its block and one a level beyond 16 bits."""
    geometry = Geometry.of(VideoInfo(64, 64, "gray"))
    random = np.random.default_rng(5)
    wanted = {"a block has more coded diagonals than it has", "a coefficient is over 16383"}
    for _ in range(400):
        payload = bytes([0, 0, 100]) + random.bytes(400)
        try:
            decoded(payload, geometry, CONFIG, 1)
        except DamagedFileError as error:
            what = str(error).removeprefix(": ")
            if what in wanted:
                wanted.remove(what)
                with pytest.raises(DamagedFileError):
                    decode_segment(payload, geometry, CONFIG, 1)
        if not wanted:
            return
    pytest.fail(f"never said: {wanted}")


def blank_network(geometry: Geometry, config: ModelConfig) -> NetworkSymbols:
    shapes = parameter_shapes(geometry, config)
    latents = np.zeros((FRAMES, config.latent_dim), np.int32)
    return NetworkSymbols([np.zeros(shape, np.int32) for shape in shapes], [0] * len(shapes), latents)


@pytest.mark.parametrize("words", [-1, 1, 1 << 40])
def test_a_network_s_stream_of_another_length_is_refused(sample: Sample, words: int) -> None:
    """Where the pictures begin is said by it."""
    payload, geometry, config = sample
    symbols = decoded(payload, geometry, config, FRAMES)
    symbols.network = blank_network(geometry, config)
    written, network = write_segment(symbols, geometry), write_network(symbols.network)
    steps = len(symbols.network.steps)
    writer, stream = ByteWriter(), network[steps + 1 :]
    writer.raw(network[:steps])
    writer.varint(len(stream) // 4 + words)
    writer.raw(stream)
    damaged = written.replace(network, writer.to_bytes())
    assert damaged != written
    with pytest.raises(DamagedFileError) as told:
        list(SegmentReader(damaged, geometry, config, FRAMES, "segment 4 of a.linr").batches())
    assert str(told.value).count("segment 4 of a.linr: ") == 1
    with pytest.raises(DamagedFileError):
        decode_segment(damaged, geometry, config, FRAMES)


@pytest.mark.parametrize("beyond", ["quantiser", "latent", "weight", "filter", "mode", "luma from luma"])
def test_values_out_of_range_are_refused(sample: Sample, beyond: str) -> None:
    """Whoever writes a file can write any number."""
    payload, geometry, config = sample
    symbols = decoded(payload, geometry, config, FRAMES)
    picture = symbols.pictures[1]
    if beyond == "quantiser":
        picture.quantiser = QUANTISER_MAX + 1
    elif beyond in ("latent", "weight"):
        symbols.network = blank_network(geometry, config)
        symbols.network.latents[1, 3] = LATENT_LIMIT + 1 if beyond == "latent" else 0
        symbols.network.weights[1][0] = -WEIGHT_LIMIT - 1 if beyond == "weight" else 0
    elif beyond == "filter":
        picture.filters[1, 11] = -FILTER_MAX - 1
    elif beyond == "mode":
        picture.modes[1][:] = MODES
    else:
        picture.modes[0][:] = LUMA
    with pytest.MonkeyPatch.context() as patch:
        for limit in ("QUANTISER_MAX", "FILTER_MAX"):
            patch.setattr(f"licodec.entropy.segment.{limit}", 1 << 20)
        written = write_segment(symbols, geometry)
    with pytest.raises(
        DamagedFileError, match="does not exist" if beyond in ("mode", "luma from luma") else "out of range"
    ):
        decoded(written, geometry, config, FRAMES)
    with pytest.raises(DamagedFileError, match="out of range"):
        decode_segment(written, geometry, config, FRAMES)
