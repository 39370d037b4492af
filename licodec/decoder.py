"""Decoding: a `.linr` file in, a video, pictures or raw frames out, at any size and any time.

for each time asked for:
    find its segment and parse it as far as needed   (licodec.entropy, integers only)
    render the picture, or what lies between two     (licodec.render.player)
    read it at the size and region asked for         (licodec.render.resample)
    write it                                         (licodec.video.sink)
"""

from __future__ import annotations

import contextlib
import itertools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path

from licodec.api import Video
from licodec.container import DEFAULT_LIMITS, Limits, LinrReader, Problem, printable
from licodec.errors import DamagedFileError, LimitError, UsageError
from licodec.fit.settings import Progress
from licodec.profiles import check_compute, open_player
from licodec.render.resample import View
from licodec.runtime import pictures_at_once, pictures_in_order, sharing_threads, use_threads
from licodec.semantics.track import verify_latents
from licodec.video.info import Frame, VideoInfo
from licodec.video.sink import open_sink, same_file

_MAX_FPS = 1000
_TICKS = 90_000


@dataclass(frozen=True)
class DecodeSettings:
    """What to render; of scale and size, and of fps and at, at most one is given."""

    scale: Fraction | None = None
    """Factor on both sides."""
    size: tuple[int, int] | None = None
    """(width, height) of the output."""
    fps: Fraction | None = None
    """Frames a second of the output; in between, the function is evaluated there."""
    at: tuple[Fraction, ...] = ()
    """Single times, in seconds."""
    start: Fraction | None = None
    """Seconds into the video to start from."""
    duration: Fraction | None = None
    """Seconds to render."""
    roi: tuple[int, int, int, int] | None = None
    """(x, y, width, height) in the video's luma samples."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:n."""
    threads: int | None = None
    """CPU threads; None: all cores."""
    codec: str | None = None
    """FFmpeg encoder of a video file."""
    crf: float | None = None
    """Its quality."""
    copy_streams: bool = True
    """Put audio and subtitles back."""
    limits: Limits = DEFAULT_LIMITS
    """Refuse to read or make anything larger."""
    salvage: bool = False
    """Show what is left of a damaged file; the last picture before a gap stays until its end."""


@dataclass(frozen=True)
class DecodeReport:
    """What was written."""

    path: str
    frames: int
    width: int
    height: int
    seconds: float
    """Wall time of the decode."""
    warnings: tuple[str, ...]
    problems: tuple[Problem, ...] = ()
    """With `salvage`: what is damaged."""
    stood_in: int = 0
    """With `salvage`: frames of lost segments, for which another one was written."""


def decode(
    input: str | Path,
    output: str | Path | None = None,
    settings: DecodeSettings = DecodeSettings(),
    *,
    overwrite: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> DecodeReport:
    """Render a `.linr` file to a video file, PNGs, y4m or nothing (`null:`); default: input's stem + `.mp4`.

    Raises:
        UsageError: a size, time or region that makes no sense, or an output that cannot be written.
        DamagedFileError: before the first wrong pixel; nothing is left of the output. With `salvage` only when
            nothing can be shown; the report then tells what is damaged.
        LimitError: an output larger than the limits.
    """
    started = time.monotonic()
    target = Path(input).with_suffix(".mp4") if output is None else output
    if same_file(input, target):
        raise UsageError(f"{target}: is the input too; name another output")
    threads = use_threads(settings.threads)
    with Video(input, device=settings.device, fused=None, limits=settings.limits, salvage=settings.salvage) as video:
        view = _view(video.info, settings)
        times = _times(video, settings)
        out_info = _output_info(video, view, settings)
        whole = not settings.at and settings.start is None and settings.duration is None
        streams = video.other_streams() if settings.copy_streams and whole else None
        samples = max(i.width * i.height for i in (out_info, video.info))
        # A GPU makes one after the other, which a second thread has ready for it.
        pictures = pictures_at_once(samples, times.count, threads) if video.device == "cpu" else 2
        count = 0
        with (
            sharing_threads(max(1, threads // pictures)),
            open_sink(
                target,
                out_info,
                overwrite=overwrite,
                codec=settings.codec,
                crf=settings.crf,
                other_streams=streams,
            ) as sink,
        ):
            total = times.count
            for frame in times.frames(video, view, out_info, pictures):
                sink.write(frame)
                count += 1
                if progress:
                    elapsed = time.monotonic() - started
                    progress(
                        Progress(
                            "decode",
                            0,
                            1,
                            count,
                            total,
                            None,
                            None,
                            elapsed,
                            elapsed * (total - count) / count,
                        )
                    )
        warnings = list(sink.warnings)
        if settings.copy_streams and not whole and video.other_streams() is not None:
            warnings.append(f"{target}: audio and subtitles are kept only when the whole video is decoded")
        return DecodeReport(
            str(target),
            count,
            out_info.width,
            out_info.height,
            time.monotonic() - started,
            tuple(warnings),
            tuple(video.problems),
            video.stood_in,
        )


def _view(info: VideoInfo, settings: DecodeSettings) -> View:
    if settings.scale is not None and settings.size is not None:
        raise UsageError("give a scale or a size, not both")
    width, height = settings.roi[2:] if settings.roi else (info.width, info.height)
    size = None
    if settings.scale is not None:
        if not 0 < settings.scale < math.inf:
            raise UsageError(f"scale {settings.scale} is not a positive number")
        size = (max(1, round(height * settings.scale)), max(1, round(width * settings.scale)))
    elif settings.size is not None:
        size = (settings.size[1], settings.size[0])
    return View.of(info, size, settings.roi, settings.limits)


@dataclass(frozen=True)
class _Times:
    """The output's frames: native ones by index, or times in between."""

    indices: range = range(0)
    times: tuple[tuple[Fraction, int, int], ...] = ()
    """(seconds, pts, duration) of each output frame."""

    @property
    def count(self) -> int:
        return len(self.indices) + len(self.times)

    def frames(self, video: Video, view: View, info: VideoInfo, threads: int) -> Iterator[Frame]:
        def native(i: int) -> Frame:
            pts, duration = (int(s / info.time_base) for s in (video.time(i), video.duration(i)))
            return Frame(video.planes(i, view), pts, duration)

        def between(at: tuple[Fraction, int, int]) -> Frame:
            t, pts, duration = at
            return Frame(video.planes_at(t, view), pts, duration)

        jobs = itertools.chain((partial(native, i) for i in self.indices), (partial(between, at) for at in self.times))
        if threads == 1:
            return (job() for job in jobs)
        return pictures_in_order(partial.__call__, jobs, threads)


def _times(video: Video, settings: DecodeSettings) -> _Times:
    if settings.at:
        if settings.fps is not None or settings.start is not None or settings.duration is not None:
            raise UsageError("give single times, or a rate, start and duration, not both")
        for t in settings.at:
            if not 0 <= t < math.inf:
                raise UsageError(f"time {float(t):g} s is negative or no number")
        ordered = sorted(set(settings.at))
        ticks = [int(t * _TICKS) for t in ordered]
        gaps = [b - a for a, b in itertools.pairwise(ticks)] + [_TICKS // 25]
        if min(gaps) < 1:
            raise UsageError(f"two of the times are less than 1/{_TICKS} s apart")
        return _Times(times=tuple(zip(ordered, ticks, gaps, strict=True)))
    origin = video.time(0)
    start = origin + _positive("start", settings.start, zero=True) if settings.start is not None else origin
    if start >= video.end:
        raise UsageError(f"start of {float(start - origin):g} s is after the end, {float(video.end - origin):g} s")
    end = video.end
    if settings.duration is not None:
        end = min(end, start + _positive("duration", settings.duration))
    if settings.fps is None:
        first = video.frame_at(start)
        last = video.frame_at(end - Fraction(1, 10**12))
        return _Times(range(first, last + 1))
    fps = _positive("fps", settings.fps)
    if fps > _MAX_FPS:
        raise LimitError(f"fps of {float(fps):g} is over the limit of {_MAX_FPS}")
    count = max(1, int((end - start) * fps))
    settings.limits.check("max_frames", count)
    # The clock has one tick a frame; the first is where the video begins, so that sound stays in step.
    first = round(start * fps)
    return _Times(times=tuple((start + i / fps, first + i, 1) for i in range(count)))


def _positive(name: str, value: Fraction, *, zero: bool = False) -> Fraction:
    if not 0 <= value < math.inf or (value == 0 and not zero):
        raise UsageError(f"{name} is {float(value):g}, but must be a positive number")
    return Fraction(value)


def _output_info(video: Video, view: View, settings: DecodeSettings) -> VideoInfo:
    info = view.info(video.info)
    if settings.at:
        return replace(info, time_base=Fraction(1, _TICKS))
    if settings.fps is not None:
        return replace(info, time_base=1 / settings.fps)
    return info


def verify_symbols(path: str | Path, *, limits: Limits = DEFAULT_LIMITS) -> list[Problem]:
    """Parse every symbol of segments and semantic latents whose bytes are intact; a problem for each that does not.

    What the container tells by itself (`licodec.container.verify`) is not told again.
    """
    problems = []
    try:
        reader = LinrReader(path, limits, salvage=True)
    except DamagedFileError:  # in what every segment needs
        return []
    with reader:
        # A configuration that makes no sense is told with every segment.
        with contextlib.suppress(DamagedFileError):
            check_compute(reader.conf, reader.info, len(reader.pts), limits, printable(str(path)))
        for i, entry in enumerate(reader.segments):
            try:
                payload = reader.read_segment(i)
            except DamagedFileError:
                continue
            pts = reader.pts
            first, last = entry.first_frame, entry.first_frame + entry.frame_count - 1
            start, end = (pts[first], pts[last] + reader.durations[last])
            try:
                where = f"segment {i}"
                open_player(payload, reader.conf, reader.info, entry.frame_count, where, limits=limits).parse()
            except DamagedFileError as error:
                base = reader.info.time_base
                problems.append(Problem("SEGM", entry.offset, str(error), start * base, end * base))
        return problems + verify_latents(reader, limits)
