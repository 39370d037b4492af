"""Tables and plots of measured points; `python -m benchmarks.report NAME.jsonl` writes them beside it."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from benchmarks import published
from benchmarks.results import Result, read
from licodec.metrics.bd_rate import BDRate, bd_rate
from licodec.metrics.plot import plot_rd

METRICS = {"psnr_yuv": "YUV 6:1:1", "psnr_rgb": "RGB", "ms_ssim": "MS-SSIM"}
ANCHORS = ("x265 medium", "x265 veryslow")
LITTLE_OVERLAP = 0.5

Curves = dict[str, list[Result]]
"""Results of one clip by codec and preset."""


def write_report(jsonl: Path) -> list[Path]:
    """Write `NAME.md` and one `NAME-CLIP.png` a clip beside `NAME.jsonl`; their paths."""
    clips = by_clip(read(jsonl))
    table = jsonl.with_suffix(".md")
    table.write_text(markdown(clips))
    plots = []
    for clip, curves in clips.items():
        plots.append(jsonl.with_name(f"{jsonl.stem}-{clip}.png"))
        plot_rd(_with_published(curves), plots[-1], title=f"{clip}, {_any(curves).frames} frames")
    return [table, *plots]


def _with_published(curves: Curves) -> dict[str, Sequence[tuple[float, float]]]:
    """What a plot shows: measured curves, then published ones of the same clip."""
    measured = {label: _curve(curve, "psnr_rgb") for label, curve in curves.items()}
    return measured | {f"{other.name} (published)": other.points for other in published.beside(_any(curves))}


def by_clip(results: Sequence[Result]) -> dict[str, Curves]:
    """Results by clip, then by codec and preset; whole clips of UVG once more as the mean that others publish."""
    clips: dict[str, Curves] = {}
    for result in [*results, *published.uvg_means(results)]:
        clips.setdefault(result.clip, {}).setdefault(result.label, []).append(result)
    return clips


def _any(curves: Curves) -> Result:
    """A result of the clip."""
    return next(iter(curves.values()))[0]


def markdown(clips: dict[str, Curves]) -> str:
    """All tables: BD-rates against each anchor there is, then the points of each clip."""
    lines = ["# Rate-distortion", "", *_about(clips)]
    single = {clip: curves for clip, curves in clips.items() if not clip.startswith(published.UVG_MEAN)}
    for anchor in ANCHORS:
        if any(anchor in curves for curves in single.values()):
            lines += bd_table(single, anchor, f"BD-rate against {anchor}: {' / '.join(METRICS.values())}, %")
    for clip, curves in clips.items():
        lines += _points_table(clip, curves)
    return "\n".join(lines)


def _about(clips: dict[str, Curves]) -> list[str]:
    results = [result for curves in clips.values() for curve in curves.values() for result in curve]
    machines = sorted({f"{result.machine}; {result.versions}; commit {result.commit}" for result in results})
    runs = sorted({result.run for result in results})
    return [
        "PSNR is the mean of the frames' PSNR, RGB after rounding to 8 bits; MS-SSIM is luma's.",
        "bpp counts the packets and parameter sets of a classical codec (not the mp4 around them), and the",
        "whole file of licodec, NeRV and HNeRV.",
        "Seconds: wall time, and CPU time of all threads behind it, summed over the points. A preset with a time",
        "(`300s`) had that much wall time for each of its points.",
        "",
        *[f"- {name}" for name in machines],
        *[f"- `{run}`" for run in runs],
        "",
    ]


def bd_table(clips: dict[str, Curves], anchor: str, title: str) -> list[str]:
    """Lines of a table: every codec against the one labelled `anchor`, per clip and averaged."""
    lines = [
        f"## {title}",
        "",
        "Negative: fewer bytes for the same quality. `?`: less than half of the qualities are shared.",
        "",
        row("codec", *clips, "mean"),
        row("---", *["---:"] * (len(clips) + 1)),
    ]
    for label in sorted({label for curves in clips.values() for label in curves} - {anchor}):
        rates = [_bd(curves, anchor, label) for curves in clips.values()]
        lines.append(row(label, *map(_cell, rates), _cell(_mean(rates))))
    return [*lines, ""]


def _bd(curves: Curves, anchor: str, label: str) -> list[BDRate] | None:
    """BD-rate in each of METRICS, or None where a curve is missing or cannot be integrated."""
    if anchor not in curves or label not in curves:
        return None
    try:
        return [bd_rate(_curve(curves[anchor], metric), _curve(curves[label], metric)) for metric in METRICS]
    except ValueError:
        return None


def _curve(results: Sequence[Result], metric: str) -> list[tuple[float, float]]:
    return [(result.bpp, result.quality(metric)) for result in results]


def _mean(rates: Sequence[list[BDRate] | None]) -> list[BDRate] | None:
    """Means over the clips, or None if a clip lacks its figure: means over different clips do not compare."""
    known = [triple for triple in rates if triple and not any(math.isnan(rate.percent) for rate in triple)]
    if len(known) < len(rates):
        return None
    return [
        BDRate(fmean(rate.percent for rate in column), min(rate.overlap for rate in column))
        for column in zip(*known, strict=True)
    ]


def _cell(triple: list[BDRate] | None) -> str:
    if triple is None:
        return "-"
    return " / ".join(f"{rate.percent:+.1f}{'?' if rate.overlap < LITTLE_OVERLAP else ''}" for rate in triple)


def _points_table(clip: str, curves: Curves) -> list[str]:
    size = _any(curves)
    lines = [
        f"## {clip}: {size.width}x{size.height}, {size.frames} frames",
        "",
        row("codec", "bpp:RGB PSNR", "bpp:YUV PSNR", "MS-SSIM", "seconds (CPU)"),
        row(*["---"] * 4, "---:"),
    ]
    for label, curve in sorted(curves.items()):
        best_first = sorted(curve, key=lambda result: -result.bpp)
        wall, cpu = sum(r.encode_seconds for r in curve), sum(r.encode_cpu_seconds for r in curve)
        rgb, yuv = (
            " ".join(f"{r.bpp:.4f}:{r.metrics[metric]:.2f}" for r in best_first) for metric in ("psnr_rgb", "psnr_yuv")
        )
        similar = " ".join(f"{r.metrics['ms_ssim']:.4f}" for r in best_first)
        lines.append(row(label, rgb, yuv, similar, f"{wall:.0f} ({cpu:.0f})"))
    others = published.beside(size)
    for other in others:
        points = " ".join(f"{bpp:.4f}:{psnr:.2f}" for bpp, psnr in sorted(other.points, reverse=True))
        lines.append(row(f"{other.name} (published)", points, "-", "-", "-"))
    if others:
        lines += ["", published.NOTE, *(f"- {source}" for source in dict.fromkeys(other.source for other in others))]
    return [*lines, ""]


def row(*cells: str) -> str:
    """A line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    for written in write_report(Path(sys.argv[1])):
        print(written)
