"""`licodec compare`"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from licodec.cli import options, progress
from licodec.cli.console import say
from licodec.errors import UsageError

if TYPE_CHECKING:
    from licodec.cli.progress import Reporter
    from licodec.container import Limits
    from licodec.metrics.compare import Comparison
    from licodec.video.info import Frame

LABELS = {
    "psnr_y": "PSNR Y",
    "psnr_u": "PSNR U",
    "psnr_v": "PSNR V",
    "psnr_yuv": "PSNR 6:1:1",
    "psnr_r": "PSNR R",
    "psnr_g": "PSNR G",
    "psnr_b": "PSNR B",
    "psnr_rgb": "PSNR RGB",
}


@click.command()
@click.argument("reference", type=click.Path(allow_dash=True))
@click.argument("file", type=click.Path())
@click.option(
    "--plot",
    type=click.Path(),
    help="Where the plot of every frame's PSNR goes.  [default: FILE with .compare.png for its suffix]",
)
@click.option("--no-plot", is_flag=True, help="Draw no plot.")
@click.option("--frames", type=click.Path(), help="Write the worst frame here, its reference and error beside it.")
@options.limits
@options.overwrite
@options.json_output
@options.quiet
def compare(
    *,
    reference: str,
    file: str,
    plot: str | None,
    no_plot: bool,
    frames: str | None,
    limits: tuple[tuple[str, int], ...],
    overwrite: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure a .linr file against the video it was made of.

    PSNR is the mean over the frames, in dB, and at most 100; 6:1:1 is (6 Y + U + V) / 8. RGB is 8 bit with
    repeated chroma, as papers on implicit codecs measure it. SSIM and MS-SSIM are those of luma.
    """
    plot_path = None if no_plot else Path(plot) if plot else Path(file).with_suffix(".compare.png")
    frames_path = Path(frames) if frames else None
    if frames_path and reference == "-":
        raise click.UsageError("--frames reads the reference twice: give a file instead of -")
    # Long: its progress is told, but not as JSON, where one line is promised.
    with progress.reporter("compare", as_json=as_json, quiet=quiet) as report:
        _check_outputs([path for path in (plot_path, frames_path) if path], (reference, file), overwrite)
        allowed = options.read_limits(limits)
        comparison, size = _measure(reference, file, allowed, None if as_json else report)
        fields = _fields(comparison, size, reference, file)
        if plot_path:
            from licodec.metrics.plot import plot_frames

            title = f"{Path(file).name}, {fields['bpp']:.4f} bpp"
            _save(plot_path, overwrite, lambda path: plot_frames(comparison, path, title=title))
        if frames_path:
            picture = _worst_picture(reference, file, allowed, fields["worst_frame"])
            _save(frames_path, overwrite, picture)
        fields |= {"plot": plot_path, "frames_picture": frames_path}
        if as_json:
            report.result("", fields)
    if not as_json:
        say("\n".join(_text(fields)))


def _check_outputs(paths: list[Path], inputs: tuple[str, str], overwrite: bool) -> None:
    """Refuse what could not be written, before anything is measured."""
    from licodec.video.output import PartFile
    from licodec.video.sink import same_file

    for path in paths:
        if any(same_file(source, path) for source in inputs):
            raise UsageError(f"{path}: is an input: choose another name for the picture")
        PartFile(path, overwrite=overwrite).discard()


def _measure(reference: str, file: str, limits: Limits, report: Reporter | None) -> tuple[Comparison, int]:
    """The comparison, and the bytes of the file."""
    from licodec.api import open as open_linr
    from licodec.metrics.compare import compare_frames
    from licodec.video.source import open_source

    with open_source(reference) as source, open_linr(file, limits=limits) as video:
        about = video.metadata
        decoded: Iterable[Frame] = video.frames()
        if report:
            decoded = _watched(decoded, about.num_frames, report)
        comparison = compare_frames(source.frames(), decoded, source.info, about.info)
    return comparison, about.size_bytes


def _watched(frames: Iterable[Frame], count: int, report: Reporter) -> Iterator[Frame]:
    """The frames, telling how far they are."""
    from licodec.encoder import Progress

    start = time.monotonic()
    for number, frame in enumerate(frames, 1):
        yield frame
        elapsed = time.monotonic() - start
        eta = elapsed / number * (count - number)
        report.progress(Progress("compare", 0, 1, number, count, None, None, elapsed, eta))


def _worst_picture(reference: str, file: str, limits: Limits, number: int) -> Callable[[Path], None]:
    """Both videos' frame of that number side by side; call the result with the path to write."""
    from licodec.api import open as open_linr
    from licodec.metrics.compare import shown_rgb
    from licodec.metrics.plot import save_png, side_by_side
    from licodec.video.source import open_source

    with open_source(reference) as source, open_linr(file, limits=limits) as video:
        both = (next(islice(frames, number, None)) for frames in (source.frames(), video.frames()))
        expected, got = (shown_rgb(frame, source.info) for frame in both)
    picture = side_by_side(expected, got)
    return lambda path: save_png(picture, path)


def _save(path: Path, overwrite: bool, draw: Callable[[Path], None]) -> None:
    """Let `draw` make a file, which appears at `path` only when it is complete."""
    from licodec.video.output import PartFile

    part = PartFile(path, overwrite=overwrite)
    try:
        with tempfile.TemporaryDirectory() as folder:
            draft = Path(folder) / "picture.png"
            draw(draft)
            part.file.write(draft.read_bytes())
        part.commit()
    finally:
        part.discard()


def _fields(comparison: Comparison, size: int, reference: str, file: str) -> dict[str, Any]:
    """Everything that is told, under the names of `--json`."""
    from licodec.metrics.compare import bits_per_pixel

    rgb = comparison.psnr("rgb")
    worst = int(rgb.argmin())
    return {
        "reference": reference,
        "path": file,
        "bytes": size,
        "bpp": bits_per_pixel(size, comparison.info, comparison.frames),
        **comparison.summary(),
        "worst_frame": worst,
        "worst_frame_time": float(comparison.times[worst]),
        "worst_frame_psnr_rgb": float(rgb[worst]),
    }


def _text(fields: dict[str, Any]) -> Iterator[str]:
    """The same for people."""
    yield f"{fields['path']} against {fields['reference']}: {fields['frames']} frames"
    yield f"  {'bits':<12}{fields['bpp']:.4f} bpp, {fields['bytes']:,} bytes"
    for key, label in LABELS.items():
        if key in fields:
            yield f"  {label:<12}{fields[key]:.2f} dB"
    yield f"  {'SSIM':<12}{fields['ssim']:.4f}"
    yield f"  {'MS-SSIM':<12}{fields['ms_ssim']:.4f}"
    yield (
        f"  {'worst frame':<12}{fields['worst_frame']} at {fields['worst_frame_time']:.3f} s, "
        f"PSNR RGB {fields['worst_frame_psnr_rgb']:.2f} dB"
    )
    for key, label in (("plot", "plot"), ("frames_picture", "frames")):
        if fields[key]:
            yield f"  {label:<12}{fields[key]}"
