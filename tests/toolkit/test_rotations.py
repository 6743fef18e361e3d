"""What penalties of a kernel as a matrix do under rotations, and at ties."""

import numpy as np
import pytest
from gradients import gradient, numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group

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
    rule = r"`w` must be a kernel of 2 axes or more, the last that of the units; rec"
    for penalty in (*ROTATED, *FROM_THE_LEFT):
        with pytest.raises(ParameterError, match=rule):
            penalty(np.ones(3))
