"""The prox of the concave penalties against brute force, where it jumps above all."""

import numpy as np
import pytest
from formulas import log_sum, mcp

from kregkit.regularizers import MCP, LogSum, Penalty

pytestmark = pytest.mark.torch

CASES = [
    (MCP(0.1, 0.5), mcp(0.5)[0], 0.5),
    (LogSum(0.1, 0.5), log_sum(0.5)[0], 0.25),
]
"""A penalty, its value, and the amount from which on there are two minima."""


@pytest.mark.parametrize(("penalty", "value", "limit"), CASES, ids=["MCP", "LogSum"])
@pytest.mark.parametrize("share", [0.1, 0.9, 0.999, 1.0, 1.001, 1.1, 2.0, 10.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_prox_is_the_global_minimiser(
    penalty: Penalty, value: object, limit: float, share: float, dtype: str
) -> None:
    amount = share * limit
    w = np.linspace(-4.0, 4.0, 1601)
    found = np.asarray(penalty.prox(w.astype(dtype), amount), "float64")
    at = np.array([value(np.array([u])) for u in found])
    reached = (found - w) ** 2 / (2 * amount) + at
    least = np.full(w.shape, np.inf)
    for u in np.linspace(-4.0, 4.0, 1601):
        least = np.minimum(least, (u - w) ** 2 / (2 * amount) + value(np.array([u])))
    small = 1e-6 if dtype == "float32" else 1e-12
    assert np.all(reached <= least + small * (1 + least))
    size = np.sort(np.abs(found))
    assert np.array_equal(np.sign(found), np.sign(w) * (found != 0))
    if not 0.1 < share < 2.0:  # between, jump and steep slope look alike
        assert (np.diff(size).max() > 0.1) == (share >= 2.0)


def test_mcp_is_the_firm_threshold_of_the_literature() -> None:
    """`λ|w| − w²/2γ` up to γλ, with the step τ (Zhang 2010), by θ = γλ."""
    strength, gamma, step = 0.2, 3.0, 0.7
    w = np.linspace(-2, 2, 401)
    soft = np.sign(w) * np.maximum(np.abs(w) - step * strength, 0)
    firm = np.where(np.abs(w) > gamma * strength, w, soft / (1 - step / gamma))
    found = MCP(strength, gamma * strength).prox(w, step * strength)
    np.testing.assert_allclose(found, firm, 1e-12, 1e-15)
