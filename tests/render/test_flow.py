"""Motion between two pictures, and what is made of them in between."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, BrokenBarrierError

import cv2
import numpy as np
import pytest
from fit.patterns import texture

from licodec.model.geometry import Floats, Geometry
from licodec.model.motion import UNIT
from licodec.render import flow
from licodec.render.flow import Flow
from licodec.render.numpy_renderer import NumpyRenderer
from licodec.render.torch_renderer import TorchRenderer
from licodec.video.info import VideoInfo

SPEED = (3.0, -2.0)


def moved(share: float, shape: tuple[int, int] = (96, 128)) -> Floats:
    """A pattern on its way."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    return texture(1)(x - SPEED[0] * share, y - SPEED[1] * share).astype(np.float32)


def inner(plane: Floats) -> Floats:
    return plane[12:-12, 12:-12]


@pytest.mark.parametrize("shape", [(96, 128), (97, 131)])
def test_the_flow_is_how_the_picture_moved(shape: tuple[int, int]) -> None:
    found = Flow.between(moved(0, shape), moved(1, shape))
    assert found.forward.shape == (-(-shape[0] // 2), -(-shape[1] // 2), 2)
    for vectors, sign in ((found.forward, 1), (found.backward, -1)):
        error = vectors[8:-8, 8:-8] / UNIT - sign * np.array(SPEED)
        assert np.abs(np.median(error, axis=(0, 1))).max() < 0.05
        assert np.abs(error).mean() < 0.1
    motion = found.at(0.3)
    assert np.abs(motion.mean[8:-8, 8:-8] / UNIT - SPEED).mean() < 0.1


def test_a_flow_is_carried_to_where_its_points_are() -> None:
    """A square that moves by 8 samples: half way, its front and its middle are 4 samples on."""
    field = np.zeros((40, 60, 2), np.float32)
    field[10:30, 10:30, 0] = 8 * UNIT
    carried = flow._carried(field, 0.5)
    # Vectors lie two samples apart.
    assert np.flatnonzero(carried[20, :, 0] > 4 * UNIT)[0] == 12
    np.testing.assert_array_equal(carried[20, 12:30, 0], 8 * UNIT)
    assert not carried[:8].any()


def test_flow_does_not_depend_on_threads() -> None:
    random = np.random.default_rng(0)
    first, second = (cv2.GaussianBlur(random.uniform(0, 255, (240, 320)).astype(np.float32), (0, 0), 2) for _ in "ab")
    before, found = cv2.getNumThreads(), []
    try:
        for threads in (1, 2, 5):
            cv2.setNumThreads(threads)
            found.append(Flow.between(first, second))
            assert cv2.getNumThreads() == threads
    finally:
        cv2.setNumThreads(before)
    for other in found[1:]:
        np.testing.assert_array_equal(other.forward, found[0].forward)
        np.testing.assert_array_equal(other.backward, found[0].backward)


def test_flows_at_once_leave_the_number_of_threads_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """One waits for the other, which would take its single thread for what is to be put back."""
    before, together, met = cv2.getNumThreads(), Barrier(2), list[int]()

    def search(first: np.ndarray, second: np.ndarray) -> Floats:
        with contextlib.suppress(BrokenBarrierError):
            met.append(together.wait(timeout=0.5))
        return np.zeros((*first.shape, 2), np.float32)

    monkeypatch.setattr(flow, "_search", search)
    monkeypatch.setattr(flow, "ThreadPoolExecutor", lambda threads: ThreadPoolExecutor(1))
    first = moved(0)
    try:
        cv2.setNumThreads(3)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(Flow.between, [first] * 2, [first] * 2))
        assert not met
        assert cv2.getNumThreads() == 3
    finally:
        cv2.setNumThreads(before)


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (17, 9), (64, 64)])
def test_pictures_of_any_size_have_a_flow(shape: tuple[int, int]) -> None:
    found = Flow.between(np.full(shape, 40, np.float32), np.full(shape, 90, np.float32))
    assert found.forward.shape == found.backward.shape == (-(-shape[0] // 2), -(-shape[1] // 2), 2)
    assert np.isfinite(found.forward).all()


@pytest.mark.parametrize("chroma", ["420", "422", "444", "gray", "rgb"])
@pytest.mark.parametrize("kind", [NumpyRenderer, TorchRenderer])
@pytest.mark.parametrize("size", [(128, 96), (131, 97)])
def test_between_two_pictures_of_a_pan_is_the_pan(kind: type, chroma: str, size: tuple[int, int]) -> None:
    info = VideoInfo(*size, chroma)  # type: ignore[arg-type]
    geometry = Geometry.of(info)
    renderer = kind(geometry) if kind is NumpyRenderer else kind(geometry, "cpu")

    def planes(share: float) -> tuple[Floats, ...]:
        full = moved(share, (size[1], size[0]))
        steps = [geometry.step(i) for i in range(len(info.plane_shapes))]
        return tuple(np.ascontiguousarray(full[::sy, ::sx]) for sx, sy in steps)

    first, second = planes(0), planes(1)
    motion = Flow.between(first[0], second[0])
    uploaded = [tuple(map(renderer.upload, p)) for p in (first, second)]
    for share in (0.25, 0.5, 0.9):
        made = renderer.between(*uploaded, motion.at(share), share)
        for found, wanted, a, b in zip(made.planes, planes(share), first, second, strict=True):
            error = np.abs(inner(np.asarray(found)) - inner(wanted)).mean()
            assert error < 2.5
            assert error < 0.5 * np.abs(inner((1 - share) * a + share * b) - inner(wanted)).mean()


def test_flows_that_contradict_each_other_are_averaged() -> None:
    still = np.zeros((10, 12, 2), np.float32)
    forward = still.copy()
    forward[..., 0] = 6 * UNIT
    np.testing.assert_allclose(Flow(forward, still).at(0.5).mean[..., 0], 3 * UNIT)


def test_near_a_picture_s_time_that_picture_is_what_is_seen() -> None:
    info = VideoInfo(128, 96, "gray")
    renderer = NumpyRenderer(Geometry.of(info))
    first, second = (moved(0),), (255 - moved(0),)
    motion = Flow.between(first[0], second[0])
    for share, wanted in ((0.001, first), (0.999, second)):
        made = renderer.between(first, second, motion.at(share), share).planes[0]
        assert np.abs(made - wanted[0]).mean() < 4
