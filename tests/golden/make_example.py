"""Makes example.linr and the parts of bitstream_spec.md that follow from it or from the code.

python tests/golden/make_example.py                  show what would be written for the file as it is
python tests/golden/make_example.py --update-spec    encode the file anew and bring the text up to date
"""

from __future__ import annotations

import argparse
import hashlib
import re
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

import licodec
from licodec.container import ByteReader, LinrReader, LinrWriter
from licodec.entropy import priors
from licodec.entropy.reference import decode_segment, mixing
from licodec.entropy.segment import PictureCoder
from licodec.entropy.weights import TensorCoder
from licodec.model.config import ModelConfig
from licodec.model.geometry import Geometry
from licodec.model.symbols import SegmentSymbols
from licodec.video.info import VideoInfo

EXAMPLE = Path(__file__).with_name("example.linr")
SPEC = Path(__file__).parents[2] / "bitstream_spec.md"
INFO = VideoInfo(16, 16, "gray", time_base=Fraction(1, 25))
CONFIG = ModelConfig()
FRAMES = 2
_WIDTH = 116
_BYTES = 12


def clip() -> list[np.ndarray]:
    """A bright spot that moves by two samples."""
    y, x = np.mgrid[:16, :16]
    return [
        np.rint(60 + 140 * np.exp(-((x - 6 - 2 * t) ** 2 + (y - 7) ** 2) / 18)).astype(np.uint8) for t in range(FRAMES)
    ]


def write_example(path: Path) -> None:
    """Encode the clip without a network."""
    from licodec.fit.presets import PRESETS, Quality
    from licodec.fit.segment import fit_segment
    from licodec.model.geometry import to_working

    planes = [to_working([frame], INFO) for frame in clip()]
    preset = replace(PRESETS["medium"], steps=0)
    payload = fit_segment(Geometry.of(INFO), CONFIG, planes.__getitem__, FRAMES, Quality(37), preset)
    path.unlink(missing_ok=True)
    with LinrWriter(path, INFO, CONFIG.to_bytes()) as writer:
        writer.add_segment(payload, list(range(FRAMES)), [1] * FRAMES)
        writer.finish()


def symbols(data: bytes) -> SegmentSymbols:
    """The only segment of the example, by the reference decoder."""
    with LinrReader(data) as reader:
        config = ByteReader(reader.conf)
        config.u8()
        return decode_segment(reader.read_segment(0), Geometry.of(reader.info), ModelConfig.from_reader(config), FRAMES)


class Dump:
    """Takes a file apart, one line of hex and meaning a field."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self.lines: list[str] = []

    def take(self, count: int, meaning: Callable[[bytes], str] | str) -> bytes:
        """The next bytes as one field."""
        field = self._data[self._at : self._at + count]
        text = meaning if isinstance(meaning, str) else meaning(field)
        for first in range(0, count, _BYTES):
            shown = field[first : first + _BYTES].hex(" ").upper()
            self.lines.append(f"{self._at + first:04x}  {shown:<{3 * _BYTES}} {text}".rstrip())
            text = ""
        self._at += count
        return field

    def number(self, count: int, name: str) -> int:
        """A fixed field."""
        return int.from_bytes(self.take(count, lambda b: f"{name}: {int.from_bytes(b, 'little')}"), "little")

    def varint(self, name: str, *, signed: bool = False) -> int:
        """A `v`, or an `s`."""
        reader = ByteReader(self._data[self._at :])
        value = reader.signed() if signed else reader.varint()
        self.take(reader.position, f"{name}: {value}")
        return value

    def chunk(self) -> tuple[str, int]:
        """Type and end of the next chunk's payload."""
        kind = self.take(4, lambda b: f"chunk {b.decode()}").decode()
        length = self.varint("  length")
        return kind, self._at + length

    def rest(self, end: int, meaning: str) -> None:
        """Everything up to a byte of the file."""
        if end > self._at:
            self.take(end - self._at, meaning)

    def crc(self) -> None:
        """End of a chunk."""
        self.take(4, lambda b: f"  CRC: {int.from_bytes(b, 'little'):08X}")

    @property
    def done(self) -> bool:
        """Whether all bytes are taken."""
        return self._at == len(self._data)


def dump(data: bytes) -> list[str]:
    """Every byte of the example with its meaning."""
    out = Dump(data)
    out.take(8, "signature")
    out.number(1, "writer version")
    out.number(1, "minimum reader version")
    fields = {"HEAD": _head, "CONF": _conf, "SEGM": _segment, "INDX": _index, "ENDF": _end}
    while not out.done:
        kind, end = out.chunk()
        fields[kind](out, end)
        out.crc()
    return out.lines


def _head(out: Dump, _: int) -> None:
    for count, name in ((2, "width"), (2, "height"), (1, "planes"), (1, "bits of a sample"), (1, "rotation")):
        out.number(count, f"  {name}")
    for name in ("primaries", "transfer", "matrix", "range", "location of chroma"):
        out.number(1, f"  {name}")
    for name in ("sample aspect", "time base"):
        out.varint(f"  {name}, numerator")
        out.varint(f"  {name}, denominator")


def _conf(out: Dump, _: int) -> None:
    out.number(1, "  profile")
    for name in ("latent_dim", "width", "hyper_width", "rank"):
        out.varint(f"  {name}")


def _times(out: Dump) -> None:
    frames = out.varint("  time table: frames")
    out.varint("  first timestamp", signed=True)
    while frames:
        frames -= out.varint("  run: frames")
        out.varint("  step", signed=False)
        out.varint("  gap", signed=True)


def _segment(out: Dump, end: int) -> None:
    _times(out)
    for _ in range(out.varint("  groups")):
        out.varint("  distance")
    out.number(1, "  flags")
    for level in range(2):
        out.number(1, f"  quantiser index of level {level}")
    out.rest(end, "  words of the stream")


def _index(out: Dump, end: int) -> None:
    if out.number(1, "  method"):
        out.rest(end, "  body, compressed")
        return
    out.take(4, lambda b: f"  entry: {b.decode()}")
    out.varint("  length of the chunk")
    _times(out)


def _end(out: Dump, _: int) -> None:
    out.number(8, "  byte at which INDX begins")
    out.take(32, "  SHA-256 of all bytes before this chunk")


@contextmanager
def traced(lines: list[str]) -> Iterator[None]:
    """Write down every decision of the reference decoder, those of one model in a row together."""
    names: dict[int, str] = {}
    runs: list[tuple[str, list[str]]] = []
    current = ["raw"]
    make, decode, bit = mixing.Model.__init__, mixing.Model.decode, mixing.RangeDecoder.bit

    def make_named(self: mixing.Model, name: str, *args: object, **options: object) -> None:
        names[id(self)] = name
        make(self, name, *args, **options)  # type: ignore[arg-type]

    def decode_named(self: mixing.Model, *args: object, **options: object) -> int:
        current[0] = names[id(self)]
        try:
            return decode(self, *args, **options)  # type: ignore[arg-type]
        finally:
            current[0] = "raw"

    def bit_shown(self: mixing.RangeDecoder, p1: int) -> int:
        value = bit(self, p1)
        if not runs or runs[-1][0] != current[0]:
            runs.append((current[0], []))
        runs[-1][1].append(f"{p1}:{value}")
        return value

    mixing.Model.__init__ = make_named  # type: ignore[method-assign, assignment]
    mixing.Model.decode = decode_named  # type: ignore[method-assign, assignment]
    mixing.RangeDecoder.bit = bit_shown  # type: ignore[method-assign]
    try:
        yield
    finally:
        mixing.Model.__init__ = make  # type: ignore[method-assign]
        mixing.Model.decode = decode  # type: ignore[method-assign]
        mixing.RangeDecoder.bit = bit  # type: ignore[method-assign]
    for name, shown in runs:
        text = ", ".join(shown) if name != "raw" else "".join(s[-1] for s in shown)
        lines += textwrap.wrap(f"{name}  {text}", _WIDTH, subsequent_indent="    ")


def listing(found: SegmentSymbols) -> list[str]:
    """The symbols that are not 0."""
    lines = []
    for frame, picture in found.pictures.items():
        lines.append(f"frame {frame}")
        lines.append(f"    quantiser offset {picture.quantiser}")
        for reference, starts in enumerate(picture.starts):
            for r, c in np.argwhere(starts).tolist():
                lines.append(f"    reference {reference}, tree ({r}, {c}) starts from nothing")
        for reference, nodes in enumerate(picture.corrections):
            for depth, vectors in enumerate(nodes):
                for r, c in np.argwhere(vectors.any(axis=-1)).tolist():
                    x, y = vectors[r, c].tolist()
                    lines.append(f"    reference {reference}, depth {depth}, node ({r}, {c}): ({x}, {y})")
        lines.append(f"    size index of each cell: {' '.join(map(str, picture.sizes[0].ravel()))}")
        modes = [f"[{q}, {p}] {picture.modes[0][q, p]}" for q, p in np.argwhere(picture.modes[0]).tolist()]
        text = "modes of quarters at [row, column]: " + ", ".join(modes or ["all 0"])
        lines += textwrap.wrap(text, _WIDTH, initial_indent="    ", subsequent_indent="    ")
        levels = picture.levels[0].dense()
        shown = [f"[{v}, {u}] {levels[p, v, u]}" for p, v, u in np.argwhere(levels).tolist()]
        text = "levels at [row, column]: " + ", ".join(shown or ["none"])
        lines += textwrap.wrap(text, _WIDTH, initial_indent="    ", subsequent_indent="    ")
    return lines


def example_text(data: bytes) -> str:
    """The worked example: a function of the file's bytes and of the decoder."""
    decisions: list[str] = []
    with traced(decisions):
        found = symbols(data)
    trace_hash = hashlib.sha256("\n".join(decisions).encode()).hexdigest()
    return "\n\n".join(
        [
            "`tests/golden/example.linr`: two frames of 16x16, gray, a bright spot that moves by two samples to the "
            f"right,\nwithout a network; {len(data)} bytes.",
            "\n".join(["```text", *dump(data), "```"]),
            "The symbols of its segment:",
            "\n".join(["```text", *listing(found), "```"]),
            "Its decisions as p1:decision, those of one model in a row together; of raw decisions the decision alone.\n"
            f"SHA-256 of these lines, joined by line feeds: `{trace_hash}`",
            "\n".join(["```text", *decisions, "```"]),
        ]
    )


def priors_text() -> str:
    """Name and digest of the priors file."""
    return files_text("entropy/priors.bin")


def files_text(*names: str) -> str:
    """Names, sizes and digests of files that are shipped in the package."""
    rows = ["| file | bytes | SHA-256 |", "| --- | --- | --- |"]
    for name in names:
        data = (Path(licodec.__file__).parent / name).read_bytes()
        rows.append(f"| `licodec/{name}` | {len(data):,} | `{hashlib.sha256(data).hexdigest()}` |")
    return "\n".join(rows)


def models_text() -> str:
    """Every model with the sizes of its tables."""
    coder = PictureCoder(Geometry.of(VideoInfo(16, 16, "420")), {})
    models = {**coder.models(), **{f"weights.{k}": m for k, m in TensorCoder(19).models().items()}}
    known = priors.shipped()
    rows = ["| model | entries of each table | sets | priors |", "| --- | --- | --- | --- |"]
    for name, model in models.items():
        listed = " · ".join(f"{size:,}" for size in model.sizes)
        sets = f"{model.selectors} + {len(model.mixer.weights) - model.selectors}"
        rows.append(f"| `{name}` | {listed} | {sets} | {'yes' if name in known else 'no'} |")
    return "\n".join(rows)


def tables_text() -> str:
    """Values to check squash and stretch with."""

    def digest(table: list[int]) -> str:
        return hashlib.sha256(np.array(table, "<i4").astype("<u2").tobytes()).hexdigest()

    squash, stretch = mixing.SQUASH, mixing.STRETCH
    at = (-2047, -256, 0, 1, 256, 2047)
    ps = (0, 1000, 2048, 4095)
    return "\n".join(
        [
            "| check | value |",
            "| --- | --- |",
            f"| squash of {', '.join(map(str, at))} | {', '.join(str(squash[x + 2047]) for x in at)} |",
            f"| stretch of {', '.join(map(str, ps))} | {', '.join(str(stretch[p]) for p in ps)} |",
            f"| SHA-256 of all squash, in order, as `u(16)` | `{digest(squash)}` |",
            f"| SHA-256 of all stretch, in order, as two's complement `u(16)` | `{digest(stretch)}` |",
        ]
    )


def generated(data: bytes) -> dict[str, str]:
    """The parts of the text that this script writes, by name."""
    return {
        "priors": priors_text(),
        "networks": files_text("render/fusion.safetensors", "render/upsampler.safetensors"),
        "models": models_text(),
        "tables": tables_text(),
        "example": example_text(data),
    }


def block(name: str) -> re.Pattern[str]:
    """Matches a part of the text: its two markers and what is between them."""
    return re.compile(rf"(<!-- generated: {name} -->\n)(.*?)(\n<!-- end: {name} -->)", re.DOTALL)


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update-spec", action="store_true")
    if not parser.parse_args().update_spec:
        print(example_text(EXAMPLE.read_bytes()))
        return
    write_example(EXAMPLE)
    text = SPEC.read_text()
    for name, new in generated(EXAMPLE.read_bytes()).items():
        text, count = block(name).subn(lambda found, new=new: found[1] + new + found[3], text)
        if count != 1:
            raise SystemExit(f"{SPEC}: {count} places marked {name}, not one")
    SPEC.write_text(text)


if __name__ == "__main__":
    main()
