"""Damaged payloads: symbols or a LicodecError, never anything else."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from unittest import mock

import numpy as np
import pytest

from licodec.entropy.coder import BitCoder
from licodec.entropy.mixing import MagnitudeModel
from licodec.entropy.reference import decode_segment
from licodec.entropy.residual import CLASSES
from licodec.entropy.segment import write_segment
from licodec.errors import DamagedFileError, LicodecError
from licodec.model.config import ModelConfig
from licodec.model.geometry import Geometry
from licodec.model.pyramid import pyramid
from licodec.model.symbols import PictureSymbols, SegmentSymbols, SparseLevels
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


def test_a_class_of_extents_that_does_not_exist() -> None:
    """The escape of the classes' magnitudes can say more than there are."""
    geometry = Geometry.of(VideoInfo(32, 32, "gray"))
    symbols = SegmentSymbols((), np.zeros((1, 1), np.uint8), None, [])
    picture = PictureSymbols.blank(geometry, CONFIG, pyramid(())[0][0])
    levels = np.zeros((1, 32, 32), np.int16)
    levels[0, 31, 31] = 1
    picture.levels[0] = SparseLevels.of(levels)
    symbols.pictures[0] = picture
    code = MagnitudeModel.code

    def one_more(
        self: MagnitudeModel, coder: BitCoder, contexts: list, selector: np.ndarray, values: np.ndarray
    ) -> np.ndarray:
        """Say class 12 where it is 11."""
        is_class = self._cap == CLASSES - 2 and len(values) == 1
        code(self, coder, contexts, selector, values + is_class)
        return values

    with mock.patch.object(MagnitudeModel, "code", one_more):
        payload = write_segment(symbols, geometry, CONFIG)
    with pytest.raises(DamagedFileError):
        decode_segment(payload, geometry, CONFIG, 1)
    with pytest.raises(DamagedFileError):
        decoded(payload, geometry, CONFIG, 1)
