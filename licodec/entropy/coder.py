"""The range coder: binary decisions with 16-bit integer probabilities, through constriction.

One class for each direction with one method in common, `bits`, so that every syntax element is
written once and serves the encoder, the decoder and the encoder's rate count alike.
"""

from __future__ import annotations

from typing import Protocol

import constriction
import numpy as np
import numpy.typing as npt

from licodec.errors import DamagedFileError

Ints = npt.NDArray[np.int64]
Bits = npt.NDArray[np.int32]

PROB_BITS = 16
PROB_ONE = 1 << PROB_BITS
HALF = PROB_ONE >> 1

_BERNOULLI = constriction.stream.model.Bernoulli(perfect=False)


class BitCoder(Protocol):
    """Codes arrays of binary decisions in order."""

    decoding: bool

    def bits(self, p1: Ints, values: Bits | None) -> Bits:
        """Code one decision per entry of `p1` (probability of a 1 times 2^16, in 1..65535).

        An encoder takes the decisions from `values` and returns them; a decoder ignores `values`.
        """
        ...


def _as_float(p1: Ints) -> npt.NDArray[np.float64]:
    """k / 2^16 is exact in binary floating point, so the model sees the integer itself."""
    return p1.astype(np.float64) / PROB_ONE


class BitEncoder:
    """Range encoder; `finish` returns little-endian 32-bit words."""

    decoding = False

    def __init__(self) -> None:
        self._coder = constriction.stream.queue.RangeEncoder()

    def bits(self, p1: Ints, values: Bits | None) -> Bits:
        assert values is not None and len(values) == len(p1)
        if len(p1):
            self._coder.encode(values.astype(np.int32), _BERNOULLI, _as_float(p1))
        return values

    def finish(self) -> bytes:
        """The coded stream."""
        words: npt.NDArray[np.uint32] = self._coder.get_compressed()
        return words.astype("<u4").tobytes()


class BitDecoder:
    """Range decoder over the bytes of `BitEncoder.finish`."""

    decoding = True

    def __init__(self, data: bytes) -> None:
        self._coder = constriction.stream.queue.RangeDecoder(np.frombuffer(data, "<u4").astype(np.uint32))

    def bits(self, p1: Ints, values: Bits | None) -> Bits:
        if not len(p1):
            return np.empty(0, np.int32)
        try:
            decoded: Bits = self._coder.decode(_BERNOULLI, _as_float(p1))
        except AssertionError:  # constriction's word for a state that no encoder leaves
            raise DamagedFileError("the entropy-coded data is damaged") from None
        return decoded

    def finish(self) -> None:
        """Check that the stream ends where its last decision does; DamagedFileError if it goes on."""
        if not self._coder.maybe_exhausted():
            raise DamagedFileError("the entropy-coded data does not end with its last symbol")
