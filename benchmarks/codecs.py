"""The codecs, behind one small interface: a y4m in, a file on disk out, and back to something licodec can
read."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Protocol, cast

import av
from av.bitstream import BitStreamFilterContext
from av.video.frame import PictureType
from av.video.stream import VideoStream

from benchmarks.results import ROOT
from licodec.errors import LicodecError, UsageError

THREADS = 2
"""Threads that every classical encoder is told to use."""


@dataclass(frozen=True)
class Encoded:
    """One encode."""

    path: Path
    """The file on disk."""
    size: int
    """Bytes that count. Classical codecs: all packets and the parameter sets, without the mp4 around them and
    without the encoder's banner, the least that a decoder could do with. licodec: the whole file."""
    seconds: float
    """Wall time from opening the y4m to closing the file; for licodec from starting the program."""
    cpu_seconds: float
    """CPU time of all threads, which says what the wall time cannot on a busy machine."""
    command: str
    """What was run."""


class Codec(Protocol):
    """What the benchmark needs of a codec. `encode` puts the file below `folder`; `decode` makes something
    that `open_source` reads from the encoded file alone."""

    @property
    def name(self) -> str: ...
    @property
    def preset(self) -> str: ...
    @property
    def points(self) -> tuple[float, ...]: ...
    def encode(self, source: Path, folder: Path, point: float) -> Encoded: ...
    def decode(self, encoded: Path, folder: Path) -> Path: ...


@dataclass(frozen=True)
class Classical:
    """An encoder of FFmpeg, run through PyAV into an mp4 file."""

    name: str
    """Name in results."""
    encoder: str
    """FFmpeg's name."""
    preset: str
    """The encoder's own preset."""
    points: tuple[float, ...]
    """CRFs, best first."""
    options: dict[str, str] = field(default_factory=dict)
    """Further options."""
    filters: str = "null"
    """Bitstream filter on the packets."""

    def encode(self, source: Path, folder: Path, point: float) -> Encoded:
        # In a process of its own: encoders that ran before it in the same one change what x264 writes, by 2%
        # on Carphone.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            return pool.submit(self._encode, source, folder, point).result()

    def _encode(self, source: Path, folder: Path, point: float) -> Encoded:
        path = folder / f"{source.stem}-{self.name}-{self.preset}-{point:g}.mp4"
        options = {"preset": self.preset, "crf": f"{point:g}"} | self.options
        size, times = 0, Stopwatch()
        os.environ.setdefault("SVT_LOG", "1")  # errors, and not its twenty lines of settings
        with (
            times.running(),
            _errors_of(self.encoder),
            av.open(str(source)) as video,
            av.open(str(path), "w", format="mp4") as out,
        ):
            picture = video.streams.video[0]
            added = out.add_stream(self.encoder, rate=picture.average_rate, options=options)
            stream = cast(VideoStream, added)
            context = stream.codec_context
            context.thread_count = THREADS
            stream.width, stream.height, stream.pix_fmt = picture.width, picture.height, picture.pix_fmt
            context.time_base = picture.time_base or context.time_base
            context.color_range = picture.codec_context.color_range
            unwrap = BitStreamFilterContext(self.filters, stream)
            for frame in _and_none(video.decode(picture)):
                for packet in stream.encode(frame):
                    for kept in unwrap.filter(packet):
                        kept.stream = stream
                        size += kept.size
                        out.mux(kept)
            size += len(context.extradata or b"")
        settings = " ".join(f"{key}={value}" for key, value in options.items())
        command = f"{self.encoder} {settings} threads={THREADS}"
        return Encoded(path, size, times.seconds, times.cpu_seconds, command)

    def decode(self, encoded: Path, folder: Path) -> Path:
        return encoded


@dataclass(frozen=True)
class Licodec:
    """This project, through its command line in a process of its own."""

    name: str
    """Name in results."""
    effort: str
    """`--preset`."""
    points: tuple[float, ...]
    """`--crf`, best first."""
    options: tuple[str, ...] = ()
    """Further options of `licodec encode`."""
    max_time: float | None = None
    """`--max-time` in seconds."""
    target: str = "--crf"
    """The option that a point is the value of."""

    @property
    def preset(self) -> str:
        """The preset, and the time limit if there is one."""
        return self.effort if self.max_time is None else f"{self.effort}-{self.max_time:g}s"

    def encode(self, source: Path, folder: Path, point: float) -> Encoded:
        path, value = self.path(source, folder, point), _digits(point)
        limit = () if self.max_time is None else ("--max-time", f"{self.max_time:g}s")
        arguments = [*self.options, "--preset", self.effort, *limit, self.target, value, "-y"]
        times = Stopwatch()
        with times.running():
            _licodec("encode", str(source), str(path), *arguments)
        command = f"licodec encode {' '.join(arguments)}"
        return Encoded(path, path.stat().st_size, times.seconds, times.cpu_seconds, command)

    def path(self, source: Path, folder: Path, point: float) -> Path:
        """Where an encode goes."""
        return folder / f"{source.stem}-{self.name}-{self.preset}-{_digits(point)}.linr"

    def decode(self, encoded: Path, folder: Path, *options: str) -> Path:
        """`options`: further ones of `licodec decode`."""
        path = folder / f"{encoded.stem}.y4m"
        _licodec("decode", str(encoded), str(path), "-y", *options)
        return path


@dataclass(frozen=True)
class Peer:
    """An implicit codec of others (`benchmarks.peers`), trained for a given time in a process of its own."""

    name: str
    """nerv or hnerv."""
    points: tuple[float, ...]
    """Bits a pixel that the network is sized for, best first; what is measured is the file."""
    seconds: float
    """Wall time that an encode may take, program start included."""

    @property
    def preset(self) -> str:
        """The time."""
        return f"{self.seconds:g}s"

    def encode(self, source: Path, folder: Path, point: float) -> Encoded:
        path = folder / f"{source.stem}-{self.name}-{self.preset}-{point:g}.peer"
        arguments = ["--model", self.name, "--bpp", f"{point:g}", "--time", f"{self.seconds:g}"]
        times = Stopwatch()
        with times.running():
            _peers("encode", source, path, *arguments)
        command = f"python -m benchmarks.peers encode {' '.join(arguments)}"
        return Encoded(path, path.stat().st_size, times.seconds, times.cpu_seconds, command)

    def decode(self, encoded: Path, folder: Path) -> Path:
        path = folder / f"{encoded.stem}.y4m"
        _peers("decode", encoded, path)
        return path


CRFS = (18, 23, 28, 33, 38)
LICODEC_PRESETS = ("ultrafast", "fast", "medium", "slow", "placebo")
PEERS = ("nerv", "hnerv")
PEER_SECONDS = 300.0
PEER_POINTS = (0.2, 0.1, 0.05, 0.025)


def codec(spec: str, points: Sequence[float] = (), peer_seconds: float = PEER_SECONDS) -> Codec:
    """The codec that `spec` names, such as `x265`, `x265-veryslow`, `svtav1-8`, `licodec-fast`, `licodec-slow-60s`,
    `licodec-paper` or `hnerv-300s`.

    A time is the most that an encode may take (`peer_seconds` for peers that state none); `points` replace the
    usual settings. UsageError for a name that is not known.
    """
    name, _, preset = spec.partition("-")
    chosen = tuple(points)
    if name == "x264":
        # Its banner is an SEI (type 6) of 0.7 KB: 6% of a small Carphone, and no decoder needs it.
        no_banner = "filter_units=remove_types=6"
        return Classical(name, "libx264", preset or "medium", chosen or CRFS, filters=no_banner)
    if name == "x265":
        parameters = {"x265-params": f"pools={THREADS}:info=0:log-level=error"}
        return Classical(name, "libx265", preset or "medium", chosen or CRFS, parameters)
    if name == "svtav1":
        parameters = {"svtav1-params": f"lp={THREADS}"}
        return Classical(name, "libsvtav1", preset or "5", chosen or (25, 35, 45, 55, 63), parameters)
    preset, seconds = _limit(preset)
    if name in PEERS and not preset:
        return Peer(name, chosen or PEER_POINTS, seconds or peer_seconds)
    if name == "licodec" and preset == "paper":
        return Licodec("licodec-paper", "medium", chosen or CRFS, ("--profile", "paper"), seconds)
    if name == "licodec" and preset in {"", *LICODEC_PRESETS}:
        return Licodec(name, preset or "medium", chosen or CRFS, max_time=seconds)
    raise UsageError(
        f"no codec '{spec}': x264, x265, svtav1 or licodec, with -PRESET if wanted; nerv or hnerv; the last three "
        "with -SECONDSs if wanted, as in hnerv-300s"
    )


def quick(codec: Codec, seconds: float, points: int) -> Codec:
    """The codec with no more than so many points, each within so many seconds if time is what it takes."""
    if isinstance(codec, Peer):
        return replace(codec, points=codec.points[:points], seconds=seconds)
    if isinstance(codec, Licodec):
        return replace(codec, points=codec.points[:points], max_time=seconds)
    assert isinstance(codec, Classical)
    return replace(codec, points=codec.points[:points])


def _limit(preset: str) -> tuple[str, float | None]:
    """`slow-60s` to (`slow`, 60), `60s` to (``, 60), `slow` to (`slow`, None)."""
    words = re.fullmatch(r"(?:(.*?)-)?([0-9]+(?:\.[0-9]+)?)s", preset)
    return (words[1] or "", float(words[2])) if words else (preset, None)


def _digits(point: float) -> str:
    """All digits: it may be a number of bytes."""
    return f"{point:.12g}"


class Stopwatch:
    """Wall time, and CPU time of this process and of those it waited for."""

    seconds = 0.0
    cpu_seconds = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        wall, cpu = time.perf_counter(), _cpu_seconds()
        yield
        self.seconds, self.cpu_seconds = time.perf_counter() - wall, _cpu_seconds() - cpu


def _cpu_seconds() -> float:
    uses = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return sum(use.ru_utime + use.ru_stime for use in uses)


def _and_none(frames: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame | None]:
    """Frames ready to be encoded, then the None that flushes an encoder."""
    for frame in frames:
        # Raw frames are marked as intra pictures, which encoders would take as an order.
        frame.pict_type = PictureType.NONE
        yield frame
    yield None


@contextmanager
def _errors_of(encoder: str) -> Iterator[None]:
    try:
        yield
    except av.FFmpegError as error:
        raise LicodecError(f"{encoder}: {error}") from None


def _licodec(*arguments: str) -> None:
    """Run the installed command line; LicodecError with its last line if it fails."""
    program = Path(sys.executable).with_name("licodec")
    if not program.exists():
        raise UsageError(f"{program} is missing: pip install -e '.[dev]'")
    _run(f"licodec {arguments[0]}", [str(program), *arguments])


def _peers(command: str, source: Path, target: Path, *arguments: str) -> None:
    """Run `python -m benchmarks.peers`; LicodecError with its last line if it fails."""
    words = [command, str(source.resolve()), str(target.resolve()), *arguments]
    # From the repository's root: `benchmarks` is not installed.
    _run(f"benchmarks.peers {command}", [sys.executable, "-m", "benchmarks.peers", *words], ROOT)


def _run(name: str, command: list[str], folder: Path | None = None) -> None:
    done = subprocess.run(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise LicodecError(f"{name} ended with status {done.returncode}: {last}")
