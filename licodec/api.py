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
from threading import RLock
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from licodec.container import AUDIO_SUBTITLES, DEFAULT_LIMITS, Limits, LinrReader, Problem, printable
from licodec.errors import DamagedFileError, LicodecError, UsageError
from licodec.model.config import profile_name
from licodec.model.geometry import Geometry
from licodec.profiles import Player, check_compute, open_player
from licodec.render.device import open_renderer
from licodec.render.resample import View
from licodec.render.window import Window, seen
from licodec.runtime import pick_device
from licodec.video.info import Frame as RawFrame
from licodec.video.info import Plane, VideoInfo

if TYPE_CHECKING:
    import torch

_PLAYERS = 2
"""Segments kept open: their symbols and latest pictures stay in memory."""
_MANY = 2000
"""Frames from which on it pays to compile the renderer for a GPU."""


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
    bit_rate: float
    """Bits of the whole file per second."""


@dataclass(frozen=True)
class Frame:
    """One decoded frame."""

    data: torch.Tensor
    """[3, height, width] RGB on the video's device; uint8, or uint16 for more than 8 bits."""
    pts_seconds: float
    duration_seconds: float

    def __iter__(self) -> Iterator[torch.Tensor | float]:
        """data, pts_seconds, duration_seconds"""
        return iter((self.data, self.pts_seconds, self.duration_seconds))


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

    def __getitem__(self, index: int) -> Frame:
        """One of them; raises IndexError."""
        return Frame(self.data[index], float(self.pts_seconds[index]), float(self.duration_seconds[index]))

    def __iter__(self) -> Iterator[Frame]:
        return (self[i] for i in range(len(self)))


class Video:
    """An open `.linr` file. Made by `licodec.open`. Threads may share it."""

    def __init__(
        self,
        source: str | Path | bytes,
        *,
        device: str = "cpu",
        exact: bool = True,
        fused: bool | None = False,
        limits: Limits = DEFAULT_LIMITS,
        salvage: bool = False,
    ) -> None:
        self.device, self._limits, self._salvage = pick_device(device), limits, salvage
        self.path = source if isinstance(source, (str, Path)) else "<bytes>"
        self._reader = LinrReader(source, limits, salvage=salvage)
        self.info: VideoInfo = self._reader.info
        self.problems: list[Problem] = []
        """With `salvage`: what is damaged, as far as it is known by now."""
        try:
            if salvage:
                self.problems += self._reader.verify()
            if not self._reader.segments:
                raise self._nothing_left()
            check_compute(self._reader.conf, self.info, len(self._reader.pts), limits, printable(str(self.path)))
        except LicodecError:
            self._reader.close()
            raise
        self._pts = self._reader.pts
        self._durations = self._reader.durations
        self._firsts = [s.first_frame for s in self._reader.segments]
        fused = len(self) >= _MANY if fused is None else fused
        self._renderer = open_renderer(Geometry.of(self.info), self.device, exact=exact, fused=fused)
        self._one_by_one = RLock()
        self._players: OrderedDict[int, Player[Any]] = OrderedDict()
        self._lost: set[int] = set()
        self._stand_in: tuple[int, tuple[Any, ...]] | None = None
        self.stood_in = 0
        """With `salvage`: how many pictures of lost segments were asked for, and shown by another one."""

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
            bit_rate=float(8 * size / (end - begin)),
        )

    def __len__(self) -> int:
        return len(self._pts)

    def time(self, index: int) -> Fraction:
        """Exact time in seconds at which a frame is shown."""
        return self._pts[index] * self.info.time_base

    def duration(self, index: int) -> Fraction:
        """Exact seconds for which a frame is shown; when frames behind it are lost with their times, until the next."""
        ticks = self._durations[index]
        if not self._reader.has_index and index + 1 in self._firsts:
            ticks = max(ticks, self._pts[index + 1] - self._pts[index])
        return ticks * self.info.time_base

    @property
    def end(self) -> Fraction:
        """Exact time at which the last frame ends."""
        return (self._pts[-1] + self._durations[-1]) * self.info.time_base

    def other_streams(self) -> bytes | None:
        """The source's audio and subtitle streams as a Matroska file, if the file keeps any."""
        try:
            blobs = self._reader.ancillary(AUDIO_SUBTITLES)
        except DamagedFileError:
            if not self._salvage:
                raise
            return None
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
        return self._renderer.download(*self._seen(self._at_index(index, self._window(view)), view))

    def planes_at(self, t: Fraction | float, view: View | None = None) -> tuple[Plane, ...]:
        """Integer planes at any time. Between two frames of a segment, what the function says; across a cut, and
        outside the video, the frame shown."""
        return self._renderer.download(*self._seen(self._at_time(t, self._window(view)), view))

    def frames(self) -> Iterator[RawFrame]:
        """All frames at native size, in order, one at a time."""
        for i in range(len(self)):
            yield RawFrame(self.planes(i), self._pts[i], int(self.duration(i) / self.info.time_base))

    def _window(self, view: View | None) -> Window | None:
        """What of a picture a view needs; None: everything."""
        return None if view is None else seen(view.region, view.size, self._renderer.geometry)

    def _at_index(self, index: int, window: Window | None = None) -> tuple[Any, ...]:
        """Working planes of a frame, as the renderer has them; right in a window."""
        segment, local = self._place(index)
        player = self._player(segment)
        return self._instead(segment) if player is None else player.render(local, window=window)

    def _at_time(self, t: Fraction | float, window: Window | None = None) -> tuple[Any, ...]:
        time = self.exact(t)
        index = self.frame_at(time)
        segment, local = self._place(index)
        player = self._player(segment)
        if player is None:
            return self._instead(segment)
        share = 0.0
        if index + 1 < len(self) and local + 1 < player.frames and time > self.time(index):
            share = float((time - self.time(index)) / (self.time(index + 1) - self.time(index)))
        return player.between(local, share, window=window)

    def _seen(self, planes: tuple[Any, ...], view: View | None) -> tuple[tuple[Any, ...], VideoInfo]:
        """Working planes in a view, and what they are."""
        if view is None:
            return planes, self.info
        return self._renderer.view(planes, view, self.info), view.info(self.info)

    def _place(self, index: int) -> tuple[int, int]:
        """(segment, frame in it) of a frame."""
        segment = bisect.bisect_right(self._firsts, index) - 1
        return segment, index - self._firsts[segment]

    def _player(self, segment: int) -> Player[Any] | None:
        """The player of a segment; None, with `salvage`, for a segment that is lost."""
        with self._one_by_one:
            if segment in self._lost:
                return None
            if segment not in self._players:
                try:
                    self._players[segment] = self._open_segment(segment)
                except DamagedFileError as error:
                    if not self._salvage:
                        raise
                    self._lose(segment, error)
                    return None
                while len(self._players) > _PLAYERS:
                    self._players.popitem(last=False)
            self._players.move_to_end(segment)
            return self._players[segment]

    def _open_segment(self, segment: int) -> Player[Any]:
        frames = self._reader.segments[segment].frame_count
        where = f"{printable(str(self.path))}: segment {segment}"
        payload = self._reader.read_segment(segment)
        player = open_player(payload, self._reader.conf, self.info, frames, where, self._renderer, self._limits)
        if self._salvage:
            # Before the first picture: what comes before the place where parsing fails may be wrong already.
            player.parse()
        return player

    def _lose(self, segment: int, error: DamagedFileError) -> None:
        self._lost.add(segment)
        entry = self._reader.segments[segment]
        if all(problem.offset != entry.offset for problem in self.problems):
            start, end = entry.first_frame, entry.first_frame + entry.frame_count - 1
            span = self.time(start), self.time(end) + self.duration(end)
            self.problems.append(Problem("SEGM", entry.offset, str(error), *span))

    def _instead(self, segment: int) -> tuple[Any, ...]:
        """What is shown for a lost segment: the last picture before it that is left, else the first one behind it."""
        with self._one_by_one:
            self.stood_in += 1
            # The segment before this one is lost too if it has a stand-in: then theirs is the same.
            if self._stand_in is None or self._stand_in[0] not in (segment, segment - 1):
                for other in [*range(segment - 1, -1, -1), *range(segment + 1, len(self._firsts))]:
                    if player := self._player(other):
                        self._stand_in = segment, player.render(player.frames - 1 if other < segment else 0)
                        break
                else:
                    raise self._nothing_left()
            self._stand_in = segment, self._stand_in[1]
            return self._stand_in[1]

    def _nothing_left(self) -> DamagedFileError:
        return DamagedFileError(f"{printable(str(self.path))}: no segment is intact: {self.problems[0]}")

    # torchcodec's names: RGB tensors.

    def __getitem__(self, key: int | slice) -> torch.Tensor:
        """[3, h, w] of a frame, or [frames, 3, h, w] of a slice."""
        if isinstance(key, slice):
            return self.get_frames_at(range(*key.indices(len(self)))).data
        return self.get_frame_at(key).data

    def __iter__(self) -> Iterator[torch.Tensor]:
        """[3, h, w] of each frame in order."""
        return (self.get_frame_at(i).data for i in range(len(self)))

    def get_all_frames(self) -> FrameBatch:
        """Every frame of the video, in memory at once."""
        return self.get_frames_at(range(len(self)))

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
        start, stop = self.exact(start_seconds), self.exact(stop_seconds)
        if start > stop:
            raise UsageError(f"range {start_seconds} to {stop_seconds} s ends before it starts")
        chosen = range(len(self)) if start < stop else range(0)
        return self.get_frames_at(
            [i for i in chosen if self.time(i) < stop and self.time(i) + self.duration(i) > start]
        )

    def render(
        self,
        t: float | Fraction,
        size: tuple[int, int] | None = None,
        roi: tuple[int, int, int, int] | None = None,
    ) -> torch.Tensor:
        """[3, height, width] RGB of the function at time t (seconds), any size (height, width), any region.

        roi: (x, y, width, height) in the video's luma samples; without `size` it is rendered at its own.
        """
        view = View.of(self.info, size, roi, self._limits)
        return self._renderer.rgb(*self._seen(self._at_time(t, self._window(view)), view))

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
    import torch

    dtype = torch.uint8 if info.bit_depth == 8 else torch.uint16
    empty = torch.empty((0, 3, info.height, info.width), dtype=dtype, device=device)
    return FrameBatch(
        torch.stack([f.data for f in frames]) if frames else empty,
        torch.tensor([f.pts_seconds for f in frames], dtype=torch.float64),
        torch.tensor([f.duration_seconds for f in frames], dtype=torch.float64),
    )


def open(
    source: str | Path | bytes,
    *,
    device: str = "cpu",
    exact: bool = True,
    fused: bool | None = False,
    limits: Limits = DEFAULT_LIMITS,
    salvage: bool = False,
) -> Video:
    """Open a `.linr` file.

    Args:
        source: a path, or the file as bytes.
        device: cpu, cuda, cuda:n or auto: where frames are rendered, and where the tensors returned are. Symbols are
            parsed on the CPU.
        exact: compute in float32 throughout. Without, the synthesis network computes in half precision on CUDA:
            faster, and a few samples in a thousand differ by one code value.
        fused: on CUDA, let torch.compile make one kernel of many, which takes seconds once; None: for long videos.
        limits: what to refuse.
        salvage: open a damaged file too. A picture of a segment that is lost is the last one before it that is
            left (at the beginning, the first one behind it), and `Video.problems` tells what is damaged.

    Raises:
        LicodecError: of the kind that fits: what is not a `.linr` file, or damaged, or too large; no such device.
    """
    return Video(source, device=device, exact=exact, fused=fused, limits=limits, salvage=salvage)
