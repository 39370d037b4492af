"""What every reader must get from the files of this folder, and whether this one does.

python tests/conformance/check.py [--device cuda] [--threads 2] [--reference] [NAME ...]

Prints one JSON object: for each file the digests of its integers and how far its pictures are from those kept here.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent / "files"
MANIFEST = FOLDER / "manifest.json"


def feed(digest: Any, value: object) -> None:
    """Take in a value of whole numbers: every array with its shape, as 64-bit little-endian integers."""
    if isinstance(value, np.ndarray):
        assert value.dtype.kind in "iub", value.dtype
        digest.update(f"array{value.shape}".encode() + value.astype("<i8").tobytes())
    elif is_dataclass(value):
        for field in fields(value):
            digest.update(field.name.encode())
            feed(digest, getattr(value, field.name))
    elif isinstance(value, dict):
        for key in sorted(value):
            feed(digest, key)
            feed(digest, value[key])
    elif isinstance(value, (list, tuple)):
        digest.update(f"list{len(value)}".encode())
        for item in value:
            feed(digest, item)
    else:
        assert value is None or isinstance(value, (int, str, bytes, Fraction)), type(value)
        digest.update(repr(value).encode())


def sha256(*values: object) -> str:
    """Of whole numbers, in any structure."""
    digest = hashlib.sha256()
    for value in values:
        feed(digest, value)
    return digest.hexdigest()


def integers(path: Path, *, reference: bool = False) -> dict[str, Any]:
    """SHA-256 of all that is exact: the header, the times, each segment's symbols, the other chunks.

    `reference`: with the slow decoder that was written from the specification.
    """
    from licodec.container import LinrReader

    with LinrReader(path) as reader:
        return {
            "head": sha256(reader.info),
            "conf": sha256(reader.conf),
            "times": sha256(list(reader.pts), list(reader.durations), [s.first_frame for s in reader.segments]),
            "segments": [
                sha256(_symbols(reader.read_segment(i), reader.conf, reader.info, s.frame_count, reference))
                for i, s in enumerate(reader.segments)
            ],
            "meaning": _meaning(reader, reference),
            "ancillary": sha256([reader.ancillary(kind) for kind in ("auxS", "encS", "zzzz")]),
        }


def _meaning(reader: Any, reference: bool) -> list[str]:
    """Of each head: all numbers of it and of its latents."""
    from licodec.container import DEFAULT_LIMITS, SEMANTIC_LATENTS
    from licodec.semantics.reference import read_chunk
    from licodec.semantics.track import readers

    if reference:
        frames = [s.frame_count for s in reader.segments]
        slow = [read_chunk(payload, frames) for payload in reader.ancillary(SEMANTIC_LATENTS)]
        return [sha256(m.fingerprint, m.steps, m.mean, m.basis, m.latents) for m in slow]
    found = []
    for chunk in readers(reader, DEFAULT_LIMITS, ""):
        head, about = chunk.head(), chunk.fingerprint
        names = (about.provider, about.architecture, bytes.fromhex(about.weights), about.preprocessing, about.dimension)
        found.append(sha256(names, head.steps, head.mean, head.basis, [s.codes for s in chunk.segments()]))
    return found


def _symbols(payload: bytes, conf: bytes, info: Any, frames: int, reference: bool) -> object:
    from licodec.container import ByteReader
    from licodec.entropy import reference as slow
    from licodec.entropy.latent_inr import read_symbols
    from licodec.entropy.reference.latent_inr import decode_latent_inr
    from licodec.entropy.segment import SegmentReader
    from licodec.model.config import PROFILE_PAPER, ModelConfig
    from licodec.model.geometry import Geometry
    from licodec.model.latent_inr import LatentINRConfig, build

    geometry = Geometry.of(info)
    if conf[0] == PROFILE_PAPER:
        if reference:
            return decode_latent_inr(payload, conf[1:], geometry, frames)
        model = build(LatentINRConfig.from_bytes(conf[1:]), info, frames)
        return read_symbols(payload, [tuple(p.shape) for p in model.parameters()])
    reader = ByteReader(conf)
    reader.u8()
    config = ModelConfig.from_reader(reader)
    if reference:
        return slow.decode_segment(payload, geometry, config, frames)
    fast = SegmentReader(payload, geometry, config, frames)
    for _ in fast.batches():
        pass
    return fast.symbols


def views(path: Path) -> Iterator[tuple[str, Any, Any]]:
    """(name, time, size) of the pictures that are kept of a file: a few of its own, one in between, one larger."""
    from licodec.container import LinrReader

    with LinrReader(path) as reader:
        count, base, info = len(reader.pts), reader.info.time_base, reader.info
        for i in sorted({0, count // 2, count - 1}):
            yield f"frame{i}", reader.pts[i] * base, None
        if count > 1:
            yield "between", (2 * reader.pts[0] + reader.pts[1]) * base / 3, None
        if path.stem == "deep":
            yield "larger", reader.pts[1] * base, (info.height * 3 // 2, info.width * 3 // 2)


def pictures(path: Path, device: str = "cpu") -> dict[str, np.ndarray]:
    """Planes of the pictures that are kept, one array each, as `name.plane`."""
    import licodec
    from licodec.render.resample import View

    out = {}
    with licodec.open(path, device=device) as video:
        for name, time, size in views(path):
            planes = video.planes_at(time, View.of(video.info, size) if size else None)
            out |= {f"{name}.{i}": plane for i, plane in enumerate(planes)}
    return out


def distance(path: Path, device: str = "cpu") -> dict[str, float]:
    """How far this machine's pictures are from those kept, in code values: largest difference and RMS of frames, and
    RMS of pictures between them and at other sizes, which are not normative."""
    kept = dict(np.load(path.with_suffix(".npz"), allow_pickle=False))
    got = pictures(path, device)
    assert kept.keys() == got.keys()
    apart = {k: np.abs(kept[k].astype(np.int64) - got[k]).ravel() for k in kept}
    frames = [a for k, a in apart.items() if k.startswith("frame")]
    others = [a for k, a in apart.items() if not k.startswith("frame")]
    return {"max": max(int(a.max()) for a in frames), "rms": _rms(frames), "others": _rms(others)}


def _rms(apart: list[np.ndarray]) -> float:
    return float(np.sqrt(np.mean(np.concatenate(apart) ** 2))) if apart else 0.0


def tolerance(bit_depth: int) -> int:
    """Code values by which a picture may be off: each reader is within 1/64 of an 8-bit step, and then rounds."""
    return 1 + 2 ** (bit_depth - 8) // 32


def files(names: list[str] | None = None) -> list[Path]:
    """The files, or those named."""
    found = sorted(FOLDER.glob("*.linr"))
    return [path for path in found if not names or path.stem in names]


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--reference", action="store_true", help="the slow decoder instead of the fast one")
    options = parser.parse_args()
    from licodec.runtime import use_threads

    use_threads(options.threads)
    known = json.loads(MANIFEST.read_text())
    report = {}
    for path in files(options.names):
        exact = integers(path, reference=options.reference) == known[path.stem]["integers"]
        report[path.stem] = {"exact": exact, **distance(path, options.device)}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
