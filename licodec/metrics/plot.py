"""Pictures of measurements, as PNG files: quality per frame, rate-distortion curves, and the frames
themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from licodec.metrics.compare import Comparison
from licodec.metrics.psnr import PSNR_CAP

Rgb = npt.NDArray[Any]
"""A picture [rows, columns, 3] of uint8."""

DPI = 120
COLOURS = ("#0b6fa4", "#d1495b", "#2e933c", "#8d6a9f", "#e09f3e", "#3d405b", "#00798c", "#b56576")
MARKERS = "osD^vPX*"
INK = "#30343b"


def plot_frames(comparison: Comparison, path: Path, *, bits: Sequence[int] | None = None, title: str = "") -> None:
    """Draw each frame's PSNR over its number and, if `bits` has one count a frame, the bits it took; 1200
    pixels wide. ValueError if `bits` has another length."""
    if bits is not None and len(bits) != comparison.frames:
        raise ValueError(f"{len(bits)} bit counts for {comparison.frames} frames")
    figure = _figure(10, 4.2 if bits is None else 6)
    ratios = [2] if bits is None else [2, 1]
    grid = figure.subplots(len(ratios), 1, sharex=True, squeeze=False, height_ratios=ratios)
    axes: list[Axes] = list(grid[:, 0])
    numbers = np.arange(comparison.frames)
    marker = "o" if comparison.frames < 3 else ""
    # Gray has no other weighted PSNR than luma's, and RGB video no luma.
    shown = {"rgb": "RGB"} | ({"y": "Y"} if "y" in comparison.mse else {})
    shown |= {"yuv": "YUV 6:1:1"} if "u" in comparison.mse else {}
    for colour, (name, text) in zip(COLOURS, shown.items(), strict=False):
        values = comparison.psnr(name)
        label = f"{text}  (mean {values.mean():.2f}, worst {values.min():.2f} dB)"
        axes[0].plot(numbers, values, color=colour, label=label, marker=marker, linewidth=1.8 if name == "rgb" else 1.1)
    axes[0].set_ylabel(f"PSNR in dB (at most {PSNR_CAP:.0f})" if comparison.identical else "PSNR in dB")
    if bits is not None:
        axes[1].bar(numbers, np.asarray(bits) / 1000, width=1, color=COLOURS[0], alpha=0.75)
        axes[1].set_ylabel("kbit")
        axes[1].set_ylim(bottom=0)
    axes[-1].set_xlabel("frame")
    axes[-1].xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    axes[-1].set_xlim(-0.5, comparison.frames - 0.5)
    for axis in axes:
        _style(axis)
    _legend_above(axes[0], title)
    figure.savefig(path, format="png")


def plot_rd(
    curves: Mapping[str, Sequence[tuple[float, float]]],
    path: Path,
    *,
    title: str = "",
    quality: str = "RGB PSNR in dB",
    rate: str = "bits per pixel",
) -> None:
    """Draw rate-distortion curves, name: (rate, quality) points in any order, over a logarithmic rate; 1080
    pixels wide."""
    figure = _figure(9, 6)
    axis = figure.subplots()
    for index, (name, points) in enumerate(curves.items()):
        axis.plot(
            *zip(*sorted(points), strict=True),
            color=COLOURS[index % len(COLOURS)],
            marker=MARKERS[index % len(MARKERS)],
            markersize=5,
            # Colours come round again: the first time around lines are drawn through.
            linestyle="-" if index < len(COLOURS) else "--",
            # Our own curves stand out from the many they are drawn against.
            linewidth=2.8 if name.startswith("licodec") else 1.5,
            label=name,
        )
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    axis.xaxis.set_minor_formatter(ticker.NullFormatter())
    axis.set_xlabel(rate)
    axis.set_ylabel(quality)
    _style(axis)
    axis.set_title(title, loc="left", fontsize=12, color=INK)
    if curves:
        axis.legend(frameon=False, fontsize=9, loc="best")
    figure.savefig(path, format="png")


def error_map(reference: Rgb, decoded: Rgb, gain: float = 8) -> Rgb:
    """Largest absolute channel difference of each pixel, times `gain`, on a scale from black over red to
    white."""
    difference = np.abs(reference.astype(np.int16) - decoded).max(axis=2) * gain
    heat = cv2.applyColorMap(np.clip(difference, 0, 255).astype(np.uint8), cv2.COLORMAP_HOT)
    return np.asarray(cv2.cvtColor(heat, cv2.COLOR_BGR2RGB), np.uint8)


def side_by_side(reference: Rgb, decoded: Rgb, gain: float = 8) -> Rgb:
    """The reference, the decoded picture and their error map next to each other, each under its name."""
    tiles = [reference, decoded, error_map(reference, decoded, gain)]
    return tile(tiles, ["reference", "decoded", f"error x {gain:g}"], columns=3)


def tile(pictures: Sequence[Rgb], labels: Sequence[str], columns: int, width: int | None = None) -> Rgb:
    """Equally large pictures in rows of `columns`, each under its label, scaled to `width` pixels a picture
    if given. ValueError if there are none, or if sizes or counts differ."""
    if not pictures or len(pictures) != len(labels) or len({picture.shape for picture in pictures}) != 1:
        raise ValueError(f"need equally large pictures and as many labels, got {[p.shape for p in pictures]}, {labels}")
    height, own_width = pictures[0].shape[:2]
    width = width or own_width
    height = max(1, round(height * width / own_width))
    scaling = cv2.INTER_AREA if width < own_width else cv2.INTER_NEAREST
    gap, bar = max(2, width // 80), max(14, width // 24)
    cell = (height + bar + gap, width + gap)
    rows = -(-len(pictures) // columns)
    sheet: Rgb = np.full((rows * cell[0] + gap, columns * cell[1] + gap, 3), 24, np.uint8)
    for index, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        top, left = index // columns * cell[0] + gap, index % columns * cell[1] + gap
        scaled = cv2.resize(picture, (width, height), interpolation=scaling)
        sheet[top + bar : top + bar + height, left : left + width] = scaled
        _write(sheet[top : top + bar, left : left + width], label)
    return sheet


def save_png(picture: Rgb, path: Path) -> None:
    """Write a picture [rows, columns, 3] as PNG."""
    ok, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if not ok:
        raise ValueError(f"cannot encode a picture of shape {picture.shape} as PNG")
    path.write_bytes(data.tobytes())


def _write(bar: Rgb, label: str) -> None:
    """Put `label` into a bar, in place, as large as it fits."""
    font, height, width = cv2.FONT_HERSHEY_SIMPLEX, bar.shape[0], bar.shape[1]
    (text_width, text_height), _ = cv2.getTextSize(label, font, 1, 1)
    scale = min(height * 0.55 / text_height, width * 0.98 / max(text_width, 1))
    canvas = np.ascontiguousarray(bar)
    thickness = 1 if scale < 0.8 else 2
    cv2.putText(canvas, label, (2, int(height * 0.72)), font, scale, (235, 235, 235), thickness, cv2.LINE_AA)
    bar[:] = canvas


def _figure(width: float, height: float) -> Figure:
    """A figure of its own, outside pyplot: no global state, no window system."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _style(axis: Axes) -> None:
    axis.grid(which="major", color="#d9dce1", linewidth=0.7)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color("#9aa0a8")
    axis.tick_params(colors=INK, labelsize=9)
    axis.xaxis.label.set_color(INK)
    axis.yaxis.label.set_color(INK)


def _legend_above(axis: Axes, title: str) -> None:
    axis.legend(frameon=False, fontsize=9, loc="lower right", bbox_to_anchor=(1, 1), ncols=3, borderaxespad=0.2)
    axis.set_title(title, loc="left", fontsize=12, color=INK, pad=26)
