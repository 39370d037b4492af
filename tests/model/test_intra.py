"""Prediction from the samples around a block, against the formulas of `bitstream_spec.md` written out."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from licodec.model.cosine import SIZES
from licodec.model.geometry import PEAK
from licodec.model.intra import (
    INTER,
    LUMA,
    MODES,
    QUARTER,
    RAYS,
    fill,
    order,
    predict,
    predict_from_luma,
    ranks,
    soften,
    under_chroma,
)

FROM_AROUND = [mode for mode in range(1, MODES) if mode != LUMA]
SLOPES = (-32, -21, -13, -5, 0, 5, 13, 21, 32)


def predicted(ring: np.ndarray, s: int, mode: int) -> np.ndarray:
    soft, out = np.empty_like(ring), np.empty((SIZES[s], SIZES[s]), np.float32)
    soften(ring, SIZES[s], soft)
    predict(ring, soft, RAYS, s, mode, out)
    return out


def by_the_book(ring: np.ndarray, n: int, mode: int) -> np.ndarray:
    """`Intra blocks`, sample by sample, for modes that need no luma."""
    soft = np.concatenate([ring[:1], (ring[:-2] + 2 * ring[1:-1] + ring[2:]) / 4, ring[-1:]])
    read = soft if n > 4 and mode not in (2, 8, 16) else ring
    s = (4, 8, 16, 32).index(n)

    def near(i: int) -> float:
        return math.floor(32 / 2 ** math.floor(2 * i / 2 ** ((s + 1) // 2))) / 64

    def along(v: int, u: int, k: int) -> float:
        a = u + 1 + (v + 1) * SLOPES[k] / 32
        return 2 * n + a if a >= 0 else 2 * n - (v + 1) - 32 * (u + 1) / SLOPES[k]

    out = np.empty((n, n))
    for v, u in product(range(n), range(n)):
        if mode == 1:
            out[v, u] = (n - 1 - u) * read[2 * n - 1 - v] + (u + 1) * read[3 * n + 1]
            out[v, u] += (n - 1 - v) * read[2 * n + 1 + u] + (v + 1) * read[n - 1]
            out[v, u] /= 2 * n
        elif mode == 2:
            out[v, u] = (read[n : 2 * n].sum() + read[2 * n + 1 : 3 * n + 1].sum()) / (2 * n)
        else:
            at = along(v, u, mode - 12) if mode >= 12 else 4 * n - along(u, v, 12 - mode)
            out[v, u] = np.interp(at, np.arange(4 * n + 1), read)
        left, above, corner = read[2 * n - 1 - v], read[2 * n + 1 + u], read[2 * n]
        if mode in (1, 2):
            out[v, u] += near(u) * (left - out[v, u]) + near(v) * (above - out[v, u])
        elif mode == 8:
            out[v, u] += near(v) * (above - corner)
        elif mode == 16:
            out[v, u] += near(u) * (left - corner)
    return out


def line_by_the_book(ring: np.ndarray, luma_ring: np.ndarray, luma: np.ndarray, n: int) -> np.ndarray:
    """`From luma`; luma: [n, n] of the block."""
    c, y = ring[n : 3 * n + 1].astype(np.float64), luma_ring[n : 3 * n + 1].astype(np.float64)
    slope = ((y - y.mean()) * (c - c.mean())).sum() / (((y - y.mean()) ** 2).sum() + 4 * (2 * n + 1))
    return np.asarray(c.mean() + np.clip(slope, -2, 2) * (np.clip(luma, y.min(), y.max()) - y.mean()))


@pytest.mark.parametrize("mode", FROM_AROUND)
@pytest.mark.parametrize("s", range(4))
def test_every_mode_is_what_the_specification_says(s: int, mode: int) -> None:
    ring = np.random.default_rng(mode).uniform(0, 255, 4 * SIZES[s] + 1).astype(np.float32)
    np.testing.assert_allclose(predicted(ring, s, mode), by_the_book(ring, SIZES[s], mode), atol=1e-3)


@pytest.mark.parametrize("mode", FROM_AROUND)
def test_nothing_is_made_that_is_not_around(mode: int) -> None:
    """But where what is straight on changes as what is beside it does, by half of that at most."""
    ring = np.random.default_rng(mode).uniform(0, 255, 65).astype(np.float32)
    made, beyond = predicted(ring, 2, mode), np.ptp(ring) / 2 if mode in (8, 16) else 0
    assert made.min() >= ring.min() - beyond - 1e-3
    assert made.max() <= ring.max() + beyond + 1e-3
    np.testing.assert_allclose(predicted(np.full(65, 77, np.float32), 2, mode), 77, atol=1e-4)


@pytest.mark.parametrize("s", range(4))
def test_chroma_follows_luma_as_it_does_around_the_block(s: int) -> None:
    random, n = np.random.default_rng(s), SIZES[s]
    luma, luma_ring = random.uniform(0, 255, (n + 3, n + 2)), random.uniform(20, 200, 4 * n + 1)
    for ring in (0.4 * luma_ring + 20, -3 * luma_ring + 700, random.uniform(0, 255, 4 * n + 1)):
        out = np.empty((n, n), np.float32)
        around = ring.astype(np.float32), luma_ring.astype(np.float32)
        predict_from_luma(*around, luma.astype(np.float32), 3, 2, n, out)
        np.testing.assert_allclose(out, line_by_the_book(ring, luma_ring, luma[3:, 2:], n), atol=2e-3)
    ring = (0.4 * luma_ring + 20).astype(np.float32)
    predict_from_luma(ring, around[1], luma.astype(np.float32), 3, 2, n, out)
    np.testing.assert_allclose(out, 0.4 * np.clip(luma[3:, 2:], *_ends(luma_ring, n)) + 20, atol=0.3)
    # Where luma says nothing, it is the mean.
    predict_from_luma(ring, np.full(4 * n + 1, 90, np.float32), luma.astype(np.float32), 3, 2, n, out)
    np.testing.assert_allclose(out, ring[n : 3 * n + 1].mean(), atol=1e-3)


def _ends(ring: np.ndarray, n: int) -> tuple[float, float]:
    return float(ring[n : 3 * n + 1].min()), float(ring[n : 3 * n + 1].max())


def test_luma_under_chroma_is_the_mean_of_its_samples() -> None:
    luma = np.arange(15, dtype=np.float32).reshape(3, 5)
    np.testing.assert_array_equal(under_chroma(luma, (2, 2), (2, 3)), [[3, 5, 6.5], [10.5, 12.5, 14]])
    np.testing.assert_array_equal(under_chroma(luma, (2, 1), (3, 3))[0], [0.5, 2.5, 4])
    np.testing.assert_array_equal(under_chroma(luma, (1, 1), (3, 5)), luma)


def test_chroma_that_needs_luma_is_not_made_without() -> None:
    modes = np.full((8, 8), LUMA, np.uint8)
    with pytest.raises(ValueError, match="luma"):
        fill(np.zeros((32, 32), np.float32), (0, 0), np.zeros((32, 32), np.float32), np.ones((4, 4), np.uint8), modes)


def z_order(y: int, x: int) -> list[int]:
    """What sorts quarters in coding order: the block of 32, then down the quadtree."""
    return [y // 8, x // 8, *(bit for i in (4, 2, 1) for bit in (int(y & i > 0), int(x & i > 0)))]


def test_ranks_are_places_in_coding_order() -> None:
    quarters = sorted(np.ndindex(16, 24), key=lambda q: z_order(*q))
    np.testing.assert_array_equal(ranks(16, 24)[tuple(np.array(quarters).T)], np.arange(16 * 24))
    np.testing.assert_array_equal(ranks(16, 24).reshape(-1)[order(16, 24)], np.arange(16 * 24))


@st.composite
def maps(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    """Sizes and modes of a plane of up to 64 x 96 samples."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows, columns = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    sizes = random.integers(0, 2, (4 * rows, 4 * columns))
    for s in (2, 3):
        f = 1 << s - 1
        large = random.random((sizes.shape[0] // f, sizes.shape[1] // f)) < 0.3
        sizes = np.where(large.repeat(f, 0).repeat(f, 1), s, sizes)
    quarters = sizes.repeat(2, 0).repeat(2, 1)
    y, x = np.indices(quarters.shape) >> quarters << quarters
    modes = random.integers(1, MODES, quarters.shape) * (random.random(quarters.shape) < draw(st.floats(0.05, 1)))
    return sizes.astype(np.uint8), modes[y, x].astype(np.uint8), random


def blocks(sizes: np.ndarray, modes: np.ndarray) -> list[tuple[int, int, int]]:
    """(row, column, size index) of the intra blocks in coding order, rows and columns in quarters."""
    found = []
    for q, p in sorted(np.ndindex(modes.shape), key=lambda at: z_order(*at)):
        s = int(sizes[q // 2, p // 2])
        if modes[q, p] != INTER and q % (1 << s) == p % (1 << s) == 0:
            found.append((q, p, s))
    return found


def known_around(plane: np.ndarray, modes: np.ndarray, q: int, p: int, s: int) -> np.ndarray:
    """The ring by its definition."""
    n, y, x = QUARTER << s, QUARTER * q, QUARTER * p
    places = (
        [(y + k, x - 1) for k in reversed(range(2 * n))] + [(y - 1, x - 1)] + [(y - 1, x + k) for k in range(2 * n)]
    )
    found: list[float | None] = []
    for v, u in places:
        inside = 0 <= v < plane.shape[0] and 0 <= u < plane.shape[1]
        at = v // QUARTER, u // QUARTER
        known = inside and (modes[at] == INTER or z_order(*at) < z_order(q, p))
        found.append(float(plane[v, u]) if known else None)
    last = next((value for value in found if value is not None), 128.0)
    ring = []
    for value in found:
        last = last if value is None else value
        ring.append(last)
    return np.array(ring, np.float32)


@settings(max_examples=40, deadline=None)
@given(maps(), st.integers(0, 31), st.integers(0, 31))
def test_blocks_are_filled_in_coding_order_from_what_is_known(
    drawn: tuple[np.ndarray, np.ndarray, np.random.Generator], less_rows: int, less_columns: int
) -> None:
    sizes, modes, random = drawn
    shape = QUARTER * modes.shape[0] - less_rows, QUARTER * modes.shape[1] - less_columns
    plane = random.uniform(0, 255, shape).astype(np.float32)
    residual = random.normal(0, 60, shape).astype(np.float32)
    luma = random.uniform(0, 255, shape).astype(np.float32)
    wanted = plane.copy()
    for q, p, s in blocks(sizes, modes):
        n, y, x = QUARTER << s, QUARTER * q, QUARTER * p
        inside = wanted[y : y + n, x : x + n]
        ring = known_around(wanted, modes, q, p, s)
        if modes[q, p] == LUMA:
            padded = np.pad(luma, [(0, 32), (0, 32)], mode="edge")
            made = line_by_the_book(ring, known_around(luma, modes, q, p, s), padded[y : y + n, x : x + n], n)
        else:
            made = by_the_book(ring, n, int(modes[q, p]))
        made = made[: inside.shape[0], : inside.shape[1]] + residual[y : y + n, x : x + n]
        inside[:] = np.clip(made, 0, PEAK)
    fill(plane, (0, 0), residual, sizes, modes, luma)
    np.testing.assert_allclose(plane, wanted, atol=2e-3)
