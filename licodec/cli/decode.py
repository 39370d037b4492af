"""`licodec decode`"""

from __future__ import annotations

from dataclasses import asdict
from fractions import Fraction
from typing import Any

import click

from licodec.cli import options, progress, values
from licodec.cli.verify import problem_fields
from licodec.errors import DamagedFileError


@click.command()
@click.argument("input", type=click.Path())
@click.argument("output", type=click.Path(allow_dash=True), required=False)
@click.option("--scale", type=values.SCALE, help="Times the native size: 2, 1.5, 3/2.")
@click.option("--size", type=values.WIDTH_HEIGHT, help="Size in pixels: 1921x1081.")
@click.option("--fps", type=values.FRAME_RATE, help="Frames a second: 60, 30000/1001.  [default: as in the file]")
@click.option("--at", type=values.TIME, multiple=True, help="Only the picture at 1.25, 1:30, 90s.  [repeatable]")
@click.option("--start", type=values.TIME, help="Leave out what is before this time.")
@click.option("--duration", type=values.LENGTH, help="Leave out what is after so much time.")
@click.option("--roi", type=values.RECTANGLE, help="Only this rectangle, in pixels of the native size.")
@options.compute
@click.option("--codec", help="FFmpeg's encoder of a video file: h264, av1, ffv1.  [default: what fits]")
@click.option("--crf", type=values.OUTPUT_CRF, help="Quality of that encoder.  [default: visually lossless]")
@click.option("--no-audio", is_flag=True, help="Leave out audio and subtitles.")
@click.option(
    "--salvage",
    is_flag=True,
    help="Show what is left of a damaged file: the last picture before a gap stays; the exit status is 3.",
)
@options.limits
@options.overwrite
@options.json_output
@options.quiet
def decode(
    *,
    input: str,
    output: str | None,
    at: tuple[Fraction, ...],
    no_audio: bool,
    limits: tuple[tuple[str, int], ...],
    overwrite: bool,
    as_json: bool,
    quiet: bool,
    **settings: Any,
) -> None:
    """Decode a .linr file at any size and any time.

    OUTPUT is a video file (.mp4, .mkv, .mov, .webm), a pattern such as 'frames/%05d.png' or a directory
    ending in / for numbered pictures, one .png, a .y4m file, - for y4m on standard output, or null: to throw
    the frames away. Without it, in.linr becomes in.mp4 in the same directory.

    \b
      licodec decode out.linr
      licodec decode out.linr big.mp4 --scale 2 --fps 60
      licodec decode out.linr 'frames/%05d.png' --at 1.25 --size 1921x1081
      licodec decode out.linr - | ffplay -
    """
    _check(output, at, as_json, settings)
    with progress.reporter("decode", as_json=as_json, quiet=quiet) as report:
        from licodec.decoder import DecodeSettings
        from licodec.decoder import decode as run

        wanted = DecodeSettings(at=at, copy_streams=not no_audio, limits=options.read_limits(limits), **settings)
        done = run(input, output, wanted, overwrite=overwrite, progress=report.progress)
        for warning in (*done.warnings, *(f"{input}: {problem}" for problem in done.problems)):
            report.warn(warning)
        rate = f" ({done.frames / done.seconds:.1f} frames/s)" if done.seconds else ""
        report.result(
            f"{done.path}: {done.frames} frame(s) of {done.width}x{done.height} "
            f"in {progress.clock_time(done.seconds)}{rate}",
            asdict(done) | {"problems": [problem_fields(problem) for problem in done.problems]},
        )
    if done.problems:
        raise DamagedFileError(
            f"{input}: {len(done.problems)} fault(s); {done.stood_in} of {done.frames} frame(s) stand in for lost ones"
        )


def _check(output: str | None, at: tuple[Fraction, ...], as_json: bool, settings: dict[str, Any]) -> None:
    """Refuse options that contradict each other."""
    if settings["scale"] and settings["size"]:
        raise click.UsageError("--scale and --size contradict each other: give one of them")
    for name in ("fps", "start", "duration"):
        if at and settings[name] is not None:
            raise click.UsageError(f"--at and --{name} contradict each other: give one of them")
    if output == "-" and as_json:
        raise click.UsageError("--json needs standard output for itself: give another OUTPUT than -")
