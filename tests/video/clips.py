"""Tiny synthetic videos, and files of them written with PyAV alone: nothing here is code under test."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from licodec.video.info import Frame, VideoInfo

Planes = Sequence[np.ndarray]
SUBTITLES = ((100, b"Guten Tag"), (100, b"zugleich"), (600, "Tschüß".encode()))


def moving(info: VideoInfo, pts: Sequence[int] = (0, 1, 2), last: int = 1) -> list[Frame]:
    """A pattern of waves that moves; every plane differs; the last frame lasts `last` ticks."""
    ends = [*pts[1:], pts[-1] + last]
    return [Frame(picture(info, i), a, b - a) for i, (a, b) in enumerate(zip(pts, ends, strict=True))]


def picture(info: VideoInfo, number: int) -> tuple[np.ndarray, ...]:
    planes = []
    for k, (rows, columns) in enumerate(info.plane_shapes):
        y, x = np.mgrid[:rows, :columns]
        wave = np.sin((x + 2 * number) / 7 + k) * np.cos((y - number) / 5 + k)
        planes.append(((1 << info.bit_depth) * (0.5 + 0.3 * wave)).astype(info.dtype))
    return tuple(planes)


def noise(info: VideoInfo, seed: int = 0) -> tuple[np.ndarray, ...]:
    generator = np.random.default_rng(seed)
    return tuple(generator.integers(0, 1 << info.bit_depth, s).astype(info.dtype) for s in info.plane_shapes)


def av_frame(planes: Planes, pix_fmt: str) -> av.VideoFrame:
    """Planes in FFmpeg's own order (G, B, R for gbrp) as a frame."""
    rows, columns = planes[0].shape
    frame = av.VideoFrame(columns, rows, pix_fmt)
    for target, plane in zip(frame.planes, planes, strict=True):
        np.frombuffer(target, plane.dtype).reshape(target.height, -1)[:, : plane.shape[1]] = plane
    return frame


def write_av(
    path: Path | io.BytesIO,
    pictures: Iterable[Planes],
    pix_fmt: str = "yuv420p",
    *,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    container: str | None = None,
    time_base: Fraction = Fraction(1, 25),
    pts: Sequence[int] | None = None,
    sample_aspect: Fraction | None = None,
    rotation: int = 0,
    hflip: bool = False,
    tags: tuple[int, int, int, int] = (2, 2, 2, 0),
    muxer: dict[str, str] | None = None,
) -> None:
    """A video file. `tags`: primaries, transfer, matrix, FFmpeg's range. Lossless with the default codec."""
    if codec == "libx264":
        options = {"qp": "0", "preset": "ultrafast", **(options or {})}
    with av.open(path, "w", format=container, container_options=muxer or {}) as output:
        stream = output.add_stream(codec, rate=Fraction(25), options=options or {})
        context = stream.codec_context
        for number, planes in enumerate(pictures):
            frame = av_frame(planes, pix_fmt)
            if number == 0:
                context.width, context.height, context.pix_fmt = frame.width, frame.height, pix_fmt
                context.time_base = stream.time_base = time_base
                if sample_aspect:
                    context.sample_aspect_ratio = sample_aspect
                context.color_primaries, context.color_trc, context.colorspace, context.color_range = tags
                if rotation or hflip:
                    stream.set_display_rotation(rotation, hflip=hflip)
            frame.colorspace, frame.color_range = tags[2], tags[3]
            frame.pts, frame.time_base = pts[number] if pts else number, time_base
            output.mux(stream.encode(frame))
        output.mux(stream.encode())


def write_av_sound(
    path: Path,
    *,
    container: str | None = None,
    codec: str = "aac",
    subtitles: bool = False,
    frames: int = 25,
    start: int = 0,
) -> None:
    """A second of video from second `start` on, with a French 440 Hz sine.

    `subtitles`: also three in German, two chapters and a font.
    """
    info = VideoInfo(64, 48)
    rate = 48000 if codec == "libopus" else 44100
    with av.open(path, "w", format=container) as output:
        video = output.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = output.add_stream(codec, rate=rate)
        sound.metadata.update(language="fra", title="le son")
        sound.disposition = av.stream.Disposition.dub
        if subtitles:
            text = output.add_mux_stream("subrip", time_base=Fraction(1, 1000))
            text.metadata["language"] = "deu"
            output.add_attachment("a.ttf", "font/ttf", b"not really a font")
            clock: Any = {"time_base": Fraction(1, 1000)}
            first = {"id": 1, "start": 0, "end": 500, "metadata": {"title": "one"}}
            output.set_chapters([first | clock, first | clock | {"id": 2, "start": 500, "end": 1000}])
        for number in range(frames):
            frame = av_frame(picture(info, number), "yuv420p")
            frame.pts = number + 25 * start
            output.mux(video.encode(frame))
        output.mux(video.encode())
        samples = np.sin(np.arange(rate * frames // 25) * (2 * np.pi * 440 / rate)) * 0.3
        form = sound.codec_context.format.name
        for at in range(0, len(samples) - 1024, 1024):
            block = np.repeat(samples[None, at : at + 1024], 2, 0)
            if form == "fltp":
                audio = av.AudioFrame.from_ndarray(block.astype(np.float32), form, "stereo")
            else:
                packed = (block.T.reshape(1, -1) * 32767).astype(np.int16)
                audio = av.AudioFrame.from_ndarray(packed, "s16", "stereo")
            audio.rate, audio.pts = rate, at + rate * start
            output.mux(sound.encode(audio))
        output.mux(sound.encode())
        for at, words in SUBTITLES if subtitles else ():
            packet = av.Packet(words)
            packet.stream, packet.time_base = text, Fraction(1, 1000)
            packet.pts = packet.dts = at
            packet.duration = 300
            output.mux(packet)


def packets(source: Path | bytes, kind: str) -> list[tuple[Fraction, bytes]]:
    """(time in seconds, bytes) of every packet of all streams of a kind."""
    with av.open(io.BytesIO(source) if isinstance(source, bytes) else source) as opened:
        streams = [stream for stream in opened.streams if stream.type == kind]
        found = opened.demux(streams) if streams else ()
        return [(p.pts * p.time_base, bytes(p)) for p in found if p.pts is not None]


def python(
    code: str, *, stdin: bytes = b"", stdout: Any = subprocess.PIPE, cwd: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run a program that may use licodec, as another process."""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(root)!r})\n{code}"]
    return subprocess.run(
        command, input=stdin, stdout=stdout, stderr=subprocess.PIPE, cwd=cwd, timeout=250, check=False
    )
