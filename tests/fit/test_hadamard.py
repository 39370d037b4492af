"""What errors cost by their transforms, against NumPy's."""

from __future__ import annotations

import numpy as np
import pytest

from licodec.fit import hadamard
from licodec.fit.hadamard import KNEE, SLOPE, bits_of_cells, scale_of, spectra
from licodec.jit import compiled
from licodec.model.motion import NODE, UNIT

SYLVESTER = np.ones((1, 1), np.int64)
while len(SYLVESTER) < NODE:
    SYLVESTER = np.block([[SYLVESTER, SYLVESTER], [SYLVESTER, -SYLVESTER]])

PLACES = [(0, 0, 0, 0, 0, 0), (8, 16, 1, 2, 7, 0), (16, 24, 3, 3, 24, 40), (8, 40, 0, 3, 30, 1)]
"""(y, x, v, u, row, column)"""

cell_bits = hadamard.cell_bits


@compiled
def cell(
    here: np.ndarray,
    y: int,
    x: int,
    there: np.ndarray,
    v: int,
    u: int,
    row: int,
    column: int,
    other: np.ndarray,
    scale: np.float32,
) -> tuple[float, float]:
    return cell_bits(here, y, x, there, v, u, row, column, other, scale)


def transformed(errors: np.ndarray) -> np.ndarray:
    """[8, 8] orthonormal coefficients of a cell."""
    return SYLVESTER @ errors.astype(np.float64) @ SYLVESTER / NODE


def bits(errors: np.ndarray, bit_worth: float) -> float:
    z = np.square(transformed(errors)) / bit_worth
    return float((np.minimum(z, KNEE) + SLOPE * np.log2(np.maximum(z / KNEE, 1))).sum())


def planes(kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A picture, a reference at each fraction, and errors of another prediction."""
    random = np.random.default_rng(7)
    here = random.integers(100, 120, (24, 48), dtype=np.uint8)
    there = random.integers(100, 120, (UNIT, UNIT, 41, 60), dtype=np.uint8)
    errors = random.integers(-10, 11, here.shape, dtype=np.int16)
    if kind == "largest":
        here[:], there[:], errors[:] = 255, 0, 255
    return here, there, errors


@pytest.mark.parametrize("kind", ["random", "largest"])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("bit_worth", [0.5, 30.0, 1000.0])
def test_an_error_costs_its_coefficients(place: tuple[int, ...], kind: str, bit_worth: float) -> None:
    here, there, errors = planes(kind)
    y, x, v, u, row, column = place
    own = here[y : y + NODE, x : x + NODE].astype(np.int64) - there[v, u, row : row + NODE, column : column + NODE]
    mean = (own + errors[y : y + NODE, x : x + NODE]) / 2
    found = cell(here, y, x, there, v, u, row, column, spectra(errors), scale_of(bit_worth))
    assert found == pytest.approx((bits(mean, bit_worth), bits(own, bit_worth)), rel=0.02)


def test_cells_of_two_predictions_and_of_their_mean() -> None:
    random = np.random.default_rng(3)
    first, second = (random.integers(-40, 41, (24, 40), dtype=np.int16) for _ in range(2))
    found = bits_of_cells(spectra(first), spectra(second), scale_of(50.0))
    assert found.shape == (3, 3, 5)
    for r, c in np.ndindex(3, 5):
        one, two = (e[r * NODE : (r + 1) * NODE, c * NODE : (c + 1) * NODE].astype(np.int64) for e in (first, second))
        expected = [bits(errors, 50.0) for errors in ((one + two) / 2, one, two)]
        np.testing.assert_allclose(found[:, r, c], expected, rtol=0.02)


def test_what_is_smooth_costs_less_than_noise_of_the_same_error() -> None:
    """Which is what a squared error cannot tell."""
    ramp = np.tile(np.arange(-28, 29, 8, dtype=np.int16), (NODE, 1))
    noise = np.random.default_rng(1).permutation(ramp.reshape(-1)).reshape(NODE, NODE)
    smooth, rough = (bits_of_cells(spectra(e), spectra(e), scale_of(20.0))[0, 0, 0] for e in (ramp, noise))
    assert smooth < 0.5 * rough
