"""YCbCr planes to RGB and back, with the matrix, range and chroma siting that `VideoInfo` states.

Formulas: ITU-T H.273, clause 8.3 (matrix coefficients, range) and figure 1 (chroma sample location).
Chroma is interpolated linearly between its own positions, and averaged with the same weights on the way
back. Unspecified values follow FFmpeg's swscale and H.264: matrix 2 is BT.601; location 0 is 'left'.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from licodec.errors import UnsupportedError
from licodec.video.info import Plane, VideoInfo, check_planes

Picture = npt.NDArray[Any]
_Real = npt.NDArray[Any]

# MatrixCoefficients code point: (Kr, Kb).
_WEIGHTS = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
    10: (0.2627, 0.0593),  # constant luminance, read as the other BT.2020, as swscale does
}
_UNSPECIFIED = 5
# AVChromaLocation: (x, y) of the first chroma sample of 4:2:0, in luma samples from the first luma sample.
CHROMA_SITES = {0: (0, 0.5), 1: (0, 0.5), 2: (0.5, 0.5), 3: (0, 0), 4: (0.5, 0), 5: (0, 1), 6: (0.5, 1)}


def to_rgb(planes: tuple[Plane, ...], info: VideoInfo) -> Picture:
    """RGB of one picture, full range at the planes' own bit depth.

    Args:
        planes: as `VideoInfo` describes: Y | Y, U, V | R, G, B.

    Returns:
        [height, width, 3], uint8 or uint16 (values 0 to 2 ** bit_depth - 1), correctly rounded.

    Raises:
        UnsupportedError: a matrix that is not one of BT.601, BT.709, BT.2020, FCC, SMPTE 240M or identity.
        ValueError: planes that are not what `info` states.
    """
    check_planes(planes, info)
    if info.chroma == "rgb":
        return cv2.merge(planes)
    real = _real_type(info)
    scale, offset = code_values(info)
    if info.chroma == "gray":
        luma = _to_codes((planes[0].astype(real) - offset[0]) * (_peak(info) / scale[0]), info)
        return cv2.merge([luma, luma, luma])
    u, v = (_upsample(plane.astype(real), info) for plane in planes[1:])
    ycc = cv2.merge([planes[0].astype(real), u, v])
    matrix = np.linalg.inv(rgb_to_ycc(info)) / scale * _peak(info)
    return _to_codes(cv2.transform(ycc, np.column_stack([matrix, -matrix @ offset])), info)


def from_rgb(picture: Picture, info: VideoInfo) -> tuple[Plane, ...]:
    """The planes `info` describes from full-range RGB: the inverse of `to_rgb`.

    Args:
        picture: [height, width, 3], `info.dtype`, values 0 to 2 ** info.bit_depth - 1.

    Returns:
        Y | Y, U, V | R, G, B, contiguous, correctly rounded and inside the bit depth.

    Raises:
        UnsupportedError: see `to_rgb`.
        ValueError: a picture of another shape or type.
    """
    if picture.shape != (info.height, info.width, 3) or picture.dtype != info.dtype:
        raise ValueError(
            f"the picture is {picture.dtype}{list(picture.shape)}, expected "
            f"{np.dtype(info.dtype)}{[info.height, info.width, 3]}"
        )
    if info.chroma == "rgb":
        return tuple(cv2.split(picture))
    scale, offset = code_values(info)
    matrix = rgb_to_ycc(info) * (scale / _peak(info))[:, None]
    if info.chroma == "gray":
        matrix, offset = matrix[:1], offset[:1]
    ycc = cv2.transform(picture.astype(_real_type(info)), np.column_stack([matrix, offset]))
    if info.chroma == "gray":
        return (_to_codes(ycc.reshape(info.height, info.width), info),)
    y, u, v = cv2.split(ycc)
    return tuple(_to_codes(plane, info) for plane in (y, _downsample(u, info), _downsample(v, info)))


def _peak(info: VideoInfo) -> int:
    return (1 << info.bit_depth) - 1


def _real_type(info: VideoInfo) -> type[np.float32] | type[np.float64]:
    # float32 is within 1e-4 of a code value up to 10 bits; above that its own steps would show.
    return np.float32 if info.bit_depth <= 10 else np.float64


def code_values(info: VideoInfo) -> tuple[_Real, _Real]:
    """(codes per unit, code of zero) of Y, U, V; Y is 0 to 1, U and V are -0.5 to 0.5."""
    step = 1 << (info.bit_depth - 8)
    span, black = (_peak(info), 0) if info.full_range else (219 * step, 16 * step)
    if _is_identity(info):
        return np.array([span] * 3, float), np.array([black] * 3, float)
    difference = _peak(info) if info.full_range else 224 * step
    return np.array([span, difference, difference], float), np.array([black, 128 * step, 128 * step], float)


def _is_identity(info: VideoInfo) -> bool:
    return info.matrix == 0 and info.chroma == "444"


def rgb_to_ycc(info: VideoInfo) -> _Real:
    """3 x 3 matrix from R, G, B in 0 to 1."""
    code = info.matrix
    if _is_identity(info):
        return np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]], float)  # Y, U, V are G, B, R
    if code in (0, 2, 3):
        code = _UNSPECIFIED
    if code not in _WEIGHTS:
        raise UnsupportedError(f"matrix coefficients {code} (ITU-T H.273) cannot be converted to RGB")
    kr, kb = _WEIGHTS[code]
    luma = np.array([kr, 1 - kr - kb, kb])
    return np.stack([luma, ([0, 0, 1] - luma) / (2 - 2 * kb), ([1, 0, 0] - luma) / (2 - 2 * kr)])


def _to_codes(values: _Real, info: VideoInfo) -> Picture:
    np.rint(values, out=values)
    np.clip(values, 0, _peak(info), out=values)
    return values.astype(info.dtype)


def _upsample(plane: _Real, info: VideoInfo) -> _Real:
    """Chroma at every luma position; outside its samples, the nearest one."""
    sx, sy = info.subsampling
    if (sx, sy) == (1, 1):
        return plane
    x, y = CHROMA_SITES.get(info.chroma_location, CHROMA_SITES[0])
    move = np.array([[1 / sx, 0, -x / sx], [0, 1 / sy, -y / sy if sy > 1 else 0]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(plane, move, (info.width, info.height), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def _downsample(plane: _Real, info: VideoInfo) -> _Real:
    """Chroma at its own positions: 1 2 1 around a luma sample it coincides with, 1 1 between two."""
    sx, sy = info.subsampling
    if (sx, sy) == (1, 1):
        return plane
    x, y = CHROMA_SITES.get(info.chroma_location, CHROMA_SITES[0])
    across = _average(plane, x)[:, ::sx]
    if sy == 1:
        return np.ascontiguousarray(across)
    padded = cv2.copyMakeBorder(across, 0, 1, 0, 0, cv2.BORDER_REPLICATE)
    down = _average(padded.T, y).T
    first = 1 if y == 1 else 0
    return np.ascontiguousarray(down[first : first + plane.shape[0] : sy])


def _average(plane: _Real, site: float) -> _Real:
    """Along the rows, at every position: kernel 1 2 1 there, or 1 1 over it and its right neighbour."""
    kernel = np.array([[0, 0.5, 0.5]]) if site == 0.5 else np.array([[0.25, 0.5, 0.25]])
    return cv2.filter2D(np.ascontiguousarray(plane), -1, kernel, borderType=cv2.BORDER_REPLICATE)
