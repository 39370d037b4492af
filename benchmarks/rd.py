"""Measure rate, distortion and time of codecs on clips.

    python -m benchmarks.rd --codecs licodec,licodec-paper,x264,x265,svtav1,nerv,hnerv --out results
    python -m benchmarks.rd --suite path/to/UVG --codecs licodec-fast,x265 --out results

Every point is a real encode into a file, decoded again from that file, and appended to OUT/NAME.jsonl at
once: a run that is broken off goes on where it was. Tables (NAME.md) and plots (NAME-CLIP.png) are written at
the end.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import codecs, results
from benchmarks.clips import SUITE, Clip, Prepared, clips_of, prepare
from benchmarks.report import write_report
from licodec.errors import LicodecError, UsageError
from licodec.metrics.compare import bits_per_pixel, compare_frames
from licodec.video.source import open_source

QUICK_CLIPS = {"bunny-720p": (320, 640), "carphone": None}
"""Clips of the suite, with the crops that are cut from them."""
QUICK_FRAMES = 9
QUICK_SECONDS = 4.0
"""Wall time of each encode by licodec, NeRV and HNeRV."""
QUICK_POINTS = 4


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status."""
    options = _parser().parse_args(arguments)
    try:
        hold_to(codecs.THREADS)
        points = dict(_points(text) for text in options.points)
        chosen = [codecs.codec(name, points.get(name, ()), options.peer_time) for name in options.codecs.split(",")]
        if options.quick:
            chosen = [codecs.quick(codec, QUICK_SECONDS, QUICK_POINTS) for codec in chosen]
        clips = _clips(options)
        # Clips of a few frames have no place in the means of whole ones.
        jsonl = options.out / f"{options.name or ('quick' if options.quick else 'rd')}.jsonl"
        run = results.command_line("rd", arguments)
        for clip in clips:
            measure_missing(prepare(clip, options.work / "clips"), chosen, jsonl, options.work, run, options.redo)
        for path in write_report(jsonl):
            print(path)
    except LicodecError as error:
        print(f"benchmarks.rd: {error}", file=sys.stderr)
        return error.exit_status
    return 0


def measure_missing(
    clip: Prepared, chosen: Sequence[codecs.Codec], jsonl: Path, work: Path, run: str, redo: bool = False
) -> None:
    """Measure what has no line yet (all with `redo`), appending each result as soon as it is known."""
    for codec in chosen:
        done = set() if redo else {result.key for result in results.read(jsonl)}
        for point in codec.points:
            if (clip.name, clip.digest, codec.name, codec.preset, point) not in done:
                result = measure(clip, codec, point, work, run)
                results.append(jsonl, result)
                print(_line(result), file=sys.stderr)


def measure(clip: Prepared, codec: codecs.Codec, point: float, work: Path, run: str) -> results.Result:
    """Encode, decode from the file, compare."""
    folder = work / "encoded"
    folder.mkdir(parents=True, exist_ok=True)
    encoded = codec.encode(clip.path, folder, point)
    decoded = codec.decode(encoded.path, folder)
    with open_source(clip.path) as reference, open_source(decoded) as test:
        comparison = compare_frames(reference.frames(), test.frames(), reference.info, test.info)
    if decoded != encoded.path:
        decoded.unlink()
    return results.Result(
        clip=clip.name,
        digest=clip.digest,
        codec=codec.name,
        preset=codec.preset,
        point=point,
        width=clip.info.width,
        height=clip.info.height,
        frames=clip.frames,
        bytes=encoded.size,
        file_bytes=encoded.path.stat().st_size,
        bpp=bits_per_pixel(encoded.size, clip.info, clip.frames),
        encode_seconds=round(encoded.seconds, 3),
        encode_cpu_seconds=round(encoded.cpu_seconds, 3),
        metrics={name: round(value, 6) for name, value in comparison.summary().items()},
        command=encoded.command,
        run=run,
        machine=results.machine(),
        versions=results.versions(),
        commit=results.commit(),
    )


def _line(result: results.Result) -> str:
    return (
        f"{result.clip} {result.label} {result.point:g}: {result.bpp:.4f} bpp, "
        f"{result.metrics['psnr_rgb']:.2f} dB RGB, {result.encode_seconds:.1f} s"
    )


def hold_to(cpus: int) -> None:
    """Give every codec the same CPUs, licodec's own processes included: they inherit this."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cpus])


def _clips(options: argparse.Namespace) -> list[Clip]:
    only = options.clips.split(",") if options.clips else []
    if not options.quick:
        return clips_of(options.suite, options.crop, options.frames, only=only)
    frames = options.frames or QUICK_FRAMES
    if only or options.crop or options.suite != SUITE:
        return clips_of(options.suite, options.crop, frames, only=only)
    return [clip for name, crop in QUICK_CLIPS.items() for clip in clips_of(SUITE, crop, frames, only=[name])]


def _points(text: str) -> tuple[str, tuple[float, ...]]:
    name, _, values = text.partition("=")
    try:
        return name, tuple(float(value) for value in values.split(","))
    except ValueError:
        raise UsageError(f"--points {text}: expected CODEC=CRF,CRF,...") from None


def _size(text: str) -> tuple[int, int]:
    rows, _, columns = text.partition("x")
    return int(rows), int(columns)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "benchmarks.rd", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--suite", default=SUITE, help=f"'{SUITE}', or a folder of .y4m, .yuv (named as in UVG) or .mp4 files"
    )
    parser.add_argument("--clips", help="only these clips of it, by name, separated by commas")
    parser.add_argument(
        "--codecs",
        default="x264,x265,svtav1",
        help="x264, x265, svtav1, licodec, each with -PRESET if wanted; nerv, hnerv; licodec, nerv and hnerv with a "
        "time limit if wanted: licodec-slow-60s, hnerv-300s",
    )
    parser.add_argument(
        "--points",
        action="append",
        default=[],
        metavar="CODEC=CRF,CRF,...",
        help="own settings (nerv, hnerv: bits a pixel)",
    )
    parser.add_argument(
        "--peer-time",
        type=float,
        default=codecs.PEER_SECONDS,
        metavar="SECONDS",
        help=f"wall time of each encode by nerv and hnerv where none is stated; default {codecs.PEER_SECONDS:g}",
    )
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="folder of the results")
    parser.add_argument("--name", help="stem of the files in it; default rd, or quick with --quick")
    parser.add_argument("--work", type=Path, default=Path("build/benchmarks"), help="folder of clips and encodes")
    parser.add_argument("--crop", type=_size, metavar="ROWSxCOLUMNS", help="cut this from the centre of every clip")
    parser.add_argument("--frames", type=int, help="encode only so many frames")
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"{QUICK_FRAMES} frames of two clips, {QUICK_POINTS} points, {QUICK_SECONDS:g} s each: within 5 minutes",
    )
    parser.add_argument("--redo", action="store_true", help="measure again what is there already")
    return parser


if __name__ == "__main__":
    sys.exit(main())
