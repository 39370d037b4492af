"""The range coder: round trips, and the reference's own decoder on the same bytes."""

from __future__ import annotations

import constriction
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from licodec.entropy.coder import BitDecoder, BitEncoder
from licodec.entropy.logistic import PROB_ONE
from licodec.entropy.reference import RangeDecoder
from licodec.errors import DamagedFileError

from .loops import code_known

PROBABILITIES = st.one_of(st.integers(1, 65535), st.sampled_from((1, 2, 24, 32768, 65512, 65534, 65535)))
DECISIONS = st.lists(st.tuples(PROBABILITIES, st.booleans()), max_size=300)


def encode(p1: np.ndarray, bits: np.ndarray, block: int) -> bytes:
    coder = BitEncoder()
    for start in range(0, len(p1), block):
        part = slice(start, start + block)
        code_known(coder.stream(2 * block), p1[part], bits[part].copy())
    return coder.finish()


def decode(coder: BitDecoder, p1: np.ndarray) -> np.ndarray:
    bits = np.zeros(len(p1), np.int32)
    code_known(coder.stream(len(p1)), p1, bits)
    coder.check()
    return bits


def constriction_words(p1: np.ndarray, bits: np.ndarray) -> bytes:
    """The same decisions by the library whose format this is."""
    coder = constriction.stream.queue.RangeEncoder()
    if len(p1):
        coder.encode(bits, constriction.stream.model.Bernoulli(perfect=False), p1 / PROB_ONE)
    return coder.get_compressed().astype("<u4").tobytes()


@given(DECISIONS, st.integers(1, 64))
@settings(max_examples=60, deadline=None)
def test_round_trip(decisions: list[tuple[int, bool]], block: int) -> None:
    p1 = np.array([p for p, _ in decisions], np.int64)
    bits = np.array([b for _, b in decisions], np.int32)
    data = encode(p1, bits, block)
    assert data == constriction_words(p1, bits)
    fast, reference = BitDecoder(data), RangeDecoder(data)
    np.testing.assert_array_equal(decode(fast, p1), bits)
    assert [reference.bit(p) for p, _ in decisions] == bits.tolist()
    fast.finish()
    reference.finish()


@given(DECISIONS.filter(bool), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_words_after_the_end(decisions: list[tuple[int, bool]], word: int) -> None:
    """A stream of an encoder with two words more is refused, whatever they are."""
    p1 = np.array([p for p, _ in decisions], np.int64)
    data = encode(p1, np.array([b for _, b in decisions], np.int32), 64) + word.to_bytes(4, "little") * 2
    fast, reference = BitDecoder(data), RangeDecoder(data)
    decode(fast, p1)
    for p, _ in decisions:
        reference.bit(p)
    for coder in (fast, reference):
        with pytest.raises(DamagedFileError, match="end"):
            coder.finish()


@pytest.mark.parametrize("p1", [1, 65535])
@pytest.mark.parametrize("bit", [0, 1])
def test_extreme_probabilities(p1: int, bit: int) -> None:
    """Long runs of the most and of the least likely decision: carries, and 24-bit probabilities of 1."""
    count = 3000
    probabilities, bits = np.full(count, p1), np.full(count, bit, np.int32)
    data = encode(probabilities, bits, 1000)
    assert data == constriction_words(probabilities, bits)
    np.testing.assert_array_equal(decode(BitDecoder(data), probabilities), bits)
    reference = RangeDecoder(data)
    assert [reference.bit(p1) for _ in range(count)] == bits.tolist()
    ideal = -count * np.log2((p1 if bit else PROB_ONE - p1) / PROB_ONE)
    assert 8 * len(data) < ideal * 1.001 + 64


def test_an_encoder_goes_on_after_it_was_asked_for_its_bytes() -> None:
    random = np.random.default_rng(1)
    p1, bits = random.integers(1, 65536, 400), random.integers(0, 2, 400).astype(np.int32)
    coder = BitEncoder()
    for i in range(len(p1)):
        code_known(coder.stream(1), p1[i : i + 1], bits[i : i + 1])
        assert coder.finish() == coder.finish() == encode(p1[: i + 1], bits[: i + 1], 64)


def test_nothing_is_no_bytes() -> None:
    assert BitEncoder().finish() == b""


def test_past_the_end_are_zeros() -> None:
    p1 = np.arange(1, 65536, 257)
    np.testing.assert_array_equal(decode(BitDecoder(b""), p1), 0)
    reference = RangeDecoder(b"")
    assert not any(reference.bit(int(p)) for p in p1)


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_any_bytes(seed: int) -> None:
    """Both decoders say the same of bytes that no encoder made, up to where they refuse them."""
    random = np.random.default_rng(seed)
    data = random.bytes(400) if seed else b"\xff" * 8
    p1 = random.integers(1, 65536, 3000)
    reference, fast = RangeDecoder(data), BitDecoder(data)
    for p in p1:
        try:
            expected = reference.bit(int(p))
        except DamagedFileError:
            with pytest.raises(DamagedFileError):
                decode(fast, np.array([p]))
            return
        assert decode(fast, np.array([p]))[0] == expected
        assert ends(fast) == ends(reference)


def ends(coder: BitDecoder | RangeDecoder) -> bool:
    """Whether the stream may end here."""
    try:
        coder.finish()
    except DamagedFileError:
        return False
    return True
