"""Intra blocks as the encoder chooses them."""

from __future__ import annotations

import numpy as np
import pytest

from licodec.entropy.segment import PictureCoder
from licodec.fit.blocks import Terms
from licodec.fit.intra import code_intra, try_intra
from licodec.fit.intra_kernels import TRIED, Ground, Room, Weights, closest
from licodec.model.cosine import SIZES, inverse, to_blocks
from licodec.model.geometry import PEAK, Geometry
from licodec.model.intra import INTER, LUMA, MEAN, NO_LUMA, PLANAR, QUARTER, RAYS, fill, ranks
from licodec.quant.steps import coefficients_of

SHAPE = (64, 96)
STEP = 12.0


def terms_of(planes: int) -> Terms:
    coder = PictureCoder(Geometry((SHAPE, SHAPE, SHAPE), (1, 1)))
    return Terms.of(STEP, 0.1 * STEP**2, coder.rates(planes - 1, 0), np.zeros((2, 8, 12), np.uint8), None)


def pictures(planes: int) -> np.ndarray:
    """[planes, rows, columns] slopes with edges across them and a little noise."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    random, out = np.random.default_rng(planes), []
    for p in range(planes):
        plane = 40 + x + 0.5 * y + 60 * (x + (p + 1) * y > 90) + 20 * np.sin((x - y) / 6)
        out.append(plane + random.normal(0, 1, SHAPE))
    return np.array(out, np.float32).clip(0, PEAK)


@pytest.mark.parametrize(("mode", "slope"), [(16, 0.0), (19, -21 / 32), (12, 1.0), (18, -13 / 32), (14, 13 / 32)])
def test_stripes_are_best_continued_along_themselves(mode: int, slope: float) -> None:
    y, x = np.mgrid[:32, :64].astype(np.float32)
    # From below upwards x moves by -slope with each row.
    picture = 128 + 90 * np.sin((x - slope * y) / 2.5)
    known, room = np.zeros((8, 16), np.uint8), Room.of(1, 1)
    weights = Weights.of(terms_of(1), 1)
    ground = Ground(picture[None], (32, 64), picture[None], NO_LUMA, known, ranks(8, 16), RAYS, weights)
    closest(ground, 16, 32, 1, room)
    assert room.modes[0] == mode
    assert len(set(room.modes.tolist())) == TRIED
    assert np.abs(room.rest[0, 0]).mean() < 0.35 * np.abs(room.rest[0, 2]).mean()


@pytest.mark.parametrize("planes", [1, 2])
@pytest.mark.parametrize("shape", [SHAPE, (61, 90)])
def test_what_it_makes_is_what_a_decoder_makes_of_its_symbols(planes: int, shape: tuple[int, int]) -> None:
    """Blocks of all sizes, in padded planes, beside others that are from references; chroma from luma, too."""
    luma = pictures(1)[0, : shape[0], : shape[1]].copy() if planes == 2 else NO_LUMA
    source = pictures(planes)
    made = source + np.random.default_rng(0).normal(0, 4, source.shape).astype(np.float32)
    sizes = np.zeros((8, 12), np.uint8)
    sizes[:, 4:8], sizes[:4, 8:], sizes[4:, 8:] = 1, 2, 3
    modes = np.full((16, 24), MEAN, np.uint8)
    modes[8:12, :4] = modes[:, 8:10] = modes[8:, 16:] = INTER
    inter = (modes == INTER).repeat(QUARTER, axis=0).repeat(QUARTER, axis=1)
    kept, levels = np.where(inter, made, 0), np.zeros(source.shape, np.int16)
    code_intra(made, source, shape, sizes, modes, levels, terms_of(planes), luma)
    assert (modes[inter[::QUARTER, ::QUARTER]] == INTER).all()
    assert (modes[~inter[::QUARTER, ::QUARTER]] != INTER).all()
    assert len(np.unique(modes)) > 5
    assert (modes == LUMA).any() == (planes == 2)
    assert not levels[:, inter].any()
    rows, columns = slice(shape[0]), slice(shape[1])
    for p in range(planes):
        residual = np.zeros(SHAPE, np.float32)
        for s, n in enumerate(SIZES):
            of_size = (sizes == s).repeat(8, axis=0).repeat(8, axis=1)
            found = inverse(coefficients_of(to_blocks(levels[p], n), STEP))
            residual += np.where(of_size, found.swapaxes(-3, -2).reshape(SHAPE), 0)
        wanted = np.ascontiguousarray(kept[p, rows, columns])
        fill(wanted, (0, 0), np.ascontiguousarray(residual[rows, columns]), sizes, modes, luma)
        np.testing.assert_allclose(made[p, rows, columns], wanted, atol=2e-2)
        assert np.abs(made[p] - source[p])[rows, columns].mean() < 0.3 * STEP


def test_each_plane_is_priced_by_its_own_rates() -> None:
    """Where holding anything costs the second plane a fortune, the first one still has levels."""
    source, terms = pictures(2), terms_of(2)
    # [(size index + 4 if intra) * planes + plane, activity, 0 or 1]
    terms.rates.coded[len(SIZES) * 2 + 1 :: 2, :, 1] = 1e6
    levels, sizes = np.zeros(source.shape, np.int16), np.ones((8, 12), np.uint8)
    code_intra(source.copy(), source, SHAPE, sizes, np.full((16, 24), MEAN, np.uint8), levels, terms, NO_LUMA)
    assert levels[0].any()
    assert not levels[1].any()


def test_a_block_costs_what_it_leaves_and_not_more_where_one_mode_leaves_nothing() -> None:
    """A picture of stripes that go straight down: but for what says so, blocks of it cost nothing."""
    x = np.arange(SHAPE[1], dtype=np.float32)
    source = np.broadcast_to(128 + 90 * np.sin(x / 2.5), (1, *SHAPE)).astype(np.float32)
    grey = np.full_like(source, 128)
    dear = [np.full((64 // n, 96 // n), 1e6, np.float32) for n in SIZES]
    found = try_intra(source, source, grey, SHAPE, dear, terms_of(1), NO_LUMA, first=False)
    for trial in found:
        inner = trial.cost[1:, 1:-1]
        assert inner.max() < 30
        assert (trial.modes[1:, 1:-1] == 16).all()


def test_a_mode_that_is_as_good_is_the_one_that_is_cheap_to_say() -> None:
    """Beside blocks of a mode that is all but free, which most blocks are then of."""
    source = pictures(1)
    found = []
    for price in (0.0, 1e4):
        terms, modes = terms_of(1), np.full((16, 24), MEAN, np.uint8)
        terms.rates.mode[:] = price
        terms.rates.mode[..., PLANAR] = 0
        code_intra(
            source.copy(),
            source,
            SHAPE,
            np.ones((8, 12), np.uint8),
            modes,
            np.zeros((1, *SHAPE), np.int16),
            terms,
            NO_LUMA,
        )
        found.append((modes == PLANAR).mean())
    assert found[0] < 0.5 < found[1]
