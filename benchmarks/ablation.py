"""Each part of the codec off in turn, at equal time, against the full model.

    python -m benchmarks.ablation --out benchmarks/results          # about two hours on two cores
    python -m benchmarks.ablation --out benchmarks/results --quick  # minutes: that it works, not figures
    python -m benchmarks.ablation --only 'motion off,rank 2' --preset fast

Every variant encodes the clips at the same CRFs and is given the same time (`--max-time`, which shortens the training
of the network). Encoded, decoded and compared files are as for `benchmarks.rd`, with which this shares its lines
(ablation.jsonl: the codec's name is the variant's), so that what was broken off goes on. ablation.md has the
BD-rates against the full model. A variant of the network can only differ where a network is worth its bits at all.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from benchmarks import results
from benchmarks.clips import SUITE, clips_of, prepare
from benchmarks.codecs import THREADS, Encoded, Stopwatch
from benchmarks.rd import hold_to, measure_missing
from benchmarks.report import METRICS, bd_table, by_clip
from benchmarks.variants import FULL, variants
from licodec.decoder import DecodeSettings, decode
from licodec.encoder import EncodeSettings, encode
from licodec.errors import LicodecError, UsageError

CLIPS = "bunny-640x1280,carphone"
CRFS = (24.0, 29.0, 34.0, 39.0)


@dataclass(frozen=True)
class Ablated:
    """A variant as a codec of the benchmark."""

    name: str
    """The variant's."""
    effort: str
    """Preset of licodec."""
    seconds: float
    """`--max-time`."""
    points: tuple[float, ...] = CRFS
    """CRFs."""

    @property
    def preset(self) -> str:
        """Preset and time."""
        return f"{self.effort}-{self.seconds:g}s"

    def encode(self, source: Path, folder: Path, point: float) -> Encoded:
        # What is replaced stays replaced in that process, and only there.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            return pool.submit(self._encode, source, folder, point).result()

    def _encode(self, source: Path, folder: Path, point: float) -> Encoded:
        path = folder / f"{source.stem}-{self.name.replace(' ', '_').replace('/', '')}-{self.preset}-{point:g}.linr"
        settings = EncodeSettings(
            preset=self.effort, crf=point, max_time=self.seconds, copy_streams=False, device="cpu", threads=THREADS
        )
        times = Stopwatch()
        with variants()[self.name].applied(self.effort):
            with times.running():
                encode(source, path, settings, overwrite=True)
            # Here, and not in `decode`: the format may be one that only this process knows.
            decode(path, path.with_suffix(".y4m"), DecodeSettings(threads=THREADS), overwrite=True)
        command = f"{self.name}: {settings.describe()}"
        return Encoded(path, path.stat().st_size, times.seconds, times.cpu_seconds, command)

    def decode(self, encoded: Path, folder: Path) -> Path:
        return encoded.with_suffix(".y4m")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status."""
    options = _parser().parse_args(arguments)
    try:
        hold_to(THREADS)
        names = options.only.split(",") if options.only else list(variants())
        if unknown := set(names) - set(variants()):
            raise UsageError(f"no variant {sorted(unknown)}: there are {', '.join(variants())}")
        if options.quick:
            options.clips, options.frames, options.preset, options.max_time = "carphone", 9, "ultrafast", 5.0
        clips = clips_of(SUITE, None, options.frames, only=options.clips.split(","))
        run = results.command_line("ablation", arguments)
        jsonl = options.out / "ablation.jsonl"
        # Without the full model there is nothing to compare with.
        chosen = [Ablated(name, options.preset, options.max_time) for name in dict.fromkeys([FULL, *names])]
        for clip in clips:
            measure_missing(prepare(clip, options.work / "clips"), chosen, jsonl, options.work, run, options.redo)
        table = jsonl.with_suffix(".md")
        table.write_text(markdown(results.read(jsonl)))
        print(table)
    except LicodecError as error:
        print(f"benchmarks.ablation: {error}", file=sys.stderr)
        return error.exit_status
    return 0


def markdown(measured: Sequence[results.Result]) -> str:
    """What the variants are, and for each preset and time their BD-rates and seconds."""
    known = variants()
    lines = [
        "# Ablations",
        "",
        "Each part off in turn; bytes for equal quality against the full model at the same preset and time. A variant",
        "of the network that is +0.0 throughout made the same files: no network was worth its bits there.",
        "",
        *sorted({f"- {r.machine}; commit {r.commit}" for r in measured}),
        *sorted({f"- `{r.run}`" for r in measured}),
        "",
        "| variant | different in | decoded by |",
        "| --- | --- | --- |",
    ]
    for variant in known.values():
        who = "the process that encoded it" if variant.own_format else "anybody"
        lines.append(f"| {variant.name} | {variant.about} | {who} |")
    lines.append("")
    for preset in sorted({result.preset for result in measured}):
        clips = by_clip([result for result in measured if result.preset == preset])
        lines += bd_table(clips, f"{FULL} {preset}", f"BD-rate: {' / '.join(METRICS.values())}, %")
        lines += ["| variant | seconds an encode |", "| --- | ---: |"]
        for name in known:
            spent = [r.encode_seconds for r in measured if (r.codec, r.preset) == (name, preset)]
            if spent:
                lines.append(f"| {name} | {sum(spent) / len(spent):.1f} |")
        lines.append("")
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "benchmarks.ablation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", metavar="NAME,NAME", help=f"some of: {', '.join(variants())}".replace("%", "%%"))
    parser.add_argument("--clips", default=CLIPS, help=f"by name; default {CLIPS}")
    parser.add_argument("--frames", type=int, default=65, help="of each clip; default 65")
    parser.add_argument("--preset", default="medium", help="default medium")
    parser.add_argument("--max-time", type=float, default=40.0, metavar="SECONDS", help="of an encode; default 40")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="folder of the results")
    parser.add_argument("--work", type=Path, default=Path("build/benchmarks"), help="folder of clips and encodes")
    parser.add_argument("--quick", action="store_true", help="9 frames of carphone, ultrafast: minutes in all")
    parser.add_argument("--redo", action="store_true", help="measure again what is there already")
    return parser


if __name__ == "__main__":
    sys.exit(main())
