"""`licodec info`"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeVar

import click

from licodec.cli import names, options, progress
from licodec.cli.console import say
from licodec.errors import DamagedFileError

if TYPE_CHECKING:
    from licodec.container import LinrReader

T = TypeVar("T")


@click.command()
@click.argument("file", type=click.Path())
@click.option("--chunks", is_flag=True, help="List every chunk of the file too, with its checksum checked.")
@options.limits
@options.json_output
def info(file: str, chunks: bool, limits: tuple[tuple[str, int], ...], as_json: bool) -> None:
    """Show what a .linr file holds."""
    with progress.reporter("info", as_json=as_json, quiet=True) as report:
        from licodec.container import LinrReader

        with LinrReader(file, options.read_limits(limits)) as reader:
            fields = {"path": file, **describe(reader)}
            if chunks:
                fields["chunks"] = [vars(chunk) | {"critical": chunk.critical} for chunk in reader.chunks()]
        report.result("", fields)
    if not as_json:
        say("\n".join(_text(fields)))


def describe(reader: LinrReader) -> dict[str, Any]:
    """Everything that `info` tells, under the names of `--json`."""
    from licodec.model.config import profile_name

    video = reader.info
    first, end = reader.pts[0], reader.pts[-1] + reader.durations[-1]
    frames, duration = len(reader.pts), (end - first) * video.time_base
    steps = {b - a for a, b in zip(reader.pts, [*reader.pts[1:], end], strict=True)}
    pixels = video.width * video.height
    problems: list[str] = []
    return {
        "bytes": reader.size,
        "width": video.width,
        "height": video.height,
        "chroma": video.chroma,
        "bit_depth": video.bit_depth,
        "sample_aspect": video.sample_aspect,
        "rotation": video.rotation,
        "primaries": names.name(names.PRIMARIES, video.primaries),
        "transfer": names.name(names.TRANSFER, video.transfer),
        "matrix": names.name(names.MATRIX, video.matrix),
        "range": "full" if video.full_range else "limited",
        "chroma_location": names.name(names.CHROMA_LOCATION, video.chroma_location),
        "time_base": video.time_base,
        "frames": frames,
        "start": float(first * video.time_base),
        "duration": float(duration),
        "variable_frame_rate": len(steps) > 1,
        "frame_rate": frames / duration,
        "fps": float(frames / duration),
        "bpp": 8 * reader.size / (pixels * frames),
        "kbps": float(8 * reader.size / duration / 1000),
        "profile": profile_name(reader.conf),
        "encoder_settings": _try(lambda: reader.encoder_settings, None, problems),
        "segments": list(_segments(reader)),
        "streams": _try(lambda: _streams(reader), list[dict[str, Any]](), problems),
        "semantics": _try(lambda: _semantics(reader), list[dict[str, Any]](), problems),
        "problems": problems,
    }


def _try(read: Callable[[], T], otherwise: T, problems: list[str]) -> T:
    """Damage in what no picture needs must not hide the rest."""
    try:
        return read()
    except DamagedFileError as error:
        problems.append(str(error))
        return otherwise


def _segments(reader: LinrReader) -> Iterator[dict[str, Any]]:
    base, pixels = reader.info.time_base, reader.info.width * reader.info.height
    for entry in reader.segments:
        start = reader.pts[entry.first_frame]
        last = entry.first_frame + entry.frame_count - 1
        yield {
            "first_frame": entry.first_frame,
            "frames": entry.frame_count,
            "start": float(start * base),
            "duration": float((reader.pts[last] + reader.durations[last] - start) * base),
            "offset": entry.offset,
            "bytes": entry.length,
            "bpp": 8 * entry.length / (pixels * entry.frame_count),
        }


def _streams(reader: LinrReader) -> list[dict[str, Any]]:
    from licodec.container import AUDIO_SUBTITLES

    blobs = reader.ancillary(AUDIO_SUBTITLES)
    if not blobs:
        return []
    from licodec.video.streams import streams_in

    return [vars(stream) for blob in blobs for stream in streams_in(blob)]


def _semantics(reader: LinrReader) -> list[dict[str, Any]]:
    from licodec.container import DEFAULT_LIMITS
    from licodec.semantics.track import readers

    return [
        vars(chunk.fingerprint) | {"components": chunk.components} for chunk in readers(reader, DEFAULT_LIMITS, "semL")
    ]


def _text(fields: dict[str, Any]) -> Iterator[str]:
    """The same for people."""
    yield fields["path"]
    for label, text in _summary(fields):
        yield f"  {label:<10}{text}"
    yield from _table(
        "segments",
        ("first", "frames", "start", "duration", "offset", "bytes", "bpp"),
        [
            (
                str(s["first_frame"]),
                str(s["frames"]),
                f"{s['start']:.3f} s",
                f"{s['duration']:.3f} s",
                str(s["offset"]),
                f"{s['bytes']:,}",
                f"{s['bpp']:.4f}",
            )
            for s in fields["segments"]
        ],
    )
    if "chunks" in fields:
        yield from _table(
            "chunks",
            ("type", "offset", "bytes", "critical", "checksum"),
            [
                (
                    chunk["kind"],
                    str(chunk["offset"]),
                    f"{chunk['length']:,}",
                    "yes" if chunk["critical"] else "no",
                    "ok" if chunk["crc_ok"] else "WRONG",
                )
                for chunk in fields["chunks"]
            ],
        )


def _summary(fields: dict[str, Any]) -> Iterator[tuple[str, str]]:
    subsampling = {"gray": "gray", "rgb": "RGB"}.get(fields["chroma"], f"YCbCr {':'.join(fields['chroma'])}")
    shape = f"{fields['width']}x{fields['height']}, {subsampling}, {fields['bit_depth']} bit"
    if fields["sample_aspect"] != 1:
        shape += f", sample aspect {_colon(fields['sample_aspect'])}"
    if fields["rotation"]:
        shape += f", turned by {fields['rotation']} degrees"
    yield "picture", shape
    yield (
        "colour",
        f"primaries {fields['primaries']}, transfer {fields['transfer']}, matrix {fields['matrix']}, "
        f"{fields['range']} range, chroma {fields['chroma_location']}",
    )
    kind = "variable, on average" if fields["variable_frame_rate"] else "constant,"
    yield "frames", f"{fields['frames']} in {fields['duration']:.3f} s from {fields['start']:.3f} s on"
    yield "rate", f"{kind} {fields['fps']:.6g} frames/s ({fields['frame_rate']})"
    yield "profile", fields["profile"]
    yield "size", f"{fields['bytes']:,} bytes, {fields['bpp']:.4f} bpp, {fields['kbps']:.1f} kb/s"
    for stream in fields["streams"]:
        parts = (stream["codec"], stream["language"], stream["title"])
        yield stream["kind"], ", ".join(part for part in parts if part) + _sound(stream)
    for head in fields["semantics"]:
        yield (
            "semantics",
            (
                f"{head['provider']} {head['architecture']}, {head['components']} of {head['dimension']} components, "
                f"weights {head['weights'][:12]}"
            ),
        )
    if fields["encoder_settings"]:
        yield "encoder", " ".join(fields["encoder_settings"].split())
    for problem in fields["problems"]:
        yield "damaged", problem


def _sound(stream: dict[str, Any]) -> str:
    return f", {stream['sample_rate']} Hz, {stream['channels']} channel(s)" if stream["sample_rate"] else ""


def _colon(value: Fraction) -> str:
    return f"{value.numerator}:{value.denominator}"


def _table(title: str, head: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    yield f"  {title}"
    for row in (head, *rows):
        yield "    " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
