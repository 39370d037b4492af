"""Crops of the same place by several methods, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from licodec.metrics.compare import shown_rgb
from licodec.video.info import Frame, Plane, VideoInfo

SIDE = 96

Rgb = npt.NDArray[np.uint8]


def crops(pictures: Sequence[tuple[Plane, ...]], info: VideoInfo, side: int = SIDE) -> list[Rgb]:
    """The square in which all pictures but the first are furthest from the first, cut from each."""
    images = [shown_rgb(Frame(planes, 0, 1), info) for planes in pictures]
    error = sum(np.square(image.astype(np.float32) - images[0]).sum(axis=2) for image in images[1:])
    side = min(side, *error.shape)
    means = cv2.boxFilter(error, -1, (side, side))[side // 2 : -(side // 2) or None, side // 2 : -(side // 2) or None]
    y, x = np.unravel_index(np.argmax(means), means.shape)
    y, x = min(y, error.shape[0] - side), min(x, error.shape[1] - side)
    return [image[y : y + side, x : x + side] for image in images]


def side_by_side(rows: Sequence[tuple[str, Sequence[Rgb]]], labels: Sequence[str], path: Path) -> Path:
    """A picture of rows of crops, with their titles; the path."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.2 * len(labels), 2.3 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), len(labels), squeeze=False)
    for line, (title, images) in zip(axes, rows, strict=True):
        line[0].set_ylabel(title)
        for axis, image in zip(line, images, strict=True):
            axis.imshow(image, interpolation="nearest")
            axis.set(xticks=[], yticks=[])
    for axis, label in zip(axes[0], labels, strict=True):
        axis.set_title(label)
    figure.savefig(path, dpi=100)
    return path
