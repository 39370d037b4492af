"""Adding a head to a file that is there already, or replacing one, without touching its video."""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from licodec.container import DEFAULT_LIMITS, SEMANTIC_LATENTS, Limits, LinrReader, LinrWriter, printable
from licodec.container.chunks import SEGM, is_critical, read_header
from licodec.container.source import Source
from licodec.errors import DamagedFileError
from licodec.fit.settings import DEFAULT_CRF, Progress
from licodec.model.geometry import from_working
from licodec.profiles import check_compute, open_player
from licodec.semantics.embedder import Embedder
from licodec.semantics.fingerprint import Fingerprint
from licodec.semantics.teacher import Teacher
from licodec.semantics.track import readers
from licodec.video.output import PartFile, reserved_output

_CRF = re.compile(r" crf=([0-9]+(?:\.[0-9]+)?)$")


@dataclass(frozen=True)
class RealignReport:
    """What came out."""

    path: Path
    bytes: int
    """Of the whole file."""
    head_bytes: int
    """Payload of the new chunk."""
    replaced: bool
    """Whether the file had a head of this fingerprint."""
    heads: int
    """That the file has now."""
    cosine: float
    """Mean cosine between the vectors that the file gives and the embedder's, over the frames that it saw."""
    fingerprint: Fingerprint
    seconds: float
    """Wall time."""
    embedder_seconds: float
    """Of it, in the embedder."""


def realign(
    input: str | Path,
    embedder: Embedder,
    output: str | Path | None = None,
    *,
    weight: float | None = None,
    overwrite: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    progress: Callable[[Progress], None] | None = None,
) -> RealignReport:
    """Give a file a head for an embedder, fitted to its decoded frames; every other chunk stays as it is.

    output: None replaces the file itself, at once or not at all. weight: lambda.

    Raises:
        UsageError: no such file, an output that exists, or one that another process is working on.
        DamagedFileError: the file is damaged; it stays as it was.
    """
    started = time.monotonic()
    path = Path(input)
    target = path if output is None else Path(output)
    if target.resolve() != path.resolve():
        PartFile(target, overwrite=overwrite).discard()
    with reserved_output(target), LinrReader(path, limits) as reader:
        check_compute(reader.conf, reader.info, len(reader.pts), limits, printable(str(path)))
        heads = [chunk.fingerprint for chunk in readers(reader, limits, str(path))]
        teacher = Teacher(embedder, reader.info, weight)
        times = [
            (reader.pts[first:last], reader.durations[first:last])
            for first, last in ((s.first_frame, s.first_frame + s.frame_count) for s in reader.segments)
        ]
        vectors = []
        for index, (pts, durations) in enumerate(times):
            player = open_player(
                reader.read_segment(index),
                reader.conf,
                reader.info,
                len(pts),
                f"{printable(str(path))}: segment {index}",
                limits=limits,
            )
            lesson = teacher.lesson(pts, durations)
            for i in range(len(pts)):
                if lesson.wants(i):
                    lesson.see(i, from_working(player.render(i), reader.info))
                if progress:
                    elapsed = time.monotonic() - started
                    done = (reader.segments[index].first_frame + i + 1) / len(reader.pts)
                    progress(
                        Progress(
                            "embed",
                            index,
                            len(times),
                            i + 1,
                            len(pts),
                            None,
                            None,
                            elapsed,
                            elapsed * (1 - done) / done,
                        )
                    )
            vectors.append(lesson.vectors())
        others = reader.size - sum(c.length for c in reader.chunks() if c.kind == SEMANTIC_LATENTS)
        made = teacher.chunk(times, vectors, others, _crf(reader))
        with LinrWriter(target, reader.info, reader.conf, limits) as writer:
            _copy(reader, path, writer, [f == embedder.fingerprint for f in heads])
            writer.add_ancillary(SEMANTIC_LATENTS, made.payload)
            size = writer.finish()
    replaced = embedder.fingerprint in heads
    return RealignReport(
        path=target,
        bytes=size,
        head_bytes=len(made.payload),
        replaced=replaced,
        heads=len(heads) + (not replaced),
        cosine=made.cosine,
        fingerprint=embedder.fingerprint,
        seconds=time.monotonic() - started,
        embedder_seconds=teacher.seconds,
    )


def _crf(reader: LinrReader) -> float:
    """The rate factor that the encoder wrote down, which says what a bit is worth."""
    try:
        found = _CRF.search(reader.encoder_settings or "")
    except DamagedFileError:
        found = None
    return min(51.0, float(found[1])) if found else DEFAULT_CRF


def _copy(reader: LinrReader, path: Path, writer: LinrWriter, dropped: list[bool]) -> None:
    """Every chunk in its order; `dropped`: which of the heads are left out."""
    segment = head = 0
    source = Source(path)
    try:
        for chunk in reader.chunks():
            if chunk.kind == SEGM:
                entry = reader.segments[segment]
                frames = slice(entry.first_frame, entry.first_frame + entry.frame_count)
                writer.add_segment(reader.read_segment(segment), reader.pts[frames], reader.durations[frames])
                segment += 1
            elif is_critical(chunk.kind) or (chunk.kind == SEMANTIC_LATENTS and dropped[(head := head + 1) - 1]):
                continue
            elif not chunk.crc_ok:
                raise DamagedFileError(
                    f"{path}: {chunk.kind} at byte {chunk.offset}: the checksum does not match; nothing was changed"
                )
            else:
                with tempfile.TemporaryFile() as kept:
                    _extract(source, chunk.offset, kept)
                    writer.add_ancillary(chunk.kind, kept)
    finally:
        source.close()


def _extract(source: Source, offset: int, target: BinaryIO) -> None:
    header = read_header(source, offset)
    for block in source.blocks(header.start, header.size):
        target.write(block)
    target.seek(0, os.SEEK_SET)
