"""The Python interface on each device: where tensors are, and that they show the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import licodec
from licodec.container import LinrWriter
from licodec.decoder import DecodeSettings, decode
from licodec.errors import UnsupportedError, UsageError
from licodec.video.info import VideoInfo
from render.clips import CONFIG, FRAMES, segment
from render.test_torch_renderer import devices

INFO = VideoInfo(64, 48)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("devices") / "clip.linr"
    with LinrWriter(path, INFO, CONFIG.to_bytes()) as writer:
        writer.add_segment(segment(INFO), tuple(range(FRAMES)), (1,) * FRAMES)
        writer.finish()
    return path


def check(found: torch.Tensor, wanted: torch.Tensor, device: str) -> None:
    assert found.device.type == device
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
    apart = (found.cpu().int() - wanted.int()).abs().float()
    # A sample that rounds the other way moves up to three codes of RGB.
    assert not (apart > 3).any()
    assert apart.sum() <= 0.02 * apart.numel()


@devices
@pytest.mark.parametrize("exact", [True, False])
def test_frames_are_on_the_device(file: Path, device: str, exact: bool) -> None:
    with licodec.open(file) as reference, licodec.open(file, device=device, exact=exact) as video:
        assert video.device == device
        check(video[0], reference[0], device)
        check(video[-1], reference[-1], device)
        check(video.get_frame_at(2).data, reference[2], device)
        check(video[1:4], reference[1:4], device)
        check(video[3:3], reference[3:3], device)
        check(video.get_frames_played_at([0.0, 0.1]).data, reference.get_frames_played_at([0.0, 0.1]).data, device)
        for options in ({}, {"size": (96, 128)}, {"size": (20, 31)}, {"roi": (8, 4, 32, 20), "size": (33, 50)}):
            check(video.render(0.05, **options), reference.render(0.05, **options), device)


@devices
def test_frames_are_there_for_other_libraries(file: Path, device: str) -> None:
    """By DLPack, without a copy, and to train on: they are no tensors of inference mode."""
    with licodec.open(file, device=device) as video:
        frame = video[1]
        assert torch.from_dlpack(frame).data_ptr() == frame.data_ptr()
        assert not frame.is_inference()


@devices
def test_decode_on_a_device(file: Path, tmp_path: Path, device: str) -> None:
    report = decode(file, tmp_path / "out.y4m", DecodeSettings(device=device))
    assert report.frames == FRAMES
    decode(file, tmp_path / "reference.y4m", DecodeSettings(device="cpu"))
    found, wanted = ((tmp_path / name).read_bytes() for name in ("out.y4m", "reference.y4m"))
    assert len(found) == len(wanted)
    assert max(abs(a - b) for a, b in zip(found, wanted, strict=True)) <= 1


def test_a_device_that_is_not_there_is_refused(file: Path) -> None:
    with pytest.raises(UsageError, match="abacus"):
        licodec.open(file, device="abacus")
    if not torch.cuda.is_available():
        with pytest.raises(UnsupportedError, match="CUDA"):
            licodec.open(file, device="cuda")
    with licodec.open(file, device="auto") as video:
        assert video.device == ("cuda" if torch.cuda.is_available() else "cpu")
