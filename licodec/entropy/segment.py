"""Syntax of a whole segment of the default profile: header, network, then the pictures batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from licodec.container import ByteReader, ByteWriter
from licodec.entropy.coder import BitCoder, BitDecoder, BitEncoder
from licodec.entropy.mixing import BinaryModel, State
from licodec.entropy.motion import BlendCoder, MotionCoder, MotionRates, StartCoder
from licodec.entropy.priors import restore, shipped
from licodec.entropy.residual import Rates, ResidualCoder, largest
from licodec.entropy.weights import TensorCoder, code_tensors
from licodec.errors import DamagedFileError
from licodec.model.config import ModelConfig
from licodec.model.geometry import Geometry
from licodec.model.motion import Field, Known, Vectors, base_field, clip, started
from licodec.model.pyramid import Picture, pyramid
from licodec.model.symbols import (
    FILTER_MAX,
    FILTER_WEIGHTS,
    NetworkSymbols,
    PictureSymbols,
    SegmentSymbols,
    SparseLevels,
)
from licodec.model.synthesis import parameter_shapes
from licodec.quant.steps import QUANTISER_MAX

MAX_GROUPS = 1024
"""Most groups of a segment: they are a chain, and the last anchor needs them all."""
MAX_GROUP = 64
"""Largest distance between anchors."""
_PYRAMID_LEVELS = 8
_HAS_NETWORK = 1
_WORD = 4
"""Bytes of the words that streams are whole numbers of."""
LATENT_LIMIT = 1 << 12
WEIGHT_LIMIT = 1 << 15
"""Largest magnitudes of a latent's component and of a network parameter."""


class PictureCoder:
    """Codes batches of pictures; what it learns and remembers lasts for one segment."""

    def __init__(self, geometry: Geometry, priors: dict[str, State] | None = None) -> None:
        """`priors`: states of the models to start from; None: those shipped with the codec."""
        self._geometry = geometry
        self._motion = MotionCoder()
        self._start, self._blend = StartCoder(), BlendCoder()
        self._residual = [ResidualCoder(len(planes)) for planes in geometry.groups]
        self._quantiser, self._filter = TensorCoder(1), TensorCoder(2)
        self._activity: dict[int, list[npt.NDArray[np.uint8]]] = {}
        self._filters: dict[int, npt.NDArray[np.int32]] = {}
        self._fields: Known = {}
        self._rates: dict[tuple[int, int], Rates] = {}
        restore(self.models(), shipped() if priors is None else priors)

    def models(self) -> dict[str, BinaryModel]:
        """Every adaptive model by name, in the order of the priors file."""
        parts = {
            "start": self._start.models(),
            "motion": self._motion.models(),
            "blend": self._blend.models(),
            "quantiser": self._quantiser.models(),
            "filter": self._filter.models(),
        }
        for g, residual in enumerate(self._residual):
            parts[("luma", "chroma")[g]] = residual.models()
        return {f"{part}.{name}": model for part, models in parts.items() for name, model in models.items()}

    def code(self, coder: BitCoder, batch: list[Picture], pictures: dict[int, PictureSymbols]) -> None:
        """Code one batch of `pyramid` in place; a decoder passes blank pictures."""
        symbols = [pictures[p.frame] for p in batch]
        self._code_quantisers(coder, batch, symbols)
        self._code_filters(coder, batch, symbols)
        for picture, found in zip(batch, symbols, strict=True):
            self._code_motion(coder, picture, found)
            if found.blend is not None:
                self._blend.code(coder, found.blend, picture.level)
            for g in range(len(self._geometry.groups)):
                self._code_residual(coder, g, picture, found)
        self._rates.clear()

    def _code_motion(self, coder: BitCoder, picture: Picture, symbols: PictureSymbols) -> None:
        """Starts and corrections of the field to each distinct reference, whose vectors are then known."""
        fields: list[Field] = []
        first: npt.NDArray[np.uint8] | None = None
        moved: Vectors | None = None
        for target, starts, corrections in zip(
            dict.fromkeys(picture.refs), symbols.starts, symbols.corrections, strict=True
        ):
            self._start.code(coder, starts, picture.level, first)
            base = started(base_field(picture, fields, self._fields, self._geometry.node_shapes[0]), starts)
            moved = self._motion.code(coder, corrections, picture.level, base, moved)
            fields.append(Field(target, clip(base + moved)))
            first = starts
        self._fields[picture.frame] = fields

    def _code_quantisers(self, coder: BitCoder, batch: list[Picture], symbols: list[PictureSymbols]) -> None:
        quantisers = np.array([[s.quantiser] for s in symbols], np.int32)
        self._quantiser.code(coder, 0, quantisers)
        for p, s, quantiser in zip(batch, symbols, quantisers[:, 0], strict=True):
            if abs(int(quantiser)) > QUANTISER_MAX:
                raise DamagedFileError(f"frame {p.frame} of the segment has a quantiser out of range")
            s.quantiser = int(quantiser)

    def _code_filters(self, coder: BitCoder, batch: list[Picture], symbols: list[PictureSymbols]) -> None:
        """Weights of the loop filters, as differences from `last_filters`."""
        last = self.last_filters(batch[0].level)
        for g in range(len(self._geometry.groups)):
            difference = np.stack([s.filters[g] - last[g] for s in symbols], axis=1)
            self._filter.code(coder, g, difference)
            for picture, found, weights in zip(batch, symbols, difference.T + last[g], strict=True):
                if np.abs(weights).max() > FILTER_MAX:
                    raise DamagedFileError(f"frame {picture.frame} of the segment has a loop filter out of range")
                found.filters[g] = weights
        self._filters[batch[0].level] = symbols[-1].filters

    def last_filters(self, level: int) -> npt.NDArray[np.int32]:
        """[plane groups, 12] what the filters of the next batch are coded after: the latest of its level, or else of
        the one above it.
        """
        nothing = np.zeros((len(self._geometry.groups), FILTER_WEIGHTS), np.int32)
        return self._filters.get(level, self._filters.get(level - 1, nothing))

    def _code_residual(self, coder: BitCoder, g: int, picture: Picture, symbols: PictureSymbols) -> None:
        levels = symbols.levels[g].dense()
        guide = self._luma_guide(picture, self._geometry.cells(g)) if g else None
        lead = self._under(symbols.modes[0], symbols.modes[g].shape) if g else None
        sizes, modes, past = symbols.sizes[g], symbols.modes[g], self.past(picture, g)
        activity = self._residual[g].code(coder, sizes, modes, levels, picture.level, past, guide, lead)
        self._activity.setdefault(picture.frame, []).append(activity)
        if coder.decoding:
            symbols.levels[g] = SparseLevels.of(levels)

    def past(self, picture: Picture, g: int) -> npt.NDArray[np.uint8]:
        """[2, rows / 8, columns / 8] activity of the references in a plane group, coded before."""
        if not picture.refs:
            return np.zeros((2, *self._geometry.cells(g)), np.uint8)
        return np.stack([self._activity[r][g].max(axis=0) for r in picture.refs])

    def motion_rates(self, level: int, second: int) -> MotionRates:
        """Estimated bits of the field to a picture's first or second reference, from what was coded before."""
        return self._motion.rates(level, second)

    def rates(self, g: int, level: int) -> Rates:
        """Estimated bits of a plane group's residual, from what was coded before."""
        known = self._rates.get((g, level))
        if known is None:
            known = self._rates[g, level] = self._residual[g].rates(level)
        return known

    def _luma_guide(self, picture: Picture, cells: tuple[int, int]) -> npt.NDArray[np.uint8]:
        """Largest luma activity over each chroma cell."""
        luma = self._activity[picture.frame][0][0]
        sx, sy = self._geometry.subsampling
        rows, columns = cells[0] * sy, cells[1] * sx
        luma = luma[:rows, :columns]
        luma = np.pad(luma, [(0, rows - luma.shape[0]), (0, columns - luma.shape[1])])
        return largest(luma, sy, sx)

    def _under(self, modes: npt.NDArray[np.uint8], shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
        """Modes of the luma under each quarter of a chroma cell."""
        sx, sy = self._geometry.subsampling
        out = np.zeros(shape, np.uint8)
        found = modes[sy // 2 :: sy, sx // 2 :: sx][: shape[0], : shape[1]]
        out[: found.shape[0], : found.shape[1]] = found
        return out

    def forget(self, keep: set[int]) -> None:
        """Drop the memory of frames that no later picture refers to."""
        memories: tuple[dict[int, Any], ...] = (self._activity, self._fields)
        for memory in memories:
            for frame in [f for f in memory if f not in keep]:
                del memory[frame]


def _last_use(batches: list[list[Picture]]) -> dict[int, int]:
    """For each frame, the index of the last batch that needs it."""
    last = {}
    for index, batch in enumerate(batches):
        for picture in batch:
            last[picture.frame] = index
            for r in picture.refs:
                last[r] = index
    return last


def quantiser_rows(groups: tuple[int, ...]) -> int:
    """Rows of `SegmentSymbols.quantisers`."""
    return min(_PYRAMID_LEVELS, 2 + max((g - 1).bit_length() for g in groups)) if groups else 1


def write_segment(symbols: SegmentSymbols, geometry: Geometry, coded: BitEncoder | None = None) -> bytes:
    """Payload of one segment; `coded` holds its pictures (and nothing else), if they are coded already."""
    writer = ByteWriter()
    writer.varint(len(symbols.groups))
    for distance in symbols.groups:
        writer.varint(distance)
    writer.u8(_HAS_NETWORK if symbols.network is not None else 0)
    for row in symbols.quantisers:
        for value in row:
            writer.u8(int(value))
    if symbols.network is not None:
        writer.raw(write_network(symbols.network))
    if coded is None:
        coded = BitEncoder()
        pictures = PictureCoder(geometry)
        for batch in pyramid(symbols.groups, geometry.batch):
            pictures.code(coded, batch, symbols.pictures)
    writer.raw(coded.finish())
    return writer.to_bytes()


def write_network(network: NetworkSymbols) -> bytes:
    """The part of a payload that is the network's: steps, parameters and latents."""
    coder = BitEncoder()
    code_tensors(coder, [*network.weights, network.latents])
    stream = coder.finish()
    writer = ByteWriter()
    for step in network.steps:
        writer.u8(step)
    writer.varint(len(stream) // _WORD)
    writer.raw(stream)
    return writer.to_bytes()


def _read_network(reader: ByteReader, geometry: Geometry, config: ModelConfig, frames: int) -> NetworkSymbols:
    shapes = parameter_shapes(geometry, config)
    steps = [reader.u8() for _ in shapes]
    coder = BitDecoder(reader.raw(_WORD * reader.varint()))
    weights, latents = [np.zeros(shape, np.int32) for shape in shapes], np.zeros((frames, config.latent_dim), np.int32)
    try:
        code_tensors(coder, [*weights, latents])
        coder.finish()
    except DamagedFileError as error:
        raise reader.damaged(f"its network: {error}") from None
    if any(np.abs(w).max() > WEIGHT_LIMIT for w in weights) or np.abs(latents).max() > LATENT_LIMIT:
        raise reader.damaged("a network weight or a latent is out of range")
    return NetworkSymbols(weights, steps, latents)


def frames_in(payload: bytes) -> int:
    """Number of frames that a payload says it has."""
    reader = ByteReader(payload)
    return 1 + sum(reader.varint() for _ in range(reader.varint()))


class SegmentReader:
    """Parses a segment's payload; `batches` yields its pictures as they become known."""

    def __init__(
        self,
        payload: bytes,
        geometry: Geometry,
        config: ModelConfig,
        frames: int,
        where: str = "",
        check: Callable[[tuple[int, ...]], None] = lambda groups: None,
    ) -> None:
        """`check` is given the groups before anything is allocated that there is more of the more frames there are."""
        reader = ByteReader(payload, where)
        self._geometry, self._where = geometry, where
        groups = tuple(self._distance(reader) for _ in range(self._count(reader, frames)))
        if sum(groups) + 1 != frames:
            raise reader.damaged(f"has {sum(groups) + 1} frames where the index says {frames}")
        check(groups)
        flags = reader.u8()
        if flags & ~_HAS_NETWORK:
            raise reader.damaged(f"unknown flags {flags:#x}")
        rows = quantiser_rows(groups)
        quantisers = np.frombuffer(reader.raw(rows * len(geometry.groups)), np.uint8).reshape(rows, -1)
        if quantisers.max() > QUANTISER_MAX:
            raise reader.damaged(f"quantiser {quantisers.max()} is over {QUANTISER_MAX}")
        network = _read_network(reader, geometry, config, frames) if flags & _HAS_NETWORK else None
        stream = reader.raw(reader.remaining)
        if len(stream) % _WORD:
            raise reader.damaged("its entropy-coded part is not whole 32-bit words")
        self._coder = BitDecoder(stream)
        self.symbols = SegmentSymbols(groups, quantisers, network)

    @staticmethod
    def _count(reader: ByteReader, frames: int) -> int:
        count = reader.varint()
        if count > min(max(0, frames - 1), MAX_GROUPS):
            raise reader.damaged(f"has {count} groups for {frames} frames; at most {MAX_GROUPS} are allowed")
        return count

    @staticmethod
    def _distance(reader: ByteReader) -> int:
        distance = reader.varint()
        if not 1 <= distance <= MAX_GROUP:
            raise reader.damaged(f"group of {distance} frames, outside 1..{MAX_GROUP}")
        return distance

    def batches(self) -> Iterator[list[Picture]]:
        """Parse batch after batch into `symbols.pictures`; the caller may delete those it is done with."""
        batches = pyramid(self.symbols.groups, self._geometry.batch)
        last = _last_use(batches)
        coder = PictureCoder(self._geometry)
        for index, batch in enumerate(batches):
            for picture in batch:
                self.symbols.pictures[picture.frame] = PictureSymbols.blank(self._geometry, picture)
            try:
                coder.code(self._coder, batch, self.symbols.pictures)
                if index == len(batches) - 1:
                    self._coder.finish()
            except DamagedFileError as error:
                raise DamagedFileError(f"{self._where}: {error}") from None
            yield batch
            coder.forget({frame for frame, end in last.items() if end > index})
