"""Encoding: a video in, a `.linr` file out.

for each segment between two cuts:
    code its pictures in closed loop      (licodec.fit.closed_loop)
    train its network and its latents     (licodec.fit.synthesis)
    decode the payload again and measure  (licodec.profiles)
    show its frames to the embedder, if any   (licodec.semantics)
fit a head and semantic latents to what it said
write header, segments, the source's other streams, latents, index (licodec.container)
"""

from __future__ import annotations

import contextlib
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from licodec import __version__
from licodec.container import (
    AUDIO_SUBTITLES,
    ENCODER_SETTINGS,
    SEMANTIC_LATENTS,
    LinrReader,
    LinrWriter,
    encode_head,
    printable,
)
from licodec.errors import LimitError, UsageError
from licodec.fit.checkpoint import Checkpoint, FinishedSegment, fingerprint
from licodec.fit.fitter import Budget, make_fitter
from licodec.fit.rate_control import Target, search_crf
from licodec.fit.scenes import segments
from licodec.fit.settings import DEFAULT_CRF, EncodeSettings, Progress
from licodec.model.geometry import Geometry, to_working
from licodec.profiles import check_compute, open_player
from licodec.render.device import open_renderer
from licodec.runtime import (
    pick_device,
    pictures_at_once,
    pictures_in_order,
    release_memory,
    sharing_threads,
    use_threads,
)
from licodec.semantics.embedder import Embedder
from licodec.semantics.providers import open_embedder
from licodec.semantics.teacher import Lesson, Teacher, check_weight
from licodec.video.info import Frame, Plane, VideoInfo
from licodec.video.output import reserved_output
from licodec.video.sink import same_file
from licodec.video.source import VideoSource, open_source
from licodec.video.streams import copy_other_streams

__all__ = ["EncodeReport", "EncodeSettings", "Progress", "encode"]


_TRAINED_PASSES = 3
"""That a size or a quality takes, nearly always."""


@dataclass(frozen=True)
class EncodeReport:
    """What came out, measured from the bytes written."""

    path: Path
    bytes: int
    """Size of the file on disk."""
    frames: int
    duration: float
    """Seconds of video."""
    bpp: float
    """Bits of the whole file per luma sample."""
    psnr_y: float
    """Mean over frames of the luma PSNR, decoded from the payload."""
    psnr_yuv: float
    """(6 Y + U + V) / 8 of the mean PSNRs (the luma's for gray)."""
    seconds: float
    """Wall time of the encode."""
    segments: int
    warnings: tuple[str, ...]
    crf: float
    """The rate factor used, given or found."""
    semantics_bytes: int = 0
    """Of them, bytes of semantic latents and their head."""
    semantics_cosine: float | None = None
    """Mean cosine between the vectors that the file gives and the embedder's, over the frames that it saw."""
    semantics_seconds: float = 0.0
    """Of the wall time, what went into them besides the embedder."""
    embedder_seconds: float = 0.0
    """Of the wall time, what the embedder itself took."""


def encode(
    input: str | Path,
    output: str | Path,
    settings: EncodeSettings = EncodeSettings(),
    *,
    overwrite: bool = False,
    resume: bool = False,
    progress: Callable[[Progress], None] | None = None,
    embedder: Embedder | None = None,
) -> EncodeReport:
    """Fit a Latent-INR to a video and write it to `output`.

    `embedder`: one that is open already, instead of what `settings.semantics` names.

    The output appears complete or not at all. What was done is kept in `<output>.resume` until then, and
    `resume` goes on from there.

    Raises:
        UsageError: options or paths that make no sense, an output that exists (without `overwrite`), a
            checkpoint of another input or other settings.
        DamagedFileError, UnsupportedError: the input cannot be read to its end.
        TargetError: no rate factor meets the size, rate or quality asked for.
    """
    settings.check()
    path = Path(output)
    _check_paths(input, path, overwrite)
    if settings.semantics_weight is not None:
        check_weight(settings.semantics_weight)
    device = pick_device(settings.device)
    threads = use_threads(settings.threads)
    if embedder is None and settings.semantics is not None:
        embedder = open_embedder(settings.semantics, device)
    with reserved_output(path), open_source(input) as source:
        teacher = Teacher(embedder, source.info, settings.semantics_weight) if embedder else None
        job = _Job(source, settings, device, threads, progress, teacher)
        checkpoint = None
        if str(input) != "-":
            identity = settings.describe() + (f" {embedder.fingerprint!r}" if embedder else "")
            # One that ended before it had kept anything left nothing to be refused for either.
            checkpoint = Checkpoint(path, fingerprint(input, identity), resume=resume and _has_kept(path))
        elif resume:
            raise UsageError("-: an encode from standard input cannot be resumed, its input is gone")
        blob = copy_other_streams(input, source.warnings) if settings.copy_streams and str(input) != "-" else None
        with _named(path):
            crf, finished = job.run(checkpoint, blob)
        size = job.write(path, crf, finished, blob)
        if checkpoint is not None:
            checkpoint.remove()
        return _report(path, size, source, finished, crf, job)


def _check_paths(input_: str | Path, path: Path, overwrite: bool) -> None:
    if str(path) == "-":
        raise UsageError("-: a .linr file cannot be written to standard output, its index needs a file")
    if path.is_dir():
        raise UsageError(f"{path}: is a directory; name a file such as {path / 'out.linr'}")
    if same_file(input_, path):
        raise UsageError(f"{path}: is the input too; name another output")
    if path.exists() and not overwrite:
        raise UsageError(f"{path}: exists; use -y to overwrite it")
    if not path.parent.is_dir():
        raise UsageError(f"{path}: the directory {path.parent} does not exist")


def _has_kept(path: Path) -> bool:
    return any(Path(f"{path}.resume").glob("*.safetensors"))


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """An error of the disk says no name where a file is written that was opened before."""
    try:
        yield
    except OSError as error:
        if error.filename or isinstance(error, BrokenPipeError):
            raise
        reason = error.strerror or str(error)
        raise UsageError(f"{printable(str(path))}.resume: cannot be written: {reason}") from error


class _Job:
    """One encode: passes over the source at one rate factor or several."""

    def __init__(
        self,
        source: VideoSource,
        settings: EncodeSettings,
        device: str,
        threads: int,
        progress: Callable[[Progress], None] | None,
        teacher: Teacher | None,
    ) -> None:
        self._source, self._settings, self._threads, self._progress = source, settings, threads, progress
        self.teacher = teacher
        self.semantics_bytes = 0
        self.semantics_cosine: float | None = None
        self._fitter = make_fitter(source.info, settings, device)
        self._started = time.monotonic()
        self.conf = self._fitter.conf
        self._deadline = settings.max_time
        """When a pass is to be done, in seconds since the start."""
        self.warnings: list[str] = []
        """What the user should know of the fit."""
        self._check_size(source.frame_count_hint or 1)

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    def run(self, checkpoint: Checkpoint | None, blob: bytes | None) -> tuple[float, list[FinishedSegment]]:
        """Rate factor and segments; `blob` goes into the file besides them."""
        if (target := self._target()) is None:
            crf = DEFAULT_CRF if self._settings.crf is None else self._settings.crf
            return crf, self._pass(crf, checkpoint)
        passes: dict[float, list[FinishedSegment]] = {}
        seconds: float | None = None

        def measure(crf: float, *, quick: bool) -> float:
            passes.clear()
            if seconds is not None:
                self._deadline = self.elapsed + seconds
            passes[crf] = self._pass(crf, None if quick else checkpoint, quick=quick)
            if target.unit == "dB":
                return _mean_psnr(passes[crf])[0]
            with tempfile.TemporaryDirectory() as directory:
                return math.log(self.write(Path(directory) / "trial.linr", crf, passes[crf], blob))

        # First without training, which takes most of the time and changes little; then as it will be.
        start = checkpoint.crf if checkpoint else None
        if start is None:
            start = search_crf(target, lambda crf: measure(crf, quick=True))
        # The same for each pass: of what is trained for unequal times sizes tell nothing of each other.
        if self._deadline is not None:
            seconds = max(0.0, self._deadline - self.elapsed) / _TRAINED_PASSES
        crf = search_crf(target, lambda crf: measure(crf, quick=False), start=start)
        if crf not in passes:
            measure(crf, quick=False)
        return crf, passes[crf]

    def _check_size(self, frames: int) -> None:
        """Refuse now what the writer, or any reader, would refuse in the end."""
        info, limits, where = self._source.info, self._settings.limits, printable(str(self._source.path))
        try:
            encode_head(info, limits)
        except LimitError as error:
            raise LimitError(f"{where}: {error}") from None
        limits.check("max_conf_bytes", len(self.conf), where)
        limits.check("max_frames", frames, where)
        check_compute(self.conf, info, frames, limits, where)

    def write(self, path: Path, crf: float, finished: Sequence[FinishedSegment], blob: bytes | None) -> int:
        """Put the file together; its size in bytes."""
        with LinrWriter(path, self._source.info, self.conf, self._settings.limits) as writer:
            for segment in finished:
                writer.add_segment(segment.payload, segment.pts, segment.durations)
            settings = replace(self._settings, crf=float(f"{crf:g}")).describe()
            writer.add_ancillary(ENCODER_SETTINGS, f"licodec {__version__} {settings}".encode())
            if blob:
                writer.add_ancillary(AUDIO_SUBTITLES, blob)
            latents: bytes | None = None
            vectors = [segment.vectors for segment in finished if segment.vectors is not None]
            # Passes that only look for a rate factor have none.
            if self.teacher and vectors:
                made = self.teacher.chunk([(s.pts, s.durations) for s in finished], vectors, writer.size, crf)
                self.semantics_bytes, self.semantics_cosine = len(made.payload), made.cosine
                latents = made.payload
                writer.add_ancillary(SEMANTIC_LATENTS, latents)
            return writer.finish(lambda written: self._check_file(written, finished, blob, latents))

    def _check_file(
        self, path: Path, finished: Sequence[FinishedSegment], blob: bytes | None, latents: bytes | None
    ) -> None:
        """Read the file back: what is in it must be the payloads that were decoded and measured, and nothing else."""
        with LinrReader(path, self._settings.limits) as reader:
            problems = reader.verify()
            payloads = [reader.read_segment(i) for i in range(len(reader.segments))]
            same = (
                (reader.info, reader.conf) == (self._source.info, self.conf)
                and payloads == [s.payload for s in finished]
                and list(reader.pts) == [t for s in finished for t in s.pts]
                and list(reader.durations) == [t for s in finished for t in s.durations]
                and reader.ancillary(AUDIO_SUBTITLES) == ([blob] if blob else [])
                and reader.ancillary(SEMANTIC_LATENTS) == ([latents] if latents else [])
            )
        if problems or not same:
            raise UsageError(
                f"{path}: what was written is not what is read back: is the disk failing? Nothing was left there"
            )

    def _target(self) -> Target | None:
        settings = self._settings
        if settings.target_psnr is not None:
            target = Target.psnr(settings.target_psnr)
        elif settings.target_size is not None:
            target = Target.size(settings.target_size, exact=True)
        elif settings.bitrate is not None:
            target = Target.size(settings.bitrate / 8 * self._source_duration(), exact=False)
        else:
            return None
        if str(self._source.path) == "-":
            raise UsageError("-: a target needs several passes, and standard input can be read once; use --crf")
        return target

    def _source_duration(self) -> float:
        """Seconds of video, by reading it once: what a file states need not be true."""
        frames = [(f.pts, f.duration) for f in self._source.frames()]
        if not frames:
            raise UsageError(f"{self._source.path}: has no frames")
        return float((frames[-1][0] + frames[-1][1] - frames[0][0]) * self._source.info.time_base)

    def _pass(self, crf: float, checkpoint: Checkpoint | None, *, quick: bool = False) -> list[FinishedSegment]:
        """Every segment once."""
        if checkpoint is not None and checkpoint.crf != crf:
            checkpoint.start(crf)
        finished: list[FinishedSegment] = []
        done = 0
        for frames in segments(self._source.frames(), self._source.info, self._settings.keyint):
            index = len(finished)
            pts = [f.pts for f in frames]
            self._check_size(done + len(frames))
            segment = checkpoint.load_segment(index, pts) if checkpoint else None
            if segment is None:
                segment = self._segment(index, frames, crf, finished, done, checkpoint, quick)
                if checkpoint is not None:
                    checkpoint.save_segment(index, segment)
            finished.append(segment)
            done += len(frames)
            # Not kept while the next ones are read (as `enumerate` would).
            del frames
        if not finished:
            raise UsageError(f"{self._source.path}: has no frames")
        return finished

    def _segment(
        self,
        index: int,
        frames: list[Frame],
        crf: float,
        finished: Sequence[FinishedSegment],
        done: int,
        checkpoint: Checkpoint | None,
        quick: bool,
    ) -> FinishedSegment:
        info = self._source.info
        seconds = _duration(finished, info)
        bits = 8 * sum(len(s.payload) for s in finished)
        quality = _mean_psnr(finished)[0] if finished else None
        hint = self._source.frame_count_hint
        share = len(frames) / max(len(frames), (hint or 0) - done)

        def report(stage: str, step: int, steps: int) -> None:
            if self._progress is None:
                return
            # Stages of a segment take unequal time: an honest ETA knows only whole segments, and the share done.
            whole = done / hint if hint else None
            eta = self.elapsed * (1 - whole) / whole if whole else None
            self._progress(
                Progress(
                    "search" if quick else stage,
                    index,
                    None,
                    step,
                    steps,
                    quality,
                    bits / seconds / 1000 if seconds else None,
                    self.elapsed,
                    eta,
                )
            )

        budget = Budget(None if self._deadline is None else max(0.0, (self._deadline - self.elapsed) * share))
        payload = self._fitter.fit(
            frames,
            crf,
            budget,
            quick=quick,
            report=report,
            partial=checkpoint.load_partial(index) if checkpoint else None,
            save_partial=(lambda data: checkpoint.save_partial(index, data)) if checkpoint else None,
            warn=lambda text: self.warnings.append(f"segment {index + 1}: {text}"),
        )
        release_memory()
        pts, durations = tuple(f.pts for f in frames), tuple(f.duration for f in frames)
        lesson = self.teacher.lesson(pts, durations) if self.teacher and not quick else None
        error = self._measure(payload, frames, index, report, lesson)
        release_memory()
        return FinishedSegment(payload, pts, durations, error, lesson.vectors() if lesson else None)

    def _measure(
        self,
        payload: bytes,
        frames: list[Frame],
        index: int,
        report: Callable[[str, int, int], None],
        lesson: Lesson | None,
    ) -> np.ndarray:
        """Decode the payload as any reader would, and compare; show it to the embedder."""
        info = self._source.info
        where = f"segment {index} just made"
        renderer = open_renderer(Geometry.of(info))
        player = open_player(payload, self.conf, info, len(frames), where, renderer, self._settings.limits)
        out = np.zeros((len(frames), len(info.plane_shapes)))

        def made(i: int) -> tuple[tuple[Plane, ...], list[float]]:
            # What a viewer gets: rounded, and clipped to the bit depth.
            decoded = renderer.download(player.render(i), info)
            source, shown = to_working(frames[i].planes, info), to_working(decoded, info)
            return decoded, [float(np.square(s - r).mean(dtype=np.float64)) for s, r in zip(source, shown, strict=True)]

        # An embedder is to have all threads, and its time to itself.
        count = 1 if lesson else pictures_at_once(info.width * info.height, len(frames), self._threads)
        indices = range(len(frames))
        pictures = map(made, indices) if lesson else pictures_in_order(made, indices, count)
        with sharing_threads(self._threads // count):
            for i, (decoded, error) in enumerate(pictures):
                if lesson:
                    lesson.see(i, decoded)
                out[i] = error
                report("check", i + 1, len(frames))
        # On the 8-bit scale ten bits reach 255.75: scaled so that the peak is 255 at any depth.
        return out * (255 * 2 ** (info.bit_depth - 8) / (2**info.bit_depth - 1)) ** 2


def _duration(finished: Sequence[FinishedSegment], info: VideoInfo) -> float:
    if not finished:
        return 0.0
    ticks = finished[-1].pts[-1] + finished[-1].durations[-1] - finished[0].pts[0]
    return float(ticks * info.time_base)


def _mean_psnr(finished: Sequence[FinishedSegment]) -> tuple[float, float]:
    """(luma, 6:1:1) mean over frames; a perfect frame counts as 100 dB."""
    error = np.concatenate([s.squared_error for s in finished])
    mean = (10 * np.log10(255.0**2 / np.maximum(error, 255.0**2 * 1e-10))).mean(axis=0)
    return float(mean[0]), float(mean[0] if len(mean) == 1 else mean @ [6, 1, 1] / 8)


def _report(
    path: Path,
    size: int,
    source: VideoSource,
    finished: Sequence[FinishedSegment],
    crf: float,
    job: _Job,
) -> EncodeReport:
    frames = sum(len(s.pts) for s in finished)
    luma, yuv = _mean_psnr(finished)
    info = source.info
    return EncodeReport(
        path=path,
        bytes=size,
        frames=frames,
        duration=_duration(finished, info),
        bpp=8 * size / (frames * info.width * info.height),
        psnr_y=luma,
        psnr_yuv=yuv,
        seconds=job.elapsed,
        segments=len(finished),
        warnings=(*source.warnings, *job.warnings),
        crf=crf,
        semantics_bytes=job.semantics_bytes,
        semantics_cosine=job.semantics_cosine,
        semantics_seconds=job.teacher.overhead if job.teacher else 0.0,
        embedder_seconds=job.teacher.seconds if job.teacher else 0.0,
    )
