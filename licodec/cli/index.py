"""`licodec index`"""

from __future__ import annotations

import time
from dataclasses import asdict

import click

from licodec.cli import options, progress


@click.command()
@click.argument("directory", type=click.Path())
@click.option("--rebuild", is_flag=True, help="Start from nothing.")
@click.option(
    "--backend",
    type=click.Choice(("numpy", "lance")),
    help="What searches: memory, or a table of LanceDB, for libraries that outgrow memory (needs licodec[index]); "
    "the hits are the same.  [default: as before, at first numpy]",
)
@options.limits
@options.json_output
@options.quiet
def index(
    *,
    directory: str,
    rebuild: bool,
    backend: str | None,
    limits: tuple[tuple[str, int], ...],
    as_json: bool,
    quiet: bool,
) -> None:
    """Keep an index of the .linr files below a directory, so that 'licodec search QUERY DIRECTORY' is fast.

    New, changed and deleted files are noticed. What was done is kept when it is interrupted. The index is
    DIRECTORY/.licodec-index.sqlite; it can be deleted at any time, as everything in it is in the files.
    """
    with progress.reporter("index", as_json=as_json, quiet=quiet) as report:
        from licodec.fit.settings import Progress
        from licodec.semantics import Library

        started = time.monotonic()

        def tell(done: int, files: int) -> None:
            elapsed = time.monotonic() - started
            report.progress(
                Progress("index", 0, 1, done, files, None, None, elapsed, elapsed * (files - done) / max(done, 1))
            )

        with Library(directory, backend=backend, rebuild=rebuild) as library:
            done = library.update(limits=options.read_limits(limits), progress=tell)
            heads = library.fingerprints()
            if library.backend == "lance":
                for fingerprint in heads:
                    library.store(fingerprint)
            else:
                library.remove_table()
        for problem in done.problems:
            report.warn(problem)
        report.result(
            f"{directory}: {done.files} files, {done.vectors} vectors of {len(heads)} embedder(s); "
            f"{done.added} added, {done.changed} changed, {done.removed} removed, {done.unchanged} unchanged",
            {
                "directory": directory,
                **asdict(done),
                "embedders": [asdict(head) for head in heads],
                "backend": library.backend,
            },
        )
