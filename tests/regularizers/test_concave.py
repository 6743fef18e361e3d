"""The prox of the concave penalties against brute force, where it jumps above all."""

import numpy as np
import pytest

from helpers.separable import Of, capped, log_sum, mcp, power, scad, transformed
from kregkit.regularizers import (
    MCP,
    SCAD,
    CappedL1,
    LHalf,
    LogSum,
    LTwoThirds,
    Penalty,
    TransformedL1,
)

CASES: list[tuple[Penalty, Of, float]] = [
    (MCP(0.1, 0.5), mcp(0.5)[0], 0.5),
    (SCAD(0.1, 0.5, 2.5), scad(0.5, 2.5)[0], 0.3),
    (SCAD(0.1, 0.6, 1.2), scad(0.6, 1.2)[0], 0.1),
    (CappedL1(0.1, 0.5), capped(0.5)[0], 0.0),
    (LogSum(0.1, 0.5), log_sum(0.5)[0], 0.25),
    (TransformedL1(0.1, 0.5), transformed(0.5)[0], 1 / 12),
    (LHalf(0.1), power(1 / 2)[0], 0.0),
    (LTwoThirds(0.1), power(2 / 3)[0], 0.0),
]
"""A penalty, its value, and the amount from which on there are two minima."""

SOME = 0.3
"""The amount where there are two from 0 on."""


@pytest.mark.parametrize(
    ("penalty", "value", "limit"), CASES, ids=[repr(case[0]) for case in CASES]
)
@pytest.mark.parametrize(
    ("share", "dtype"),
    [
        *(
            (share, "float64")
            for share in (0.1, 0.9, 0.999, 1.0, 1.001, 1.1, 2.0, 10.0)
        ),
        *((share, "float32") for share in (0.9, 1.0, 2.0)),
    ],
)
def test_prox_is_the_global_minimiser(
    penalty: Penalty, value: Of, limit: float, share: float, dtype: str
) -> None:
    amount = share * (limit or SOME)
    w = np.linspace(-4.0, 4.0, 1601)
    found = np.asarray(penalty.prox(w.astype(dtype), amount), "float64")
    reached = (found - w) ** 2 / (2 * amount) + value(np.abs(found))
    u = np.linspace(-4.0, 4.0, 1601)[:, None]
    least = ((u - w) ** 2 / (2 * amount) + value(np.abs(u))).min(axis=0)
    small = 1e-6 if dtype == "float32" else 1e-12
    assert np.all(reached <= least + small * (1 + least))
    assert np.array_equal(np.sign(found), np.sign(w) * (found != 0))
    jump = np.diff(np.sort(np.abs(found))).max()
    if limit == 0:
        assert jump > 0.02
    elif not 0.1 < share < 2.0:  # between, jump and steep slope look alike
        assert (jump > 0.1) == (share >= 2.0)


@pytest.mark.torch
@pytest.mark.parametrize(
    ("penalty", "p"),
    [(LHalf(0.1), 1 / 2), (LTwoThirds(0.1), 2 / 3)],
    ids=["LHalf", "LTwoThirds"],
)
@pytest.mark.parametrize("amount", [1e-9, 1e-4, 0.1, 0.7, 1e3])
def test_a_power_s_prox_is_zero_or_stationary(
    penalty: Penalty, p: float, amount: float
) -> None:
    """`u − w + amount·p·u^(p−1) = 0`, from the jump on (Xu et al., Cao et al. 2012)."""
    jump = (2 - p) / (2 * (1 - p)) * (2 * (1 - p) * amount) ** (1 / (2 - p))
    w = jump * np.concatenate(
        [np.linspace(0.01, 0.999, 50), np.linspace(1.001, 30, 500)]
    )
    found = np.asarray(penalty.prox(w, amount))
    assert np.all(found[:50] == 0)
    u, w = found[50:], w[50:]
    assert np.all(np.abs(u - w + amount * p * u ** (p - 1)) <= 2e-15 * w)


def test_mcp_is_the_firm_threshold_of_the_literature() -> None:
    """`λ|w| − w²/2γ` up to γλ, with the step τ (Zhang 2010), by θ = γλ."""
    strength, gamma, step = 0.2, 3.0, 0.7
    w = np.linspace(-2, 2, 401)
    soft = np.sign(w) * np.maximum(np.abs(w) - step * strength, 0)
    firm = np.where(np.abs(w) > gamma * strength, w, soft / (1 - step / gamma))
    found = MCP(strength, gamma * strength).prox(w, step * strength)
    np.testing.assert_allclose(found, firm, 1e-12, 1e-15)
