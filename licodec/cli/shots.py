"""`licodec shots`"""

from __future__ import annotations

from dataclasses import asdict

import click

from licodec.cli import options, progress
from licodec.cli.console import say


@click.command()
@click.argument("file", type=click.Path())
@options.limits
@options.json_output
def shots(*, file: str, limits: tuple[tuple[str, int], ...], as_json: bool) -> None:
    """List the shots of a .linr file, with the cuts and fades between them, from its latents alone."""
    with progress.reporter("shots", as_json=as_json, quiet=True) as report:
        from licodec.semantics import shots as run

        found = run(file, limits=options.read_limits(limits))
        report.result("", {"path": file, "shots": [asdict(shot) for shot in found]})
    if not as_json:
        lines = ["   first    last      start        end  begins with"]
        lines += [f"{s.first:8}{s.last:8}{s.start:9.3f} s{s.end:9.3f} s  {s.begins_with}" for s in found]
        say("\n".join(lines))
