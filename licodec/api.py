"""The Python interface to a `.linr` file, of the same shape as torchcodec's VideoDecoder.

with licodec.open("clip.linr") as video:
    video.metadata, len(video), video[10], video.get_frame_played_at(1.25)
    video.render(t=1.25, size=(1080, 1920), roi=(100, 50, 640, 360))
"""

from __future__ import annotations

import bisect
import math
import operator
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch

from licodec.container import AUDIO_SUBTITLES, DEFAULT_LIMITS, Limits, LinrReader
from licodec.errors import UsageError
from licodec.model.config import profile_name
from licodec.model.geometry import Geometry
from licodec.profiles import Player, open_player
from licodec.render.device import open_renderer
from licodec.render.resample import View
from licodec.runtime import pick_device
from licodec.video.info import Frame as RawFrame
from licodec.video.info import Plane, VideoInfo

_PLAYERS = 2
"""Segments kept open: their symbols and latest pictures stay in memory."""


@dataclass(frozen=True)
class VideoMetadata:
    """What a file says of its video."""

    width: int
    height: int
    num_frames: int
    duration_seconds: float
    begin_stream_seconds: float
    """Time at which the first frame is shown."""
    end_stream_seconds: float
    """Time at which the last frame ends."""
    average_fps: float
    info: VideoInfo
    """Sample format, colour, sample aspect, rotation, time base."""
    profile: str
    """default or paper."""
    num_segments: int
    size_bytes: int
    """Size of the file on disk."""
    bits_per_pixel: float
    """Bits of the whole file per luma sample."""


@dataclass(frozen=True)
class Frame:
    """One decoded frame."""

    data: torch.Tensor
    """[3, height, width] RGB on the video's device; uint8, or uint16 for more than 8 bits."""
    pts_seconds: float
    duration_seconds: float


@dataclass(frozen=True)
class FrameBatch:
    """Several decoded frames."""

    data: torch.Tensor
    """[frames, 3, height, width]"""
    pts_seconds: torch.Tensor
    """[frames] float64"""
    duration_seconds: torch.Tensor
    """[frames] float64"""

    def __len__(self) -> int:
        return len(self.data)


class Video:
    """An open `.linr` file. Made by `licodec.open`."""

    def __init__(
        self,
        source: str | Path | bytes,
        *,
        device: str = "cpu",
        exact: bool = True,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.device, self._limits = pick_device(device), limits
        self.path = source if isinstance(source, (str, Path)) else "<bytes>"
        self._reader = LinrReader(source, limits)
        self.info: VideoInfo = self._reader.info
        self._pts = self._reader.pts
        self._durations = self._reader.durations
        self._firsts = [s.first_frame for s in self._reader.segments]
        self._renderer = open_renderer(Geometry.of(self.info), self.device, exact=exact)
        self._players: OrderedDict[int, Player[Any]] = OrderedDict()

    @property
    def metadata(self) -> VideoMetadata:
        """Everything that is known without decoding."""
        info, count = self.info, len(self)
        begin, end = self.time(0), self.end
        size = self._reader.size
        return VideoMetadata(
            width=info.width,
            height=info.height,
            num_frames=count,
            duration_seconds=float(end - begin),
            begin_stream_seconds=float(begin),
            end_stream_seconds=float(end),
            average_fps=float(count / (end - begin)),
            info=info,
            profile=profile_name(self._reader.conf),
            num_segments=len(self._firsts),
            size_bytes=size,
            bits_per_pixel=8 * size / (count * info.width * info.height),
        )

    def __len__(self) -> int:
        return len(self._pts)

    def time(self, index: int) -> Fraction:
        """Exact time in seconds at which a frame is shown."""
        return self._pts[index] * self.info.time_base

    def duration(self, index: int) -> Fraction:
        """Exact seconds for which a frame is shown."""
        return self._durations[index] * self.info.time_base

    @property
    def end(self) -> Fraction:
        """Exact time at which the last frame ends."""
        return (self._pts[-1] + self._durations[-1]) * self.info.time_base

    def other_streams(self) -> bytes | None:
        """The source's audio and subtitle streams as a Matroska file, if the file keeps any."""
        blobs = self._reader.ancillary(AUDIO_SUBTITLES)
        return blobs[0] if blobs else None

    # Planes: what the codec itself works on.

    def exact(self, t: Fraction | float) -> Fraction:
        """A time in seconds as it is meant: a double next to a tick of the video's clock is that tick.

        Raises UsageError for infinities and NaN.
        """
        if not isinstance(t, float):
            return Fraction(t)
        if not math.isfinite(t):
            raise UsageError(f"time {t} is not a number of seconds")
        ticks = Fraction(t) / self.info.time_base
        nearest = round(ticks)
        # A double holds 53 bits: what rounding to it takes from a tick count is far below a thousandth.
        return nearest * self.info.time_base if abs(ticks - nearest) < Fraction(1, 1000) else Fraction(t)

    def frame_at(self, t: Fraction | float) -> int:
        """Index of the frame shown at a time; the first before the start, the last after the end."""
        ticks = self.exact(t) / self.info.time_base
        return max(0, bisect.bisect_right(self._pts, ticks) - 1)

    def planes(self, index: int, view: View | None = None) -> tuple[Plane, ...]:
        """Integer planes of a frame in the video's own format, in a view (default: as it is)."""
        return self._renderer.download(*self._seen(self._at_index(index), view))

    def planes_at(self, t: Fraction | float, view: View | None = None) -> tuple[Plane, ...]:
        """Integer planes at any time. Between two frames of a segment, what the function says; across a cut, and
        outside the video, the frame shown."""
        return self._renderer.download(*self._seen(self._at_time(t), view))

    def frames(self) -> Iterator[RawFrame]:
        """All frames at native size, in order, one at a time."""
        for i in range(len(self)):
            yield RawFrame(self.planes(i), self._pts[i], self._durations[i])

    def _at_index(self, index: int) -> tuple[Any, ...]:
        """Working planes of a frame, as the renderer has them."""
        player, local = self._player(index)
        return player.render(local)

    def _at_time(self, t: Fraction | float) -> tuple[Any, ...]:
        time = self.exact(t)
        index = self.frame_at(time)
        player, local = self._player(index)
        share = 0.0
        if index + 1 < len(self) and local + 1 < player.frames and time > self.time(index):
            share = float((time - self.time(index)) / (self.time(index + 1) - self.time(index)))
        return player.between(local, share)

    def _seen(self, planes: tuple[Any, ...], view: View | None) -> tuple[tuple[Any, ...], VideoInfo]:
        """Working planes in a view, and what they are."""
        if view is None:
            return planes, self.info
        return self._renderer.view(planes, view, self.info), view.info(self.info)

    def _player(self, index: int) -> tuple[Player[Any], int]:
        segment = bisect.bisect_right(self._firsts, index) - 1
        player = self._players.get(segment)
        if player is None:
            entry = self._reader.segments[segment]
            where = f"{self.path}: segment {segment}"
            payload = self._reader.read_segment(segment)
            player = open_player(payload, self._reader.conf, self.info, entry.frame_count, where, self._renderer)
            self._players[segment] = player
            while len(self._players) > _PLAYERS:
                self._players.popitem(last=False)
        self._players.move_to_end(segment)
        return player, index - self._firsts[segment]

    # torchcodec's names: RGB tensors.

    def __getitem__(self, key: int | slice) -> torch.Tensor:
        """[3, h, w] of a frame, or [frames, 3, h, w] of a slice."""
        if isinstance(key, slice):
            return self.get_frames_at(range(*key.indices(len(self)))).data
        return self.get_frame_at(key).data

    def get_frame_at(self, index: int) -> Frame:
        """The frame with an index; negative ones count from the end. Raises IndexError."""
        index = operator.index(index)
        if not -len(self) <= index < len(self):
            raise IndexError(f"frame {index} of a video of {len(self)} frames")
        index %= len(self)
        data = self._renderer.rgb(self._at_index(index), self.info)
        return Frame(data, float(self.time(index)), float(self.duration(index)))

    def get_frames_at(self, indices: Sequence[int]) -> FrameBatch:
        """The frames with these indices, in the order asked for."""
        return _batch([self.get_frame_at(i) for i in indices], self.info, self.device)

    def get_frames_in_range(self, start: int, stop: int, step: int = 1) -> FrameBatch:
        """Frames start, start + step, ... below stop."""
        return self.get_frames_at(range(*slice(start, stop, step).indices(len(self))))

    def get_frame_played_at(self, seconds: float) -> Frame:
        """The frame that a player shows at a time. Raises IndexError outside the video."""
        if not self.time(0) <= self.exact(seconds) < self.end:
            raise IndexError(
                f"no frame is played at {seconds} s: the video is {float(self.time(0))} to {float(self.end)} s"
            )
        return self.get_frame_at(self.frame_at(seconds))

    def get_frames_played_at(self, seconds: Sequence[float]) -> FrameBatch:
        """The frames that a player shows at these times."""
        return _batch([self.get_frame_played_at(s) for s in seconds], self.info, self.device)

    def get_frames_played_in_range(self, start_seconds: float, stop_seconds: float) -> FrameBatch:
        """Every frame played in the half-open range of time."""
        if start_seconds > stop_seconds:
            raise UsageError(f"range {start_seconds} to {stop_seconds} s ends before it starts")
        chosen = [
            i
            for i in range(len(self))
            if self.time(i) < Fraction(stop_seconds) and self.time(i) + self.duration(i) > Fraction(start_seconds)
        ]
        return self.get_frames_at(chosen if start_seconds < stop_seconds else [])

    def render(
        self,
        t: float | Fraction,
        size: tuple[int, int] | None = None,
        roi: tuple[int, int, int, int] | None = None,
    ) -> torch.Tensor:
        """[3, height, width] RGB of the function at time t (seconds), any size (height, width), any region.

        roi: (x, y, width, height) in the video's luma samples; without `size` it is rendered at its own.
        """
        return self._renderer.rgb(*self._seen(self._at_time(t), View.of(self.info, size, roi, self._limits)))

    def close(self) -> None:
        """Close the file."""
        self._players.clear()
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _batch(frames: Sequence[Frame], info: VideoInfo, device: str) -> FrameBatch:
    dtype = torch.uint8 if info.bit_depth == 8 else torch.uint16
    empty = torch.empty((0, 3, info.height, info.width), dtype=dtype, device=device)
    return FrameBatch(
        torch.stack([f.data for f in frames]) if frames else empty,
        torch.tensor([f.pts_seconds for f in frames], dtype=torch.float64),
        torch.tensor([f.duration_seconds for f in frames], dtype=torch.float64),
    )


def open(
    source: str | Path | bytes, *, device: str = "cpu", exact: bool = True, limits: Limits = DEFAULT_LIMITS
) -> Video:
    """Open a `.linr` file.

    Args:
        source: a path, or the file as bytes.
        device: cpu, cuda, cuda:n or auto: where frames are rendered, and where the tensors returned are. Symbols are
            parsed on the CPU.
        exact: compute in float32 throughout. Without, the synthesis network computes in half precision on CUDA:
            faster, and a few samples in a thousand differ by one code value.
        limits: what to refuse.

    Raises:
        LicodecError: of the kind that fits: what is not a `.linr` file, or damaged, or too large; no such device.
    """
    return Video(source, device=device, exact=exact, limits=limits)
