"""Bunny's crop through either network as published, against the published figures.

    python -m benchmarks.peers published --out benchmarks/results [--models hnerv] [--sizes 1.5]

Trains for 300 epochs on a GPU, and compares RGB PSNR before quantisation with table 2 of HNeRV's paper; then
writes the file, reads it again and measures that too. One line a network is appended to OUT/published.jsonl as soon
as it is known, and OUT/published.md has the table. Every network takes minutes on a data-centre GPU, and hours to
days without one, which is refused unless --device cpu asks for it.

It has NOT been run so far: no machine with a GPU was at hand. The tests run it for two epochs of a tiny clip, which
shows that it works, and nothing of the figures.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from benchmarks import results
from benchmarks.peers import packing
from benchmarks.peers.coding import load, rendered
from benchmarks.peers.models import build, shape_for
from benchmarks.peers.training import Budget, embeddings, train
from benchmarks.published import BUNNY_300_EPOCHS

TOLERANCE = 0.5
"""Decibels within which a figure counts as reproduced: seeds alone move it by a few tenths."""


def check(
    clip: Path,
    out: Path,
    models: Sequence[str],
    sizes: Sequence[float],
    epochs: int,
    device: str,
    say: Callable[[str], None],
) -> Path:
    """Train what has no line yet, append, write the table; its path. `sizes`: millions of stored values."""
    jsonl = out / "published.jsonl"
    lines = [json.loads(line) for line in jsonl.read_text().splitlines()] if jsonl.exists() else []
    done = {(line["model"], line["size"], line["epochs"]) for line in lines}
    pictures, info = load(clip)
    for model in models:
        for size in sizes:
            if (model, size, epochs) in done:
                continue
            line = _trained(model, size, pictures, info, epochs, device, say)
            lines.append(line)
            out.mkdir(parents=True, exist_ok=True)
            with jsonl.open("a") as file:
                file.write(json.dumps(line) + "\n")
    table = out / "published.md"
    table.write_text(_table(lines))
    return table


def _trained(
    model: str, size: float, pictures: torch.Tensor, info: Any, epochs: int, device: str, say: Callable[[str], None]
) -> dict[str, Any]:
    shape = shape_for(model, info.height, info.width, len(pictures), size * 1e6)
    torch.manual_seed(0)
    network = build(shape)
    started, told = time.monotonic(), 0.0

    def progress(share: float, error: torch.Tensor) -> None:
        nonlocal told
        if time.monotonic() - told > 30:
            told = time.monotonic()
            say(f"{model} {size:g}M: {share:.1%}, squared error of a batch {float(error):.2e}")

    train(network, shape, pictures, Budget(epochs), device=device, progress=progress)
    seconds = time.monotonic() - started
    stored = embeddings(network, shape, pictures, device)
    before = _psnr(rendered(network, shape, stored, device), pictures)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        size_bytes = packing.write(path, network, shape, stored, info)
        network, shape, stored, _ = packing.read(path)
        after = _psnr(rendered(network, shape, stored, device), pictures)
    line = {
        **{"model": model, "size": size, "epochs": epochs, "seconds": round(seconds, 1)},
        **{"psnr_rgb": round(before, 3), "psnr_rgb_of_the_file": round(after, 3), "bytes": size_bytes},
        "published": BUNNY_300_EPOCHS.get(model, {}).get(size),
        "bpp": 8 * size_bytes / (len(pictures) * info.width * info.height),
        **{"machine": results.machine(), "device": _name(device), "commit": results.commit()},
    }
    say(f"{model} {size:g}M: {before:.2f} dB, published {line['published']}, {seconds:.0f} s")
    return line


def _psnr(made: Any, pictures: torch.Tensor) -> float:
    """Mean over frames of the RGB PSNR of frames in 0..1."""
    total = 0.0
    for picture, truth in zip(made, pictures, strict=True):
        error = (picture.cpu() - truth.float() / 255).square().mean()
        total += float(-10 * torch.log10(error))
    return total / len(pictures)


def _name(device: str) -> str:
    return torch.cuda.get_device_name() if device.startswith("cuda") else device


def _table(lines: Sequence[dict[str, Any]]) -> str:
    rows = [
        "# NeRV and HNeRV of this repository against the published figures",
        "",
        "Bunny, 640x1280, RGB PSNR before quantisation (HNeRV, arXiv 2304.02633, table 2: 300 epochs), and of the file",
        f"decoded again. Reproduced: within {TOLERANCE} dB.",
        "",
        "| network | epochs | PSNR | published | reproduced | PSNR of the file | bpp | seconds | device |",
        "| --- | ---: | ---: | ---: | --- | ---: | ---: | ---: | --- |",
    ]
    for line in lines:
        known = line["published"]
        verdict = "-" if known is None else "yes" if abs(line["psnr_rgb"] - known) <= TOLERANCE else "no"
        cells = [
            f"{line['model']} {line['size']:g}M",
            *(str(line["epochs"]), f"{line['psnr_rgb']:.2f}", "-" if known is None else f"{known:.2f}", verdict),
            *(f"{line['psnr_rgb_of_the_file']:.2f}", f"{line['bpp']:.4f}", f"{line['seconds']:.0f}", line["device"]),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join([*rows, ""])
