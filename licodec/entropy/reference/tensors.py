"""`Tensors`: network weights, quantiser offsets, latents."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from licodec.entropy.reference.mixing import Magnitude, RangeDecoder, decode_signs


class TensorSyntax:
    """Decodes integer tensors of several kinds in up to eight slices along their first axis."""

    def __init__(self, coder: RangeDecoder, kinds: int, part: str) -> None:
        self._coder = coder
        self._size = Magnitude(f"{part}size", [kinds, kinds * 12, 12 * 8], 18)

    def decode(self, kind: int, shape: tuple[int, ...]) -> npt.NDArray[np.int32]:
        """The next tensor."""
        rows, columns = shape[0], int(np.prod(shape[1:]))
        slices = min(8, rows)
        values = np.zeros((rows, columns), np.int32)
        before = [0] * columns
        first = 0
        for place in range(slices):
            height = rows // slices + (place < rows % slices)
            contexts = [[kind, kind * 12 + b, b * 8 + place] for _ in range(height) for b in before]
            signed = decode_signs(self._coder, self._size.decode(self._coder, contexts))
            block = np.array(signed, np.int32).reshape(height, columns)
            values[first : first + height] = block
            before = [min(int(total) // height, 11) for total in np.abs(block).sum(axis=0, dtype=np.int64)]
            first += height
        return values.reshape(shape)
