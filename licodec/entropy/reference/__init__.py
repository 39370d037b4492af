"""A slow, readable decoder of a segment's symbols, written from `bitstream_spec.md`: the oracle of the tests.

It shares no code with the fast decoder: plain integers, one decision at a time, a range decoder of its own.
Section names in the docstrings are those of the specification. For use, see `licodec.entropy.segment`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from licodec.container import ByteReader
from licodec.entropy.reference.grids import Grid
from licodec.entropy.reference.mixing import Model, RangeDecoder
from licodec.entropy.reference.motion import BlendSyntax, MotionSyntax, StartSyntax
from licodec.entropy.reference.residual import ResidualSyntax
from licodec.entropy.reference.tensors import TensorSyntax
from licodec.errors import DamagedFileError
from licodec.model.config import ModelConfig
from licodec.model.geometry import Geometry
from licodec.model.motion import Field, Known, base_field, clip, compose, started
from licodec.model.pyramid import Picture, pyramid
from licodec.model.symbols import (
    FILTER_MAX,
    QUANTISER_MAX,
    NetworkSymbols,
    PictureSymbols,
    SegmentSymbols,
    SparseLevels,
)

__all__ = ["Model", "RangeDecoder", "decode_segment"]

MAX_GROUP = 64
WEIGHT_LIMIT = 1 << 15
LATENT_LIMIT = 1 << 12


def decode_segment(payload: bytes, geometry: Geometry, config: ModelConfig, frames: int) -> SegmentSymbols:
    """All symbols of a segment of the default profile that the index says has `frames` frames.

    Raises:
        DamagedFileError: the payload is not what the specification allows.
    """
    reader = ByteReader(payload)
    count = reader.varint()
    if count > frames - 1:
        raise reader.damaged("more groups than frames")
    groups = tuple(reader.varint() for _ in range(count))
    if not all(1 <= distance <= MAX_GROUP for distance in groups) or sum(groups) != frames - 1:
        raise reader.damaged("groups that do not make up the frames")
    flags = reader.u8()
    if flags > 1:
        raise reader.damaged("unknown flags")
    rows = min(8, 2 + max((g - 1).bit_length() for g in groups)) if groups else 1
    quantisers = np.array([[reader.u8() for _ in geometry.groups] for _ in range(rows)], np.uint8)
    if quantisers.max() > QUANTISER_MAX:
        raise reader.damaged("quantiser out of range")
    network = _network(reader, geometry, config, frames) if flags & 1 else None
    if reader.remaining % 4:
        raise reader.damaged("the range-coded part is not whole words")
    coder = RangeDecoder(reader.raw(reader.remaining))

    symbols = SegmentSymbols(groups, quantisers, network)
    pictures = PictureSyntax(coder, geometry)
    for batch in pyramid(groups, geometry.batch):
        symbols.pictures.update(pictures.decode(batch))
    coder.finish()
    return symbols


def _network(reader: ByteReader, geometry: Geometry, config: ModelConfig, frames: int) -> NetworkSymbols:
    """`Network parameters`."""
    shapes = parameter_shapes(geometry, config)
    steps = [reader.u8() for _ in shapes]
    coder = RangeDecoder(reader.raw(4 * reader.varint()))
    tensors = TensorSyntax(coder, len(shapes) + 1, "")
    weights = [tensors.decode(kind, shape) for kind, shape in enumerate(shapes)]
    latents = tensors.decode(len(shapes), (frames, config.latent_dim))
    coder.finish()
    if any(np.abs(w).max() > WEIGHT_LIMIT for w in weights):
        raise reader.damaged("network weight out of range")
    if np.abs(latents).max() > LATENT_LIMIT:
        raise reader.damaged("latent out of range")
    return NetworkSymbols(weights, steps, latents)


def parameter_shapes(geometry: Geometry, config: ModelConfig) -> list[tuple[int, ...]]:
    """`Network`: shapes of the parameter tensors."""
    sx, sy = geometry.subsampling
    content = 4 + (2 * (2 // sx) * (2 // sy) if len(geometry.shapes) == 3 else 0)
    ends = [content + 12, config.width, config.width, content]
    shapes: list[tuple[int, ...]] = []
    for inputs, outputs in itertools.pairwise(ends):
        low_rank = config.rank * (outputs + inputs)
        shapes += [(outputs, inputs, 3, 3), (outputs,)]
        shapes += [(config.hyper_width, config.latent_dim), (config.hyper_width,)]
        shapes += [(low_rank, config.hyper_width), (low_rank,)]
    return shapes


class PictureSyntax:
    """`Pictures`: batches of pictures in coding order."""

    def __init__(self, coder: RangeDecoder, geometry: Geometry) -> None:
        self._geometry = geometry
        self._quantiser, self._filter = TensorSyntax(coder, 1, "quantiser."), TensorSyntax(coder, 2, "filter.")
        self._start, self._motion = StartSyntax(coder), MotionSyntax(coder)
        self._blend = BlendSyntax(coder)
        names = ("luma.", "chroma.")
        self._residual = [ResidualSyntax(coder, len(p), name) for p, name in zip(geometry.groups, names, strict=False)]
        self._filters: dict[int, Grid] = {}
        self._activity: dict[int, list[Grid]] = {}
        self._fields: Known = {}

    def decode(self, batch: Sequence[Picture]) -> dict[int, PictureSymbols]:
        """The pictures of a batch by frame."""
        level = min(batch[0].level, 7)
        out = {p.frame: PictureSymbols.blank(self._geometry, p) for p in batch}
        self._decode_quantisers(batch, out)
        self._decode_filters(batch, out)
        for picture in batch:
            found = out[picture.frame]
            self._decode_motion(picture, level, found)
            if found.blend is not None:
                found.blend = self._blend.decode(self._geometry.blend_shape, level)
            for group in range(len(self._geometry.groups)):
                self._decode_residual(picture, group, level, found)
        return out

    def _decode_motion(self, picture: Picture, level: int, out: PictureSymbols) -> None:
        shapes, fields = self._geometry.node_shapes, list[Field]()
        for second, target in enumerate(dict.fromkeys(picture.refs)):
            starts = self._start.decode(shapes[-1], level, out.starts[0] if second else None)
            base = started(base_field(picture, fields, self._fields, shapes[0]), starts)
            corrections = self._motion.decode(base, shapes, level, second)
            fields.append(Field(target, clip(base + compose(corrections))))
            out.starts[second], out.corrections[second] = starts, corrections
        self._fields[picture.frame] = fields

    def _decode_quantisers(self, batch: Sequence[Picture], out: dict[int, PictureSymbols]) -> None:
        quantisers = self._quantiser.decode(0, (len(batch), 1))
        if np.abs(quantisers).max() > QUANTISER_MAX:
            raise DamagedFileError("quantiser out of range")
        for p, (quantiser,) in zip(batch, quantisers, strict=True):
            out[p.frame].quantiser = int(quantiser)

    def _decode_filters(self, batch: Sequence[Picture], out: dict[int, PictureSymbols]) -> None:
        level = batch[0].level
        last = self._filters.get(level, self._filters.get(level - 1))
        for group in range(len(self._geometry.groups)):
            differences = self._filter.decode(group, (12, len(batch)))
            for i, p in enumerate(batch):
                weights = differences[:, i] + (0 if last is None else last[group])
                if np.abs(weights).max() > FILTER_MAX:
                    raise DamagedFileError("loop filter out of range")
                out[p.frame].filters[group] = weights
        self._filters[level] = out[batch[-1].frame].filters.astype(np.int64)

    def _decode_residual(self, picture: Picture, group: int, level: int, out: PictureSymbols) -> None:
        rows, columns = self._geometry.padded(group)
        past = np.zeros((rows // 8, columns // 8), np.int64)
        for r in picture.refs:
            past += self._activity[r][group].max(axis=0)
        guide = self._luma_guide(picture.frame, past.shape) if group else np.zeros_like(past)
        lead = self._luma_modes(out.modes[0], out.modes[group].shape) if group else np.zeros_like(out.modes[0])
        found = self._residual[group].decode(past, guide, lead, level)
        out.sizes[group], out.modes[group], levels, activity = found
        out.levels[group] = SparseLevels.of(levels)
        self._activity.setdefault(picture.frame, []).append(activity)

    def _luma_modes(self, luma: Grid, quarters: tuple[int, ...]) -> Grid:
        """Modes of the luma under each quarter of a chroma cell."""
        sx, sy = self._geometry.subsampling
        lead = np.zeros(quarters, np.uint8)
        for y, x in np.ndindex(quarters):
            row, column = sy * y + sy // 2, sx * x + sx // 2
            if row < luma.shape[0] and column < luma.shape[1]:
                lead[y, x] = luma[row, column]
        return lead

    def _luma_guide(self, frame: int, cells: tuple[int, ...]) -> Grid:
        """Largest luma activity over each chroma cell."""
        luma = self._activity[frame][0][0]
        sx, sy = self._geometry.subsampling
        guide = np.zeros(cells, np.int64)
        for y, x in np.ndindex(cells):
            guide[y, x] = luma[y * sy : (y + 1) * sy, x * sx : (x + 1) * sx].max(initial=0)
        return guide
