"""`licodec.open` and the frames as they are stored, in the manner of torchcodec's VideoDecoder."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

import licodec
from api.conftest import SCENES
from api.movies import Encoded, encoded, pan, psnr
from licodec.errors import DamagedFileError, LicodecError, UsageError
from licodec.metrics.psnr import mean_squared_error
from licodec.metrics.psnr import psnr as mean_psnr
from licodec.video.info import VideoInfo

COUNT = sum(SCENES)


@pytest.fixture(scope="module")
def sequential(file: Encoded) -> list[torch.Tensor]:
    """Every frame, from the first to the last."""
    with licodec.open(file.path) as video:
        return [video[i] for i in range(len(video))]


def test_metadata_is_that_of_the_source(file: Encoded, video: licodec.Video) -> None:
    found = video.metadata
    assert (found.width, found.height, found.num_frames, found.num_segments) == (48, 32, COUNT, len(SCENES))
    assert found.begin_stream_seconds == pytest.approx(0.1)
    assert found.end_stream_seconds == pytest.approx(0.68)
    assert found.duration_seconds == pytest.approx(0.58)
    assert found.average_fps == pytest.approx(COUNT / 0.58)
    # The container of the source chose a finer clock.
    assert found.info == replace(file.movie.info, time_base=found.info.time_base)
    assert found.profile == "default"
    assert found.size_bytes == file.path.stat().st_size
    assert found.bits_per_pixel == pytest.approx(8 * file.path.stat().st_size / (COUNT * 48 * 32))
    assert len(video) == COUNT


def test_timestamps_are_exact_at_a_variable_frame_rate(file: Encoded, video: licodec.Video) -> None:
    times = file.movie.times()
    assert [video.time(i) for i in range(COUNT)] == times
    assert [video.time(i) + video.duration(i) for i in range(COUNT - 1)] == times[1:]
    assert video.end == times[-1] + Fraction(40, 1000)


def test_frames_are_rgb_with_their_times(video: licodec.Video) -> None:
    frame = video.get_frame_at(3)
    assert frame.data.shape == (3, 32, 48)
    assert frame.data.dtype == torch.uint8
    assert (frame.pts_seconds, frame.duration_seconds) == (0.181, 0.079)
    assert torch.equal(frame.data, video[3])


def test_planes_are_the_video_s_own_and_close_to_the_source(file: Encoded, video: licodec.Video) -> None:
    for i, source in enumerate(file.movie.pictures):
        planes = video.planes(i)
        assert [p.shape for p in planes] == [(32, 48), (16, 24), (16, 24)]
        assert all(p.dtype == np.uint8 for p in planes)
        assert all(psnr(p, s) > 36 for p, s in zip(planes, source, strict=True))


def test_the_psnr_that_the_encoder_reported_is_that_of_the_frames(file: Encoded, video: licodec.Video) -> None:
    error = [
        [mean_squared_error(p, s, 255) for p, s in zip(frame.planes, source, strict=True)]
        for frame, source in zip(video.frames(), file.movie.pictures, strict=True)
    ]
    y, u, v = mean_psnr(error).mean(axis=0)
    assert file.report.psnr_y == pytest.approx(y, abs=1e-6)
    assert file.report.psnr_yuv == pytest.approx((6 * y + u + v) / 8, abs=1e-6)


def test_the_report_s_other_numbers_are_measured_from_the_file(file: Encoded) -> None:
    report = file.report
    assert report.path == file.path
    assert report.bytes == file.path.stat().st_size
    assert report.bpp == pytest.approx(8 * report.bytes / (COUNT * 48 * 32))
    assert (report.frames, report.segments, report.crf) == (COUNT, len(SCENES), 24)
    assert report.duration == pytest.approx(0.58)
    assert report.seconds > 0


def test_random_access_gives_the_very_same_frames(video: licodec.Video, sequential: list[torch.Tensor]) -> None:
    order = list(range(COUNT)) * 2
    random.Random(0).shuffle(order)
    for i in order:
        assert torch.equal(video[i], sequential[i]), i


def test_threads_may_share_a_video(video: licodec.Video, sequential: list[torch.Tensor]) -> None:
    order = [i for _ in range(3) for i in random.Random(4).sample(range(COUNT), COUNT)]
    with ThreadPoolExecutor(4) as pool:
        for i, frame in zip(order, pool.map(video.get_frame_at, order), strict=True):
            assert torch.equal(frame.data, sequential[i])


def test_what_is_forgotten_is_rendered_again_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are kept for a while; a segment with more of them than that."""
    monkeypatch.setattr("licodec.render.player._KEEP_BYTES", 0)
    count = 30
    path = encoded(pan(VideoInfo(16, 16, "gray"), range(count)), tmp_path, crf=40).path
    with licodec.open(path) as video:
        assert video.metadata.num_segments == 1
        expected = [video.planes(i)[0] for i in range(count)]
        for i in (29, 1, 28, 15, 3, 0, 16, 17, 8):
            np.testing.assert_array_equal(video.planes(i)[0], expected[i])


def test_a_file_opened_for_one_frame_gives_the_very_same_frame(file: Encoded, sequential: list[torch.Tensor]) -> None:
    for i in (COUNT - 1, 7, 2):
        with licodec.open(file.path) as video:
            assert torch.equal(video[i], sequential[i])


def test_frames_come_in_order_with_exact_times(video: licodec.Video, file: Encoded) -> None:
    found = list(video.frames())
    times = [f.pts * video.info.time_base for f in found]
    assert times == file.movie.times()
    assert [t + f.duration * video.info.time_base for t, f in zip(times, found, strict=True)][:-1] == times[1:]
    for i in (0, 6, COUNT - 1):
        np.testing.assert_array_equal(found[i].planes[0], video.planes(i)[0])


@pytest.mark.parametrize("opened_from", ["path", "string", "bytes"])
def test_a_file_is_opened_by_path_or_as_bytes(opened_from: str, file: Encoded, sequential: list[torch.Tensor]) -> None:
    source = {"path": file.path, "string": str(file.path), "bytes": file.path.read_bytes()}[opened_from]
    with licodec.open(source) as video:
        assert video.metadata.size_bytes == file.path.stat().st_size
        assert torch.equal(video[9], sequential[9])


def test_negative_indices_count_from_the_end(video: licodec.Video, sequential: list[torch.Tensor]) -> None:
    assert torch.equal(video[-1], sequential[-1])
    assert torch.equal(video.get_frame_at(-COUNT).data, sequential[0])
    assert video.get_frame_at(-1).pts_seconds == 0.64


@pytest.mark.parametrize("index", [COUNT, -COUNT - 1, 10**9])
def test_an_index_outside_is_an_index_error(video: licodec.Video, index: int) -> None:
    with pytest.raises(IndexError, match=str(COUNT)):
        video[index]
    with pytest.raises(IndexError):
        video.get_frames_at([0, index])


@pytest.mark.parametrize("index", [1.5, "1", None])
def test_an_index_that_is_no_number_of_a_frame_is_a_type_error(video: licodec.Video, index: object) -> None:
    with pytest.raises(TypeError):
        video[index]  # type: ignore[index]


@pytest.mark.parametrize(
    "key",
    [slice(2, 5), slice(None), slice(-3, None), slice(None, None, 4), slice(8, 2, -2), slice(5, 99), slice(6, 3)],
    ids=str,
)
def test_slices_are_those_of_a_list(key: slice, video: licodec.Video, sequential: list[torch.Tensor]) -> None:
    found = video[key]
    assert found.shape == (len(sequential[key]), 3, 32, 48)
    assert found.dtype == torch.uint8
    for a, b in zip(found, sequential[key], strict=True):
        assert torch.equal(a, b)


def test_frames_at_indices_come_in_the_order_asked_for(video: licodec.Video, sequential: list[torch.Tensor]) -> None:
    batch = video.get_frames_at([7, 0, -1, 7])
    assert len(batch) == 4
    assert batch.data.shape == (4, 3, 32, 48)
    for found, i in zip(batch.data, (7, 0, 13, 7), strict=True):
        assert torch.equal(found, sequential[i])
    assert batch.pts_seconds.tolist() == [0.366, 0.1, 0.64, 0.366]
    assert batch.duration_seconds.tolist() == pytest.approx([0.034, 0.04, 0.04, 0.034])
    assert batch.pts_seconds.dtype == batch.duration_seconds.dtype == torch.float64


def test_frames_in_a_range_of_indices(video: licodec.Video) -> None:
    assert video.get_frames_in_range(2, 11, 3).pts_seconds.tolist() == [0.18, 0.3, 0.4]
    assert len(video.get_frames_in_range(4, 4)) == 0


@pytest.mark.parametrize(
    ("seconds", "index"),
    [(0.1, 0), (0.1399, 0), (0.14, 1), (0.18, 2), (0.1805, 2), (0.181, 3), (0.5999, 10), (0.6, 11), (0.6799, 13)],
)
def test_the_frame_played_at_a_time_is_the_one_on_the_screen(
    seconds: float, index: int, video: licodec.Video, sequential: list[torch.Tensor]
) -> None:
    exact = Fraction(str(seconds))  # as a double, 0.6 is a little less
    frame = video.get_frame_played_at(exact)  # type: ignore[arg-type]
    assert frame.pts_seconds == float(video.time(index))
    assert torch.equal(frame.data, sequential[index])


@pytest.mark.parametrize("seconds", [0.0, 0.0999, 0.6801, -1.0, 1e9])
def test_no_frame_is_played_outside_the_video(video: licodec.Video, seconds: float) -> None:
    with pytest.raises(IndexError, match=r"0\.1 to 0\.68"):
        video.get_frame_played_at(seconds)


def test_every_timestamp_given_out_plays_its_own_frame(video: licodec.Video) -> None:
    """`pts_seconds` is a rounded double; handed back, it means the frame that it came from."""
    for i in range(COUNT):
        assert video.get_frame_played_at(video.get_frame_at(i).pts_seconds).pts_seconds == float(video.time(i))


def test_frames_played_at_several_times(video: licodec.Video) -> None:
    batch = video.get_frames_played_at([0.65, 0.15, 0.15])
    assert batch.pts_seconds.tolist() == [0.64, 0.14, 0.14]


@pytest.mark.parametrize(
    ("start", "stop", "indices"),
    [
        (0.14, 0.181, [1, 2]),
        (0.15, 0.1801, [1, 2]),
        (0.17, 0.185, [1, 2, 3]),
        (0.6005, 0.68, [11, 12, 13]),
        (0.3, 0.3, []),
    ],
)
def test_frames_played_in_a_half_open_range(
    start: float, stop: float, indices: list[int], video: licodec.Video
) -> None:
    batch = video.get_frames_played_in_range(Fraction(str(start)), Fraction(str(stop)))  # type: ignore[arg-type]
    assert batch.pts_seconds.tolist() == [float(video.time(i)) for i in indices]
    assert batch.data.shape == (len(indices), 3, 32, 48)


def test_a_range_that_ends_before_it_starts_is_refused(video: licodec.Video) -> None:
    with pytest.raises(UsageError, match="ends before it starts"):
        video.get_frames_played_in_range(0.4, 0.3)


def test_the_source_had_no_other_streams(video: licodec.Video) -> None:
    assert video.other_streams() is None


def test_what_is_no_file_of_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.linr").write_bytes(b"nothing of the kind")
    with pytest.raises(DamagedFileError, match=r"a\.linr"):
        licodec.open(tmp_path / "a.linr")
    with pytest.raises(DamagedFileError):
        licodec.open(b"")
    with pytest.raises(UsageError, match=r"none\.linr"):
        licodec.open(tmp_path / "none.linr")


def test_a_closed_video_refuses_to_read(file: Encoded) -> None:
    with licodec.open(file.path) as video:
        video[0]
    with pytest.raises((ValueError, LicodecError)):
        video[COUNT - 1]
