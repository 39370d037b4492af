"""The file as a function: any size, any region, any time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from fit.patterns import texture

import licodec
from api.conftest import SCENES
from api.movies import Encoded, encoded, pan, psnr
from licodec.errors import LimitError, UsageError
from licodec.video.info import VideoInfo
from licodec.video.source import open_source

COUNT = sum(SCENES)
SPEED = (2.0, -1.0)


@pytest.fixture(scope="module")
def doubled(tmp_path_factory: pytest.TempPathFactory) -> Encoded:
    """96x64, 25 frames a second: every second frame of a pan, five of them; the others are known."""
    movie = pan(VideoInfo(96, 64, "gray"), range(0, 10, 2), speed=SPEED)
    return encoded(movie, tmp_path_factory.mktemp("doubled"), crf=20)


@pytest.fixture(scope="module")
def panning(doubled: Encoded) -> Iterator[licodec.Video]:
    with licodec.open(doubled.path) as video:
        yield video


def luma(picture: torch.Tensor) -> np.ndarray:
    """Of a grey picture."""
    assert torch.equal(picture[0], picture[1])
    return picture[0].numpy()


# Sizes and regions.


@pytest.mark.parametrize("size", [(32, 48), (64, 96), (16, 24), (31, 77), (1, 1), (143, 5)])
def test_every_size_has_the_shape_asked_for(video: licodec.Video, size: tuple[int, int]) -> None:
    picture = video.render(0.2, size=size)
    assert picture.shape == (3, *size)
    assert picture.dtype == torch.uint8


def test_a_region_is_rendered_at_its_own_size_unless_told_otherwise(video: licodec.Video) -> None:
    assert video.render(0.2, roi=(10, 4, 31, 17)).shape == (3, 17, 31)
    assert video.render(0.2, roi=(10, 4, 31, 17), size=(50, 60)).shape == (3, 50, 60)


def test_the_native_size_is_the_stored_frame(video: licodec.Video) -> None:
    expected = video.get_frame_at(3).data
    for options in ({}, {"size": (32, 48)}, {"roi": (0, 0, 48, 32)}):
        assert torch.equal(video.render(Fraction(181, 1000), **options), expected)


def test_a_region_is_that_part_of_the_picture(panning: licodec.Video) -> None:
    whole = panning[2]
    part = panning.render(panning.time(2), roi=(20, 10, 40, 30))
    assert torch.equal(part, whole[:, 10:40, 20:60])


def test_chroma_of_a_region_keeps_its_place(video: licodec.Video) -> None:
    """Away from the region's edges, also at odd corners, to one code value of rounding."""
    whole = video[1].int()
    for x, y in ((8, 4), (7, 5)):
        part = video.render(video.time(1), roi=(x, y, 30, 22)).int()
        difference = (part - whole[:, y : y + 22, x : x + 30])[:, 2:-2, 2:-2].abs()
        assert difference.max() <= 2 if x % 2 == 0 else difference.float().mean() < 4


@pytest.mark.parametrize(("scale", "least"), [(2, 38), (3, 38), (0.5, 33)])
def test_other_sizes_show_the_scene_at_those_places(
    panning: licodec.Video, doubled: Encoded, scale: float, least: float
) -> None:
    """The pattern is known everywhere: sample centres map to sample centres."""
    size = (round(64 * scale), round(96 * scale))
    made = luma(panning.render(0, size=size))
    y, x = np.mgrid[: size[0], : size[1]]
    expected = known((x + 0.5) / scale - 0.5, (y + 0.5) / scale - 0.5, 0)
    inner = (slice(int(4 * scale), -int(4 * scale)),) * 2
    assert psnr(made[inner], expected[inner]) > least


def known(x: np.ndarray, y: np.ndarray, t: float) -> np.ndarray:
    """The pattern of `doubled` at any place and time (source frames)."""
    return texture(1)(x - SPEED[0] * t, y - SPEED[1] * t)


@pytest.mark.parametrize(
    "roi", [(-1, 0, 10, 10), (0, 0, 49, 10), (44, 0, 5, 5), (0, 24, 8, 9), (0, 0, 0, 5), (3, 3, 5, -1)]
)
def test_a_region_outside_the_picture_is_refused(video: licodec.Video, roi: tuple[int, int, int, int]) -> None:
    with pytest.raises(UsageError, match="region"):
        video.render(0.2, roi=roi)


@pytest.mark.parametrize(
    "roi", [(0, 0, 8), (0, 0, 8, 8.0), (float("nan"), 0, 8, 8), ("0", 0, 8, 8), (0, 0, float("inf"), 8), ()]
)
def test_a_region_of_other_than_whole_numbers_is_refused(video: licodec.Video, roi: tuple[int, int, int, int]) -> None:
    with pytest.raises(UsageError, match="region"):
        video.render(0.2, roi=roi)


@pytest.mark.parametrize("size", [(0, 10), (10, 0), (-3, 10), (10,), (8.5, 8), (float("nan"), 8)])
def test_a_size_without_pixels_is_refused(video: licodec.Video, size: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="size"):
        video.render(0.2, size=size)


@pytest.mark.parametrize("size", [(1, 20_000), (10**6, 10**6)])
def test_an_absurd_size_is_over_a_limit(video: licodec.Video, size: tuple[int, int]) -> None:
    with pytest.raises(LimitError):
        video.render(0.2, size=size)


@pytest.mark.parametrize("time", [float("nan"), float("inf")])
def test_a_time_that_is_no_number_is_refused(video: licodec.Video, time: float) -> None:
    with pytest.raises((UsageError, ValueError)):
        video.render(time)


# Times.


def test_before_the_start_and_after_the_end_the_nearest_frame_is_shown(video: licodec.Video) -> None:
    for time in (-5, 0, 0.05, 0.1):
        assert torch.equal(video.render(time), video[0])
    for time in (0.64, 0.66, 0.68, 1e6):
        assert torch.equal(video.render(time), video[-1])


def test_at_a_frame_s_own_time_the_frame_itself_is_shown(video: licodec.Video) -> None:
    for i in range(COUNT):
        assert torch.equal(video.render(video.time(i)), video[i])


def test_timestamps_given_out_as_doubles_show_the_very_frame(video: licodec.Video) -> None:
    for i in range(COUNT):
        assert torch.equal(video.render(video.get_frame_at(i).pts_seconds), video[i])


def test_nothing_is_blended_across_a_cut(video: licodec.Video) -> None:
    for last in (SCENES[0] - 1, SCENES[0] + SCENES[1] - 1):
        start, end = video.time(last), video.time(last + 1)
        for share in (Fraction(1, 100), Fraction(1, 2), Fraction(99, 100)):
            assert torch.equal(video.render(start + share * (end - start)), video[last])


def test_between_two_frames_there_is_a_picture_of_its_own(video: licodec.Video) -> None:
    for i in (0, 3, 6, 12):
        middle = video.render((video.time(i) + video.time(i + 1)) / 2)
        assert not torch.equal(middle, video[i])
        assert not torch.equal(middle, video[i + 1])


def test_half_way_is_the_frame_that_was_left_out(panning: licodec.Video) -> None:
    """Nearer to the truth than the neighbours, than their mean, and about as near as what was coded."""
    y, x = np.mgrid[:64, :96]
    for i in range(4):
        truth = known(x, y, 2 * i + 1)
        before, after = (luma(panning[j]).astype(float) for j in (i, i + 1))
        made = psnr(luma(panning.render(Fraction(2 * i + 1, 50))), truth)
        assert made > psnr((before + after) / 2, truth) + 6
        assert made > max(psnr(before, truth), psnr(after, truth)) + 10


@pytest.mark.parametrize("share", [0.25, 0.5, 0.8])
def test_any_time_between_shows_motion_at_its_share(panning: licodec.Video, share: float) -> None:
    y, x = np.mgrid[:64, :96]
    made = luma(panning.render((1 + share) / 25))[6:-6, 6:-6]
    at = {s: psnr(made, known(x, y, 2 * (1 + s))[6:-6, 6:-6]) for s in (0.0, 0.25, 0.5, 0.8, 1.0)}
    assert max(at, key=lambda s: at[s]) == share
    assert at[share] > 33


def test_time_passes_without_jumps(panning: licodec.Video) -> None:
    """Eight steps between two frames: each moves about as far as the others."""
    pictures = [luma(panning.render(Fraction(8 + k, 200))).astype(float)[6:-6, 6:-6] for k in range(9)]
    steps = [np.abs(b - a).mean() for a, b in pairwise(pictures)]
    assert max(steps) < 2.5 * min(steps)


def test_between_irregular_frames_it_is_time_that_passes(tmp_path: Path) -> None:
    """Frames 2, 4 and 2 ticks apart of an even pan: what is seen at a tick is the pan at that tick."""
    pts = (0, 2, 6, 8)
    movie = pan(VideoInfo(96, 64, "gray", time_base=Fraction(1, 50)), pts, speed=SPEED)
    made = encoded(replace(movie, pts=pts), tmp_path, crf=20)
    y, x = np.mgrid[:64, :96]
    with licodec.open(made.path) as video:
        assert [video.time(i) * 50 for i in range(4)] == list(pts)
        for tick in (1, 3, 4, 5, 7):
            shown = luma(video.render(Fraction(tick, 50)))[8:-8, 8:-8]
            at = {t: psnr(shown, known(x, y, t)[8:-8, 8:-8]) for t in range(9)}
            assert max(at, key=lambda t: at[t]) == tick


# Videos at another rate.


def decoded(
    path: Path, target: Path, **settings: object
) -> tuple[VideoInfo, list[Fraction], list[tuple[np.ndarray, ...]]]:
    """What a lossless decode writes: its description, times and planes."""
    licodec.decode(path, target, licodec.DecodeSettings(codec="ffv1", **settings))  # type: ignore[arg-type]
    with open_source(target) as source:
        frames = list(source.frames())
        return source.info, [f.pts * source.info.time_base for f in frames], [f.planes for f in frames]


@pytest.mark.parametrize(("fps", "count"), [(50, 10), (25, 5), (10, 2), (60, 12)])
def test_another_rate_has_its_own_count_and_times(doubled: Encoded, fps: int, count: int, tmp_path: Path) -> None:
    _, times, _ = decoded(doubled.path, tmp_path / "a.mkv", fps=Fraction(fps))
    assert len(times) == count
    for i, t in enumerate(times):
        assert t - times[0] == pytest.approx(i / fps, abs=0.00051)  # Matroska counts milliseconds


def test_another_rate_begins_when_the_video_begins(file: Encoded, tmp_path: Path) -> None:
    """Sound that is put back keeps its own times: a picture that moves to zero is out of step with it."""
    _, times, _ = decoded(file.path, tmp_path / "a.mkv", fps=Fraction(50))
    assert times[0] == pytest.approx(0.1, abs=0.02)
    assert len(times) == 29


def test_another_rate_shows_what_render_shows(doubled: Encoded, panning: licodec.Video, tmp_path: Path) -> None:
    _, _, pictures = decoded(doubled.path, tmp_path / "a.mkv", fps=Fraction(50))
    for i, planes in enumerate(pictures):
        np.testing.assert_array_equal(planes[0], panning.planes_at(Fraction(i, 50))[0])


def test_the_native_rate_keeps_every_timestamp_and_sample(file: Encoded, video: licodec.Video, tmp_path: Path) -> None:
    info, times, pictures = decoded(file.path, tmp_path / "a.mkv")
    assert (info.width, info.height, info.chroma) == (48, 32, "420")
    assert [t - times[0] for t in times] == [t - video.time(0) for t in file.movie.times()]
    for i, planes in enumerate(pictures):
        for a, b in zip(planes, video.planes(i), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("settings", "indices"),
    [
        ({"start": Fraction(2, 10)}, range(5, 14)),
        ({"duration": Fraction(8, 100)}, range(2)),
        ({"start": Fraction(1, 10), "duration": Fraction(15, 100)}, range(3, 7)),
        ({"start": Fraction(55, 100), "duration": Fraction(9)}, range(13, 14)),
    ],
)
def test_a_part_of_the_video_is_the_frames_on_the_screen_in_it(
    settings: dict[str, Fraction], indices: range, file: Encoded, video: licodec.Video, tmp_path: Path
) -> None:
    _, times, pictures = decoded(file.path, tmp_path / "a.mkv", **settings)
    assert len(pictures) == len(indices)
    assert [t - times[0] for t in times] == [video.time(i) - video.time(indices[0]) for i in indices]
    for planes, i in zip(pictures, indices, strict=True):
        np.testing.assert_array_equal(planes[0], video.planes(i)[0])


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        ({"scale": Fraction(2)}, (192, 128)),
        ({"scale": Fraction(1, 3)}, (32, 21)),
        ({"size": (81, 35)}, (81, 35)),
        ({"roi": (4, 6, 40, 30)}, (40, 30)),
        ({"roi": (4, 6, 40, 30), "scale": Fraction(3, 2)}, (60, 45)),
    ],
)
def test_decode_writes_the_size_asked_for(
    settings: dict[str, object], size: tuple[int, int], doubled: Encoded, tmp_path: Path
) -> None:
    report = licodec.decode(
        doubled.path, tmp_path / "%d.png", licodec.DecodeSettings(duration=Fraction(1, 25), **settings)
    )  # type: ignore[arg-type]
    assert (report.width, report.height, report.frames) == (*size, 1)
    with open_source(tmp_path / "1.png") as picture:
        assert (picture.info.width, picture.info.height) == size


def test_decode_at_single_times_writes_those_moments(doubled: Encoded, panning: licodec.Video, tmp_path: Path) -> None:
    settings = licodec.DecodeSettings(at=(Fraction(1, 50), Fraction(1, 25), Fraction(9)))
    assert licodec.decode(doubled.path, tmp_path / "%d.png", settings).frames == 3
    for number, time in enumerate(settings.at, 1):
        with open_source(tmp_path / f"{number}.png") as source:
            (frame,) = source.frames()
        np.testing.assert_array_equal(frame.planes[0], panning.render(time)[0].numpy())


def test_decode_tells_how_far_it_is(file: Encoded) -> None:
    told: list[tuple[str, int, int]] = []
    licodec.decode(file.path, "null:", progress=lambda p: told.append((p.stage, p.step, p.steps)))
    assert told == [("decode", i + 1, COUNT) for i in range(COUNT)]


@pytest.mark.parametrize("output", ["a.mkv", "%d.png"])
def test_a_decode_that_is_interrupted_leaves_nothing(file: Encoded, output: str, tmp_path: Path) -> None:
    def progress(p: licodec.Progress) -> None:
        if p.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        licodec.decode(file.path, tmp_path / output, progress=progress)
    assert list(tmp_path.iterdir()) == []
