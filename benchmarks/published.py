"""What others published, to stand beside what is measured here.

A curve is shown where clip, size and number of frames are those that it is of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from benchmarks.results import Result

NOTE = (
    "Published figures are another measurement: the video went through RGB pictures on its way in (classical codecs "
    "then code 4:2:0 of those), PSNR is of these, and the rate of implicit codecs is mostly counted by a formula, not "
    "on a file. What was read off a figure is good to a few tenths."
)

Points = tuple[tuple[float, float], ...]
"""(bpp, RGB PSNR in dB)"""


@dataclass(frozen=True)
class Published:
    """A curve of somebody else."""

    name: str
    """Codec, as in tables."""
    points: Points
    """Any order."""
    source: str
    """Where it is from and what it is."""


BUNNY_300_EPOCHS = {
    "nerv": {0.35: 26.99, 0.75: 28.46, 1.5: 30.87, 3.0: 33.21},
    "e-nerv": {0.35: 27.84, 0.75: 30.95, 1.5: 32.09, 3.0: 36.72},
    "hnerv": {0.35: 30.15, 0.75: 32.81, 1.5: 35.57, 3.0: 37.43},
}
"""RGB PSNR before quantisation by millions of parameters: HNeRV, arXiv 2304.02633, table 2."""

_BUNNY_PIXELS = 132 * 640 * 1280
_TABLE_2 = "arXiv 2304.02633, table 2: 300 epochs, PSNR before quantisation, rate as 8 bits a parameter"
_BOOSTING = "read off a figure of Boosting-NeRV (HNeRV-Boost), compressed, 720p"

BUNNY_TABLE = tuple(
    Published(
        f"{label}, 300 epochs",
        tuple((8e6 * size / _BUNNY_PIXELS, psnr) for size, psnr in BUNNY_300_EPOCHS[model].items()),
        _TABLE_2,
    )
    for model, label in (("nerv", "NeRV"), ("e-nerv", "E-NeRV"), ("hnerv", "HNeRV"))
)
BUNNY_FIGURE = (
    Published("HNeRV, compressed", ((0.025, 29.2), (0.050, 33.65), (0.100, 36.75)), _BOOSTING),
    Published("HNeRV-Boost", ((0.033, 34.5), (0.052, 36.9), (0.101, 39.6)), _BOOSTING),
)

_C3 = "repository google-deepmind/c3_neural_compression, baselines/uvg.py: means over the seven clips, 1080p"
_HINERV = "results in the repository of HiNeRV: means over the seven clips, 1080p"
UVG = (
    Published("NeRV", ((0.0135, 31.28), (0.0324, 33.69), (0.0667, 35.57), (0.146, 36.87), (0.250, 37.86)), _C3),
    Published("HNeRV", ((0.0139, 32.77), (0.0339, 34.39), (0.0498, 35.49)), _C3),
    Published("FFNeRV", ((0.0182, 32.71), (0.0546, 35.55), (0.131, 37.64), (0.239, 38.91)), _C3),
    Published("C3", ((0.0159, 32.93), (0.0331, 35.03), (0.0846, 37.45), (0.254, 39.70)), _C3),
    Published("HiNeRV", ((0.0150, 34.80), (0.0299, 36.24), (0.0583, 37.51), (0.1159, 38.72), (0.2271, 39.81)), _HINERV),
    Published("x265 medium, no B", ((0.0146, 32.26), (0.0313, 34.33), (0.0669, 36.21), (0.235, 38.39)), _C3),
    Published("HM-18 RA", ((0.0075, 32.79), (0.0155, 34.63), (0.0324, 36.41), (0.073, 38.06)), _C3),
    Published("VTM-17 RA", ((0.0079, 33.38), (0.0144, 34.87), (0.0260, 36.29), (0.0488, 37.60), (0.121, 39.03)), _C3),
)
UVG_CLIPS = ("Beauty", "Bosphorus", "HoneyBee", "Jockey", "ReadySteadyGo", "ReadySetGo", "ShakeNDry", "YachtRide")
"""The seven, one of them under both of its names."""


UVG_MEAN = "UVG, mean"


def beside(result: Result) -> tuple[Published, ...]:
    """What was published of the clip that a result is of, if anything."""
    if result.clip == "bunny-640x1280" and result.frames == 132:
        return BUNNY_TABLE + BUNNY_FIGURE
    if result.clip == "bunny-720p" and result.frames == 132:
        return BUNNY_FIGURE
    return UVG if result.clip.startswith(UVG_MEAN) else ()


def uvg_means(results: Sequence[Result]) -> list[Result]:
    """Means over the clips of UVG at each setting that all of those measured have, as results of a clip more.

    Only whole clips in 1080p count, for that is what was published; the name says how many of the seven there are.
    """
    known = [result for result in results if _uvg_name(result)]
    clips = {_uvg_name(result) for result in known}
    settings: dict[tuple[str, str, float], list[Result]] = {}
    for result in known:
        settings.setdefault((result.codec, result.preset, result.point), []).append(result)
    means = []
    for group in settings.values():
        if {_uvg_name(result) for result in group} == clips:
            means.append(
                replace(
                    group[0],
                    clip=f"{UVG_MEAN} of {len(clips)} of 7 clips",
                    bpp=fmean(result.bpp for result in group),
                    encode_seconds=fmean(result.encode_seconds for result in group),
                    encode_cpu_seconds=fmean(result.encode_cpu_seconds for result in group),
                    metrics={name: fmean(r.metrics[name] for r in group) for name in group[0].metrics},
                )
            )
    return means


def _uvg_name(result: Result) -> str | None:
    """Which clip of UVG a result is of, or None: of none, or not of the whole of it in 1080p."""
    name = result.clip.partition("_")[0]
    whole = (result.width, result.height) == (1920, 1080) and result.frames in (300, 600)
    return name if name in UVG_CLIPS and whole else None
