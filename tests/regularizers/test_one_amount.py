"""Proximal steps of one amount, each against an oracle of its own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.isotonic import isotonic_regression

from helpers.gradients import numpy
from helpers.separable import mcp, scad
from kregkit.regularizers import SLOPE, GroupMCP, GroupSCAD, L1MinusL2, NuclearNorm

pytestmark = pytest.mark.torch

amounts = st.sampled_from([1e-3, 0.1, 0.3, 1.0, 3.0])


@given(seed=st.integers(0, 10**6), amount=amounts, size=st.sampled_from([1, 2, 7]))
@pytest.mark.parametrize(
    ("penalty", "value"),
    [
        (GroupMCP(group=(), threshold=0.7), mcp(0.7)[0]),
        (GroupSCAD(group=(), threshold=0.7, a=2.5), scad(0.7, 2.5)[0]),
    ],
    ids=["GroupMCP", "GroupSCAD"],
)
def test_a_group_takes_the_best_of_all_lengths(
    penalty: GroupMCP, value: object, seed: int, amount: float, size: int
) -> None:
    w = np.random.default_rng(seed).normal(scale=0.8, size=size)
    found = numpy(penalty.prox(w, amount))
    length = np.sqrt(np.mean(w**2))
    assert np.all(np.abs(found * length - w * np.sqrt(np.mean(found**2))) <= 1e-15)
    lengths = np.linspace(0, 2 * length, 4001)
    costs = (lengths - length) ** 2 / (2 * amount) + value(lengths)
    own = np.sqrt(np.mean(found**2))
    reached = (own - length) ** 2 / (2 * amount) + value(own)
    assert reached <= costs.min() + 1e-12


@given(
    seed=st.integers(0, 10**6),
    size=st.integers(1, 200),
    amount=amounts,
    last=st.sampled_from([0.0, 0.3, 1.0]),
    digits=st.sampled_from([1, 6]),
)
def test_slope_is_the_isotonic_regression_of_what_is_sorted(
    seed: int, size: int, amount: float, last: float, digits: int
) -> None:
    w = np.round(np.random.default_rng(seed).normal(size=size), digits)  # with ties
    order = np.argsort(-np.abs(w), kind="stable")
    cut = np.abs(w)[order] - amount * np.linspace(1, last, size)
    expected = np.zeros(size)
    expected[order] = np.maximum(isotonic_regression(cut, increasing=False), 0)
    expected *= np.sign(w)
    penalty = SLOPE(last=last)
    found = numpy(penalty.prox(w, amount))
    np.testing.assert_allclose(found, expected, 1e-12, 1e-14)
    single = numpy(penalty.prox(np.float32(w), amount))
    np.testing.assert_allclose(single, expected, 1e-4, 1e-6)


def test_slope_keeps_its_digits_in_a_large_tensor() -> None:
    """One block of 50,000 weights, whose sum in float32 has four digits."""
    w = np.float32(3 + 1e-3 * np.random.default_rng(0).random(50_000))
    found = numpy(SLOPE().prox(w, 1.0))
    expected = np.mean(np.float64(w) - np.linspace(1, 0.5, w.size))
    np.testing.assert_allclose(found, expected, 2e-7)
    assert np.unique(found).size == 1


@given(
    seed=st.integers(0, 10**6),
    amount=amounts,
    beta=st.sampled_from([0.0, 0.4, 1.0]),
    size=st.integers(1, 4),
)
def test_l1_minus_l2_beats_a_minimiser_from_many_starts(
    seed: int, amount: float, beta: float, size: int
) -> None:
    random = np.random.default_rng(seed)
    w = random.normal(size=size)

    def cost(u: np.ndarray) -> float:
        norms = np.abs(u).sum() - beta * np.linalg.norm(u)
        return float(((u - w) ** 2).sum() / (2 * amount) + norms)

    starts = [w, np.zeros(size), *np.diag(w), *random.normal(size=(4, size))]
    found = numpy(L1MinusL2(beta=beta).prox(w, amount))
    ends = [minimize(cost, start, method="Nelder-Mead").x for start in starts]
    assert cost(found) <= min(map(cost, [*starts, *ends])) + 1e-9


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "shape", [(1, 1), (5, 3), (3, 5), (3, 3, 4, 8), (40, 30)], ids=str
)
def test_the_nuclear_norm_lessens_singular_values(
    shape: tuple[int, ...], dtype: str
) -> None:
    w = np.random.default_rng(0).normal(size=shape).astype(dtype)
    matrix = np.float64(w).reshape(-1, shape[-1])
    u, s, v = np.linalg.svd(matrix, full_matrices=False)
    for amount in (1e-3, np.median(s), 0.99 * s.max(), 1.01 * s.max()):
        found = np.float64(numpy(NuclearNorm().prox(w, amount))).reshape(matrix.shape)
        expected = (u * np.maximum(s - amount, 0)) @ v
        off = np.linalg.norm(found - expected) / np.linalg.norm(matrix)
        assert off <= (1e-6 if dtype == "float32" else 1e-14)
        assert expected.any() == found.any()
