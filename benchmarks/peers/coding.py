"""A y4m to a file of a trained network, and such a file to a y4m again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch

from benchmarks.peers import packing
from benchmarks.peers.models import Network, build, count, shape_for
from benchmarks.peers.shape import Shape
from benchmarks.peers.training import Budget, embeddings, fast_types, times, train
from licodec.metrics.compare import measured_rgb
from licodec.video.colour import code_values, rgb_to_ycc
from licodec.video.info import Frame, Plane, VideoInfo
from licodec.video.sink import open_sink
from licodec.video.source import open_source

BITS_PER_PARAMETER = 7.6
"""Bits that a stored value takes in the file, about: 8 (6 for embeddings) before entropy coding, which finds little in
weights that are as evenly spread as they began."""
PACKING_SECONDS = 1.0
"""Kept for writing the file, of the time that there is."""


def load(path: Path) -> tuple[torch.Tensor, VideoInfo]:
    """RGB as it is measured [frames, 3, height, width] of uint8, and the format of the video."""
    with open_source(path) as source:
        pictures = [np.moveaxis(measured_rgb(frame, source.info), 2, 0).copy() for frame in source.frames()]
        return torch.from_numpy(np.stack(pictures)), source.info


def encode(
    source: Path,
    target: Path,
    model: str,
    parameters: float | None,
    bpp: float | None,
    budget: Budget,
    *,
    device: str = "cpu",
    seed: int = 0,
    progress: Callable[[float, torch.Tensor], None] | None = None,
) -> str:
    """Train a network of some number of parameters, or for about `bpp` bits a pixel, and write it; what was done."""
    pictures, info = load(source)
    frames = len(pictures)
    if parameters is None:
        assert bpp is not None
        parameters = bpp * frames * info.width * info.height / BITS_PER_PARAMETER
    shape = shape_for(model, info.height, info.width, frames, parameters)
    torch.manual_seed(seed)
    network = build(shape)
    if budget.seconds is not None:
        reserve = PACKING_SECONDS + _seconds_of_embeddings(network, shape, pictures, device)
        budget = replace(budget, seconds=max(budget.seconds - reserve, 0.1))
    epochs = train(network, shape, pictures, budget, device=device, seed=seed, progress=progress)
    network.eval()
    size = packing.write(target, network, shape, embeddings(network, shape, pictures, device), info)
    return f"{model} of {count(shape):,} values, {epochs} epochs, {size:,} bytes"


def _seconds_of_embeddings(network: Network, shape: Shape, pictures: torch.Tensor, device: str) -> float:
    """How long those of all frames will take, from two of them and after a first one that does not count."""
    network.to(device)
    few = replace(shape, frames=min(2, shape.frames))
    embeddings(network, replace(shape, frames=1), pictures, device)
    started = time.monotonic()
    embeddings(network, few, pictures, device)
    return (time.monotonic() - started) / few.frames * shape.frames


def decode(source: Path, target: Path, device: str = "cpu") -> None:
    """Write the video of a file as y4m."""
    network, shape, stored, info = packing.read(source)
    with open_sink(target, info, overwrite=True) as sink:
        for i, picture in enumerate(rendered(network, shape, stored, device)):
            sink.write(Frame(to_planes(picture.permute(1, 2, 0).cpu().numpy(), info), i, 1))


@torch.no_grad()
def rendered(network: Network, shape: Shape, stored: torch.Tensor, device: str) -> Iterator[torch.Tensor]:
    """The network's frames [3, height, width] in 0..1, from the embeddings stored (`embeddings`)."""
    network.to(device).eval()
    at = times(shape.frames, device)
    for i in range(shape.frames):
        embedding = stored[i : i + 1].to(device) if shape.embedding else network.embed(None, at[i : i + 1])
        with fast_types(device):
            made = network(embedding)
        yield made[0, :, : shape.height, : shape.width].float()


def to_planes(picture: npt.NDArray[np.float32], info: VideoInfo) -> tuple[Plane, ...]:
    """Planes of RGB [rows, columns, 3] in 0..1: each chroma sample is the mean over the luma samples it belongs to.

    The RGB that is measured repeats chroma over these (`measured_rgb`), so that taking the mean is a projection onto
    what such RGB can be: the network's error becomes smaller by it, never larger (but for rounding).
    """
    scale, offset = code_values(info)
    ycc = cv2.transform(picture, (rgb_to_ycc(info) * scale[:, None]).astype(np.float32)) + offset.astype(np.float32)
    planes = []
    for plane, (rows, columns) in zip(cv2.split(ycc), info.plane_shapes, strict=False):
        down, across = -(-info.height // rows), -(-info.width // columns)
        missing = rows * down - info.height, columns * across - info.width
        whole = np.pad(plane, [(0, missing[0]), (0, missing[1])], mode="edge") if any(missing) else plane
        mean = whole.reshape(rows, down, columns, across).mean(axis=(1, 3))
        planes.append(np.rint(mean).clip(0, (1 << info.bit_depth) - 1).astype(info.dtype))
    return tuple(planes)
