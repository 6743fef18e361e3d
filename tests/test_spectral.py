"""The spectral norm, exact and by power iteration, against NumPy's SVD."""

import numpy as np
import pytest
import tensorflow as tf

from kregkit.measure import (
    as_matrix,
    exact_spectral_norm,
    power_iteration,
    power_start,
)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (1, 6), (6, 1), (1, 1)])
def test_exact_spectral_norm_is_that_of_the_svd(shape: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    matrix = random.normal(size=shape)
    low_rank = np.outer(random.normal(size=shape[0]), random.normal(size=shape[1]))
    for each in (matrix, low_rank, 0 * matrix, 1e25 * matrix, 1e-25 * matrix):
        each = each.astype("float32")
        np.testing.assert_allclose(
            exact_spectral_norm(each), np.linalg.svd(np.float64(each))[1][0], 1e-5
        )


def test_as_matrix_puts_units_in_columns() -> None:
    kernel = np.arange(2 * 3 * 4 * 5, dtype="float32").reshape(2, 3, 4, 5)
    for unit in ((-1,), (3,), (2,), (-2, -1), (0, 2), (0, 1, 2, 3)):
        moved = np.moveaxis(kernel, unit, range(-len(unit), 0))
        count = np.prod([kernel.shape[axis] for axis in unit])
        found = as_matrix(tf.constant(kernel), unit)
        assert np.array_equal(found, moved.reshape(-1, count))


@pytest.mark.parametrize("size", [1.0, 1e30, 1e-30])
@pytest.mark.parametrize("shape", [(6, 4), (4, 6)])
def test_power_iteration_rises_to_the_exact_norm(
    shape: tuple[int, int], size: float
) -> None:
    left, _, right = np.linalg.svd(np.random.default_rng(0).normal(size=shape))
    exact, values = 3.0, np.zeros(shape)
    np.fill_diagonal(values, [3.0, 1.0, 0.5, 0.0])
    matrix = (left @ values @ right * size).astype("float32")
    before, warm, vector = 0.0, power_start(shape[1]), power_start(shape[1])
    for steps in (0, 1, 3, 12):
        norm, vector = power_iteration(matrix, power_start(shape[1]), steps)
        assert before * (1 - 1e-6) <= norm / size <= exact * (1 + 1e-6)
        np.testing.assert_allclose(np.linalg.norm(vector), 1.0, 1e-6)
        before = norm / size
    np.testing.assert_allclose(before, exact, 1e-5)
    for _ in range(3):
        norm, warm = power_iteration(matrix, warm, 1)
    at_once = power_iteration(matrix, power_start(shape[1]), 3)[0]
    np.testing.assert_allclose(norm, at_once, 1e-5)
    np.testing.assert_allclose(
        power_iteration(matrix, vector, 1)[0] / size, exact, 1e-5
    )


def test_power_iteration_of_zeros_keeps_its_vector() -> None:
    start = power_start(4)
    norm, vector = power_iteration(np.zeros((3, 4), "float32"), start, 5)
    assert float(norm) == 0.0
    assert np.array_equal(vector, start)


@pytest.mark.parametrize("units", [1, 2, 100])
def test_power_start_has_length_one_and_no_zero(units: int) -> None:
    start = np.asarray(power_start(units))
    assert start.shape == (units,)
    np.testing.assert_allclose(np.linalg.norm(start), 1.0, 1e-6)
    assert np.all(start != 0)
    assert np.array_equal(start, power_start(units))
