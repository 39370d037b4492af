"""One picture at its native size, from its symbols and its references: the decoder's inner loop.

The encoder calls the very same functions, so what it measures is what every decoder shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from licodec.model import cosine, synthesis
from licodec.model.config import ModelConfig
from licodec.model.geometry import BLEND, Floats, Geometry, Planes
from licodec.model.motion import Field
from licodec.model.symbols import PictureSymbols, SegmentSymbols, SparseLevels
from licodec.render.warp import dense, positions, warp

_FIRST_SHARE = np.array([0.5, 1.0, 0.0], np.float32)
MIDDLE = np.float32(128)


@dataclass(frozen=True)
class Prediction:
    """What the references say about a picture."""

    planes: Planes
    apart: Floats | None
    """Luma of the first prediction less the second; None with fewer than two."""


def predict(
    geometry: Geometry,
    fields: Sequence[Field],
    blend: npt.NDArray[np.uint8] | None,
    references: Sequence[Planes],
) -> Prediction:
    """Warp each reference and blend: all at once middle grey when there is none."""
    if not fields:
        return Prediction(tuple(np.full(shape, MIDDLE) for shape in geometry.shapes), None)
    planes, apart = [], None
    for i, shape in enumerate(geometry.shapes):
        step = geometry.step(i)
        warped = [
            warp(reference[i], positions(field.vectors, shape, step))
            for reference, field in zip(references, fields, strict=True)
        ]
        if blend is None:
            planes.append(warped[0])
            continue
        difference = warped[0] - warped[1]
        share = dense(_FIRST_SHARE[blend], shape, (BLEND // step[0], BLEND // step[1]))
        planes.append(warped[1] + share * difference)
        if i == 0:
            apart = difference
    return Prediction(tuple(planes), apart)


def residual(sizes: npt.NDArray[np.uint8], sparse: SparseLevels, step: float) -> Floats:
    """[planes, rows, columns] of a group: inverse transforms of the blocks that hold anything."""
    out = np.zeros(sparse.shape, np.float32)
    planes, rows, columns = sparse.shape
    occupied = np.zeros((planes, rows // cosine.CELL, columns // cosine.CELL), bool)
    plane, rest = np.divmod(sparse.index, rows * columns)
    y, x = np.divmod(rest, columns)
    occupied[plane, y // cosine.CELL, x // cosine.CELL] = True
    levels = sparse.dense()
    for s, size in enumerate(cosine.SIZES):
        factor = size // cosine.CELL
        busy = occupied.reshape(planes, rows // size, factor, columns // size, factor).any(axis=(2, 4))
        chosen = np.nonzero(busy & (sizes[::factor, ::factor] == s))
        if len(chosen[0]):
            coefficients = cosine.to_blocks(levels, size)[chosen].astype(np.float32) * np.float32(step)
            cosine.to_blocks(out, size)[chosen] = cosine.inverse(coefficients)
    return out


def add_residual(
    geometry: Geometry, prediction: Planes, symbols: PictureSymbols, steps: Sequence[float]
) -> tuple[Planes, Floats]:
    """The content before synthesis, and the luma residual by itself."""
    planes, luma = list(prediction), None
    for g, members in enumerate(geometry.groups):
        rest = residual(symbols.sizes[g], symbols.levels[g], steps[g])
        for j, i in enumerate(members):
            rows, columns = geometry.shapes[i]
            part = rest[j, :rows, :columns]
            planes[i] = prediction[i] + part
            if luma is None:
                luma = part
    assert luma is not None
    return tuple(planes), luma


class Synthesis:
    """The modulated network with a segment's dequantised weights; without weights it does nothing."""

    def __init__(self, geometry: Geometry, config: ModelConfig, symbols: SegmentSymbols) -> None:
        self._geometry, self._config = geometry, config
        self._weights = None
        if symbols.weights is not None:
            self._weights = synthesis.dequantise(symbols.weights, symbols.weight_steps)
            rows, columns = geometry.shapes[0]
            self._phases = synthesis.phases((-(-rows // 2), -(-columns // 2)))

    def __call__(self, content: Planes, apart: Floats | None, rest: Floats, latent: Floats) -> Planes:
        """The picture: content plus the network's correction for a latent [latent_dim], clipped to the sample range."""
        if self._weights is not None:
            with torch.inference_mode():
                z = torch.from_numpy(latent)[None]
                shapes = synthesis.layer_shapes(self._geometry, self._config)
                factors = synthesis.modulations(self._weights, z, shapes, self._config.rank)
                inputs = np.concatenate([synthesis.network_input(content, apart, rest, self._geometry), self._phases])
                correction = synthesis.apply(self._weights, factors, torch.from_numpy(inputs)[None])
            planes = synthesis.unpack(correction[0].numpy(), self._geometry)
            content = tuple(c + p for c, p in zip(content, planes, strict=True))
        return tuple(np.clip(p, 0, 255) for p in content)


def content_of(
    geometry: Geometry, prediction: Prediction, symbols: PictureSymbols, steps: Sequence[float]
) -> tuple[Planes, Floats]:
    """Content of a picture before synthesis, and its luma residual by itself.

    The content is what other pictures refer to: a network inside the prediction loop would be applied to its
    own output again and again (tried: it sharpens until it loses).
    """
    planes, luma = add_residual(geometry, prediction.planes, symbols, steps)
    return tuple(np.clip(p, 0, 255) for p in planes), luma
