"""The residual's basis, and blocks cut out of planes and put back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from licodec.model.cosine import (
    SIZES,
    SUPER,
    basis,
    diagonal_index,
    diagonals,
    forward,
    from_blocks,
    inverse,
    padded,
    to_blocks,
)

pytestmark = pytest.mark.parametrize("size", SIZES)


def test_the_basis_is_orthonormal(size: int) -> None:
    matrix = basis(size).astype(np.float64)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(size), atol=1e-6)


def test_the_basis_samples_continuous_cosines(size: int) -> None:
    x = np.arange(size) + 0.5
    for u in range(size):
        wave = np.cos(np.pi * u * x / size)
        np.testing.assert_allclose(basis(size)[u], wave / np.linalg.norm(wave), atol=1e-6)


def test_inverse_undoes_forward_and_energy_is_kept(size: int) -> None:
    planes = np.random.default_rng(size).normal(0, 50, (2, 3 * size, 5 * size)).astype(np.float32)
    blocks, coefficients = to_blocks(planes, size), to_blocks(forward(planes, size), size)
    np.testing.assert_allclose(inverse(coefficients), blocks, atol=1e-3)
    np.testing.assert_allclose(
        np.square(coefficients).sum(axis=(-2, -1)), np.square(blocks).sum(axis=(-2, -1)), rtol=1e-5
    )


def test_rows_of_coefficients_are_vertical_frequencies(size: int) -> None:
    """[v, u]: a picture that changes from row to row only has all its energy in the first column."""
    rising = np.arange(size, dtype=np.float32)
    downwards = np.repeat(rising[:, None], size, axis=1)
    coefficients = forward(downwards, size)
    assert np.abs(coefficients[1:, 0]).max() > size
    np.testing.assert_allclose(coefficients[:, 1:], 0, atol=1e-2)


def test_a_constant_block_is_one_coefficient(size: int) -> None:
    coefficients = forward(np.full((size, size), 7.0, np.float32), size)
    assert coefficients[0, 0] == pytest.approx(7 * size)
    coefficients[0, 0] = 0
    np.testing.assert_allclose(coefficients, 0, atol=1e-3)


@given(rows=st.integers(1, 4), columns=st.integers(1, 4), planes=st.integers(1, 2))
def test_blocks_go_back_to_their_own_places(size: int, rows: int, columns: int, planes: int) -> None:
    shape = (planes, rows * size, columns * size)
    plane = np.arange(np.prod(shape)).reshape(shape)
    blocks = to_blocks(plane, size)
    assert blocks.shape == (planes, rows, columns, size, size)
    np.testing.assert_array_equal(blocks[0, -1, 0], plane[0, -size:, :size])
    np.testing.assert_array_equal(from_blocks(blocks), plane)


def test_blocks_of_a_plane_are_written_in_place(size: int) -> None:
    """The decoder puts each block's samples straight into the plane."""
    plane = np.zeros((SUPER, SUPER), np.float32)
    to_blocks(plane, size)[-1, -1] = 1
    assert plane.sum() == size * size
    assert plane[-size:, -size:].all()


def test_diagonals_list_every_coefficient_once_in_order(size: int) -> None:
    listed = np.concatenate(diagonals(size), axis=1)
    assert len({(v, u) for v, u in listed.T.tolist()}) == size * size == listed.shape[1]
    sums = listed.sum(axis=0)
    assert (np.diff(sums) >= 0).all()
    np.testing.assert_array_equal(diagonal_index(size)[listed[0], listed[1]], sums)


@given(length=st.integers(1, 10_000))
def test_planes_are_padded_to_whole_large_blocks(size: int, length: int) -> None:
    assert padded(length) % size == 0
    assert 0 <= padded(length) - length < SUPER
