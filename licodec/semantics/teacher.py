"""The embedder at work on decoded frames, and the chunk made of what it says."""

from __future__ import annotations

import time
from collections.abc import Sequence

import cv2
import numpy as np

from licodec.errors import UsageError
from licodec.fit.presets import Quality
from licodec.metrics.compare import shown_rgb
from licodec.semantics.align import Aligned, Taught, align, allowed_bytes, stride_of, weight_of_cosine
from licodec.semantics.chunk import Vectors, knots
from licodec.semantics.embedder import Embedder, Picture
from licodec.video.info import Frame, Plane, VideoInfo

DEFAULT_WEIGHT = 0.002
"""lambda; benchmarks/results/retrieval.md has what other values do."""
WEIGHT_RANGE = (1e-6, 100.0)
_HELD_BYTES = 64 << 20
_HELD = 16


class Teacher:
    """An embedder for the frames of one video."""

    def __init__(self, embedder: Embedder, info: VideoInfo, weight: float | None = None) -> None:
        """weight: lambda, None: the default. Raises UsageError outside its range."""
        self._embedder, self._info = embedder, info
        self._weight = DEFAULT_WEIGHT if weight is None else weight
        self.seconds = 0.0
        """Wall time of the embedder itself so far."""
        self.overhead = 0.0
        """Wall time of everything else here so far: pictures for it, and the fit."""
        check_weight(self._weight)

    @property
    def dim(self) -> int:
        """Components of a vector."""
        return self._embedder.dim

    def lesson(self, pts: Sequence[int], durations: Sequence[int]) -> Lesson:
        """For the frames of one segment."""
        return Lesson(self, knots(len(pts), self._stride(pts, durations)))

    def _stride(self, pts: Sequence[int], durations: Sequence[int]) -> int:
        """Distance of a segment's knots; the same whenever it is asked."""
        ticks = pts[-1] + durations[-1] - pts[0]
        return stride_of(len(pts), float(ticks * self._info.time_base))

    def embed(self, planes: Sequence[tuple[Plane, ...]]) -> Vectors:
        """[frames, dim] of decoded frames."""
        started = time.monotonic()
        pictures = [picture(p, self._info) for p in planes]
        ready = time.monotonic()
        found = self._embedder.embed_images(pictures)
        self.overhead += ready - started
        self.seconds += time.monotonic() - ready
        return found

    def chunk(
        self,
        segments: Sequence[tuple[Sequence[int], Sequence[int]]],
        vectors: Sequence[Vectors],
        video_bytes: int,
        crf: float,
    ) -> Aligned:
        """The chunk for segments, given by (timestamps, durations), and the vectors of their knots.

        video_bytes: of the file without it; crf: rate factor of the video.
        """
        started = time.monotonic()
        taught = [
            Taught(len(pts), self._stride(pts, durations), v)
            for (pts, durations), v in zip(segments, vectors, strict=True)
        ]
        samples = self._info.width * self._info.height
        mu = weight_of_cosine(self._weight, samples, Quality(crf).bit_worth_overall)
        fingerprint = self._embedder.fingerprint
        made = align(fingerprint, taught, mu, allowed_bytes(fingerprint, len(taught), video_bytes))
        self.overhead += time.monotonic() - started
        return made


class Lesson:
    """Takes decoded frames in any order; those at knots are embedded, a few at a time."""

    def __init__(self, teacher: Teacher, places: np.ndarray) -> None:
        self._teacher = teacher
        self._rows = {int(frame): row for row, frame in enumerate(places)}
        self._vectors = np.zeros((len(places), teacher.dim), np.float32)
        self._held: list[tuple[int, tuple[Plane, ...]]] = []

    def wants(self, frame: int) -> bool:
        """Whether a frame of the segment is a knot."""
        return frame in self._rows

    def see(self, frame: int, planes: tuple[Plane, ...]) -> None:
        """A decoded frame: integer planes in the video's own format."""
        if not self.wants(frame):
            return
        self._held.append((self._rows[frame], planes))
        held = sum(plane.nbytes for _, kept in self._held for plane in kept)
        if len(self._held) >= _HELD or held >= _HELD_BYTES:
            self._flush()

    def vectors(self) -> Vectors:
        """[knots, dimension]"""
        self._flush()
        return self._vectors

    def _flush(self) -> None:
        if self._held:
            rows, planes = zip(*self._held, strict=True)
            self._vectors[list(rows)] = self._teacher.embed(planes)
            self._held = []


def picture(planes: tuple[Plane, ...], info: VideoInfo) -> Picture:
    """RGB as a viewer sees it: upright, with square samples."""
    rgb = shown_rgb(Frame(planes, 0, 1), info)
    if info.sample_aspect != 1:
        rows, columns = rgb.shape[:2]
        # The longer way is filled: nothing is lost before the embedder's own resizing.
        wide = info.sample_aspect > 1
        size = (
            (max(1, round(columns * info.sample_aspect)), rows)
            if wide
            else (columns, max(1, round(rows / info.sample_aspect)))
        )
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_LINEAR).astype(np.uint8)
    return np.ascontiguousarray(np.rot90(rgb, info.rotation // 90)) if info.rotation else rgb


def check_weight(weight: float) -> None:
    """Raise UsageError for a lambda that makes no sense."""
    if not WEIGHT_RANGE[0] <= weight <= WEIGHT_RANGE[1]:
        raise UsageError(f"lambda is {weight:g}, outside {WEIGHT_RANGE[0]:g}..{WEIGHT_RANGE[1]:g}")
