"""What a video is, apart from its pixels. Plain values: imports neither PyAV nor torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

ChromaFormat = Literal["gray", "420", "422", "444", "rgb"]
CHROMA_FORMATS: tuple[ChromaFormat, ...] = ("gray", "420", "422", "444", "rgb")
Plane = npt.NDArray[Any]


@dataclass(frozen=True)
class VideoInfo:
    """Geometry, sample format, colour description and clock of a video stream."""

    width: int
    """Luma samples a row, as coded (before sample aspect and rotation)."""
    height: int
    """Luma rows, as coded."""
    chroma: ChromaFormat = "420"
    """Chroma subsampling; `rgb` has three full-size planes in the order R, G, B."""
    bit_depth: int = 8
    """Bits a sample: 8 (planes are uint8) or 9 to 16 (planes are uint16, value in the low bits)."""
    sample_aspect: Fraction = Fraction(1)
    """Width over height of one sample."""
    rotation: int = 0
    """Degrees counter-clockwise by which a player must turn the picture: 0, 90, 180 or 270."""
    primaries: int = 2
    """ITU-T H.273 ColourPrimaries code point (2: unspecified)."""
    transfer: int = 2
    """ITU-T H.273 TransferCharacteristics code point."""
    matrix: int = 2
    """ITU-T H.273 MatrixCoefficients code point."""
    full_range: bool = False
    """True: samples use the whole range of the bit depth; False: limited ('TV') range. RGB is always full."""
    chroma_location: int = 0
    """FFmpeg AVChromaLocation value (0: unspecified, taken as 1, 'left', as H.264 does)."""
    time_base: Fraction = Fraction(1, 25)
    """Seconds a tick of `Frame.pts`."""

    @property
    def subsampling(self) -> tuple[int, int]:
        """(horizontal, vertical) luma samples per chroma sample."""
        return {"420": (2, 2), "422": (2, 1)}.get(self.chroma, (1, 1))

    @property
    def plane_shapes(self) -> tuple[tuple[int, int], ...]:
        """(rows, columns) of each plane."""
        full = (self.height, self.width)
        if self.chroma == "gray":
            return (full,)
        sx, sy = self.subsampling
        small = (-(-self.height // sy), -(-self.width // sx))
        return (full, small, small)

    @property
    def dtype(self) -> type[np.uint8] | type[np.uint16]:
        """Sample type of the planes."""
        return np.uint8 if self.bit_depth == 8 else np.uint16


@dataclass(frozen=True)
class Frame:
    """One picture and when it is shown."""

    planes: tuple[Plane, ...] = field(repr=False)
    """Y | Y, U, V | R, G, B: contiguous [rows, columns] arrays of `VideoInfo.dtype`."""
    pts: int
    """Presentation time in ticks of `VideoInfo.time_base`."""
    duration: int
    """How long it is shown, in ticks; at least 1."""


def seconds(ticks: int, time_base: Fraction) -> Fraction:
    """Exact time in seconds of a tick count."""
    return ticks * time_base


def check_planes(planes: Sequence[Plane], info: VideoInfo) -> None:
    """Raise ValueError unless `planes` have the shapes and the type that `info` states."""
    shapes = tuple(p.shape for p in planes)
    if shapes != info.plane_shapes or any(p.dtype != info.dtype for p in planes):
        raise ValueError(f"planes {shapes} are not the {info.plane_shapes} of {info.dtype.__name__} expected")
