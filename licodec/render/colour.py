"""Working planes to integer samples and RGB on any device.

The twin of `licodec.model.geometry.from_working` and `licodec.video.colour.to_rgb`, which say where the
formulas come from: the same numbers, but for values that lie within float32's error of half a code.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from licodec.video.colour import CHROMA_SITES, code_values, rgb_to_ycc
from licodec.video.info import VideoInfo


def codes(planes: Sequence[Tensor], info: VideoInfo) -> list[Tensor]:
    """Working planes to integer samples, uint8 or uint16, rounded to nearest and clipped to the bit depth."""
    if info.chroma == "rgb":
        luma, orange, green_difference = planes[0], planes[1] - 128, planes[2] - 128
        planes = (luma - green_difference + orange, luma + green_difference, luma - green_difference - orange)
    return [_to_codes(p * (1 << (info.bit_depth - 8)), info) for p in planes]


def to_rgb(planes: Sequence[Tensor], info: VideoInfo, rows: slice | None = None) -> Tensor:
    """[3, height, width] RGB, full range, of the integer planes that `info` describes; `rows`: only those.

    Raises:
        UnsupportedError: a matrix that cannot be converted.
    """
    rows = rows or slice(0, info.height)
    if info.chroma == "rgb":
        return torch.stack([plane[rows] for plane in planes])
    peak = (1 << info.bit_depth) - 1
    real = torch.float32 if info.bit_depth <= 10 else torch.float64
    scale, offset = code_values(info)
    if info.chroma == "gray":
        luma = (planes[0][rows].to(real) - float(offset[0])) * float(peak / scale[0])
        return _to_codes(luma, info).expand(3, -1, -1).contiguous()
    y, u, v = planes[0][rows].to(real), *(_upsample(plane, info, rows, real) for plane in planes[1:])
    matrix = np.linalg.inv(rgb_to_ycc(info)) / scale * peak
    weights = np.column_stack([matrix, -matrix @ offset]).tolist()
    # Written out: a matrix product would be rounded to TF32 where a user allows it.
    return torch.stack([_to_codes(a * y + b * u + c * v + d, info) for a, b, c, d in weights])


def _to_codes(values: Tensor, info: VideoInfo) -> Tensor:
    dtype = torch.uint8 if info.bit_depth == 8 else torch.uint16
    return values.round().clip_(0, (1 << info.bit_depth) - 1).to(dtype)


def _upsample(plane: Tensor, info: VideoInfo, rows: slice, real: torch.dtype) -> Tensor:
    """Chroma at every luma position of some rows, linearly; outside its samples, the nearest one."""
    sx, sy = info.subsampling
    x, y = CHROMA_SITES.get(info.chroma_location, CHROMA_SITES[0])
    down = _linear(plane, rows.start, rows.stop, sy, y if sy > 1 else 0, real)
    return _linear(down.T, 0, info.width, sx, x if sx > 1 else 0, real).T


def _linear(plane: Tensor, first: int, last: int, step: int, site: float, real: torch.dtype) -> Tensor:
    """Rows of a plane at the positions from `first` on, `step` to a row, the first row at position `site`."""
    if step == 1:
        return plane[first:last].to(real)
    at = ((torch.arange(first, last, device=plane.device) - site) / step).clip_(0, len(plane) - 1)
    low = at.floor()
    share = (at - low).to(real)[:, None]
    index = low.long()
    return plane[index].to(real).lerp(plane[(index + 1).clip_(max=len(plane) - 1)].to(real), share)
