"""The range coder: binary decisions with 16-bit integer probabilities.

One class for each direction with the same `stream`, so that every syntax element is written once
(`motion_kernels`, `residual_kernels`, `weights`) and serves the encoder and the decoder alike.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from licodec.entropy import kernels
from licodec.entropy.motion_kernels import MOTION_LIMIT
from licodec.entropy.residual_kernels import LEVEL_LIMIT
from licodec.errors import DamagedFileError

Ints = npt.NDArray[np.int64]

_WHOLE = (1 << 64) - 1
_BITS_PER_DECISION = 12
"""At most: no decision of a model has a probability under 24 / 65536, and raw ones take a bit."""
_FAULTS = {
    int(kernels.IMPOSSIBLE): "the entropy-coded data is damaged",
    int(kernels.EXTENT_TOO_LARGE): "a block has more coded diagonals than it has",
    int(kernels.LEVEL_TOO_LARGE): f"a coefficient is over {LEVEL_LIMIT}",
    int(kernels.MODE_TOO_LARGE): "a block has a mode that does not exist",
    int(kernels.VECTOR_TOO_LARGE): f"a motion correction is over {MOTION_LIMIT}",
}


class BitEncoder:
    """Range encoder; `finish` returns little-endian 32-bit words."""

    decoding = False

    def __init__(self) -> None:
        self._state = np.array([0, _WHOLE, 0, 0, 0], np.uint64)
        self._words = np.empty(1024, np.uint32)

    def stream(self, decisions: int) -> kernels.Stream:
        """For at most so many decisions; one made before must not be used any more."""
        needed = self._place + decisions * _BITS_PER_DECISION // 32 + 2
        if needed > len(self._words):
            words = np.empty(2 * needed, np.uint32)
            words[: self._place] = self._words[: self._place]
            self._words = words
        return kernels.Stream(self._state, self._words, False)

    def check(self) -> None:
        """Nothing that is encoded is damaged."""

    def finish(self) -> bytes:
        """The coded stream; the encoder may go on after it."""
        state, words = self._state.copy(), self._words[: self._place + 2].copy()
        if state[kernels.RANGE] != _WHOLE:
            kernels.flush(kernels.Stream(state, words, False))
        return words[: int(state[kernels.PLACE])].astype("<u4").tobytes()

    @property
    def _place(self) -> int:
        return int(self._state[kernels.PLACE])


class BitDecoder:
    """Range decoder over the bytes of `BitEncoder.finish`."""

    decoding = True

    def __init__(self, data: bytes) -> None:
        self._words = np.frombuffer(data, "<u4").astype(np.uint32)
        point = sum(int(word) << shift for word, shift in zip(self._words[:2], (32, 0), strict=False))
        self._state = np.array([0, _WHOLE, point, 2, 0], np.uint64)

    def stream(self, decisions: int) -> kernels.Stream:
        """For any number of decisions."""
        return kernels.Stream(self._state, self._words, True)

    def check(self) -> None:
        """DamagedFileError if what was decoded so far is not what an encoder makes."""
        fault = int(self._state[kernels.FAULT])
        if fault:
            raise DamagedFileError(_FAULTS[fault])

    def finish(self) -> None:
        """Check that the stream ends where its last decision does; DamagedFileError if it goes on."""
        low, range_, point, place, _ = (int(value) for value in self._state)
        if place < len(self._words) or (range_ != _WHOLE and (point - low) % (1 << 64) >= (1 << 33) - 1):
            raise DamagedFileError("the entropy-coded data does not end with its last symbol")


BitCoder = BitEncoder | BitDecoder
