"""Many decisions at once, for tests of the range coder and of the mixer by themselves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from licodec.entropy.coder import BitCoder, Ints
from licodec.entropy.kernels import Mixer, Stream, code_bit, decide
from licodec.entropy.mixing import BinaryModel
from licodec.jit import compiled

Bits = npt.NDArray[np.int32]


@compiled
def code_known(stream: Stream, p1: Ints, bits: Bits) -> None:
    """Decisions of given probabilities, in place."""
    for i in range(len(p1)):
        bits[i] = code_bit(stream, p1[i], bits[i])


@compiled
def _code_pass(stream: Stream, mixer: Mixer, contexts: Ints, one: Ints, other: int, bits: Bits) -> None:
    for i in range(len(one)):
        bits[i] = decide(stream, mixer, contexts[i], one[i], other, bits[i])


def code_pass(
    model: BinaryModel,
    coder: BitCoder,
    contexts: Sequence[npt.NDArray[np.integer]],
    one: Ints,
    values: Bits | None = None,
) -> Bits:
    """Decisions of a model whose contexts do not depend on each other; an encoder takes them from `values`.

    contexts: for each table [decisions]; one: [decisions] set of weights; the other set is the first.
    """
    bits = np.zeros(len(one), np.int32) if values is None else values.astype(np.int32)
    if len(bits):
        rows = np.stack(contexts, axis=1).astype(np.int64)
        _code_pass(coder.stream(len(bits)), model.mixer, rows, one.astype(np.int64), model.selectors, bits)
        coder.check()
    return bits
