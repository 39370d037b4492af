"""What a random frame costs, what is kept, and the names that torchcodec has for it all."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch

import licodec
from api.conftest import SCENES
from api.movies import Encoded, encoded, pan
from licodec.container import LinrReader
from licodec.errors import UsageError
from licodec.model.pyramid import pyramid
from licodec.render.numpy_renderer import NumpyRenderer
from licodec.video.info import VideoInfo

COUNT = sum(SCENES)


class Counter:
    """Counts what is read and rendered."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.segments: list[int] = []
        self.pictures = self.shown = 0
        read, content, synthesise = LinrReader.read_segment, NumpyRenderer.content, NumpyRenderer.synthesise

        def counted_read(reader: LinrReader, index: int) -> bytes:
            self.segments.append(index)
            return read(reader, index)

        def counted_content(renderer: NumpyRenderer, *arguments: Any) -> Any:
            self.pictures += 1
            return content(renderer, *arguments)

        def counted_synthesis(renderer: NumpyRenderer, *arguments: Any) -> Any:
            self.shown += 1
            return synthesise(renderer, *arguments)

        monkeypatch.setattr(LinrReader, "read_segment", counted_read)
        monkeypatch.setattr(NumpyRenderer, "content", counted_content)
        monkeypatch.setattr(NumpyRenderer, "synthesise", counted_synthesis)

    def reset(self) -> None:
        self.segments, self.pictures, self.shown = [], 0, 0


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A single segment of 40 frames."""
    return encoded(pan(VideoInfo(32, 32, "gray"), range(40)), tmp_path_factory.mktemp("long"), crf=36).path


def needed(groups: tuple[int, ...], frame: int) -> set[int]:
    """A frame and all that it is predicted from."""
    references = {p.frame: p.refs for batch in pyramid(groups) for p in batch}
    found, waiting = set(), [frame]
    while waiting:
        if (picture := waiting.pop()) not in found:
            found.add(picture)
            waiting += references[picture]
    return found


def test_a_random_frame_costs_its_segment_and_what_it_is_predicted_from(
    long: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with licodec.open(long) as video:
        sequential = [video[i] for i in range(len(video))]
    counter = Counter(monkeypatch)
    costs = {}
    for index in random.Random(1).sample(range(40), 12):
        counter.reset()
        with licodec.open(long) as video:
            assert torch.equal(video[index], sequential[index])
            groups = video._player(0)._symbols.groups  # type: ignore[union-attr]
        costs[index] = counter.pictures
        assert counter.segments == [0]
        assert counter.shown == 1
        assert counter.pictures == len(needed(groups, index))
    print("pictures rendered for each frame:", dict(sorted(costs.items())), "groups", groups)
    assert max(costs.values()) < 20


def test_a_frame_of_another_segment_costs_nothing_of_the_others(file: Encoded, monkeypatch: pytest.MonkeyPatch) -> None:
    counter = Counter(monkeypatch)
    with licodec.open(file.path) as video:
        _ = video[COUNT - 1]
        assert counter.segments == [len(SCENES) - 1]
        assert counter.pictures <= SCENES[-1]


def test_each_picture_is_rendered_once_in_a_row_and_kept(file: Encoded, monkeypatch: pytest.MonkeyPatch) -> None:
    counter = Counter(monkeypatch)
    with licodec.open(file.path) as video:
        for _ in video:
            pass
        assert counter.segments == list(range(len(SCENES)))
        assert (counter.pictures, counter.shown) == (COUNT, COUNT)
        counter.reset()
        _ = video[COUNT - 1], video[COUNT - 2], video[COUNT - 1]
        assert (counter.segments, counter.pictures, counter.shown) == ([], 0, 3)


def test_what_is_kept_has_a_bound(long: Path, file: Encoded, monkeypatch: pytest.MonkeyPatch) -> None:
    with licodec.open(file.path) as video:
        order = [*range(COUNT), *random.Random(2).sample(range(COUNT), COUNT)]
        for index in order:
            _ = video[index]
            assert len(video._players) <= 2
    monkeypatch.setattr("licodec.render.player._KEEP_BYTES", 0)
    with licodec.open(long) as video:
        for index in random.Random(3).choices(range(40), k=60):
            _ = video[index]
            player: Any = video._player(0)
            assert len(player._contents._kept) <= 19


def test_of_large_pictures_those_that_no_other_needs_go_first(long: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("licodec.render.player._KEEP_BYTES", 0)
    counter = Counter(monkeypatch)
    with licodec.open(long) as video:
        count = len(video)
        for _ in video:
            pass
        assert (counter.pictures, counter.shown) == (count, count)
        player: Any = video._player(0)
        kept, pictures = player._contents._kept, player._pictures.values()
        leaves = {p.frame for p in pictures} - {r for p in pictures for r in p.refs} - {count - 1}
        assert len(leaves & kept.keys()) == 6 < len(leaves)
        assert len(kept) == 19 and max(player._symbols.groups) == 16


def test_the_names_are_torchcodec_s(video: licodec.Video) -> None:
    names = ("metadata", "get_frame_at", "get_frames_at", "get_frames_in_range", "get_frame_played_at")
    names += ("get_frames_played_at", "get_frames_played_in_range", "get_all_frames", "__len__", "__getitem__")
    assert all(hasattr(video, name) for name in names)
    fields = ("num_frames", "duration_seconds", "begin_stream_seconds", "end_stream_seconds", "average_fps")
    fields += ("width", "height", "bit_rate")
    assert all(getattr(video.metadata, name) is not None for name in fields)
    about = video.metadata
    assert about.bit_rate == pytest.approx(8 * about.size_bytes / about.duration_seconds)


def test_a_video_is_iterated_over(video: licodec.Video) -> None:
    found = list(video)
    assert len(found) == COUNT
    everything = video.get_all_frames()
    assert everything.data.shape == (COUNT, 3, 32, 48)
    assert torch.equal(torch.stack(found), everything.data)


def test_batches_and_frames_come_apart(video: licodec.Video) -> None:
    batch = video.get_frames_at([3, 0])
    frames = list(batch)
    assert [f.pts_seconds for f in frames] == [0.181, 0.1]
    assert torch.equal(frames[0].data, video[3])
    assert torch.equal(batch[-1].data, video[0])
    data, pts, duration = video.get_frame_at(3)
    assert torch.equal(data, video[3]) and (pts, duration) == (0.181, 0.079)  # type: ignore[arg-type]


def test_ranges_of_time_that_are_no_numbers_are_refused(video: licodec.Video) -> None:
    for start, stop in ((float("nan"), 1.0), (0.0, float("inf"))):
        with pytest.raises(UsageError, match="not a number"):
            video.get_frames_played_in_range(start, stop)
