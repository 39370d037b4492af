"""Measure decoding at twice the size: clips are reduced by 2, encoded, decoded with `--scale 2`, and compared.

    python -m benchmarks.superres --out benchmarks/results
    python -m benchmarks.superres --quick

Clips are reduced by the area filter (means of 2 x 2 luma samples; chroma keeps its siting). What is compared with the
original, each at every rate factor: licodec's own `decode --scale 2`; licodec's decode at its own size, enlarged by
bicubic (Keys, a = -3/4) and by Lanczos kernels (OpenCV's, 8 taps) at the same positions; and x265 medium, with at least
as many bytes as licodec's file, enlarged by Lanczos. Every line is appended to OUT/NAME.jsonl at once; a run that is
broken off goes on where it was. The table and the pictures are written at the end.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import cv2
import numpy as np

from benchmarks import codecs, results
from benchmarks.clips import SUITE, Prepared, clips_of, prepare
from benchmarks.pictures import Rgb, crops, side_by_side
from benchmarks.results import read_rows
from licodec.errors import LicodecError
from licodec.metrics.compare import measured_rgb
from licodec.metrics.psnr import mean_squared_error, psnr, weighted_yuv
from licodec.model.geometry import from_working, to_working
from licodec.render.resample import Axis, View, centres, view_planes
from licodec.video.info import Frame, Plane, VideoInfo
from licodec.video.sink import open_sink
from licodec.video.source import open_source

CLIPS = ("bunny-720p", "bunny-640x1280", "bikes", "carphone")
CRFS = (20.0, 26.0, 32.0)
FRAMES = 33
QUICK_FRAMES = 5
OTHERS = ("bicubic", "Lanczos", "x265 + Lanczos")
GOAL = 0.5
_TRIES = 5
_NEAR = 1.03
"""x265 may have so many times as many bytes, and never less than as many."""

Pictures = Sequence[tuple[Plane, ...]]


@dataclass(frozen=True)
class Row:
    """One clip at one rate factor."""

    clip: str
    digest: str
    preset: str
    crf: float
    frames: int
    size: str
    """Of the reduced clip that was encoded."""
    bytes: int
    x265_bytes: int
    x265_crf: float
    coded: float
    """dB of the reduced frames, luma."""
    psnr_y: dict[str, float]
    """dB of the enlarged frames by method: luma, 6:1:1 of the planes, and RGB; means over the frames."""
    psnr_yuv: dict[str, float]
    psnr_rgb: dict[str, float]
    command: str
    run: str
    machine: str
    versions: str
    commit: str

    @property
    def key(self) -> tuple[str, str, str, float, int]:
        """What makes two rows the same."""
        return (self.clip, self.digest, self.preset, self.crf, self.frames)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status."""
    options = _parser().parse_args(arguments)
    frames = options.frames or (QUICK_FRAMES if options.quick else FRAMES)
    jsonl = options.out / f"{'superres-quick' if options.quick else 'superres'}.jsonl"
    run = results.command_line("superres", arguments)
    try:
        for name in options.clips.split(","):
            pictures: list[tuple[str, list[Rgb]]] = []
            clip = prepare(clips_of(SUITE, frames=frames, only=[name])[0], options.work / "clips")
            for crf in [float(value) for value in options.crfs.split(",")]:
                done = set() if options.redo else {row.key for row in read_rows(jsonl, Row)}
                if (clip.name, clip.digest, options.preset, crf, clip.frames) not in done:
                    row, shown = measure(clip, crf, options.preset, options.work, run)
                    results.append(jsonl, row)
                    pictures.append((f"CRF {crf:g}", shown))
                    print(_line(row), file=sys.stderr)
            if pictures:
                path = jsonl.with_name(f"{jsonl.stem}-{name}.png")
                print(side_by_side(pictures, ["original", "licodec", *OTHERS], path))
        table = jsonl.with_suffix(".md")
        table.write_text(markdown(read_rows(jsonl, Row)))
        print(table)
    except LicodecError as error:
        print(f"benchmarks.superres: {error}", file=sys.stderr)
        return error.exit_status
    return 0


def measure(clip: Prepared, crf: float, preset: str, work: Path, run: str) -> tuple[Row, list[Rgb]]:
    """All methods on one clip, and crops of its middle frame."""
    info, truth = _read(clip.path)
    folder = work / "encoded"
    folder.mkdir(parents=True, exist_ok=True)
    small, reduced = _reduced(clip, info, truth, folder)
    codec = codecs.Licodec("licodec", preset, ())
    encoded = codec.encode(small, folder, crf)
    native = _decoded(codec, encoded.path, folder)
    other, other_crf = x265_of_size(small, folder, encoded.size)
    low = replace(info, width=-(-info.width // 2), height=-(-info.height // 2))
    made = {
        "licodec": _decoded(codec, encoded.path, folder, "--size", f"{info.width}x{info.height}"),
        "bicubic": [enlarged(planes, low, info, cv2.INTER_CUBIC) for planes in native],
        "Lanczos": [enlarged(planes, low, info, cv2.INTER_LANCZOS4) for planes in native],
        "x265 + Lanczos": [enlarged(planes, low, info, cv2.INTER_LANCZOS4) for planes in _read(other.path)[1]],
    }
    values = {method: _psnr(shown, truth, info) for method, shown in made.items()}
    middle = len(truth) // 2
    row = Row(
        clip=clip.name,
        digest=clip.digest,
        preset=preset,
        crf=crf,
        frames=clip.frames,
        size=f"{low.width}x{low.height}",
        bytes=encoded.size,
        x265_bytes=other.size,
        x265_crf=other_crf,
        coded=_psnr(native, reduced, low)[0],
        psnr_y={method: value[0] for method, value in values.items()},
        psnr_yuv={method: value[1] for method, value in values.items()},
        psnr_rgb={method: value[2] for method, value in values.items()},
        command=encoded.command,
        run=run,
        machine=results.machine(),
        versions=results.versions(),
        commit=results.commit(),
    )
    return row, crops([truth[middle], *(shown[middle] for shown in made.values())], info)


def x265_of_size(source: Path, folder: Path, size: int) -> tuple[codecs.Encoded, float]:
    """x265 medium with at least `size` bytes, as near to that as a search of its CRF comes; and that CRF."""
    codec = codecs.codec("x265")
    best: tuple[codecs.Encoded, float] | None = None
    crf = 24.0
    for _ in range(_TRIES):
        encoded = codec.encode(source, folder, crf)
        if encoded.size >= size and (best is None or encoded.size < best[0].size):
            best = encoded, crf
        if size <= encoded.size <= _NEAR * size:
            break
        # Six steps about halve a file; a little lower, to come out above.
        crf = round(min(51.0, max(0.0, crf + 6 * math.log2(encoded.size / size) - 0.05)), 2)
    return best or (codec.encode(source, folder, max(0.0, crf - 2)), max(0.0, crf - 2))


def enlarged(planes: tuple[Plane, ...], low: VideoInfo, info: VideoInfo, kernel: int) -> tuple[Plane, ...]:
    """Planes of `low` at the positions of the samples of `info`, by a kernel of OpenCV's."""
    out = []
    for i, (plane, (rows, columns)) in enumerate(zip(planes, info.plane_shapes, strict=True)):
        cx, cy = centres(info, i)
        down = Axis.of(plane.shape[0], rows, info.height / low.height, 0, cy).positions
        across = Axis.of(plane.shape[1], columns, info.width / low.width, 0, cx).positions
        at = np.stack(np.meshgrid(across, down), -1)
        made = cv2.remap(plane.astype(np.float32), at, None, kernel, borderMode=cv2.BORDER_REPLICATE)
        out.append(np.clip(np.rint(made), 0, 255).astype(np.uint8))
    return tuple(out)


def _reduced(clip: Prepared, info: VideoInfo, truth: Pictures, folder: Path) -> tuple[Path, Pictures]:
    low = replace(info, width=-(-info.width // 2), height=-(-info.height // 2))
    view = View.of(info, (low.height, low.width))
    planes = [from_working(view_planes(to_working(p, info), view, info), low) for p in truth]
    path = folder / f"{clip.path.stem}-half.y4m"
    with open_sink(path, low, overwrite=True) as sink:
        for i, picture in enumerate(planes):
            sink.write(Frame(picture, i, 1))
    return path, planes


def _decoded(codec: codecs.Licodec, path: Path, folder: Path, *options: str) -> Pictures:
    decoded = codec.decode(path, folder, *options)
    frames = _read(decoded)[1]
    decoded.unlink()
    return frames


def _read(path: Path) -> tuple[VideoInfo, list[tuple[Plane, ...]]]:
    with open_source(path) as source:
        return source.info, [frame.planes for frame in source.frames()]


def _psnr(shown: Pictures, truth: Pictures, info: VideoInfo) -> tuple[float, float, float]:
    """Means over the frames: luma, 6:1:1, RGB."""
    rows = []
    for a, b in zip(shown, truth, strict=True):
        planes = [mean_squared_error(p, q, 255) for p, q in zip(a, b, strict=True)]
        rgb = mean_squared_error(measured_rgb(Frame(a, 0, 1), info), measured_rgb(Frame(b, 0, 1), info), 255)
        y, *chroma, all_of_it = psnr([*planes, rgb])
        rows.append((y, weighted_yuv(y, *chroma) if chroma else y, all_of_it))
    y, yuv, rgb = np.mean(rows, axis=0)
    return float(y), float(yuv), float(rgb)


def margin(values: dict[str, float]) -> float:
    """dB over the best of the others."""
    return values["licodec"] - max(values[method] for method in OTHERS)


def _line(row: Row) -> str:
    values = ", ".join(f"{method} {value:.2f}" for method, value in row.psnr_y.items())
    return f"{row.clip} CRF {row.crf:g} ({row.coded:.2f} dB): luma {values}; RGB {margin(row.psnr_rgb):+.2f}"


def markdown(rows: Sequence[Row]) -> str:
    """The table."""
    lines = [
        "# At twice the size",
        "",
        "PSNR in dB against the clip that was reduced by 2 before it was encoded; means over the frames. Margins are",
        f"over the best of the others; the goal is {GOAL} on average and on no clip below.",
        "",
        "| clip | encoded as | CRF | coded, luma | bytes | x265 bytes | licodec, luma | "
        + " | ".join(OTHERS)
        + " | margin, luma | 6:1:1 | RGB |",
        "| --- | --- |" + " ---: |" * (8 + len(OTHERS)),
    ]
    for row in sorted(rows, key=lambda r: (r.clip, r.crf)):
        cells = [row.clip, row.size, f"{row.crf:g}", f"{row.coded:.2f}", str(row.bytes), str(row.x265_bytes)]
        cells += [f"{row.psnr_y[method]:.2f}" for method in ("licodec", *OTHERS)]
        cells += [f"{margin(values):+.2f}" for values in (row.psnr_y, row.psnr_yuv, row.psnr_rgb)]
        lines.append("| " + " | ".join(cells) + " |")
    for what, name in (("luma", "psnr_y"), ("6:1:1", "psnr_yuv"), ("RGB", "psnr_rgb")):
        margins = [margin(getattr(row, name)) for row in rows]
        if margins:
            lines += ["", f"Margin in {what}: {fmean(margins):+.2f} dB on average, {min(margins):+.2f} dB at worst."]
    presets, machines = sorted({r.preset for r in rows}), sorted({f"{r.machine}; {r.versions}" for r in rows})
    lines += ["", f"Preset {', '.join(presets)}. Commits {', '.join(sorted({r.commit for r in rows}))}."]
    lines += [*machines, *sorted({f"`{r.run}`" for r in rows}), ""]
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "benchmarks.superres", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", default=",".join(CLIPS), help="names, separated by commas")
    parser.add_argument("--crfs", default=",".join(f"{crf:g}" for crf in CRFS), help="rate factors")
    parser.add_argument("--preset", default="medium", help="of licodec encode")
    parser.add_argument("--frames", type=int, help=f"of each clip; default {FRAMES}")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="folder of the results")
    parser.add_argument("--work", type=Path, default=Path("build/benchmarks"), help="folder of clips and encodes")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_FRAMES} frames of each clip: that it works")
    parser.add_argument("--redo", action="store_true", help="measure again what is there already")
    return parser


if __name__ == "__main__":
    sys.exit(main())
