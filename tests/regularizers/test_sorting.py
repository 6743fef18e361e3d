"""Proximal steps that need an order, against bisection of the equation of each."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.gradients import numpy
from kregkit.regularizers import ExclusiveLasso, GroupLInf, LInf

pytestmark = pytest.mark.torch


def bisected(excess: Callable[[float], float], high: float) -> float:
    """Return the root of a falling function from 0 to `high`, in float64; 0 without."""
    low = 0.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return (low + high) / 2


def largest(w: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """Cut at m where the pull of what is beyond, Σ(|w| − m)/amount, is 1."""
    size, moves = np.abs(w), amount > 0
    if not moves.any():
        return w

    def excess(m: float) -> float:
        return (np.maximum(size - m, 0)[moves] / amount[moves]).sum() - 1

    m = max(bisected(excess, size.max()), size[~moves].max(initial=0))
    return np.where(moves, np.clip(w, -m, m), w)


def exclusive(w: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """Threshold at amount·S where S = Σ|u|."""
    size = np.abs(w)

    def excess(s: float) -> float:
        return np.maximum(size - amount * s, 0).sum() - s

    s = bisected(excess, size.sum())
    return np.sign(w) * np.maximum(size - amount * s, 0)


@given(
    seed=st.integers(0, 10**6),
    size=st.integers(1, 60),
    decades=st.sampled_from([0.0, 1.0, 6.0]),
    scale=st.sampled_from([1e-25, 1e-3, 1.0, 1e25]),
)
def test_the_step_is_the_root(
    seed: int, size: int, decades: float, scale: float
) -> None:
    random = np.random.default_rng(seed)
    w = scale * random.normal(size=size) * 10 ** random.uniform(-decades, 0, size)
    amounts = 10 ** random.uniform(-decades - 2, 1, size)
    amounts[random.random(size) < 0.2] = 0.0
    common = np.full(size, 10 ** random.uniform(-4, 1))
    for amount in (amounts, common):
        for penalty, step, own in (
            (LInf(), largest, scale * amount),
            (GroupLInf(group=()), largest, scale * amount),
            (ExclusiveLasso(group=()), exclusive, amount),
        ):
            expected = step(w, own)
            given_own = float(own[0]) if amount is common else own
            found = numpy(penalty.prox(w, given_own))
            most = np.abs(w).max()
            np.testing.assert_allclose(found, expected, 1e-9, 1e-12 * most)
            single = np.float32(w), np.float32(given_own)
            found = numpy(penalty.prox(*single))
            expected = step(np.float64(single[0]), np.float64(own.astype("float32")))
            np.testing.assert_allclose(found, expected, 1e-4, 1e-6 * most)


@pytest.mark.parametrize("group", ["unit", "input", (0, -1), (1,), ()], ids=str)
def test_a_group_is_stepped_as_if_it_were_alone(group: object) -> None:
    random = np.random.default_rng(0)
    w, amount = random.normal(size=(2, 3, 4, 5)), random.exponential(0.2, (2, 3, 4, 5))
    kept = {"unit": (3,), "input": (2,), (0, -1): (0, 3), (1,): (1,), (): ()}[group]
    for cls, step in ((GroupLInf, largest), (ExclusiveLasso, exclusive)):
        found = numpy(cls(group=group).prox(w, amount))
        for index in np.ndindex(*(w.shape[axis] for axis in kept)):
            where: list[object] = [slice(None)] * 4
            for axis, place in zip(kept, index, strict=True):
                where[axis] = place
            own = w[tuple(where)], amount[tuple(where)]
            np.testing.assert_allclose(found[tuple(where)], step(*own), 1e-9, 1e-12)


def test_running_sums_do_not_blur_the_step_of_a_large_group() -> None:
    random = np.random.default_rng(0)
    w = np.float32(random.normal(scale=0.05, size=100_000))
    for penalty, step, amount in (
        (LInf(), largest, 1000.0),
        (ExclusiveLasso(group=()), exclusive, 1e-3),
    ):
        expected = step(np.float64(w), np.full(w.shape, amount))
        found = numpy(penalty.prox(w, amount))
        np.testing.assert_allclose(found, expected, 0, 3e-7 * np.abs(w).max())
