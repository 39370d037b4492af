"""Encode time against quality at equal bytes: licodec's presets and time limits, and what others make of the time.

    python -m benchmarks.convergence --out benchmarks/results            # about two hours on two cores
    python -m benchmarks.convergence --out benchmarks/results --quick    # minutes: that it works, not figures
    python -m benchmarks.convergence --clip bikes --bpp 0.06 --times 20,60,300

Everybody gets the bytes of `--bpp`. licodec has an option for that (`--target-size`), and the passes that it takes
are in its time. x264 and x265 are given the CRF whose file fits, found by a search that is not in their time, since a
user has two-pass coding for it. NeRV and HNeRV get a network of that size; the table says how close it came. Lines go
to convergence.jsonl as soon as they are known (they are those of `benchmarks.rd`), so that what was broken off goes
on; convergence-CLIP.md has the table, convergence-CLIP.png the curves.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import codecs, results
from benchmarks.clips import SUITE, Prepared, clips_of, prepare
from benchmarks.rd import hold_to, measure_missing
from benchmarks.report import row
from licodec.errors import LicodecError
from licodec.fit.rate_control import Target, search_crf
from licodec.metrics.plot import plot_rd

PRESETS = ("ultrafast", "fast", "medium", "slow")
TIMED = "slow"
"""The preset that `--max-time` cuts short."""
TIMES = (20.0, 60.0, 180.0, 600.0)
CLASSICAL = {"x264": ("ultrafast", "medium", "veryslow"), "x265": ("ultrafast", "medium", "slow", "veryslow")}
TOLERANCE = 0.03
"""Share by which a file may miss the bytes without a mark in the table."""


@dataclass(frozen=True)
class AtSize:
    """An encoder of FFmpeg at the rate factor whose file has the bytes asked for."""

    encoder: codecs.Classical
    """Which one."""
    points: tuple[float, ...]
    """Bytes."""

    @property
    def name(self) -> str:
        """Name in results."""
        return self.encoder.name

    @property
    def preset(self) -> str:
        """The encoder's."""
        return self.encoder.preset

    def encode(self, source: Path, folder: Path, point: float) -> codecs.Encoded:
        made: dict[float, codecs.Encoded] = {}

        def measure(crf: float) -> float:
            # Four decimals are what its name and its command show.
            made[crf] = self.encoder.encode(source, folder, round(crf, 4))
            return math.log(made[crf].size)

        found = made[search_crf(Target.size(point, exact=True), measure)]
        return replace(found, command=f"{found.command} (CRF found in {len(made)} encodes)")

    def decode(self, encoded: Path, folder: Path) -> Path:
        return encoded


def contenders(size: int, bpp: float, times: Sequence[float], presets: Sequence[str]) -> list[codecs.Codec]:
    """Everybody at a number of bytes."""
    chosen: list[codecs.Codec] = []
    for name, speeds in CLASSICAL.items():
        for speed in speeds:
            encoder = codecs.codec(f"{name}-{speed}")
            assert isinstance(encoder, codecs.Classical)
            chosen.append(AtSize(encoder, (float(size),)))
    for preset in presets:
        chosen.append(codecs.Licodec("licodec", preset, (float(size),), target="--target-size"))
    for seconds in times:
        chosen.append(codecs.Licodec("licodec", TIMED, (float(size),), max_time=seconds, target="--target-size"))
        chosen += [codecs.Peer(name, (bpp,), seconds) for name in codecs.PEERS]
    return chosen


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status."""
    options = _parser().parse_args(arguments)
    try:
        hold_to(codecs.THREADS)
        times, presets = options.times, options.presets
        if options.quick:
            options.clip, options.frames, options.bpp, times, presets = "carphone", 9, 0.3, [4.0, 8.0], ["ultrafast"]
        [clip] = clips_of(options.suite, None, options.frames, only=[options.clip])
        prepared = prepare(clip, options.work / "clips")
        size = int(options.bpp * prepared.frames * prepared.info.width * prepared.info.height / 8)
        run = results.command_line("convergence", arguments)
        jsonl = options.out / "convergence.jsonl"
        chosen = contenders(size, options.bpp, times, presets)
        measure_missing(prepared, chosen, jsonl, options.work, run, options.redo)
        for path in write(jsonl, prepared, size, options.bpp):
            print(path)
    except LicodecError as error:
        print(f"benchmarks.convergence: {error}", file=sys.stderr)
        return error.exit_status
    return 0


def write(jsonl: Path, clip: Prepared, size: int, bpp: float) -> list[Path]:
    """Table and plot of the lines of a clip at a number of bytes."""
    here = [r for r in results.read(jsonl) if (r.clip, r.digest) == (clip.name, clip.digest) and r.point in (size, bpp)]
    curves: dict[str, list[results.Result]] = {}
    for result in here:
        curves.setdefault(family(result), []).append(result)
    table = jsonl.with_name(f"{jsonl.stem}-{clip.name}.md")
    table.write_text(_markdown(clip, size, curves))
    plot = table.with_suffix(".png")
    plot_rd(
        {name: [(r.encode_seconds, r.metrics["psnr_rgb"]) for r in members] for name, members in curves.items()},
        plot,
        title=f"{clip.name}, {clip.frames} frames, {size:,} bytes",
        rate="seconds of encoding",
    )
    return [table, plot]


def family(result: results.Result) -> str:
    """The curve that a result belongs to: a codec's presets, or what it makes of more time."""
    effort, _, limit = result.preset.rpartition("-")
    if result.codec in codecs.PEERS:
        return result.codec
    return f"{result.codec} {effort} --max-time" if limit.endswith("s") and effort else f"{result.codec} presets"


def _markdown(clip: Prepared, size: int, curves: dict[str, list[results.Result]]) -> str:
    members = [result for curve in curves.values() for result in curve]
    lines = [
        f"# Encode time against quality: {clip.name}, {clip.frames} frames, {size:,} bytes",
        "",
        "Seconds are wall time of the whole encode, CPU time of all threads in brackets. `*`: the file is more than "
        f"{100 * TOLERANCE:.0f}% off the bytes. RGB after rounding to 8 bits, mean of the frames' PSNR.",
        "",
        *sorted({f"- {r.machine}; {r.versions}; commit {r.commit}" for r in members}),
        *sorted({f"- `{r.run}`" for r in members}),
        "",
        row("codec", "preset", "seconds (CPU)", "bytes", "PSNR RGB", "PSNR YUV"),
        row("---", "---", "---:", "---:", "---:", "---:"),
    ]
    for name, curve in curves.items():
        for r in sorted(curve, key=lambda result: result.encode_seconds):
            spent = f"{r.encode_seconds:.1f} ({r.encode_cpu_seconds:.0f})"
            off = "*" if abs(r.bytes / size - 1) > TOLERANCE else ""
            quality = f"{r.metrics['psnr_rgb']:.2f}", f"{r.metrics['psnr_yuv']:.2f}"
            lines.append(row(name, r.preset, spent, f"{r.bytes:,}{off}", *quality))
    return "\n".join([*lines, ""])


def _times(text: str) -> list[float]:
    return [float(word) for word in text.split(",")]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "benchmarks.convergence", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--suite", default=SUITE, help=f"'{SUITE}' or a folder, as for benchmarks.rd")
    parser.add_argument("--clip", default="bunny-640x1280", help="by name; default bunny-640x1280")
    parser.add_argument("--frames", type=int, help="encode only so many frames")
    parser.add_argument("--bpp", type=float, default=0.05, help="bits a pixel that everybody gets; default 0.05")
    parser.add_argument("--times", type=_times, default=TIMES, help="seconds, for licodec --max-time, NeRV and HNeRV")
    parser.add_argument("--presets", nargs="*", default=PRESETS, help=f"of licodec; default {' '.join(PRESETS)}")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="folder of the results")
    parser.add_argument("--work", type=Path, default=Path("build/benchmarks"), help="folder of clips and encodes")
    parser.add_argument("--quick", action="store_true", help="9 frames of carphone: minutes in all")
    parser.add_argument("--redo", action="store_true", help="measure again what is there already")
    return parser


if __name__ == "__main__":
    sys.exit(main())
