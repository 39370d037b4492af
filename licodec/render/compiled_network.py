"""The synthesis network on the CPU: the twin of `licodec.render.network`, without torch.

All layers follow each other down the picture, row by row: what a layer needs of the one before stays in the cache.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from licodec.jit import compiled
from licodec.model import synthesis
from licodec.model.config import ModelConfig
from licodec.model.geometry import PEAK, Floats, Geometry, Planes
from licodec.model.symbols import NetworkSymbols
from licodec.model.synthesis import INPUT_SCALE, LAYERS, OUTPUT_SCALE
from licodec.render.convolution import BORDER, TILE, convolve_row, width_of
from licodec.render.window import Window

_NOTHING = np.empty((0, 0), np.float32)
_SLOTS = 3
"""Rows kept of what a layer reads. One more is zeros, for what lies above and below the picture."""


class CompiledNetwork:
    """The modulated network with a segment's dequantised weights."""

    def __init__(self, geometry: Geometry, config: ModelConfig, network: NetworkSymbols) -> None:
        self._geometry, self._rank = geometry, config.rank
        self._shapes = synthesis.layer_shapes(geometry, config)
        self._parameters = synthesis.dequantise(network.weights, network.steps)
        rows, columns = geometry.shapes[0]
        self._phases = synthesis.phases((-(-rows // 2), -(-columns // 2)))

    def __call__(
        self,
        planes: Planes,
        apart: Floats | None,
        residual: Floats,
        latent: npt.NDArray[np.float32],
        window: Window,
    ) -> Planes:
        """The planes of a window, corrected and clipped, for a content (see `Content`) and a latent [latent_dim]."""
        around = window.read_by_network(self._geometry)
        rows, columns = around.shape((2, 2))
        steps = [self._geometry.step(i) for i in range(len(planes))]
        phases = self._phases[:, *around.of((2, 2))]
        out = [np.empty(plane[window.of(step)].shape, np.float32) for plane, step in zip(planes, steps, strict=True)]
        layers = self._layers(latent)
        widths = [len(layers[0][0]), *(len(bias) for _, bias in layers)]
        room = tuple(np.zeros((_SLOTS + 1, channels, width_of(columns)), np.float32) for channels in widths)
        _synthesise(
            _three([plane[around.of(step)] for plane, step in zip(planes, steps, strict=True)]),
            _NOTHING if apart is None else apart[around.of((1, 1))],
            residual[around.of((1, 1))],
            (np.ascontiguousarray(phases[:2, :, 0]), np.ascontiguousarray(phases[2:, 0])),
            self._geometry.subsampling,
            (rows, columns),
            layers,
            room,
            ((window.top - around.top) // 2, (window.left - around.left) // 2),
            _three(out),
        )
        return tuple(out)

    def _layers(self, latent: npt.NDArray[np.float32]) -> tuple[tuple[Floats, Floats], ...]:
        """(weights, bias) of each layer, as `convolve_row` has them: channels that are missing to whole tiles are 0."""
        factors = synthesis.modulations(self._parameters, latent, self._shapes, self._rank, np.tanh)
        out, read = list[tuple[Floats, Floats]](), self._shapes[0][1]
        for i, factor in enumerate(factors):
            kernel, bias = self._parameters[6 * i : 6 * i + 2]
            outputs, inputs = factor.shape
            made = -(-outputs // TILE) * TILE
            weights = np.zeros((read, 3, 3, made), np.float32)
            weights[:inputs, ..., :outputs] = (kernel * factor[..., None, None]).transpose(1, 2, 3, 0)
            out.append((weights, np.pad(bias, (0, made - outputs))))
            read = made
        return tuple(out)


def _three(planes: Sequence[Floats]) -> tuple[Floats, Floats, Floats]:
    y, u, v = (*planes, _NOTHING, _NOTHING)[:3]
    return y, u, v


@compiled
def _synthesise(
    planes: tuple[Floats, Floats, Floats],
    apart: Floats,
    residual: Floats,
    phases: tuple[Floats, Floats],
    step: tuple[int, int],
    size: tuple[int, int],
    layers: tuple[tuple[Floats, Floats], ...],
    room: tuple[Floats, ...],
    corner: tuple[int, int],
    out: tuple[Floats, Floats, Floats],
) -> None:
    """A window's planes with the network's correction, from what it reads around it.

    Args:
        planes: all three, or luma and two empty ones.
        apart: empty for none.
        phases: [2, rows] and [2, columns] of the coordinate inside its cell.
        step: (x, y) luma samples of a chroma sample.
        size: (rows, columns) of 2 x 2 luma samples.
        layers: (weights, bias) as `convolve_row` has them.
        room: zeros [slots + 1, channels, width] for what each layer reads, and for what the last one makes.
        corner: (row, column) of the window in what it reads, in 2 x 2 samples.
        out: the window of each plane.
    """
    rows, columns = size
    fx, fy = 2 // step[0], 2 // step[1]
    for r in range(rows + LAYERS):
        if r < rows:
            _pack(planes, apart, residual, phases, (fx, fy), r, columns, room[0][r % _SLOTS])
        for i in range(LAYERS):
            # Each layer is one row behind the one that it reads.
            y = r - 1 - i
            if 0 <= y < rows:
                above = (y - 1) % _SLOTS if y > 0 else _SLOTS
                below = (y + 1) % _SLOTS if y + 1 < rows else _SLOTS
                low = np.float32(0 if i + 1 < LAYERS else -np.inf)
                weights, bias = layers[i]
                slots = (above, y % _SLOTS, below, y % _SLOTS)
                convolve_row((room[i], room[i + 1]), slots, columns, weights, bias, low)
        y = r - LAYERS
        if y >= corner[0]:
            made = room[LAYERS][y % _SLOTS]
            _add(made, planes[0], 0, 2, 2, y, corner, out[0])
            if out[1].size:
                _add(made, planes[1], 4, fx, fy, y, corner, out[1])
                _add(made, planes[2], 4 + fx * fy, fx, fy, y, corner, out[2])


@compiled
def _pack(
    planes: tuple[Floats, Floats, Floats],
    apart: Floats,
    residual: Floats,
    phases: tuple[Floats, Floats],
    chroma: tuple[int, int],
    row: int,
    columns: int,
    out: Floats,
) -> None:
    """A row of `licodec.model.synthesis.network_input`, and of the phases: [channels, width]."""
    fx, fy = chroma
    _fold(planes[0], row, 2, 2, columns, 128.0, False, out[0:4])
    k = 4
    if planes[1].size:
        _fold(planes[1], row, fx, fy, columns, 128.0, False, out[k : k + fx * fy])
        k += fx * fy
        _fold(planes[2], row, fx, fy, columns, 128.0, False, out[k : k + fx * fy])
        k += fx * fy
    if apart.size:
        _fold(apart, row, 2, 2, columns, 0.0, True, out[k : k + 4])
    _fold(residual, row, 2, 2, columns, 0.0, False, out[k + 4 : k + 8])
    down, across = phases
    for i in range(2):
        line = out[k + 8 + i]
        for c in range(columns):
            line[BORDER + c] = down[i, row]
        line = out[k + 10 + i]
        for c in range(columns):
            line[BORDER + c] = across[i, c]


@compiled
def _fold(plane: Floats, row: int, fx: int, fy: int, columns: int, offset: float, absolute: bool, out: Floats) -> None:
    """Squares of fx x fy samples of a row into that many channels; odd edges repeat."""
    rows, samples = plane.shape
    shift, factor = np.float32(offset), np.float32(INPUT_SCALE)
    whole = samples // fx
    for y in range(fy):
        source = plane[min(row * fy + y, rows - 1)]
        for x in range(fx):
            line = out[y * fx + x, BORDER:]
            if absolute:
                for c in range(whole):
                    line[c] = abs(source[c * fx + x] - shift) * factor
            else:
                for c in range(whole):
                    line[c] = (source[c * fx + x] - shift) * factor
            for c in range(whole, columns):
                last = source[min(c * fx + x, samples - 1)] - shift
                line[c] = (abs(last) if absolute else last) * factor


@compiled
def _add(
    made: Floats, plane: Floats, channel: int, fx: int, fy: int, row: int, corner: tuple[int, int], out: Floats
) -> None:
    """A row of squares: samples plus what the network made for them, clipped."""
    top, left = corner
    for y in range(fy):
        line = (row - top) * fy + y
        if line >= out.shape[0]:
            return
        given, target = plane[row * fy + y, left * fx :], out[line]
        for x in range(fx):
            correction = made[channel + y * fx + x, BORDER + left :]
            for c in range((len(target) - x + fx - 1) // fx):
                value = given[c * fx + x] + correction[c] * np.float32(OUTPUT_SCALE)
                target[c * fx + x] = min(max(value, np.float32(0)), np.float32(PEAK))
