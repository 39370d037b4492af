"""`licodec realign`"""

from __future__ import annotations

from dataclasses import asdict

import click

from licodec.cli import options, progress


@click.command()
@click.argument("file", type=click.Path())
@click.argument("output", type=click.Path(), required=False)
@options.semantics(
    "builtin, hf:/path, open_clip:local-dir:/path, open_clip:ARCH/PRETRAINED or onnx:/dir.", required=True
)
@options.weight
@options.compute
@options.limits
@options.overwrite
@options.json_output
@options.quiet
def realign(
    *,
    file: str,
    output: str | None,
    semantics: str,
    semantics_weight: float | None,
    device: str,
    threads: int | None,
    limits: tuple[tuple[str, int], ...],
    overwrite: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Make a .linr file searchable by meaning, without touching its video.

    The decoded frames are shown to the embedder, and a head is fitted that gives its vectors. A file may have
    heads of several embedders; one of the same embedder is replaced. Without OUTPUT the file itself is replaced,
    at once or not at all.

    \b
      licodec realign out.linr --semantics builtin
      licodec realign out.linr aligned.linr --semantics hf:/models/clip-vit-base-patch32
    """
    with progress.reporter("realign", as_json=as_json, quiet=quiet) as report:
        from licodec.runtime import pick_device, use_threads
        from licodec.semantics import open_embedder
        from licodec.semantics import realign as run

        allowed = options.read_limits(limits)
        use_threads(threads)
        done = run(
            file,
            open_embedder(semantics, pick_device(device)),
            output,
            weight=semantics_weight,
            overwrite=overwrite,
            limits=allowed,
            progress=report.progress,
        )
        report.result(
            f"{done.path}: {done.fingerprint}: {done.head_bytes:,} of {done.bytes:,} bytes, "
            f"cosine {done.cosine:.4f}, {done.heads} head(s), in {progress.clock_time(done.seconds)}",
            asdict(done),
        )
