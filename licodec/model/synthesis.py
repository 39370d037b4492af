"""The synthesis network: a shared base network whose weights each frame's latent modulates.

After Latent-INR (arXiv 2408.02672): theta_t = theta * 2 sigmoid(P Q) with [P, Q] = h(z_t), a hypernetwork of
one hidden tanh layer for each layer of the base network (the factor 2 makes zero output the identity, so a
zero-cost latent means the shared network itself). The base network reads the local content (the predicted
picture with its residual, how far the two predictions disagree, the residual) together with the coordinate
inside the transform cell, and returns a correction of the content.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from licodec.model.config import ModelConfig
from licodec.model.geometry import Geometry, Planes
from licodec.quant.steps import weight_step_of

if TYPE_CHECKING:
    import torch

Array = TypeVar("Array", npt.NDArray[np.float32], "torch.Tensor")

LAYERS = 3
INPUT_SCALE = 1 / 64
OUTPUT_SCALE = 16.0


def content_channels(geometry: Geometry) -> int:
    """Channels of the packed planes: 2 x 2 luma samples with the chroma samples they cover."""
    sx, sy = geometry.subsampling
    return 4 + (2 * (2 // sx) * (2 // sy) if len(geometry.shapes) == 3 else 0)


def input_channels(geometry: Geometry) -> int:
    """Packed content, packed luma disagreement, packed luma residual, four phases of the cell coordinate."""
    return content_channels(geometry) + 4 + 4 + 4


def layer_shapes(geometry: Geometry, config: ModelConfig) -> list[tuple[int, int]]:
    """(outputs, inputs) of each 3 x 3 layer."""
    ends = [input_channels(geometry), *[config.width] * (LAYERS - 1), content_channels(geometry)]
    return [(ends[i + 1], ends[i]) for i in range(LAYERS)]


def parameter_shapes(geometry: Geometry, config: ModelConfig) -> list[tuple[int, ...]]:
    """For each layer: kernel, bias, hypernetwork in, its bias, hypernetwork out, its bias."""
    shapes: list[tuple[int, ...]] = []
    for outputs, inputs in layer_shapes(geometry, config):
        hidden, low_rank = config.hyper_width, config.rank * (outputs + inputs)
        shapes += [
            (outputs, inputs, 3, 3),
            (outputs,),
            (hidden, config.latent_dim),
            (hidden,),
            (low_rank, hidden),
            (low_rank,),
        ]
    return shapes


def modulations(
    parameters: Sequence[Array],
    latent: Array,
    shapes: Sequence[tuple[int, int]],
    rank: int,
    tanh: Callable[..., Array],
) -> list[Array]:
    """[outputs, inputs] factors of each layer's kernel for a latent [latent_dim]; `tanh`: of this kind of arrays."""
    out = []
    for i, (outputs, inputs) in enumerate(shapes):
        _, _, w1, b1, w2, b2 = parameters[6 * i : 6 * i + 6]
        pq = w2 @ tanh(w1 @ latent + b1) + b2
        p, q = pq[: rank * outputs].reshape(outputs, rank), pq[rank * outputs :].reshape(rank, inputs)
        # 2 sigmoid(x)
        out.append(1 + tanh(p @ q / 2))
    return out


def pack(planes: Planes, geometry: Geometry) -> npt.NDArray[np.float32]:
    """[content, ceil(rows / 2), ceil(columns / 2)]: every 2 x 2 luma square with its chroma; odd edges repeat."""
    rows, columns = geometry.shapes[0]
    half = (-(-rows // 2), -(-columns // 2))
    out = []
    for i, plane in enumerate(planes):
        sx, sy = geometry.step(i)
        out += _fold(plane, half, 2 // sx, 2 // sy)
    return np.stack(out)


def _fold(plane: npt.NDArray, half: tuple[int, int], fx: int, fy: int) -> list[npt.NDArray]:
    missing = (half[0] * fy - plane.shape[0], half[1] * fx - plane.shape[1])
    p = np.pad(plane, [(0, missing[0]), (0, missing[1])], mode="edge") if any(missing) else plane
    return [p[y::fy, x::fx] for y in range(fy) for x in range(fx)]


def unpack(packed: npt.NDArray[np.float32], geometry: Geometry) -> Planes:
    """Inverse of `pack`."""
    out, channel = [], 0
    for i, (rows, columns) in enumerate(geometry.shapes):
        sx, sy = geometry.step(i)
        fx, fy = 2 // sx, 2 // sy
        plane = np.empty((packed.shape[1] * fy, packed.shape[2] * fx), np.float32)
        for y in range(fy):
            for x in range(fx):
                plane[y::fy, x::fx] = packed[channel]
                channel += 1
        out.append(plane[:rows, :columns])
    return tuple(out)


def phases(half: tuple[int, int]) -> npt.NDArray[np.float32]:
    """[4, h, w] cosine and sine of the coordinate inside the 8 x 8 cell."""
    out = np.empty((4, *half), np.float32)
    for i, length in enumerate(half):
        angle = 2 * math.pi * (np.arange(length) + 0.5) / 4
        shape = (-1, 1) if i == 0 else (1, -1)
        out[2 * i] = np.cos(angle).reshape(shape)
        out[2 * i + 1] = np.sin(angle).reshape(shape)
    return out


def network_input(
    content: Planes,
    disagreement: npt.NDArray[np.float32] | None,
    residual: npt.NDArray[np.float32],
    geometry: Geometry,
) -> npt.NDArray[np.float32]:
    """[inputs, h, w] of one picture, less the phases: content, |first - second prediction|, luma residual."""
    packed = pack(content, geometry)
    half = packed.shape[1:]
    zero = np.zeros((4, *half), np.float32)
    apart = zero if disagreement is None else np.stack(_fold(np.abs(disagreement), half, 2, 2))
    rest = np.stack(_fold(residual, half, 2, 2))
    return np.concatenate([(packed - 128) * INPUT_SCALE, apart * INPUT_SCALE, rest * INPUT_SCALE])


def dequantise(weights: Sequence[npt.NDArray[np.int32]], steps: Sequence[int]) -> list[npt.NDArray[np.float32]]:
    """Integer tensors times their steps."""
    return [w.astype(np.float32) * np.float32(weight_step_of(k)) for w, k in zip(weights, steps, strict=True)]
