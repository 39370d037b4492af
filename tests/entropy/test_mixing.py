"""The context mixer: its tables, what it learns, and that all three (encoder, decoder, reference) learn the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal, localcontext
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from licodec.entropy import kernels
from licodec.entropy.coder import BitDecoder, BitEncoder
from licodec.entropy.logistic import SQUASH, STRETCH
from licodec.entropy.mixing import BinaryModel
from licodec.entropy.priors import pack, restore, shipped, unpack
from licodec.entropy.reference import Model, RangeDecoder
from licodec.entropy.reference import mixing as reference
from licodec.entropy.segment import PictureCoder
from licodec.model.geometry import Geometry
from licodec.model.pyramid import pyramid
from licodec.model.symbols import PictureSymbols, SegmentSymbols

from .loops import code_pass
from .samples import GEOMETRIES, segments

Passes = list[tuple[list[np.ndarray], np.ndarray, np.ndarray]]
"""Contexts of each table, sets, decisions."""


def random_passes(seed: int, sizes: list[int], sets: int, lengths: list[int]) -> Passes:
    random = np.random.default_rng(seed)
    bias = random.random(sizes[0])
    passes = []
    for n in lengths:
        contexts = [random.integers(0, size, n) for size in sizes]
        bits = (random.random(n) < bias[contexts[0]]).astype(np.int32)
        passes.append((contexts, random.integers(0, sets, n), bits))
    return passes


def encode(model: BinaryModel, passes: Passes) -> bytes:
    coder = BitEncoder()
    for contexts, selector, bits in passes:
        code_pass(model, coder, contexts, selector, bits)
    return coder.finish()


@contextmanager
def without_priors() -> Iterator[None]:
    with mock.patch.object(reference, "priors", dict):
        yield


def test_squash_is_the_decimal_rule() -> None:
    with localcontext() as context:
        context.prec = 60
        exact = [65536 / (1 + (Decimal(-x) / 256).exp()) for x in range(-2047, 2048)]
    halves = min(abs(value % 1 - Decimal("0.5")) for value in exact)
    assert halves > Decimal("1e-6"), "no value may depend on the precision of the rule"
    expected = [min(max(round(value), 24), 65512) for value in exact]
    assert SQUASH.tolist() == expected == reference.SQUASH


def test_stretch_inverts_squash() -> None:
    assert STRETCH.tolist() == reference.STRETCH
    for p, x in enumerate(reference.STRETCH):
        assert x == 2047 or reference.SQUASH[x + 2047] >= 16 * p + 8
        assert x == -2047 or reference.SQUASH[x + 2046] < 16 * p + 8
    assert (np.diff(reference.STRETCH) >= 0).all()


def test_probabilities_are_in_range() -> None:
    assert SQUASH.min() >= 24
    assert SQUASH.max() <= 65536 - 24
    assert (np.diff(SQUASH) >= 0).all()


@given(
    st.integers(0, 2**32 - 1), st.lists(st.integers(1, 30), min_size=1, max_size=5), st.integers(1, 4),
    st.lists(st.integers(0, 700), max_size=4),
)  # fmt: skip
@settings(max_examples=25, deadline=None)
def test_all_models_learn_the_same(seed: int, sizes: list[int], sets: int, lengths: list[int]) -> None:
    passes = random_passes(seed, sizes, sets, lengths)
    encoder, decoder = BinaryModel(sizes, sets), BinaryModel(sizes, sets)
    data = encode(encoder, passes)
    fast, slow_coder = BitDecoder(data), RangeDecoder(data)
    with without_priors():
        slow = Model("", sizes, sets)
    for contexts, selector, bits in passes:
        np.testing.assert_array_equal(code_pass(decoder, fast, contexts, selector), bits)
        rows = list(zip(np.stack(contexts).T.tolist(), selector.tolist(), strict=True))
        assert slow.decode_all(slow_coder, rows) == bits.tolist()
    for a, b in zip(encoder.mixer, decoder.mixer, strict=True):
        np.testing.assert_array_equal(a, b)
    shares = np.stack([np.concatenate(part) for part in (slow.slow, slow.fast, slow.seen)], axis=1)
    np.testing.assert_array_equal(shares, encoder.mixer.shares)
    np.testing.assert_array_equal(slow.weights, encoder.mixer.weights)


@pytest.mark.parametrize("bit", [0, 1])
def test_shares_stay_in_their_bounds(bit: int) -> None:
    """The same decision for ever, in contexts that agree, and then its opposite."""
    model, coder = BinaryModel([1, 1, 1]), BitEncoder()
    for value in (bit, 1 - bit):
        for _ in range(20):
            n = 1000
            code_pass(model, coder, [np.zeros(n, int)] * 3, np.zeros(n, int), np.full(n, value, np.int32))
            shares = model.mixer.shares
            assert 0 <= shares[:, :2].min() <= shares[:, :2].max() < 1 << kernels.SHARE_BITS
        assert (shares[:, 2] == kernels.MOST_SEEN).all()
        assert ((shares[:, 0] >> 21) == value).all()


def test_a_context_seen_once_leans_to_what_it_saw() -> None:
    model = BinaryModel([2])
    code_pass(model, BitEncoder(), [np.array([0])], np.array([0]), np.array([1], np.int32))
    assert model.probabilities(0)[0] > 0.6 > model.probabilities(0)[1] == 0.5


def test_learning_helps_and_is_deterministic() -> None:
    passes = random_passes(2, [6, 40, 9], 3, [300] * 20)
    first, second = (encode(BinaryModel([6, 40, 9], 3), passes) for _ in range(2))
    assert first == second
    assert len(first) < 0.9 * 300 * 20 / 8


@given(segments())
@settings(max_examples=6, deadline=None, derandomize=True)
def test_encoder_and_decoder_end_in_the_same_state(sample: tuple[Geometry, SegmentSymbols]) -> None:
    geometry, symbols = sample
    bits = BitEncoder()
    writer = PictureCoder(geometry)
    for batch in pyramid(symbols.groups):
        writer.code(bits, batch, symbols.pictures)
    decoder, reader = BitDecoder(bits.finish()), PictureCoder(geometry)
    blank = {p.frame: PictureSymbols.blank(geometry, p) for batch in pyramid(symbols.groups) for p in batch}
    for batch in pyramid(symbols.groups):
        reader.code(decoder, batch, blank)
    others = reader.models()
    for name, model in writer.models().items():
        for a, b in zip(model.mixer, others[name].mixer, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=name)


def test_priors_round_trip() -> None:
    random = np.random.default_rng(3)
    states = {}
    for name, tables, sets in (("a", 1, 1), ("b.escape", 3, 7), ("", 2, 2)):
        share, seen = random.integers(0, 1024, 50) << 12, random.integers(0, 61, 50)
        states[name] = (share, seen, random.integers(-4096, 4096, (sets, 2 * tables)) * 256)
    back = unpack(pack(states))
    assert list(back) == list(states)
    for name, state in states.items():
        for a, b in zip(state, back[name], strict=True):
            np.testing.assert_array_equal(a, b)


def test_priors_are_rounded_and_doubted() -> None:
    share, seen = np.array([(1 << 22) - 1, 1, 2_000_000, 0]), np.array([500, 60, 61, 0])
    shares, back, _ = unpack(pack({"m": (share, seen, np.zeros((1, 1), np.int64))}))["m"]
    assert back.tolist() == [60, 60, 60, 0]
    assert (np.abs(shares - share) < 1 << 12).all()


def test_shipped_priors_fit_and_are_read_alike() -> None:
    ours, theirs = shipped(), reference.priors()
    assert list(ours) == list(theirs)
    for name in ours:
        for a, b in zip(ours[name], theirs[name], strict=True):
            np.testing.assert_array_equal(a, b)
        share, _, _ = ours[name]
        assert 0 <= share.min() <= share.max() < 1 << kernels.SHARE_BITS, name
    models = PictureCoder(GEOMETRIES[3], {}).models()
    assert set(ours) <= set(models)
    restore(models, ours)


def test_a_prior_of_another_shape_is_refused() -> None:
    model = BinaryModel([4], 1)
    with pytest.raises(ValueError, match="prior"):
        model.restore(np.zeros(5, np.int64), np.zeros(5, np.int64), np.zeros((1, 1), np.int64))
