"""Measure the frames between frames: every a-th one is encoded, and decoded with those that were left out.

    python -m benchmarks.interpolate --out benchmarks/results
    python -m benchmarks.interpolate --quick

What is compared, each with the frames left out: licodec's own (`licodec decode --fps`); and, from the same decoded
frames and from the original ones, the weighted mean of the two neighbours, OpenCV's DIS flow both ways (each neighbour
warped linearly along the flow that starts at it, then the weighted mean), and FFmpeg's `minterpolate`. PSNR is RGB's,
mean over the frames left out between the first and the last encoded one. Every line is appended to OUT/NAME.jsonl at
once; a run that is broken off goes on where it was. Tables and pictures are written at the end.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import fmean

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.filter import Graph

from benchmarks import codecs, results
from benchmarks.clips import SUITE, Prepared, clips_of, prepare
from benchmarks.pictures import Rgb, crops, side_by_side
from benchmarks.results import read_rows
from licodec.errors import LicodecError
from licodec.metrics.compare import measured_rgb
from licodec.metrics.psnr import mean_squared_error, psnr
from licodec.video.info import Frame, Plane, VideoInfo
from licodec.video.sink import open_sink
from licodec.video.source import open_source

CRFS = {
    "bunny-640x1280": {40: 22.0, 36: 32.0, 32: 40.0},
    "bikes": {40: 32.0, 36: 38.0, 32: 44.0},
    "carphone": {40: 21.5, 36: 28.0, 32: 35.0},
}
"""Rate factors with which the coded frames come near so many dB (RGB)."""
SPACINGS = (2, 4, 8)
FRAMES = 33
QUICK_FRAMES = 9
METHODS = ("average", "DIS", "minterpolate")
GOALS = {("bunny-640x1280", 40, 2): 38.5, ("bunny-640x1280", 40, 4): 35.0, ("bunny-640x1280", 40, 8): 31.0}
"""(clip, dB of the coded frames, spacing): dB of the frames left out."""

Pictures = Sequence[tuple[Plane, ...]]


@dataclass(frozen=True)
class Row:
    """One clip at one spacing and quality."""

    clip: str
    digest: str
    preset: str
    spacing: int
    """One frame in so many is encoded."""
    near: int
    """dB that the coded frames were meant to have; 0: original frames."""
    crf: float
    frames: int
    """Frames of the clip that were used."""
    bytes: int
    coded: float
    """dB of the coded frames, RGB."""
    psnr: dict[str, float]
    """dB of the frames left out, RGB, by method."""
    command: str
    run: str
    machine: str
    versions: str
    commit: str

    @property
    def key(self) -> tuple[str, str, str, int, int, int]:
        """What makes two rows the same."""
        return (self.clip, self.digest, self.preset, self.spacing, self.near, self.frames)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status."""
    options = _parser().parse_args(arguments)
    frames = options.frames or (QUICK_FRAMES if options.quick else FRAMES)
    jsonl = options.out / f"{'interpolate-quick' if options.quick else 'interpolate'}.jsonl"
    run = results.command_line("interpolate", arguments)
    try:
        for name in options.clips.split(","):
            pictures: list[tuple[str, list[Rgb]]] = []
            clip = prepare(clips_of(SUITE, frames=frames, only=[name])[0], options.work / "clips")
            for spacing in [int(a) for a in options.spacings.split(",")]:
                for near in [0, *(int(q) for q in options.qualities.split(","))]:
                    done = set() if options.redo else {row.key for row in read_rows(jsonl, Row)}
                    if (clip.name, clip.digest, options.preset, spacing, near, clip.frames) not in done:
                        row, shown = measure(clip, name, spacing, near, options.preset, options.work, run)
                        results.append(jsonl, row)
                        print(_line(row), file=sys.stderr)
                        if near == max(CRFS[name]):
                            pictures.append((f"1 in {spacing}", shown))
            if pictures:
                path = jsonl.with_name(f"{jsonl.stem}-{name}.png")
                print(side_by_side(pictures, ["original", "licodec", *METHODS], path))
        table = jsonl.with_suffix(".md")
        table.write_text(markdown(read_rows(jsonl, Row)))
        print(table)
    except LicodecError as error:
        print(f"benchmarks.interpolate: {error}", file=sys.stderr)
        return error.exit_status
    return 0


def measure(
    clip: Prepared, name: str, spacing: int, near: int, preset: str, work: Path, run: str
) -> tuple[Row, list[Rgb]]:
    """All methods on one clip, and crops of a frame half way; `near` 0: on its original frames."""
    info, frames = _read(clip.path)
    frames = frames[: (len(frames) - 1) // spacing * spacing + 1]
    coded: Pictures = frames[::spacing]
    made: dict[str, Pictures] = {}
    crf, size, command = 0.0, 0, "none: original frames"
    if near:
        crf = CRFS[name][near]
        encoded = encode(clip, frames, info, spacing, preset, crf, work)
        size, command = encoded.size, encoded.command
        shown = decode(encoded.path, info, work)[: len(frames)]
        coded, made["licodec"] = shown[::spacing], shown
    for method in METHODS:
        made[method] = filled(coded, info, spacing, method)
    left_out = [i for i in range(len(frames)) if i % spacing]
    row = Row(
        clip=clip.name,
        digest=clip.digest,
        preset=preset,
        spacing=spacing,
        near=near,
        crf=crf,
        frames=clip.frames,
        bytes=size,
        coded=_mean_psnr(coded, frames[::spacing], info),
        psnr={
            m: _mean_psnr([shown[i] for i in left_out], [frames[i] for i in left_out], info)
            for m, shown in made.items()
        },
        command=command,
        run=run,
        machine=results.machine(),
        versions=results.versions(),
        commit=results.commit(),
    )
    middle = len(frames) // 2 // spacing * spacing + spacing // 2
    return row, crops([frames[middle], *(shown[middle] for shown in made.values())], info)


def encode(
    clip: Prepared, frames: Pictures, info: VideoInfo, spacing: int, preset: str, crf: float, work: Path
) -> codecs.Encoded:
    """Every `spacing`-th frame, at a rate as much lower."""
    folder = work / "encoded"
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / f"{clip.path.stem}-every{spacing}.y4m"
    with open_sink(source, replace(info, time_base=info.time_base * spacing), overwrite=True) as sink:
        for i, planes in enumerate(frames[::spacing]):
            sink.write(Frame(planes, i, 1))
    encoded = codecs.Licodec("licodec", preset, ()).encode(source, folder, crf)
    source.unlink()
    return encoded


def decode(path: Path, info: VideoInfo, work: Path) -> Pictures:
    """What `licodec decode` makes of a file at the clip's own rate."""
    decoded = codecs.Licodec("licodec", "", ()).decode(path, work / "encoded", "--fps", str(1 / info.time_base))
    frames = _read(decoded)[1]
    decoded.unlink()
    return frames


def filled(coded: Pictures, info: VideoInfo, spacing: int, method: str) -> Pictures:
    """The coded frames, and `spacing - 1` between each two by one of METHODS."""
    if method == "minterpolate":
        return _minterpolate(coded, info, spacing)
    between = {"average": _average, "DIS": _dis}[method]
    out = []
    for first, second in pairwise(coded):
        out += [first, *between(first, second, [Fraction(k, spacing) for k in range(1, spacing)])]
    return [*out, coded[-1]]


def _average(first: tuple[Plane, ...], second: tuple[Plane, ...], shares: Sequence[Fraction]) -> Pictures:
    return [
        tuple(
            _rounded((1 - float(s)) * a + float(s) * b.astype(np.float32)) for a, b in zip(first, second, strict=True)
        )
        for s in shares
    ]


def _dis(first: tuple[Plane, ...], second: tuple[Plane, ...], shares: Sequence[Fraction]) -> Pictures:
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    forward, backward = flow.calc(first[0], second[0], None), flow.calc(second[0], first[0], None)
    out = []
    for share in map(float, shares):
        planes = []
        for a, b in zip(first, second, strict=True):
            before = _moved(a, forward * -share)
            after = _moved(b, backward * (share - 1))
            planes.append(_rounded((1 - share) * before + share * after))
        out.append(tuple(planes))
    return out


def _moved(plane: Plane, flow: npt.NDArray) -> npt.NDArray:
    rows, columns = plane.shape
    factor = np.array([columns / flow.shape[1], rows / flow.shape[0]], np.float32)
    at = cv2.resize(flow, (columns, rows), interpolation=cv2.INTER_AREA) * factor
    at += np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1)
    return cv2.remap(plane.astype(np.float32), at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _minterpolate(coded: Pictures, info: VideoInfo, spacing: int) -> Pictures:
    """FFmpeg's filter at its defaults but for the rate. It starts late and ends early: what it leaves out stays as
    the nearest coded frame, so that no method is spared a frame."""
    rate = 1 / info.time_base
    graph = Graph()
    source = graph.add_buffer(
        width=info.width,
        height=info.height,
        format=av.VideoFormat("yuv420p", info.width, info.height),
        time_base=spacing * info.time_base,
    )
    sink = graph.add("buffersink")
    # Coded frames stay on the clip's grid of times only if the filter's first frame is the first of them.
    chain = [source, graph.add("minterpolate", f"fps={rate}:scd=none"), sink]
    for a, b in pairwise(chain):
        a.link_to(b)
    graph.configure()
    count = (len(coded) - 1) * spacing + 1
    made: dict[int, tuple[Plane, ...]] = {}
    for i, planes in enumerate([*coded, None]):
        if planes is None:
            graph.push(None)
        else:
            frame = _av_frame(planes, info)
            frame.pts, frame.time_base = i, spacing * info.time_base
            graph.push(frame)
        for out in _pulled(graph):
            assert out.pts is not None
            assert out.time_base is not None
            made[round(out.pts * out.time_base * rate)] = _planes(out)
    return [made.get(i, coded[round(i / spacing)]) for i in range(count)]


def _pulled(graph: Graph) -> Iterator[av.VideoFrame]:
    while True:
        try:
            yield graph.vpull()
        except (BlockingIOError, av.EOFError):
            return


def _av_frame(planes: tuple[Plane, ...], info: VideoInfo) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(
        np.concatenate([p.reshape(-1) for p in planes]).reshape(-1, info.width), "yuv420p"
    )


def _planes(frame: av.VideoFrame) -> tuple[Plane, ...]:
    out = []
    for plane in frame.planes:
        samples = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        out.append(samples[: plane.height, : plane.width].copy())
    return tuple(out)


def _rounded(plane: npt.NDArray) -> Plane:
    return np.clip(np.rint(plane), 0, 255).astype(np.uint8)


def _read(path: Path) -> tuple[VideoInfo, list[tuple[Plane, ...]]]:
    with open_source(path) as source:
        return source.info, [frame.planes for frame in source.frames()]


def _mean_psnr(shown: Pictures, truth: Pictures, info: VideoInfo) -> float:
    errors = [
        mean_squared_error(measured_rgb(Frame(a, 0, 1), info), measured_rgb(Frame(b, 0, 1), info), 255)
        for a, b in zip(shown, truth, strict=True)
    ]
    return float(np.mean(psnr(errors)))


def _line(row: Row) -> str:
    values = ", ".join(f"{method} {value:.2f}" for method, value in row.psnr.items())
    return f"{row.clip} 1/{row.spacing} near {row.near or 'original'} ({row.coded:.2f} dB): {values}"


def markdown(rows: Sequence[Row]) -> str:
    """The table of the frames left out."""
    lines = [
        "# Frames between frames",
        "",
        "PSNR (RGB, dB) of frames that were not encoded. The methods other than licodec work on the same decoded",
        "frames; *originals*: on the original ones. The margin is over the best of them on the decoded frames. Where",
        "minterpolate gives no frame, at both ends of a clip, the nearest coded frame counts.",
        "",
        "| clip | every | coded frames, dB | bytes | licodec | " + " | ".join(METHODS) + " | margin | goal |",
        "| --- | " + "---: | " * (6 + len(METHODS)),
    ]
    margins = []
    for row in sorted(rows, key=lambda r: (r.clip, r.spacing, -(r.near or 99))):
        others = [f"{row.psnr[method]:.2f}" for method in METHODS]
        cells = [row.clip, str(row.spacing)]
        if not row.near:
            lines.append("| " + " | ".join([*cells, "originals", "", "", *others, "", ""]) + " |")
            continue
        margin = row.psnr["licodec"] - max(row.psnr[method] for method in METHODS)
        margins.append(margin)
        goal = next(
            (v for (c, q, a), v in GOALS.items() if (q, a) == (row.near, row.spacing) and row.clip.startswith(c)), 0
        )
        own = [f"{row.coded:.2f}", str(row.bytes), f"{row.psnr['licodec']:.2f}"]
        lines.append("| " + " | ".join([*cells, *own, *others, f"{margin:+.2f}", f"{goal:g}" if goal else ""]) + " |")
    if margins:
        lines += ["", f"Margin: {fmean(margins):+.2f} dB on average, {min(margins):+.2f} dB at worst."]
    presets, machines = sorted({r.preset for r in rows}), sorted({f"{r.machine}; {r.versions}" for r in rows})
    lines += ["", f"Preset {', '.join(presets)}. Commits {', '.join(sorted({r.commit for r in rows}))}."]
    lines += [*machines, *sorted({f"`{r.run}`" for r in rows}), ""]
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "benchmarks.interpolate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", default=",".join(CRFS), help="names, separated by commas")
    parser.add_argument("--spacings", default=",".join(map(str, SPACINGS)), help="one frame in so many is encoded")
    parser.add_argument("--qualities", default="40,36,32", help="dB that the coded frames come near")
    parser.add_argument("--preset", default="ultrafast", help="of licodec encode")
    parser.add_argument("--frames", type=int, help=f"of each clip; default {FRAMES}")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="folder of the results")
    parser.add_argument("--work", type=Path, default=Path("build/benchmarks"), help="folder of clips and encodes")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_FRAMES} frames of each clip: that it works")
    parser.add_argument("--redo", action="store_true", help="measure again what is there already")
    return parser


if __name__ == "__main__":
    sys.exit(main())
