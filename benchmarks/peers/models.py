"""The networks by name, and the largest one that a number of parameters allows."""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from benchmarks.peers import hnerv, nerv
from benchmarks.peers.shape import Shape, grid_and_strides

Network = nerv.NeRV | hnerv.HNeRV
MODELS = {"nerv": nerv, "hnerv": hnerv}

_EMBEDDING_SHARE = 0.25
"""Most of the parameters that may be embeddings: on small clips the published 16 channels would take them all."""
_LEAST = (12, 8, 6, 4, 3, 2)
"""Fewest channels of a block: as published, and less where the parameters do not suffice for that."""


def build(shape: Shape) -> Network:
    """An untrained network, initialised by PyTorch's rules (the encoder of HNeRV by ConvNeXt's)."""
    return nerv.NeRV(shape) if shape.model == "nerv" else hnerv.HNeRV(shape)


def count(shape: Shape) -> int:
    """Stored values of a network: parameters that a decoder needs, and embeddings."""
    with torch.device("meta"):
        return sum(p.numel() for p in build(shape).stored()) + math.prod(shape.embeddings)


def shape_for(model: str, height: int, width: int, frames: int, parameters: float) -> Shape:
    """The largest network of at most `parameters` stored values, embeddings included; the smallest if none is."""
    shape = _base(model, height, width, frames, parameters)

    def fits(channels: int) -> bool:
        return count(replace(shape, channels=channels)) <= parameters

    # Bisection between a number that fits (or is the least that makes sense) and one that does not.
    low, high = shape.least, 2 * shape.least
    while fits(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return replace(shape, channels=low)


def _base(model: str, height: int, width: int, frames: int, parameters: float) -> Shape:
    """The published shape with as many channels as it has at least; a smaller one if that is too much already."""
    module = MODELS[model]
    rows, shape = module.GRID_ROWS, None
    while shape is None or (rows := rows // 2):
        grid, strides = grid_and_strides(height, width, rows, module.STAGES)
        affordable = int(_EMBEDDING_SHARE * parameters / (frames * grid[0] * grid[1]))
        embedding = min(max(affordable, 1), module.EMBEDDING)
        for least in _LEAST:
            shape = Shape(model, height, width, frames, grid, strides, least, least, embedding)
            if count(shape) <= parameters:
                return shape
    return shape
