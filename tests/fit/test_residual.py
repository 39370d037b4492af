"""Quantisation of a residual: rate against error, and blocks of a size that fits."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fit.patterns import grid, texture
from licodec.entropy.coder import BitEncoder
from licodec.entropy.reference.residual import NEXT_STATE
from licodec.entropy.residual import Rates, ResidualCoder
from licodec.entropy.segment import PictureCoder
from licodec.fit.blocks import Terms
from licodec.fit.presets import Quality
from licodec.fit.residual import Coded, Inter, intra_blocks, least_costs, quantise
from licodec.fit.trellis import dependent_levels
from licodec.model.cosine import CELL, SIZES, inverse, to_blocks
from licodec.model.geometry import PEAK, Geometry
from licodec.model.intra import MODES, NO_LUMA, fill
from licodec.quant.steps import HALF_STEP, coefficients_of

PICTURES = PictureCoder(Geometry(((64, 96), (32, 48), (32, 48)), (2, 2)))
WORTH = Quality(0).worth
"""Squared error a bit is worth, over the squared step."""


LARGEST = len(SIZES) - 1


def coded(
    source: np.ndarray,
    prediction: np.ndarray,
    shape: tuple[int, ...],
    terms: Terms,
    *,
    first: bool = False,
    intra: bool = True,
) -> Coded:
    rows, columns = shape
    inter = Inter.of(source, prediction, terms)
    tried = intra_blocks(inter, source, prediction, (rows, columns), terms, NO_LUMA, first=first) if intra else None
    return quantise(inter, source, prediction, (rows, columns), terms, tried, NO_LUMA)


def choose(
    residual: np.ndarray, step: float, lam: float, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Sizes and levels of a residual, no block of which is intra, whose references hold no activity."""
    terms = terms_of(residual, step, lam, weights)
    found = coded(residual, np.zeros_like(residual), residual.shape[1:], terms, intra=False)
    assert not found.modes.any()
    return found.sizes, found.levels


def terms_of(planes: np.ndarray, step: float, lam: float, weights: np.ndarray | None = None) -> Terms:
    past = np.zeros((2, planes.shape[1] // CELL, planes.shape[2] // CELL), np.uint8)
    return Terms.of(step, lam, PICTURES.rates(len(planes) - 1, 2), past, weights)


def rebuilt(sizes: np.ndarray, levels: np.ndarray, step: float) -> np.ndarray:
    """What a decoder makes of sizes and levels."""
    out = np.zeros(levels.shape, np.float32)
    for s, size in enumerate(SIZES):
        quarters = sizes.repeat(2, axis=0).repeat(2, axis=1)
        chosen = quarters[:: size // 4, :: size // 4] == s
        blocks = inverse(to_blocks(coefficients_of(levels, step), size))
        to_blocks(out, size)[:, chosen] = blocks[:, chosen]
    return out


def coded_bits(sizes: np.ndarray, levels: np.ndarray, modes: np.ndarray | None = None) -> int:
    """Real bits of one picture by the entropy coder."""
    coder = BitEncoder()
    past = np.zeros((2, *sizes.shape), np.uint8)
    modes = np.zeros((2 * sizes.shape[0], 2 * sizes.shape[1]), np.uint8) if modes is None else modes
    ResidualCoder(len(levels)).code(coder, sizes, modes, levels, 1, past, None, None)
    return 8 * len(coder.finish())


def detailed() -> np.ndarray:
    x, y = grid(96, 64)
    return (texture(5, shortest=4)(x, y) - 128)[None]


def test_rate_falls_and_error_rises_with_the_step() -> None:
    residual = detailed()
    rates, errors = [], []
    for step in (2.0, 4.0, 8.0, 16.0, 32.0):
        sizes, levels = choose(residual, step, WORTH * step**2)
        rates.append(coded_bits(sizes, levels))
        errors.append(float(np.square(residual - rebuilt(sizes, levels, step)).mean()))
    assert all(a > 1.2 * b for a, b in pairwise(rates))
    assert all(1.5 * a < b for a, b in pairwise(errors))
    # Between that of rounding (step^2 / 12) and that of dropping everything.
    assert errors[0] >= 0.5 * 2.0**2 / 12
    assert errors[-1] < np.square(residual).mean()


def test_free_bits_buy_less_error_than_any_quantiser_of_the_same_levels() -> None:
    residual, step = detailed(), 4.0
    sizes, levels = choose(residual, step, 1e-6)
    error = np.square(residual - rebuilt(sizes, levels, step)).mean()
    assert error < 0.7 * (2 * HALF_STEP * step) ** 2 / 12


@pytest.mark.parametrize("seed", range(8))
def test_levels_are_those_of_the_cheapest_path(seed: int) -> None:
    """Six coefficients of a block, all paths through the states tried."""
    random = np.random.default_rng(seed)
    x = np.zeros((1, 64), np.float32)
    scan = np.array(sorted((v + u, v, u) for v in range(8) for u in range(8)), np.int64)
    first = scan[:6, 1] * 8 + scan[:6, 2]
    x[0, first] = random.normal(0, 1.5, 6)
    plain = np.zeros((1, 64), np.int16)
    plain[0, 0] = 1
    # Error weighs so much that levels two away from a coefficient never pay: those are not tried.
    worth = float(random.uniform(8, 20))
    extent = np.cumsum(random.random(65)).astype(np.float32)
    # Whether a coefficient is zero depends on the state, and nothing on neighbours.
    nonzero = np.broadcast_to(random.uniform(0.2, 4, (1, 1, 1, 3, 2)).astype(np.float32), (1, 64, 12, 3, 2))
    magnitude = np.broadcast_to(np.arange(15, dtype=np.float32) + random.random(), (1, 12, 2, 15))
    coded = random.uniform(0, 3, (1, 2)).astype(np.float32)
    rates = Rates(
        np.zeros(0),
        np.zeros(0),
        extent[None],
        np.ascontiguousarray(nonzero),
        np.ascontiguousarray(magnitude),
        np.zeros((MODES, MODES, MODES)),
    )
    levels = dependent_levels(x, plain, np.array([worth], np.float32), scan, coded, rates, 0)[0]

    def price(magnitudes: Sequence[int]) -> tuple[float, list[int]]:
        """Of coding so many coefficients; the rest is dropped."""
        state, bits, found = 0, 0.0, []
        for m, at in zip(magnitudes, first, strict=False):
            level = max(2 * m - state // 2, 0)
            stands = abs(float(coefficients_of(np.array([level], np.int16), 1.0)[0]))
            bits += worth * (abs(x[0, at]) - stands) ** 2 + nonzero[0, 0, 0, max(state - 1, 0), int(m > 0)]
            bits += magnitude[0, 0, state // 2, m] if m else 0
            found.append(level)
            state = NEXT_STATE[state][m % 2]
        dropped = np.square(x[0]).sum() - np.square(x[0, first[: len(found)]]).sum()
        ends = coded[0, 1] + extent[scan[len(found) - 1, 0] + 1] if found else coded[0, 0]
        return bits + worth * dropped + ends, found

    paths = [()] + [path for n in (1, 3, 6) for path in itertools.product(range(5), repeat=n)]
    cost, best = min(price(path) for path in paths)
    signed = np.sign(x[0, first]) * (best + [0] * (6 - len(best)))
    used, _ = price([(abs(int(q)) + 1) // 2 for q in levels[first]][: len(best)])
    assert used == pytest.approx(cost, rel=1e-5)
    np.testing.assert_array_equal(levels[first], signed)
    assert not np.delete(levels, first).any()


def test_dearer_bits_trade_error_for_rate() -> None:
    residual, step = detailed(), 8.0
    cheap, dear = (choose(residual, step, worth * step**2) for worth in (0.05, 0.5))
    assert coded_bits(*dear) < 0.9 * coded_bits(*cheap)
    errors = [np.square(residual - rebuilt(*found, step)).mean() for found in (cheap, dear)]
    assert errors[0] < errors[1]


@pytest.mark.parametrize("planes", [1, 2])
def test_a_zero_residual_has_no_levels(planes: int) -> None:
    sizes, levels = choose(np.zeros((planes, 64, 96), np.float32), 4.0, WORTH * 16)
    assert not levels.any()
    assert (sizes == LARGEST).all()


def test_faint_noise_is_not_worth_a_level() -> None:
    noise = np.random.default_rng(0).normal(0, 1, (1, 64, 64)).astype(np.float32)
    assert not choose(noise, 8.0, WORTH * 64)[1].any()


def test_a_smooth_ramp_takes_the_largest_blocks() -> None:
    x, y = grid(64, 64)
    sizes, levels = choose((x + 0.5 * y - 48)[None].astype(np.float32), 4.0, WORTH * 16)
    assert (sizes == LARGEST).all()
    assert levels.any()


def test_an_isolated_detail_takes_the_smallest_blocks_around_it_alone() -> None:
    residual = np.zeros((1, 64, 64), np.float32)
    residual[0, 40:44, 20:24] = np.array([[1, -1], [-1, 1]]).repeat(2, 0).repeat(2, 1) * 60
    sizes, levels = choose(residual, 6.0, WORTH * 36)
    assert sizes[5, 2] == 0
    assert (sizes[:4] == LARGEST).all()
    assert (sizes[:, 4:] == LARGEST).all()
    outside = levels.copy()
    outside[0, 40:44, 20:24] = 0
    assert levels.any()
    assert not outside.any()


def test_both_planes_of_a_group_share_sizes_and_keep_their_own_levels() -> None:
    x, y = grid(64, 64)
    both = np.stack([(x + 0.5 * y - 48), (0.5 * y - x + 16)]).astype(np.float32)
    sizes, levels = choose(both, 4.0, WORTH * 16)
    assert sizes.shape == (8, 8)
    errors = np.square(both - rebuilt(sizes, levels, 4.0)).mean(axis=(1, 2))
    assert (errors < 4.0**2 / 4).all()
    assert (levels[0] != levels[1]).any()


def decoded(found: Coded, prediction: np.ndarray, step: float) -> np.ndarray:
    """What a decoder makes of it, before its filters."""
    residual = rebuilt(found.sizes, found.levels, step)
    planes = np.clip(prediction + residual, 0, PEAK)
    for plane, rest in zip(planes, residual, strict=True):
        fill(plane, (0, 0), rest, found.sizes, found.modes)
    return planes


@pytest.mark.parametrize("planes", [1, 2])
def test_stripes_in_a_first_picture_are_cheaper_from_around_them(planes: int) -> None:
    x, _ = grid(96, 64)
    stripes = 128 + 80 * np.sign(np.sin(x / 3))
    source = np.stack([stripes, 255 - stripes][:planes]).astype(np.float32)
    grey, step = np.full_like(source, 128), 8.0
    terms = terms_of(source, step, WORTH * step**2)
    without, found = (coded(source, grey, (64, 96), terms, first=True, intra=intra) for intra in (False, True))
    assert (found.modes > 0).mean() > 0.7
    assert coded_bits(found.sizes, found.levels, found.modes) < 0.5 * coded_bits(without.sizes, without.levels)
    errors = [np.square(decoded(f, grey, step) - source).mean() for f in (without, found)]
    assert errors[1] < 2 * errors[0] < step**2 / 12


def test_what_references_do_not_have_is_intra_and_the_rest_is_not() -> None:
    x, y = grid(96, 64)
    source = detailed() + 128
    prediction = source + np.random.default_rng(0).normal(0, 1, source.shape).astype(np.float32)
    # Something smooth lies in front of what was there.
    source[0, 16:48, 32:64] = (60 + x + y)[16:48, 32:64]
    step = 6.0
    found = coded(source, prediction, (64, 96), terms_of(source, step, WORTH * step**2))
    inside = np.zeros((16, 24), np.bool_)
    inside[4:12, 8:16] = True
    assert (found.modes[inside] > 0).mean() > 0.8
    assert not found.modes[~inside].any()
    assert np.square(decoded(found, prediction, step) - source).mean() < step**2 / 6


@settings(max_examples=40)
@given(arrays(np.float32, (1, 4, 4), elements=st.floats(-200, 200, width=16)), st.floats(1, 64))
def test_sizes_tile_the_plane_and_nothing_costs_more_than_leaving_it_out(cells: np.ndarray, step: float) -> None:
    residual = cells.repeat(16, 1).repeat(16, 2)
    sizes, levels = choose(residual, step, WORTH * step**2)
    for s, size in enumerate(SIZES):
        factor = max(size // CELL, 1)
        tiles = (sizes == s).reshape(8 // factor, factor, 8 // factor, factor)
        assert (tiles.all(axis=(1, 3)) == tiles.any(axis=(1, 3))).all()
    error = np.square(residual - rebuilt(sizes, levels, step)).sum()
    assert error <= np.square(residual).sum() + 16 * WORTH * step**2


def test_what_a_block_costs_is_least_where_it_may_be_intra_too() -> None:
    x, _ = grid(96, 64)
    source = (128 + 80 * np.sign(np.sin(x / 3))).astype(np.float32)[None]
    prediction = source.copy()
    prediction[0, :, 32:64] = 128
    terms = terms_of(source, 8.0, WORTH * 64)
    inter = Inter.of(source, prediction, terms)
    intra = intra_blocks(inter, source, prediction, (64, 96), terms, NO_LUMA, first=False)
    without, found = least_costs(inter, terms, None, 3), least_costs(inter, terms, intra, 3)
    assert without.shape == found.shape == (2, 3)
    assert (found[:, 1] < 0.7 * without[:, 1]).all()
    np.testing.assert_array_equal(found[:, ::2], without[:, ::2])
    assert without[:, ::2].max() < 0.05 * without[:, 1].min()
    # Of blocks of at most 16 samples four cost what they are split into, without the flag that says so, or more.
    smaller = least_costs(inter, terms, intra, 2)
    assert smaller.shape == (4, 6)
    assert (smaller.reshape(2, 2, 3, 2).sum(axis=(1, 3)) + terms.rates.split[3, 1] >= 0.9999 * found).all()
