"""Where the samples of a view are, on pictures that are known at every position."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch

from licodec.errors import LimitError, UsageError
from licodec.model.geometry import Floats, Geometry, Planes
from licodec.render import resample
from licodec.render.device import open_renderer
from licodec.render.resample import View, area_taps, view_planes
from licodec.render.torch_renderer import TorchRenderer
from licodec.video.info import VideoInfo
from render.clips import waves

SCALES = [0.5, 1, 1.5, 2, 3.7]
# AVChromaLocation: (x, y) of the first chroma sample of 4:2:0 in luma samples from the corner of the picture.
SITES = {0: (0.5, 1), 1: (0.5, 1), 2: (1, 1), 3: (0.5, 0.5), 4: (1, 0.5), 5: (0.5, 1.5), 6: (1, 1.5)}


def known(info: VideoInfo, source: VideoInfo | None = None, shift: tuple[float, float] = (0, 0)) -> list[Floats]:
    """The waves at the samples of each plane of a picture, which shows `source` at another size; `shift`: in luma
    samples of the source."""
    source = source or info
    out = []
    for i, (rows, columns) in enumerate(info.plane_shapes):
        sx, sy = info.subsampling if i else (1, 1)
        x, y = SITES[info.chroma_location] if i else (0.5, 0.5)
        x, y = x if sx == 2 else 0.5, y if sy == 2 else 0.5
        across = (sx * np.arange(columns) + x) * source.width / info.width - shift[0]
        down = (sy * np.arange(rows) + y) * source.height / info.height - shift[1]
        out.append(waves(across[None], down[:, None]).astype(np.float32))
    return out


def inside(plane: Floats) -> Floats:
    """Without the tenth next to each edge, where a kernel sees samples repeated."""
    y, x = (-(-length // 10) for length in plane.shape)
    return plane[y:-y, x:-x].astype(np.float64)


def registration(found: Floats, info: VideoInfo, source: VideoInfo, plane: int) -> npt.NDArray[np.float64]:
    """(x, y) by which a picture is shifted, in luma samples of the source: least squares on the gradient."""
    right, left, down, up = (
        inside(known(info, source, shift)[plane]) for shift in ((0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5))
    )
    slopes = np.stack([(right - left).ravel(), (down - up).ravel()], axis=1)
    return np.linalg.lstsq(slopes, (inside(found) - inside(known(info, source)[plane])).ravel(), rcond=None)[0]


@pytest.mark.parametrize("renderer", ["numpy", "torch"])
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(
    "info",
    [VideoInfo(120, 90, chroma_location=k) for k in range(7)]
    + [VideoInfo(120, 90, chroma="422"), VideoInfo(121, 91, chroma="444")],
    ids=lambda i: f"{i.chroma}-{i.chroma_location}",
)
def test_nothing_shifts(info: VideoInfo, scale: float, renderer: str) -> None:
    geometry = Geometry.of(info)
    twin = TorchRenderer(geometry, "cpu") if renderer == "torch" else open_renderer(geometry)
    size = (round(info.height * scale), round(info.width * scale))
    view = View.of(info, size)
    planes = tuple(twin.upload(p) for p in known(info))
    for i, made in enumerate(twin.view(planes, view, info)):
        shift = registration(np.asarray(made), view.info(info), info, i)
        print(f"plane {i}: shifted by {shift[0]:+.4f}, {shift[1]:+.4f}")
        assert np.abs(shift).max() < 0.02


@pytest.mark.parametrize("scale", SCALES)
def test_the_values_are_those_of_the_function(scale: float) -> None:
    """Away from the edges, to what a bicubic kernel and (below 1) an area filter do to waves of 40 samples."""
    info = VideoInfo(120, 90)
    view = View.of(info, (round(90 * scale), round(120 * scale)))
    made = view_planes(tuple(known(info)), view, info)
    for found, wanted in zip(made, known(view.info(info), info), strict=True):
        error = inside(found) - inside(wanted)
        print(f"RMS {np.sqrt(np.square(error).mean()):.3f}")
        assert np.sqrt(np.square(error).mean()) < (2.5 if scale < 1 else 1)


@pytest.mark.parametrize("renderer", ["numpy", "torch"])
@pytest.mark.parametrize("size", [(45, 60), (90, 120), (171, 228), (333, 444)], ids=str)
def test_bands_are_not_seen(size: tuple[int, int], renderer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    info = VideoInfo(120, 90)
    geometry = Geometry.of(info)
    twin = TorchRenderer(geometry, "cpu") if renderer == "torch" else open_renderer(geometry)
    planes = tuple(twin.upload(p) for p in known(info))
    made = []
    for band in (10_000, 256, 37, 1):
        monkeypatch.setattr(resample, "BAND", band)
        made.append([np.asarray(p) for p in twin.view(planes, View.of(info, size), info)])
    for other in made[1:]:
        assert all(np.array_equal(p, q) for p, q in zip(made[0], other, strict=True))


@pytest.mark.parametrize("renderer", ["numpy", "torch"])
@pytest.mark.parametrize("scale", [0.5, 1, 1.5, 2])
def test_a_region_is_the_crop_of_the_whole(scale: float, renderer: str) -> None:
    info = VideoInfo(120, 90)
    geometry = Geometry.of(info)
    twin = TorchRenderer(geometry, "cpu") if renderer == "torch" else open_renderer(geometry)
    planes = tuple(twin.upload(p) for p in known(info))
    whole = twin.view(planes, View.of(info, (round(90 * scale), round(120 * scale))), info)
    x, y, width, height = (int(v * scale) for v in (24, 16, 40, 32))
    part = twin.view(planes, View.of(info, (height, width), (24, 16, 40, 32)), info)
    for i, (p, w) in enumerate(zip(part, whole, strict=True)):
        half = 2 if i else 1
        rows, columns = (slice(y // half, (y + height) // half), slice(x // half, (x + width) // half))
        np.testing.assert_allclose(np.asarray(p), np.asarray(w[rows, columns]), atol=0.002)


def checkerboard(info: VideoInfo) -> Planes:
    return tuple(255 * (np.indices(shape).sum(axis=0) % 2).astype(np.float32) for shape in info.plane_shapes)


@pytest.mark.parametrize("renderer", ["numpy", "torch"])
@pytest.mark.parametrize(
    ("size", "most"), [((48, 64), 0.01), ((24, 32), 0.01), ((41, 55), 12), ((67, 90), 51)], ids=str
)
def test_a_checkerboard_becomes_flat(size: tuple[int, int], most: float, renderer: str) -> None:
    """Whole ratios lose it altogether; in between, what is left is far below the 127.5 of aliasing."""
    info = VideoInfo(128, 96, chroma="444")
    geometry = Geometry.of(info)
    twin = TorchRenderer(geometry, "cpu") if renderer == "torch" else open_renderer(geometry)
    planes = tuple(twin.upload(p) for p in checkerboard(info))
    for made in twin.view(planes, View.of(info, size), info):
        assert np.abs(np.asarray(made) - 127.5).max() <= most


@pytest.mark.parametrize(("count", "size"), [(10, 5), (10, 7), (1000, 999), (7, 1), (131, 40)])
def test_areas_cover_everything_once(count: int, size: int) -> None:
    width = count / size
    taps = area_taps((np.arange(size) + 0.5) * width - 0.5, width, count)
    matrix = np.zeros((size, count))
    np.add.at(matrix, (np.arange(size)[:, None], taps.index), taps.weight)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(matrix.sum(axis=0), size / count, atol=1e-6)


def test_areas_outside_are_the_edge() -> None:
    taps = area_taps(np.array([-4.0, 0.0, 9.0]), 3, 4)
    plane = np.array([10.0, 20.0, 30.0, 40.0], np.float32)
    np.testing.assert_allclose(taps.of_columns(plane[None]), [[10, 40 / 3, 40]], rtol=1e-6)
    np.testing.assert_allclose(taps.of_rows(plane[:, None]), [[10], [40 / 3], [40]], rtol=1e-6)


def test_bad_views_are_refused() -> None:
    info = VideoInfo(64, 48)
    for size in ((0, 10), (10, -1)):
        with pytest.raises(UsageError, match="no pixels"):
            View.of(info, size)
    for region in ((0, 0, 65, 10), (-1, 0, 5, 5), (0, 0, 0, 5)):
        with pytest.raises(UsageError, match="region"):
            View.of(info, roi=region)
    with pytest.raises(LimitError):
        View.of(info, (100_000, 10))


def test_views_keep_the_type_of_the_twin() -> None:
    info = VideoInfo(12, 8)
    renderer = TorchRenderer(Geometry.of(info), "cpu")
    planes = tuple(renderer.upload(p) for p in known(info))
    assert renderer.view(planes, View.of(info), info) is planes
    assert all(isinstance(p, torch.Tensor) for p in renderer.view(planes, View.of(info, (16, 24)), info))
