"""Prediction from the samples around a block, against the formulas of `bitstream_spec.md` written out."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from licodec.model.cosine import SIZES
from licodec.model.geometry import PEAK
from licodec.model.intra import (
    INTER,
    MODES,
    QUARTER,
    RAYS,
    fill,
    order,
    predict,
    ranks,
    soften,
)

SLOPES = (-32, -21, -13, -5, 0, 5, 13, 21, 32)


def predicted(ring: np.ndarray, s: int, mode: int) -> np.ndarray:
    soft, out = np.empty_like(ring), np.empty((SIZES[s], SIZES[s]), np.float32)
    soften(ring, SIZES[s], soft)
    predict(ring, soft, RAYS, s, mode, out)
    return out


def by_the_book(ring: np.ndarray, n: int, mode: int) -> np.ndarray:
    """`Intra blocks`, sample by sample."""
    soft = np.concatenate([ring[:1], (ring[:-2] + 2 * ring[1:-1] + ring[2:]) / 4, ring[-1:]])
    read = soft if n > 4 and mode not in (2, 7, 15) else ring

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
            at = along(v, u, mode - 11) if mode >= 11 else 4 * n - along(u, v, 11 - mode)
            out[v, u] = np.interp(at, np.arange(4 * n + 1), read)
    return out


@pytest.mark.parametrize("mode", range(1, MODES))
@pytest.mark.parametrize("s", range(4))
def test_every_mode_is_what_the_specification_says(s: int, mode: int) -> None:
    ring = np.random.default_rng(mode).uniform(0, 255, 4 * SIZES[s] + 1).astype(np.float32)
    np.testing.assert_allclose(predicted(ring, s, mode), by_the_book(ring, SIZES[s], mode), atol=1e-3)


@pytest.mark.parametrize("mode", range(1, MODES))
def test_nothing_is_made_that_is_not_around(mode: int) -> None:
    ring = np.random.default_rng(mode).uniform(0, 255, 65).astype(np.float32)
    made = predicted(ring, 2, mode)
    assert made.min() >= ring.min() - 1e-3
    assert made.max() <= ring.max() + 1e-3
    np.testing.assert_allclose(predicted(np.full(65, 77, np.float32), 2, mode), 77, atol=1e-4)


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
    wanted = plane.copy()
    for q, p, s in blocks(sizes, modes):
        n, y, x = QUARTER << s, QUARTER * q, QUARTER * p
        inside = wanted[y : y + n, x : x + n]
        made = by_the_book(known_around(wanted, modes, q, p, s), n, int(modes[q, p]))
        made = made[: inside.shape[0], : inside.shape[1]] + residual[y : y + n, x : x + n]
        inside[:] = np.clip(made, 0, PEAK)
    fill(plane, (0, 0), residual, sizes, modes)
    np.testing.assert_allclose(plane, wanted, atol=2e-3)
