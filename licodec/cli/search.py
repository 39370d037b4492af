"""`licodec search`"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import click

from licodec.cli import options, progress, values
from licodec.cli.console import say
from licodec.errors import LicodecError, UsageError

if TYPE_CHECKING:
    from licodec.container import Limits
    from licodec.semantics import Fingerprint, Hit
    from licodec.semantics.embedder import Picture, Vectors

Skip = Callable[[Path, LicodecError | None], None]


@click.command()
@click.argument("words", nargs=-1, metavar="[QUERY] FILE...")
@click.option("--image", type=click.Path(), help="Search for what this picture shows, instead of a text.")
@click.option("--like", metavar="FILE@TIME", help="Search for what a .linr file shows at a time: clip.linr@12.5.")
@options.semantics("Embedder of the query.  [default: builtin; none is needed with --like]")
@click.option("--count", "-n", type=values.COUNT, default=10, show_default=True, help="Most hits to tell.")
@click.option("--moments", type=values.COUNT, default=3, show_default=True, help="Most hits of one file.")
@click.option("--frames", type=values.COUNT, help="Write thumbnails of so many of the best hits.")
@click.option("--frames-to", type=click.Path(), default="hits", show_default=True, help="Directory for the thumbnails.")
@options.compute
@options.limits
@options.overwrite
@options.json_output
@options.quiet
def search(
    *,
    words: tuple[str, ...],
    image: str | None,
    like: str | None,
    semantics: str | None,
    count: int,
    moments: int,
    frames: int | None,
    frames_to: str,
    device: str,
    threads: int | None,
    limits: tuple[tuple[str, int], ...],
    overwrite: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Find moments in .linr files by a text, a picture or another moment.

    Only latents are read, no picture is rendered. A FILE that is a directory stands for all .linr files below it,
    through its index if 'licodec index' has made one. The score of a hit says by how many deviations it stands
    out from all frames that were searched.

    \b
      licodec search "a child on a bicycle" videos/*.linr
      licodec search "a bird" videos/ --frames 6
      licodec search --image photo.jpg videos/*.linr
      licodec search --like clip.linr@12.5 videos/*.linr
    """
    if image and like:
        raise click.UsageError("--image and --like contradict each other: give one of them")
    query, files = ("", words) if image or like else (words[0] if words else "", words[1:])
    if not files:
        raise click.UsageError("give a text and at least one file" if not (image or like) else "give at least one file")
    if not image and not like and not query.strip():
        raise click.UsageError("the text to search for is empty")
    with progress.reporter("search", as_json=as_json, quiet=quiet) as report:
        from licodec.runtime import pick_device, use_threads

        allowed = options.read_limits(limits)
        use_threads(threads)
        skipped: list[str] = []

        def skip(path: Path, error: LicodecError | None) -> None:
            skipped.append(str(path))
            report.warn(str(error) if error else f"{path}: has no vectors of this embedder; left out")

        if like:
            vector, fingerprint = _moment(like, semantics, files, allowed)
        else:
            from licodec.semantics import open_embedder
            from licodec.semantics.retrieval import query_vector

            wanted = _picture(image) if image else query
            embedder = open_embedder(semantics or "builtin", pick_device(device))
            vector, fingerprint = query_vector(wanted, embedder), embedder.fingerprint
        hits = _search(vector, fingerprint, files, allowed, skip, report.warn, count, moments)
        written = _thumbnails(hits[:frames], Path(frames_to), allowed, overwrite) if frames else []
        shown = "\n".join(f"{h.score:7.2f}  {h.start:9.2f} s  {h.end:9.2f} s  {h.path}" for h in hits)
        report.result(
            "",
            {
                "query": query or None,
                "image": image,
                "like": like,
                "embedder": asdict(fingerprint),
                "hits": [asdict(hit) | {"path": str(hit.path)} for hit in hits],
                "frames": written,
                "skipped": skipped,
            },
        )
    if not as_json:
        say(f"  score       start         end  file\n{shown}")


def _picture(path: str) -> Picture:
    """RGB of a picture's first frame."""
    from licodec.semantics.teacher import picture
    from licodec.video.source import open_source

    with open_source(path) as source:
        for frame in source.frames():
            return picture(frame.planes, source.info)
    raise UsageError(f"{path}: has no picture")


def _moment(like: str, semantics: str | None, files: tuple[str, ...], limits: Limits) -> tuple[Vectors, Fingerprint]:
    """The vector of a file at a time, under a head that the searched files have as well."""
    from licodec.semantics import fingerprints, tracks

    name, at, time = like.rpartition("@")
    if not at or not name:
        raise UsageError(f"--like {like}: is not FILE@TIME; example: --like clip.linr@12.5")
    try:
        seconds: Fraction = values.time(time)
    except ValueError as error:
        raise UsageError(f"--like {like}: {time!r} {error}") from None
    found = tracks(name, limits)
    if semantics:
        from licodec.semantics import open_embedder

        own = open_embedder(semantics).fingerprint
        found = [t for t in found if t.fingerprint == own]
    if not found:
        raise UsageError(f"{name}: has no semantic latents to compare; 'licodec realign' adds them")
    track = found[0]
    if len(found) > 1:
        others = [set(fingerprints(f, limits)) for f in files if Path(f).is_file()]
        track = max(found, key=lambda t: sum(t.fingerprint in other for other in others))
    if seconds >= track.end:
        raise UsageError(f"--like {like}: the video ends at {track.end:g} s")
    return track.at([float(seconds)])[0], track.fingerprint


def _search(
    vector: Vectors,
    fingerprint: Fingerprint,
    files: tuple[str, ...],
    limits: Limits,
    skip: Skip,
    warn: Callable[[str], None],
    count: int,
    moments: int,
) -> list[Hit]:
    from licodec.semantics.library import INDEX_NAME, SUFFIX, Library
    from licodec.semantics.retrieval import load, search_vector

    if len(files) == 1 and (Path(files[0]) / INDEX_NAME).is_file():
        with Library(files[0]) as library:
            if stale := library.stale():
                warn(f"{files[0]}: {stale} file(s) are new, changed or gone since the last 'licodec index {files[0]}'")
            return library.search(vector, fingerprint, count=count, moments=moments)
    paths: list[Path] = []
    for file in map(Path, files):
        paths += sorted(p for p in file.rglob(f"*{SUFFIX}") if p.is_file()) if file.is_dir() else [file]
    if not paths:
        raise UsageError(f"{files[0]}: there are no {SUFFIX} files in it")
    return search_vector(vector, load(paths, fingerprint, limits, skip), moments=moments)[:count]


def _thumbnails(hits: list[Hit], folder: Path, limits: Limits, overwrite: bool) -> list[str]:
    """The best frame of each hit, and a sheet of them."""
    from licodec.api import open as open_linr
    from licodec.metrics.plot import save_png, tile
    from licodec.semantics.teacher import picture

    sheet = folder / "sheet.png"
    paths = [folder / f"{i:02}-{hit.path.stem}-{hit.peak:.2f}s.png" for i, hit in enumerate(hits, 1)]
    if not overwrite and (taken := [path for path in (*paths, sheet) if path.exists()]):
        raise UsageError(f"{taken[0]}: exists; use -y to overwrite it")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: is not a directory")
    folder.mkdir(parents=True, exist_ok=True)
    pictures, labels = [], []
    for path, hit in zip(paths, hits, strict=True):
        with open_linr(hit.path, limits=limits) as video:
            shown = picture(video.planes(video.frame_at(hit.peak)), video.info)
        save_png(shown, path)
        pictures.append(_boxed(shown))
        labels.append(f"{hit.score:.1f}  {hit.path.stem}  {hit.start:.1f}-{hit.end:.1f} s")
    if pictures:
        save_png(tile(pictures, labels, columns=min(3, len(pictures))), sheet)
    return [str(path) for path in (*paths, sheet)]


def _boxed(shown: Picture) -> Picture:
    """A picture in a frame of 320x180, its own shape kept."""
    import cv2
    import numpy as np

    rows, columns = shown.shape[:2]
    share = min(180 / rows, 320 / columns)
    size = (max(1, round(columns * share)), max(1, round(rows * share)))
    small = cv2.resize(shown, size, interpolation=cv2.INTER_AREA if share < 1 else cv2.INTER_LINEAR)
    box = np.zeros((180, 320, 3), np.uint8)
    top, left = (180 - size[1]) // 2, (320 - size[0]) // 2
    box[top : top + size[1], left : left + size[0]] = small
    return box
