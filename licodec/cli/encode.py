"""`licodec encode`"""

from __future__ import annotations

from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import click

from licodec.cli import options, progress, values

PRESETS = ("ultrafast", "fast", "medium", "slow", "placebo")
TARGETS = {"crf": "--crf", "bitrate": "--bitrate", "target_size": "--target-size", "target_psnr": "--target"}


@click.command()
@click.argument("input", type=click.Path())
@click.argument("output", type=click.Path())
@click.option(
    "--preset",
    type=click.Choice(PRESETS),
    default="medium",
    show_default=True,
    help="Time to spend: a slower one makes a smaller file of the same quality.",
)
@click.option(
    "--crf",
    type=values.CRF,
    help="Quality from 0 to 51, lower is better.  [default: 28, unless there is another target]",
)
@click.option("--bitrate", type=values.BITRATE, help="Bits a second on average: 800k, 1.5M.")
@click.option("--target-size", type=values.SIZE, help="Bytes of the whole file: 2M, 500k, 1.5MiB.")
@click.option("--target", "target_psnr", type=values.TARGET, help="Quality to reach: psnr=38.")
@click.option(
    "--max-time",
    type=values.LENGTH,
    help="Be done after this time: 90s, 5m, 1h30m (a target that takes more passes than most takes longer).",
)
@click.option(
    "--profile",
    type=click.Choice(["default", "paper"]),
    default="default",
    show_default=True,
    help="Model; 'paper' is Latent-INR as published, for comparison.",
)
@click.option(
    "--keyint",
    type=values.COUNT,
    default=250,
    show_default=True,
    help="Longest segment in frames: shorter ones seek faster, longer ones are smaller.",
)
@click.option("--group", type=values.COUNT, help="Frames between anchors.  [default: chosen]")
@click.option("--no-audio", is_flag=True, help="Leave out audio and subtitles.")
@options.semantics("Make the file searchable by meaning: builtin, hf:/path, open_clip:local-dir:/path, onnx:/dir.")
@options.weight
@options.compute
@click.option("--seed", type=values.SEED, default=0, show_default=True, help="Random seed.")
@click.option("--resume", is_flag=True, help="Continue an encode that was interrupted.")
@options.limits
@options.overwrite
@options.json_output
@options.quiet
def encode(
    *,
    input: str,
    output: str,
    max_time: Fraction | None,
    no_audio: bool,
    resume: bool,
    limits: tuple[tuple[str, int], ...],
    overwrite: bool,
    as_json: bool,
    quiet: bool,
    **settings: Any,
) -> None:
    """Encode a video into a .linr file.

    INPUT is whatever FFmpeg reads, a directory of pictures or a pattern such as 'frames/%05d.png', or - for
    standard input. At most one of --crf, --bitrate, --target-size and --target can be given.

    \b
      licodec encode in.mp4 out.linr
      licodec encode in.mp4 out.linr --preset slow --crf 24
      licodec encode in.mp4 out.linr --bitrate 800k --max-time 10m
    """
    given = [option for name, option in TARGETS.items() if settings[name] is not None]
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join(given)} cannot be met at once: give one of them")
    with progress.reporter("encode", as_json=as_json, quiet=quiet) as report:
        from licodec.encoder import EncodeSettings
        from licodec.encoder import encode as run

        wanted = EncodeSettings(
            max_time=None if max_time is None else float(max_time),
            copy_streams=not no_audio,
            limits=options.read_limits(limits),
            **settings,
        )
        try:
            done = run(input, output, wanted, overwrite=overwrite, resume=resume, progress=report.progress)
        except KeyboardInterrupt:
            if Path(f"{output}.resume").exists():
                report.warn(f"what was done is kept in {output}.resume: the same command and --resume go on")
            raise
        for warning in done.warnings:
            report.warn(warning)
        kbps = done.bytes * 8 / done.duration / 1000 if done.duration else None
        rate = "" if kbps is None else f", {kbps:.1f} kb/s"
        quality = f"PSNR Y {done.psnr_y:.2f} YUV {done.psnr_yuv:.2f} dB at crf {done.crf:.3g}"
        meaning = ""
        if done.semantics_cosine is not None:
            meaning = f", vectors {done.semantics_bytes:,} bytes at cosine {done.semantics_cosine:.4f}"
        report.result(
            f"{done.path}: {done.frames} frames in {done.segments} segment(s), {done.bytes:,} bytes, "
            f"{done.bpp:.4f} bpp{rate}, {quality}{meaning}, in {progress.clock_time(done.seconds)}",
            {**asdict(done), "kbps": kbps},
        )
