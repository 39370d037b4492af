"""Tensors of integers: what is written is read back, by both readers, and in the end all have learnt the same."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from licodec.entropy.coder import BitDecoder, BitEncoder
from licodec.entropy.reference import RangeDecoder
from licodec.entropy.reference import mixing as reference
from licodec.entropy.reference.tensors import TensorSyntax
from licodec.entropy.weights import TensorCoder

MOST = 18 + 2**24 - 2
"""The largest magnitude that an escape can tell."""

values = st.one_of(st.integers(-3, 3), st.integers(-40, 40), st.integers(-MOST, MOST))
tensors = st.lists(
    st.tuples(
        st.integers(0, 2), arrays.arrays(np.int32, arrays.array_shapes(max_dims=3, max_side=20), elements=values)
    ),
    min_size=1,
    max_size=4,
)


@given(tensors)
@settings(max_examples=60, deadline=None)
def test_tensors_round_trip(wanted: list[tuple[int, np.ndarray]]) -> None:
    encoder, decoder, coder = TensorCoder(3), TensorCoder(3), BitEncoder()
    for kind, tensor in wanted:
        encoder.code(coder, kind, tensor.copy())
    data = coder.finish()
    bits = BitDecoder(data)
    with mock.patch.object(reference, "priors", dict):
        slow = TensorSyntax(RangeDecoder(data), 3, "")
    for kind, tensor in wanted:
        got = np.zeros(tensor.shape, np.int32)
        decoder.code(bits, kind, got)
        np.testing.assert_array_equal(got, tensor)
        np.testing.assert_array_equal(slow.decode(kind, tensor.shape), tensor)
    bits.finish()
    for name, model in encoder.models().items():
        for a, b in zip(model.mixer, decoder.models()[name].mixer, strict=True):
            np.testing.assert_array_equal(a, b)


def test_an_encoder_leaves_its_tensor_as_it_is() -> None:
    tensor = np.array([[0, -1, 17], [18, -19, MOST]], np.int32)
    before = tensor.copy()
    TensorCoder(1).code(BitEncoder(), 0, tensor)
    np.testing.assert_array_equal(tensor, before)


def test_a_kind_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="kind 2"):
        TensorCoder(2).code(BitEncoder(), 2, np.zeros(1, np.int32))
