"""Small videos for every folder of tests, made once a run with PyAV alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from video.clips import picture, write_av, write_av_sound

from licodec.video.info import VideoInfo


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests take minutes on a quiet machine, and there is no saying how many on another."""
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(3600))


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """64x48, 8 frames at 25 a second, 4:2:0, lossless H.264 in MP4, BT.709, no sound."""
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    info = VideoInfo(64, 48)
    write_av(path, [picture(info, number) for number in range(8)], tags=(1, 1, 1, 1))
    return path


@pytest.fixture(scope="session")
def sound_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """64x48, 10 frames at 25 a second, with AAC sound, subtitles and chapters, in Matroska."""
    path = tmp_path_factory.mktemp("clips") / "sound.mkv"
    write_av_sound(path, subtitles=True, frames=10)
    return path
