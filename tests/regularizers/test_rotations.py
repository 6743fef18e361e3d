"""What penalties of a kernel as a matrix do under rotations, and at ties."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group

from helpers.gradients import gradient, numpy
from kregkit.errors import ParameterError
from kregkit.regularizers import NuclearNorm, Orthogonality, SpectralNorm

pytestmark = pytest.mark.torch

ROTATED = [NuclearNorm(0.3), SpectralNorm(0.3)]
FROM_THE_LEFT = [
    Orthogonality(0.3, form=form)
    for form in ("soft", "double_soft", "mutual_coherence", "off_diagonal", "srip")
]
"""Whose value is of WᵀW alone."""


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), inputs=st.integers(2, 6), units=st.integers(2, 6))
def test_values_are_of_singular_values_alone(
    seed: int, inputs: int, units: int
) -> None:
    random = np.random.default_rng(seed)
    w = random.normal(size=(inputs, units))
    left = ortho_group.rvs(inputs, random_state=random)
    right = ortho_group.rvs(units, random_state=random)
    for penalty in (*ROTATED, *FROM_THE_LEFT):
        np.testing.assert_allclose(penalty.value(left @ w), penalty.value(w), 1e-10)
    for penalty in ROTATED:
        turned = left @ w @ right
        np.testing.assert_allclose(penalty.value(turned), penalty.value(w), 1e-10)
        slope = left @ gradient(penalty, w) @ right
        np.testing.assert_allclose(gradient(penalty, turned), slope, 1e-6, 1e-9)
    moved = left @ numpy(NuclearNorm().prox(w, 0.4)) @ right
    found = numpy(NuclearNorm().prox(left @ w @ right, 0.4))
    np.testing.assert_allclose(found, moved, 0, 1e-10)


def test_the_largest_share_the_gradient() -> None:
    w = np.diag([3.0, 3.0, 1.0])
    found = gradient(SpectralNorm(1.0), w)
    np.testing.assert_allclose(found, np.diag([3.0, 3.0, 0.0]), 1e-12, 1e-12)
    # G − I of 1 and −1: one singular value is too large by as much as one is too small.
    w = np.diag([np.sqrt(1.75), 0.5])
    found = gradient(Orthogonality(1.0, form="srip"), w)
    # The power iteration parts what the rounding of √1.75 does.
    np.testing.assert_allclose(found, np.diag([np.sqrt(1.75), -0.5]), 0, 1e-9)


def test_nearly_tied_singular_values_are_within_4e_7() -> None:
    random = np.random.default_rng(0)
    left, right = (ortho_group.rvs(6, random_state=random) for _ in range(2))
    for gap in 10.0 ** np.arange(-12, 0):
        w = (left * [1.0, 1.0 - gap, 0.5, 0.1, 0.0, 0.0]) @ right
        assert 1 - 4e-7 <= float(SpectralNorm().value(w)) <= 1 + 1e-14


def test_a_bias_is_refused() -> None:
    rule = r"`w` must be a kernel of 2 axes or more, with units on the last; received"
    for penalty in (*ROTATED, *FROM_THE_LEFT):
        with pytest.raises(ParameterError, match=rule):
            penalty(np.ones(3))


def powered(apply: Callable[[np.ndarray], np.ndarray], units: int) -> np.ndarray:
    """Return the vector of 16 steps of the power iteration."""
    v = np.cos(np.arange(1, units + 1))
    v /= np.linalg.norm(v)
    for _ in range(16):
        v = apply(v)
        v /= np.linalg.norm(v)
    return v


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (2, 3, 4), (1, 4), (4, 1), (2, 1)])
@pytest.mark.parametrize("size", [1.0, 1e-12, 1e12])
def test_16_steps_of_one_vector_are_those_of_numpy(
    shape: tuple[int, ...], size: float
) -> None:
    w = size * np.random.default_rng(1).normal(size=shape)
    matrix = w.reshape(-1, shape[-1])
    v = powered(lambda v: matrix.T @ (matrix @ v), shape[-1])
    norm, short = SpectralNorm(1.0, form="power"), (matrix @ v) @ (matrix @ v)
    np.testing.assert_allclose(norm.value(w), short, 1e-10)
    slope = 2 * np.outer(matrix @ v, v).reshape(shape)
    np.testing.assert_allclose(gradient(norm, w), slope, 1e-7, 1e-9 * size)
    assert float(numpy(norm.value(w))) <= float(SpectralNorm().value(w)) * (1 + 1e-9)

    def off(v: np.ndarray) -> np.ndarray:
        return matrix.T @ (matrix @ v) - v

    v = powered(off, shape[-1])
    srip, found = Orthogonality(1.0, form="srip_power"), np.linalg.norm(off(v))
    np.testing.assert_allclose(srip.value(w), found, 1e-10)
    u = off(v) / found
    slope = np.outer(matrix @ v, u) + np.outer(matrix @ u, v)
    np.testing.assert_allclose(
        gradient(srip, w), slope.reshape(shape), 1e-7, 1e-9 * size
    )
    most = float(numpy(Orthogonality(form="srip").value(w)))
    assert found <= most * (1 + 1e-6)


def test_16_steps_reach_what_stands_out_and_nothing_from_zeros() -> None:
    random = np.random.default_rng(0)
    left, right = (ortho_group.rvs(6, random_state=random) for _ in range(2))
    w = (left * [3.0, 1.0, 0.5, 0.1, 0.0, 0.0]) @ right
    for penalty, expected in (
        (SpectralNorm(form="power"), 9.0),
        (Orthogonality(form="srip_power"), 8.0),
    ):
        np.testing.assert_allclose(penalty.value(w), expected, 1e-12)
    none = SpectralNorm(form="power")
    for zeros in (np.zeros((3, 2)), np.zeros((0, 2)), np.zeros((2, 0))):
        assert float(numpy(none.value(zeros))) == 0.0
        np.testing.assert_array_equal(gradient(none, zeros), zeros)
    flat = Orthogonality(form="srip_power")
    assert float(numpy(flat.value(np.eye(3)))) == 0.0  # its slope there is none
    np.testing.assert_array_equal(gradient(flat, np.eye(3)), np.zeros((3, 3)))
    np.testing.assert_allclose(flat.value(np.zeros((3, 2))), 1.0, 1e-12)
    for tiny, dtype in ((1e-30, "float32"), (6e-8, "float16"), (6e4, "float16")):
        w = np.full((3, 2), tiny, dtype)
        for penalty in (none, flat):
            assert np.isfinite(gradient(penalty, w)).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_both_units_of_the_most_coherent_pair_have_their_part(dtype: str) -> None:
    w = (0.1 * np.random.default_rng(0).normal(size=(300, 70))).astype(dtype)
    w[:, 7] = (0.9 * w[:, 3] + 0.1 * w[:, 7]).astype(dtype)
    w /= 3 * np.linalg.norm(w, axis=0)  # of length 1/3: G − I is −8/9 on its diagonal
    w[:, [3, 7]] *= np.array(4.2, dtype)
    gram = np.float64(w).T @ np.float64(w) - np.eye(70)
    i, j = divmod(int(np.argmax(np.abs(gram))), 70)
    assert {i, j} == {3, 7}
    slope = np.zeros(w.shape)
    slope[:, i], slope[:, j] = np.float64(w)[:, j], np.float64(w)[:, i]
    found = gradient(Orthogonality(1.0, form="mutual_coherence"), w)
    np.testing.assert_allclose(found, slope, 1e-5)


def test_an_iteration_that_has_not_ended_is_not_convex() -> None:
    assert SpectralNorm(form="power").convex is False
    assert SpectralNorm().convex is True


@pytest.mark.parametrize("given", ["fast", "", None, 1])
def test_what_is_no_form_is_refused(given: object) -> None:
    with pytest.raises(ParameterError) as caught:
        SpectralNorm(0.1, form=given)
    assert str(caught.value) == (
        f"SpectralNorm: `form` must be 'exact', 'power'; received {given!r}."
    )
