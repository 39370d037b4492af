"""The renderer alone: its speed stage by stage, its network, how far devices are apart.

Parts of `benchmarks.gpu` and `benchmarks.goals`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.clips import Prepared
from licodec.container import ByteReader, LinrReader
from licodec.model import synthesis
from licodec.model.config import ModelConfig
from licodec.model.geometry import Geometry
from licodec.model.symbols import NetworkSymbols
from licodec.profiles import Player, open_player
from licodec.render.compiled_network import CompiledNetwork
from licodec.render.device import open_renderer
from licodec.render.network import Network
from licodec.render.renderer import Renderer
from licodec.render.resample import View
from licodec.render.torch_renderer import TorchRenderer
from licodec.render.window import Window
from licodec.video.info import VideoInfo

FULL_HD, UHD = (1080, 1920), (2160, 3840)
CUDA = torch.cuda.is_available()
DEVICES = ("cpu", "cuda") if CUDA else ("cpu",)
DRY = "torch cpu"
"""Stands in for a GPU: the same code, with PyTorch on the CPU."""
STAGES = ("predict", "reconstruct", "synthesise", "view", "rgb")

Row = dict[str, str | float]


@dataclass(frozen=True)
class Table:
    """One part of the report."""

    title: str
    note: str
    rows: list[Row]

    def markdown(self) -> str:
        """With a column for each key."""
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        cells = [names, ["---"] * len(names), *([_text(row.get(name, "")) for name in names] for row in self.rows)]
        return "\n".join([f"## {self.title}", "", self.note, "", *(f"| {' | '.join(row)} |" for row in cells), ""])


@dataclass(frozen=True)
class Sample:
    """An encoded clip."""

    clip: Prepared
    path: Path
    """The `.linr` file."""


@dataclass(frozen=True)
class Machine:
    """What a device can do at most, measured."""

    copied: float
    """Bytes a second read and written by a large copy."""
    multiplied: dict[torch.dtype, float]
    """Floating-point operations a second of a large matrix product."""


def capabilities(device: str, quick: bool) -> tuple[Machine, Table]:
    """Measure them."""
    size, side = (1 << 22, 512) if quick else (1 << 30, 8192)
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    copied = 2 * size / _best(lambda: target.copy_(source), 5, device)
    multiplied = {}
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        a = torch.ones((side, side), dtype=dtype, device=device)
        multiplied[dtype] = 2 * side**3 / _best(lambda: a @ a, 5, device)  # noqa: B023
    rows: list[Row] = [{"limit": "memory bandwidth, GB/s", "measured": copied / 1e9}]
    rows += [{"limit": f"matrix rate, {_name(t)}, TFLOP/s", "measured": rate / 1e12} for t, rate in multiplied.items()]
    note = "A large copy, read and written; large square matrix products (float32 without TF32)."
    return Machine(copied, multiplied), Table(f"Limits of {device}", note, rows)


def least_bytes(info: VideoInfo, view: View) -> int:
    """What rendering a picture must move at least, if each step is one kernel that reads and writes each sample once.

    Per sample of four bytes: two references and the picture predicted from them (3), the residual added and edges
    smoothed (3), content, disagreement and residual into the network and the picture out (4); the view reads the
    picture and writes its own samples, which are read again and written as three bytes of RGB.
    """
    native = sum(h * w for h, w in info.plane_shapes)
    shown = sum(h * w for h, w in view.info(info).plane_shapes)
    resized = 0 if view.is_native(info) else 4 * (native + shown)
    return 4 * 10 * native + resized + 4 * shown + 3 * view.size[0] * view.size[1]


def network_flops(path: Path) -> float:
    """Floating-point operations of the network for a picture; 0 in a file without one."""
    with LinrReader(path) as reader:
        geometry = Geometry.of(reader.info)
        players = list(_players(path, open_renderer(geometry)))
        share = sum(p.frames for p in players if getattr(p, "_network", None)) / sum(p.frames for p in players)
        config = ModelConfig.from_reader(ByteReader(reader.conf[1:], path.name))
    rows, columns = geometry.shapes[0]
    return share * 2 * sum(9 * a * b for a, b in synthesis.layer_shapes(geometry, config)) * rows * columns / 4


def renders(samples: Sequence[Sample], passes: int, devices: Sequence[str], machine: Machine) -> Table:
    """The renderer alone, stage by stage; on the last device with what part of its limits is reached."""
    rows: list[Row] = []
    for sample in samples:
        info = sample.clip.info
        sizes = [None, (2 * info.height, 2 * info.width)]
        if (info.height, info.width) == FULL_HD:
            sizes[1] = UHD
        ways = [(d, e, f) for d in devices[1:] for e, f in ((True, False), (False, False), (False, True))]
        for device, exact, fused in [("cpu", True, False), *ways]:
            for size in sizes:
                view = View.of(info, size)
                renderer = _renderer(info, device, exact, fused)
                best = min((_render(sample, renderer, view) for _ in range(passes)), key=lambda s: s["total"])
                frames = best.pop("total")
                limits: Row = {}
                if device != "cpu" or len(devices) == 1 or devices[-1] == DRY:
                    rate = sample.clip.frames / frames
                    peak = machine.multiplied[torch.float32 if exact else torch.float16]
                    limits = {
                        "of bandwidth, %": 100 * rate * least_bytes(info, view) / machine.copied,
                        "of matrix rate, %": 100 * rate * network_flops(sample.path) / peak,
                    }
                rows.append(
                    {
                        "file": sample.path.name,
                        "output": f"{view.size[1]}x{view.size[0]}",
                        "device": device,
                        "network": "float32" if exact else "float16",
                        "compiled": "yes" if fused else "",
                        "frames a second": sample.clip.frames / frames,
                        **limits,
                        **{f"{stage}, ms": 1000 * seconds / sample.clip.frames for stage, seconds in best.items()},
                    }
                )
    note = (
        f"Symbols parsed before; RGB tensors left on the device; best of {passes} passes. The stages are timed in a "
        "pass of their own, each waiting for the device, so that their sum is more than a frame takes. Of bandwidth: "
        "bytes that must be moved if every step is one kernel (`least_bytes`), against a large copy."
    )
    return Table("Rendering", note, rows)


def _renderer(info: VideoInfo, device: str, exact: bool, fused: bool) -> Renderer[Any]:
    if device == DRY:
        return TorchRenderer(Geometry.of(info), "cpu", torch.float32 if exact else torch.float16, fused=fused)
    return open_renderer(Geometry.of(info), device, exact=exact, fused=fused)


def _render(sample: Sample, renderer: Renderer[Any], view: View) -> dict[str, float]:
    """Seconds of a pass over all frames, as a whole and in stages."""
    for name in STAGES:
        vars(renderer).pop(name, None)
    seconds = {"total": _play(sample, renderer, view)}
    for name in STAGES:
        seconds[name] = 0.0
        setattr(renderer, name, _timed(getattr(renderer, name), name, seconds, renderer.device))
    _play(sample, renderer, view)
    return seconds


def _play(sample: Sample, renderer: Renderer[Any], view: View) -> float:
    info = sample.clip.info
    players = list(_players(sample.path, renderer))
    for player in players:
        player.parse()
    wait(renderer.device)
    start = time.perf_counter()
    for player in players:
        for i in range(player.frames):
            renderer.rgb(renderer.view(player.render(i), view, info), view.info(info))
    wait(renderer.device)
    return time.perf_counter() - start


def decoding(path: Path, passes: int) -> dict[str, float]:
    """Milliseconds a frame that `licodec decode FILE null:` spends on the CPU, stage by stage, in the best passes.

    One stage after the other, with nothing beside it: `entropy` parses all symbols, the others are timed while the
    frames are played from them. A decode parses in a thread of its own while it renders, so that it takes less than
    `sum`. `colour` makes integer planes of the video's own format; `rgb` is what a tensor takes instead of that.
    """
    with LinrReader(path) as reader:
        info, frames = reader.info, sum(entry.frame_count for entry in reader.segments)
    best: dict[str, float] = {}
    for _ in range(passes):
        seconds = dict.fromkeys(("predict", "reconstruct", "synthesise", "download", "rgb"), 0.0)
        renderer = open_renderer(Geometry.of(info))
        for name in seconds:
            setattr(renderer, name, _timed(getattr(renderer, name), name, seconds, "cpu"))
        players = list(_players(path, renderer))
        start = time.perf_counter()
        for player in players:
            player.parse()
        stages = {"entropy": time.perf_counter() - start}
        for player in players:
            for i in range(player.frames):
                planes = player.render(i)
                renderer.download(planes, info)
                renderer.rgb(planes, info)
        rgb = seconds.pop("rgb")
        stages |= {"colour" if name == "download" else name: spent for name, spent in seconds.items()}
        stages |= {"sum": sum(stages.values()), "rgb": rgb}
        best = {name: min(spent, best.get(name, spent)) for name, spent in stages.items()}
    return {name: 1000 * spent / frames for name, spent in best.items()}


def _timed(function: Callable, name: str, seconds: dict[str, float], device: str) -> Callable:
    def wrapper(*arguments):
        wait(device)
        start = time.perf_counter()
        result = function(*arguments)
        wait(device)
        seconds[name] += time.perf_counter() - start
        return result

    return wrapper


def differences(samples: Sequence[Sample]) -> Table:
    """Code values of other renderers against the CPU's, on all frames, between them and at twice the size."""
    rows: list[Row] = []
    for sample in samples:
        info = sample.clip.info
        geometry = Geometry.of(info)
        others = {"torch cpu": TorchRenderer(geometry, "cpu")}
        if CUDA:
            others = {f"cuda, network {t}": TorchRenderer(geometry, "cuda", t) for t in (torch.float32, torch.float16)}
        for name, other in others.items():
            for what, view, share in (
                ("frames", View.of(info), 0.0),
                ("between frames", View.of(info), 0.4),
                ("x 2", View.of(info, (2 * info.height, 2 * info.width)), 0.0),
            ):
                rows.append(
                    {"file": sample.path.name, "against": name, "of": what, **_apart(sample, other, view, share)}
                )
    note = "Integer planes. Before rounding: root mean square and largest, on the 8-bit scale."
    return Table("Differences from the CPU's reference", note, rows)


def _apart(sample: Sample, other: TorchRenderer, view: View, share: float) -> Row:
    info, reference = sample.clip.info, open_renderer(Geometry.of(sample.clip.info))
    count = differing = most = 0
    square, largest = 0.0, 0.0
    for mine, theirs in zip(_players(sample.path, reference), _players(sample.path, other), strict=True):
        for i in range(0, mine.frames, 3):
            a = reference.view(mine.between(i, share), view, info)
            b = other.view(theirs.between(i, share), view, info)
            for p, made in zip(a, b, strict=True):
                error = np.abs(p - made.cpu().numpy())
                square, largest = square + float(np.square(error, dtype=np.float64).sum()), max(largest, error.max())
            shown = view.info(info)
            for p, q in zip(reference.download(a, shown), other.download(b, shown), strict=True):
                steps = np.abs(p.astype(np.int32) - q)
                count, differing, most = count + steps.size, differing + int((steps > 0).sum()), max(most, steps.max())
    return {
        "samples differing, %": 100 * differing / count,
        "by at most": int(most),
        "RMS": (square / count) ** 0.5,
        "largest": float(largest),
    }


def networks(size: tuple[int, int], passes: int, devices: Sequence[str]) -> Table:
    """The synthesis network of one picture alone."""
    places = [device.removeprefix("torch ") for device in devices[1:]]
    types = [("cpu", torch.float32), *((device, t) for device in places for t in (torch.float32, torch.float16))]
    rows = [_network(size, width, device, dtype, passes) for width in (8, 24, 32) for device, dtype in types]
    return Table("Synthesis network", f"One picture of {size[1]}x{size[0]}, 4:2:0, packing included.", rows)


def _network(size: tuple[int, int], width: int, device: str, dtype: torch.dtype, passes: int) -> Row:
    geometry, config = Geometry.of(VideoInfo(size[1], size[0])), ModelConfig(width=width)
    random = np.random.default_rng(0)
    weights = [np.rint(random.normal(0, 6, s)).astype(np.int32) for s in synthesis.parameter_shapes(geometry, config)]
    symbols = NetworkSymbols(weights, [20] * len(weights), np.zeros((2, config.latent_dim), np.int32))
    samples = tuple(random.random(shape, np.float32) * 255 for shape in geometry.shapes)
    latent = np.zeros(config.latent_dim, np.float32)
    if device == "cpu":
        compiled, whole = CompiledNetwork(geometry, config, symbols), Window.whole(geometry)
        seconds = _best(lambda: compiled(samples, None, samples[0], latent, whole), passes, device)
    else:
        network = Network(geometry, config, symbols, device=device, dtype=dtype)
        planes, z = [torch.from_numpy(p).to(device) for p in samples], torch.from_numpy(latent).to(device)
        seconds = _best(lambda: network(planes, None, planes[0], z), passes, device)
    multiplications = sum(9 * a * b for a, b in synthesis.layer_shapes(geometry, config)) * size[0] * size[1] / 4
    return {
        "width": width,
        "device": device,
        "type": _name(dtype),
        "ms": 1000 * seconds,
        "TFLOP/s": 2e-12 * multiplications / seconds,
    }


def _players(path: Path, renderer: Renderer[Any]) -> Iterator[Player[Any]]:
    with LinrReader(path) as reader:
        for i, entry in enumerate(reader.segments):
            yield open_player(reader.read_segment(i), reader.conf, reader.info, entry.frame_count, path.name, renderer)


def _best(function: Callable[[], object], passes: int, device: str) -> float:
    """Seconds of the fastest of some calls, after one that does not count."""
    seconds = []
    for _ in range(passes + 1):
        wait(device)
        start = time.perf_counter()
        function()
        wait(device)
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])


def wait(device: str) -> None:
    """Until a device has done what it was given."""
    if device != "cpu":
        torch.cuda.synchronize()


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _text(value: str | float) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
