"""Random symbols of a segment, small clips, and what it means for two decoders to agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import strategies as st

from licodec.entropy.reference.residual import NEXT_STATE
from licodec.entropy.segment import SegmentReader, quantiser_rows
from licodec.fit.presets import PRESETS, Quality
from licodec.fit.segment import fit_segment
from licodec.model.config import ModelConfig
from licodec.model.geometry import Geometry, to_working
from licodec.model.intra import INTER, LUMA, MODES
from licodec.model.pyramid import pyramid
from licodec.model.symbols import FILTER_MAX, NetworkSymbols, PictureSymbols, SegmentSymbols, SparseLevels
from licodec.model.synthesis import parameter_shapes
from licodec.video.info import ChromaFormat, VideoInfo

CONFIG = ModelConfig(latent_dim=3, width=2, hyper_width=2, rank=1)
TRAINING_STEPS = 20


def moving(info: VideoInfo, frames: int) -> list[tuple[np.ndarray, ...]]:
    """Waves and stripes on the move."""
    clip = []
    for t in range(frames):
        planes = []
        for i, (rows, columns) in enumerate(info.plane_shapes):
            y, x = np.mgrid[:rows, :columns] * (info.width / columns)
            waves = 60 * np.sin((x + 2.3 * t) / 5 + i) * np.cos((y - 1.2 * t) / 7)
            stripes = 20 * (((x - 3 * t) // 9 + y // 8) % 2)
            planes.append(np.clip(128 + waves + stripes, 0, 255).astype(np.uint8))
        clip.append(tuple(planes))
    return clip


def encoded(
    chroma: ChromaFormat, frames: int, *, network: bool, width: int = 48, height: int = 40, crf: float = 28
) -> tuple[bytes, Geometry, ModelConfig]:
    """Payload of a short clip by the real encoder."""
    info = VideoInfo(width, height, chroma)
    planes = [to_working(p, info) for p in moving(info, frames)]
    config = ModelConfig(width=4)
    # With bits almost for free the symbols of a network of 20 steps are not all zero.
    quality = Quality(crf, worth=1e-6) if network else Quality(crf)
    preset = replace(PRESETS["ultrafast"], steps=TRAINING_STEPS, group=4)
    with pytest.MonkeyPatch.context() as patch:
        for question in ("network_may_pay", "network_pays"):
            patch.setattr(f"licodec.fit.segment.SegmentFit.{question}", lambda *_: network)
        patch.setattr("licodec.fit.segment._FULL_TRAINING", 1)
        payload = fit_segment(Geometry.of(info), config, planes.__getitem__, frames, quality, preset)
    return payload, Geometry.of(info), config


def decoded(payload: bytes, geometry: Geometry, config: ModelConfig, frames: int) -> SegmentSymbols:
    """All symbols by the fast decoder."""
    reader = SegmentReader(payload, geometry, config, frames)
    for _ in reader.batches():
        pass
    return reader.symbols


def assert_same(a: SegmentSymbols, b: SegmentSymbols) -> None:
    """Every symbol is equal."""
    assert a.groups == b.groups
    np.testing.assert_array_equal(a.quantisers, b.quantisers)
    assert (a.network is None) == (b.network is None)
    if a.network is not None and b.network is not None:
        assert a.network.steps == b.network.steps
        np.testing.assert_array_equal(a.network.latents, b.network.latents)
        for x, y in zip(a.network.weights, b.network.weights, strict=True):
            np.testing.assert_array_equal(x, y)
    assert a.pictures.keys() == b.pictures.keys()
    for frame, p in a.pictures.items():
        assert_same_picture(p, b.pictures[frame])


def assert_same_picture(p: PictureSymbols, q: PictureSymbols) -> None:
    """Every symbol of a picture is equal."""
    assert p.quantiser == q.quantiser
    for x, y in zip(p.starts, q.starts, strict=True):
        np.testing.assert_array_equal(x, y)
    for x, y in zip(p.corrections, q.corrections, strict=True):
        for u, v in zip(x, y, strict=True):
            np.testing.assert_array_equal(u, v)
    assert (p.blend is None) == (q.blend is None)
    if p.blend is not None and q.blend is not None:
        np.testing.assert_array_equal(p.blend, q.blend)
    np.testing.assert_array_equal(p.filters, q.filters)
    for x, y in zip(p.sizes, q.sizes, strict=True):
        np.testing.assert_array_equal(x, y)
    for x, y in zip(p.modes, q.modes, strict=True):
        np.testing.assert_array_equal(x, y)
    for a, b in zip(p.levels, q.levels, strict=True):
        assert a.shape == b.shape
        np.testing.assert_array_equal(a.index, b.index)
        np.testing.assert_array_equal(a.value, b.value)


GEOMETRIES = [
    Geometry.of(VideoInfo(width, height, chroma))
    for width, height, chroma in (
        (1, 1, "gray"), (40, 33, "gray"), (70, 20, "gray"), (24, 40, "420"), (33, 17, "420"), (34, 9, "422"),
        (20, 20, "444"), (7, 35, "rgb"),
    )
]  # fmt: skip


@st.composite
def segments(draw: st.DrawFn) -> tuple[Geometry, SegmentSymbols]:
    """Symbols that a payload can hold, mostly zeros, with extreme values here and there."""
    geometry = draw(st.sampled_from(GEOMETRIES))
    groups = tuple(draw(st.lists(st.integers(1, 4), max_size=2)))
    density = draw(st.sampled_from((0.0, 0.01, 0.1, 0.4)))
    spread = draw(st.sampled_from((1, 3, 30, 1 << 20)))
    # One seed instead of thousands of drawn integers: hypothesis would take minutes.
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def sparse(shape: tuple[int, ...], limit: int) -> np.ndarray:
        span = min(limit, spread)
        values = random.integers(-span, span + 1, shape)
        return np.where(random.random(shape) < density, values, 0)

    rows = quantiser_rows(groups)
    quantisers = random.integers(0, 224, (rows, len(geometry.groups))).astype(np.uint8)
    symbols = SegmentSymbols(groups, quantisers)
    if draw(st.booleans()):
        shapes = parameter_shapes(geometry, CONFIG)
        symbols.network = NetworkSymbols(
            [sparse(shape, 1 << 15).astype(np.int32) for shape in shapes],
            random.integers(0, 256, len(shapes)).tolist(),
            sparse((symbols.frames, CONFIG.latent_dim), 1 << 12).astype(np.int32),
        )
    for batch in pyramid(groups):
        for picture in batch:
            p = PictureSymbols.blank(geometry, picture)
            p.quantiser = int(sparse((1,), 223)[0])
            p.starts = [(random.random(s.shape) < density).astype(np.uint8) for s in p.starts]
            p.corrections = [[sparse(n.shape, 8190).astype(np.int16) for n in nodes] for nodes in p.corrections]
            if p.blend is not None:
                p.blend = (random.integers(0, 3, p.blend.shape) * (random.random() < 0.7)).astype(np.uint8)
            p.filters = sparse(p.filters.shape, FILTER_MAX).astype(np.int32)
            for g in range(len(geometry.groups)):
                p.sizes[g] = _sizes(random, geometry.cells(g))
                p.modes[g] = any_modes(random, p.sizes[g], g)
                p.levels[g] = on_trellis(p.sizes[g], sparse(p.levels[g].shape, 16383))
            symbols.pictures[picture.frame] = p
    return geometry, symbols


def on_trellis(sizes: np.ndarray, magnitudes: np.ndarray) -> SparseLevels:
    """Levels of signed magnitudes [planes, rows, columns]: each in the quantiser that those before it lead to."""
    levels = np.zeros(magnitudes.shape, np.int16)
    for plane in range(len(levels)):
        for s, n in enumerate((4, 8, 16, 32)):
            scan = sorted(np.ndindex(n, n), key=lambda c: (c[0] + c[1], c[0]))
            blocks = sizes.repeat(2, axis=0).repeat(2, axis=1)[:: 1 << s, :: 1 << s]
            for y, x in np.argwhere(blocks == s) * n:
                block = magnitudes[plane, y : y + n, x : x + n]
                state = 0
                for v, u in scan if block.any() else ():
                    value = int(block[v, u])
                    levels[plane, y + v, x + u] = np.sign(value) * max(2 * abs(value) - state // 2, 0)
                    state = NEXT_STATE[state][value % 2]
    return SparseLevels.of(levels)


def any_modes(random: np.random.Generator, sizes: np.ndarray, group: int) -> np.ndarray:
    """A legal map of modes of a plane group: one for each block."""
    quarters = sizes.repeat(2, axis=0).repeat(2, axis=1)
    modes = random.integers(1, MODES, quarters.shape) * (random.random(quarters.shape) < random.choice([0, 0.1, 0.9]))
    if group == 0:
        modes[modes == LUMA] = INTER
    y, x = np.indices(quarters.shape) >> quarters << quarters
    return modes[y, x].astype(np.uint8)


def _sizes(random: np.random.Generator, cells: tuple[int, int]) -> np.ndarray:
    """A legal map of block sizes."""

    def spread(grid: np.ndarray, factor: int) -> np.ndarray:
        return grid.repeat(factor, axis=0).repeat(factor, axis=1)

    sizes = random.integers(0, 2, cells)
    for s in (2, 3):
        f = 1 << s - 1
        sizes = np.where(spread(random.random((cells[0] // f, cells[1] // f)) < 0.4, f), s, sizes)
    return sizes.astype(np.uint8)
