"""`licodec similar`"""

from __future__ import annotations

from dataclasses import asdict

import click

from licodec.cli import options, progress
from licodec.cli.console import say


@click.command()
@click.argument("files", type=click.Path(), nargs=-1, required=True)
@options.limits
@options.json_output
def similar(*, files: tuple[str, ...], limits: tuple[tuple[str, int], ...], as_json: bool) -> None:
    """Find near-duplicates and sub-clips among .linr files, from their latents alone.

    Two stretches match if they go through the same meanings in the same order at the same pace: a file encoded
    anew, scaled, or cut out of another one.
    """
    with progress.reporter("similar", as_json=as_json, quiet=True) as report:
        from licodec.semantics import similar as run

        found = run(files, limits=options.read_limits(limits))
        matches = [asdict(m) | {"first": str(m.first), "second": str(m.second)} for m in found]
        report.result("", {"files": list(files), "matches": matches})
    if not as_json:
        lines = [
            f"{m.kind:<10} {m.similarity:.3f}  {m.duration:8.2f} s  "
            f"{m.first} from {m.first_start:.2f} s, {m.second} from {m.second_start:.2f} s"
            for m in found
        ]
        say("\n".join(lines) or "nothing alike")
