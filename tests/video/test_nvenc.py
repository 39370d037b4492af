"""NVIDIA's encoders: chosen by name, and a clear line where they are not to be had. What they encode needs a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import pytest
import torch

from licodec.errors import UsageError
from licodec.video.encode import FileSink
from licodec.video.info import VideoInfo
from licodec.video.sink import open_sink
from licodec.video.source import open_source

from .clips import moving

NVENC = ("h264_nvenc", "hevc_nvenc", "av1_nvenc")
offered = pytest.mark.skipif(not set(NVENC) <= av.codecs_available, reason="this FFmpeg is built without NVENC")


@pytest.mark.parametrize("codec", [*NVENC, "nvenc"])
def test_without_the_encoder_the_error_says_what_to_do(
    codec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = av.Codec

    def built_without(name: str, mode: str) -> Any:
        if "nvenc" in name:
            raise av.codec.codec.UnknownCodecError(name)
        return real(name, mode)

    monkeypatch.setattr(av, "Codec", built_without)
    with pytest.raises(UsageError, match="no such encoder here: leave --codec out") as caught:
        open_sink(tmp_path / "a.mp4", VideoInfo(64, 48), codec=codec)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@offered
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("codec", NVENC)
def test_without_a_gpu_the_error_says_so(codec: str, tmp_path: Path) -> None:
    info = VideoInfo(320, 192)
    with (
        pytest.raises(UsageError, match="needs an NVIDIA GPU") as caught,
        open_sink(tmp_path / "a.mp4", info, codec=codec) as sink,
    ):
        for frame in moving(info):
            sink.write(frame)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@offered
def test_the_quality_and_the_pixel_format_are_the_encoder_s_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, str] = {}
    monkeypatch.setattr(FileSink, "_add_video", lambda self, options: seen.update(options, form=self._pix_fmt))
    for depth, form in ((8, "yuv420p"), (10, "p010le")):
        sink = open_sink(tmp_path / "a.mp4", VideoInfo(64, 48, bit_depth=depth), codec="hevc_nvenc", crf=21)
        sink.abort()
        assert (seen["cq"], seen["form"]) == ("21", form)
        assert "crf" not in seen


@offered
def test_odd_sizes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="odd sizes"):
        open_sink(tmp_path / "a.mp4", VideoInfo(65, 48), codec="h264_nvenc")


@offered
@pytest.mark.needs_cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("codec", NVENC[:2])
def test_what_it_encodes_is_the_video(codec: str, tmp_path: Path) -> None:
    info = VideoInfo(320, 192)
    frames = moving(info, range(12))
    try:
        with open_sink(tmp_path / "a.mkv", info, codec=codec) as sink:
            for frame in frames:
                sink.write(frame)
    except UsageError as error:
        pytest.skip(f"a GPU without an encoder: {error}")
    with open_source(tmp_path / "a.mkv") as source:
        found = list(source.frames())
    assert len(found) == len(frames)
    for a, b in zip(found, frames, strict=True):
        assert abs(a.planes[0].astype(int) - b.planes[0]).mean() < 3
