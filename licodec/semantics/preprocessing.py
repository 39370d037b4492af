"""How pictures are made ready for a model: resized, cropped, normalised; from the models' own configuration files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from licodec.errors import DamagedFileError
from licodec.semantics.embedder import Picture, Vectors, read_json

_FILTERS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
"""Pillow's numbers."""
_LARGEST = 4096


@dataclass(frozen=True)
class Preprocessing:
    """Resize, then crop the centre, then (sample x scale - mean) / deviation."""

    resize: tuple[int, int] | int
    """(rows, columns), or the length of the shorter side."""
    crop: tuple[int, int] | None
    """(rows, columns) cut from the centre; None: all."""
    filter: str
    """nearest, lanczos, bilinear or bicubic; with antialiasing, as Pillow has it."""
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    scale: float = 1 / 255

    def __str__(self) -> str:
        size = f"shorter side {self.resize}" if isinstance(self.resize, int) else _times(self.resize)
        crop = f", centre {_times(self.crop)}" if self.crop else ""
        numbers = (*self.mean, *self.deviation, self.scale)
        return f"{size} {self.filter}{crop}, mean and deviation {' '.join(f'{n:.7g}' for n in numbers)}"

    @property
    def size(self) -> tuple[int, int] | None:
        """(rows, columns) of the result; None if it depends on the picture."""
        return self.crop or (None if isinstance(self.resize, int) else self.resize)

    def __call__(self, pictures: Sequence[Picture]) -> Vectors:
        """[pictures, 3, rows, columns]"""
        return np.stack([self._one(picture) for picture in pictures])

    def _one(self, picture: Picture) -> Vectors:
        from PIL import Image

        image = Image.fromarray(np.ascontiguousarray(picture))
        columns, rows = image.size
        if isinstance(self.resize, int):
            # As torchvision and the authors of CLIP round: the longer side down.
            short = min(rows, columns)
            new = (self.resize * rows // short, self.resize * columns // short)
        else:
            new = self.resize
        if new != (rows, columns):
            image = image.resize((new[1], new[0]), getattr(Image.Resampling, self.filter.upper()))
        samples = np.asarray(image, np.float32)
        if self.crop:
            samples = _centre(samples, self.crop)
        mean, deviation = np.array(self.mean, np.float32), np.array(self.deviation, np.float32)
        ready = (samples * np.float32(self.scale) - mean) / deviation
        return np.ascontiguousarray(ready.transpose(2, 0, 1), np.float32)


def _times(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _centre(samples: Vectors, crop: tuple[int, int]) -> Vectors:
    """The centre; black around it where the picture is smaller."""
    missing = [max(0, c - s) for c, s in zip(crop, samples.shape, strict=False)]
    if any(missing):
        samples = np.pad(samples, [(m // 2, m - m // 2) for m in missing] + [(0, 0)])
    top, left = ((s - c) // 2 for s, c in zip(samples.shape, crop, strict=False))
    return samples[top : top + crop[0], left : left + crop[1]]


def read_preprocessing(path: Path) -> Preprocessing:
    """From `preprocessor_config.json` as Hugging Face writes it for CLIP and SigLIP.

    Raises DamagedFileError for what is missing, contradicts itself, or is not known here: a guess would give vectors
    that mean nothing.
    """
    found = read_json(path)
    config = found.get("image_processor", found)
    if not isinstance(config, dict):
        raise DamagedFileError(f"{path}: its image_processor is no object")

    def refuse(what: str) -> DamagedFileError:
        return DamagedFileError(f"{path}: {what}")

    def flag(name: str) -> bool:
        value = config.get(name, True)
        if not isinstance(value, bool):
            raise refuse(f"{name} is neither true nor false")
        return value

    if not flag("do_resize"):
        raise refuse("do_resize is false: pictures of any size cannot be embedded")
    resize = _size(config.get("size"), "size", refuse)
    crop = None
    if config.get("crop_size") is not None and flag("do_center_crop"):
        cropped = _size(config["crop_size"], "crop_size", refuse)
        crop = (cropped, cropped) if isinstance(cropped, int) else cropped
    if isinstance(resize, int) and crop is None:
        raise refuse("resizes the shorter side and does not crop: pictures would have no common size")
    if config.get("resample") not in _FILTERS:
        raise refuse(f"resample is {config.get('resample')!r}, not one of {sorted(_FILTERS)}")
    scale = config.get("rescale_factor", 1 / 255) if flag("do_rescale") else 1.0
    if not isinstance(scale, (int, float)) or not 0 < scale <= 1:
        raise refuse(f"rescale_factor is {scale!r}")
    mean, deviation = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    if flag("do_normalize"):
        mean, deviation = (_three(config.get(name), name, refuse) for name in ("image_mean", "image_std"))
        if min(deviation) <= 0:
            raise refuse(f"image_std {deviation} is not positive")
    return Preprocessing(resize, crop, _FILTERS[config["resample"]], mean, deviation, float(scale))


def _size(value: Any, name: str, refuse: Any) -> tuple[int, int] | int:
    if isinstance(value, dict):
        if set(value) == {"shortest_edge"}:
            value = value["shortest_edge"]
        elif set(value) == {"height", "width"}:
            value = (value["height"], value["width"])
    sides = value if isinstance(value, tuple) else (value,)
    if not all(type(side) is int and 1 <= side <= _LARGEST for side in sides):
        raise refuse(f"{name} is {value!r}, not a size from 1 to {_LARGEST}")
    return value


def _three(value: Any, name: str, refuse: Any) -> tuple[float, float, float]:
    if not isinstance(value, list) or len(value) != 3 or not all(isinstance(v, (int, float)) for v in value):
        raise refuse(f"{name} is {value!r}, not three numbers")
    return (float(value[0]), float(value[1]), float(value[2]))
