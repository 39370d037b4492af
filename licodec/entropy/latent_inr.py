"""Payload of a segment of the paper profile: uniformly quantised tensors, each with a step of its own.

One signed byte a tensor, the index k of its step 2^(-k / 8); then, to the end, the range coder's words with the
symbols of the tensors in order (`code_tensors`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from licodec.entropy.coder import BitDecoder, BitEncoder
from licodec.entropy.weights import code_tensors
from licodec.errors import DamagedFileError

STEPS_PER_OCTAVE = 8
STEP_MIN, STEP_MAX = -128, 127
SYMBOL_MAX = 1 << 20
"""Largest magnitude of a symbol."""

# 2^(j / 8) written out, so that a step is the same float everywhere (`pow` may differ in its last bit).
_ROOTS = (
    1.0,
    1.0905077326652577,
    1.189207115002721,
    1.2968395546510096,
    1.4142135623730951,
    1.5422108254079407,
    1.681792830507429,
    1.8340080864093424,
)


@dataclass(frozen=True)
class LatentINRSymbols:
    """All parameters of a model as integers."""

    steps: tuple[int, ...]
    """Step index of each tensor."""
    tensors: tuple[npt.NDArray[np.int32], ...]
    """Parameter = symbol times `step_size`; in the order of `LatentINR.parameters()`."""


def step_size(index: int) -> float:
    """Quantisation step 2^(-index / 8)."""
    octave, eighth = divmod(-index, STEPS_PER_OCTAVE)
    return math.ldexp(_ROOTS[eighth], octave)


def step_index(step: float) -> int:
    """Index of the step nearest to `step` > 0."""
    return min(max(round(-STEPS_PER_OCTAVE * math.log2(step)), STEP_MIN), STEP_MAX)


def write_symbols(symbols: LatentINRSymbols) -> bytes:
    """Payload of a segment.

    Raises:
        ValueError: a step index or a symbol is out of range.
    """
    if not all(STEP_MIN <= k <= STEP_MAX for k in symbols.steps):
        raise ValueError(f"step indices {symbols.steps} are not all in {STEP_MIN}..{STEP_MAX}")
    if any(np.abs(t).max(initial=0) > SYMBOL_MAX for t in symbols.tensors):
        raise ValueError(f"a symbol is over {SYMBOL_MAX}")
    coder = BitEncoder()
    code_tensors(coder, symbols.tensors)
    return np.array(symbols.steps, np.int8).tobytes() + coder.finish()


def read_symbols(data: bytes, shapes: Sequence[tuple[int, ...]], where: str = "") -> LatentINRSymbols:
    """Parse a payload whose tensors have the given shapes; the caller has checked their sizes.

    Raises:
        DamagedFileError: the payload is not what `write_symbols` writes for these shapes.
    """

    def damaged(what: str) -> DamagedFileError:
        return DamagedFileError(f"{where}: {what}" if where else what)

    words = len(data) - len(shapes)
    if words < 0:
        raise damaged(f"cut short: needs {len(shapes)} step indices, has {len(data)} bytes")
    if words % 4:
        raise damaged("its entropy-coded part is not whole 32-bit words")
    steps = tuple(np.frombuffer(data, np.int8, len(shapes)).tolist())
    tensors = tuple(np.zeros(shape, np.int32) for shape in shapes)
    try:
        coder = BitDecoder(data[len(shapes) :])
        code_tensors(coder, tensors)
        coder.finish()
    except DamagedFileError as error:
        raise damaged(str(error)) from None
    if any(np.abs(t).max(initial=0) > SYMBOL_MAX for t in tensors):
        raise damaged(f"a symbol is over {SYMBOL_MAX}")
    return LatentINRSymbols(steps, tensors)
