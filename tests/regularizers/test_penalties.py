"""Families over the registry: value, gradient and prox against NumPy."""

from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops
from ml_dtypes import bfloat16

from helpers.formulas import (
    CASES,
    DIFFERENTIABLE,
    FIRSTS,
    PROXIMAL,
    Case,
    cases_of,
)
from helpers.gradients import dtype_of, gradient, numpy
from kregkit.errors import ParameterError
from kregkit.regularizers import L0, Penalty, TotalVariation
from kregkit.regularizers._register import classes

# On PyTorch what its types, its empty tensors and its rounding could change: values,
# gradients and proxes at ordinary points are those of TensorFlow, by test.
on_torch = pytest.mark.torch
every_case = pytest.mark.parametrize("case", CASES, ids=str)
every_differentiable = pytest.mark.parametrize("case", DIFFERENTIABLE, ids=str)
every_proximal = pytest.mark.parametrize("case", PROXIMAL, ids=str)
DTYPES = tuple(np.dtype(d) for d in ("float16", bfloat16, "float32", "float64"))
SHAPES = ((), (1,), (5,), (3, 4), (2, 3, 4), (3, 3, 2, 4))


def arrays(low: float = -10.0, high: float = 10.0) -> st.SearchStrategy[np.ndarray]:
    """Return float64 arrays in which exact zeros are common, none below 1e-3."""
    number = st.floats(low, high).map(lambda x: 0.0 if abs(x) < 1e-3 else x)
    shapes = hnp.array_shapes(min_dims=0, max_dims=3, max_side=3)
    return shapes.flatmap(
        lambda shape: hnp.arrays("float64", shape, elements=number | st.just(0.0))
    )


def subdifferential(case: Case, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the left and right derivative of `strength * value` in each element."""
    sides = []
    for h in (-1e-7, 1e-7):
        slopes = np.zeros(w.shape)
        for index in np.ndindex(w.shape):
            moved = w.copy()
            moved[index] += h
            slopes[index] = (case.value(moved) - case.value(w)) / h
        sides.append(case.penalty.strength * slopes)
    return np.minimum(*sides), np.maximum(*sides)


def objective(
    case: Case, u: np.ndarray, w: np.ndarray, amount: np.ndarray
) -> np.float64:
    """Return what prox minimises; an element with amount 0 may not move."""
    free = amount > 0
    assert np.array_equal(u[~free], w[~free])
    # Multiplied by a common amount where there is one, so that both terms are tame.
    return np.sum((u - w)[free] ** 2 / (2 * amount[free])) + case.value(u)


def test_a_class_without_a_formula_fails_the_families() -> None:
    class Unheard(Penalty):
        pass

    with pytest.raises(AssertionError, match="Unheard has no NumPy formula"):
        cases_of(Unheard)


@every_case
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_value_is_the_formula(case: Case, shape: tuple[int, ...]) -> None:
    w = case.fit(np.random.default_rng(0).normal(size=shape))
    for dtype, rtol in (("float64", 1e-13), ("float32", 1e-6)):
        kept = np.asarray(w, dtype)
        value, penalised = case.penalty.value(kept), case.penalty(kept)
        assert value.shape == penalised.shape == ()
        assert dtype_of(value) == dtype_of(penalised) == dtype
        expected = case.value(kept)
        atol = case.rounding * np.finfo(dtype).eps
        np.testing.assert_allclose(value, expected, rtol, atol)
        expected *= case.penalty.strength
        np.testing.assert_allclose(penalised, expected, rtol, atol)


@every_differentiable
@settings(max_examples=12)
@given(w=arrays())
def test_value_and_gradient_are_those_of_the_formula(case: Case, w: np.ndarray) -> None:
    w = case.fit(np.where(np.abs(w) < case.least, 0.0, w))
    np.testing.assert_allclose(case.penalty.value(w), case.value(w), 1e-12, 1e-300)
    low, high = subdifferential(case, w)
    slope = gradient(case.penalty, w)
    assert slope.shape == w.shape
    expected = case.penalty.strength * case.slope(w)
    np.testing.assert_allclose(slope, expected, 1e-9, 1e-12)
    # What rounding of the two values does to a difference quotient of step 1e-7.
    rounding = np.finfo(float).eps * case.penalty.strength * abs(case.value(w)) / 1e-7
    assert np.all(slope >= low - 1e-4 - 2 * rounding)
    assert np.all(slope <= high + 1e-4 + 2 * rounding)


@every_differentiable
def test_gradient_is_zero_where_that_of_the_formula_is_and_only_there(
    case: Case,
) -> None:
    numbers = np.float32([-2.0, -0.05, -1e-3, 0.0, 1e-3, 0.05, 1.0, 0.3])
    w = case.fit(numbers.reshape(4, 2))
    slope = case.slope(w)
    assert slope.any()
    assert np.array_equal(np.sign(gradient(case.penalty, w)), np.sign(slope))


@on_torch
def test_a_penalty_without_a_gradient_refuses_to_give_one() -> None:
    penalty, w = L0(0.1), np.float32([1.0, 0.0, -2.0])
    for function in (penalty, lambda w: 2.0 * penalty(w) + ops.sum(w)):
        with pytest.raises(ParameterError, match="L0: has no useful gradient"):
            gradient(function, w)
    for xla in (False, True):
        stopped = gradient(lambda w: ops.stop_gradient(penalty(w)) + ops.sum(w), w, xla)
        assert np.array_equal(stopped, np.ones(3))


@every_proximal
def test_prox_beats_every_point_of_a_grid(case: Case) -> None:
    weights = (-2.5, -0.4, -0.1, -1e-3, 0.0, 0.05, 0.15, 0.3, 0.4, 1.7)
    fine = np.linspace(-0.2, 0.2, 201)
    grid = np.concatenate([np.linspace(-3, 3, 601), fine, weights])
    values = np.array([case.value(case.fit(np.array([u]))) for u in grid])
    for amount in (1e-3, 0.0099, 0.1, 0.4, 2.0, 3.0, 1e4):
        for w in weights:
            at = case.fit(np.array([w]))
            found = numpy(case.penalty.prox(at, amount))
            reached = objective(case, found, at, np.full(at.shape, amount))
            least = ((grid - w) ** 2 / (2 * amount) + values).min()
            assert reached <= least + 1e-12


@every_proximal
@settings(max_examples=12)
@given(w=arrays(-2, 2), seed=st.integers(0, 99))
def test_prox_beats_nearby_points_with_an_amount_per_weight(
    case: Case, w: np.ndarray, seed: int
) -> None:
    w, random = case.fit(w), np.random.default_rng(seed)
    amounts = np.asarray(random.exponential(0.5, w.shape))
    amounts[random.random(w.shape) < 0.3] = 0.0
    common = float(random.exponential(0.5))
    for given_amount in case.takes(
        amounts, ops.convert_to_tensor(amounts, "float32"), common
    ):
        amount = np.broadcast_to(np.float64(given_amount), w.shape)
        found = numpy(case.penalty.prox(w, given_amount))
        reached = objective(case, found, w, amount)
        for size in (1.0, 0.1, 1e-2, 1e-3):
            shift = random.normal(scale=size, size=w.shape)
            shift *= (random.random(w.shape) < 0.5) & (amount > 0)
            beside = objective(case, found + shift, w, amount)
            assert reached <= beside + 1e-9 * (1 + abs(beside))


@on_torch
@every_case
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_zero_tensor_has_finite_value_gradient_and_prox(
    case: Case, dtype: np.dtype
) -> None:
    for shape in ((), (0,), (1,), (3, 4)):
        w = case.fit(np.zeros(shape, dtype))
        # Exactly 0, but of a penalty whose minimum is elsewhere.
        np.testing.assert_allclose(case.penalty.value(w), case.value(w), 1e-6)
        expected = case.penalty.strength * case.slope(w)
        # TensorFlow's own √ has gradient 0 where 0 comes in; XLA's has not.
        whole = shape == (3, 4) and w.itemsize == 4 and case in FIRSTS
        compiled = (False, True) if whole else (False,)
        for xla in compiled if case.penalty.differentiable else ():
            slope = np.float64(gradient(case.penalty, w, xla=xla))
            np.testing.assert_allclose(slope, expected, 1e-2)
        amounts = case.takes(0.0, 0.5, np.zeros(w.shape), np.full(w.shape, 0.5))
        if case.penalty.proximal and case.value(w) == 0:
            for amount in amounts:
                assert np.all(numpy(case.penalty.prox(w, amount)) == 0)


@on_torch
@every_proximal
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_amount_zero_returns_the_weight_bit_for_bit(
    case: Case, dtype: np.dtype
) -> None:
    numbers = [0.0, 1e-4, -1e-4, 0.1, -0.3, 1.0, -77.7, 6e4, -6e4]
    w = np.array(numbers, np.float64).astype(dtype)
    if dtype == np.float32:
        w = np.append(w, np.float32([1e-37, -1e-37, 3e38, -3e38]))
    w = case.fit(w)
    none, one_free = np.zeros(w.shape), np.zeros(w.shape)
    one_free[..., 3] = 0.5
    zeros = case.takes(0, 0.0, np.float32(0), ops.convert_to_tensor(0.0), none)
    for amount in zeros:
        assert numpy(case.penalty.prox(w, amount)).tobytes() == w.tobytes()
    if case.penalty.scalar_step_only:
        return
    moved = numpy(case.penalty.prox(w, one_free))
    one = case.fit(w[..., 3:4])
    alone = case.penalty.prox(one, np.full(one.shape, 0.5))
    assert np.all(numpy(alone) != one)
    # Among weights of 1e38, in one group with it, it may stay.
    others = np.arange(w.size) != 3
    assert moved.ravel()[others].tobytes() == w.ravel()[others].tobytes()
    assert case.grouped or moved.ravel()[3] != w.ravel()[3]


@on_torch
@every_case
@pytest.mark.parametrize("size", [1e30, 1e18, 1e-18, 1e-30])
def test_extreme_float32_gives_the_formula_or_infinity_but_never_nan(
    case: Case, size: float
) -> None:
    size = min(size, case.within)
    w = case.fit(np.float32([size, -size, 0.0, 2 * size]))
    with np.errstate(over="ignore"):
        expected = np.float32(case.value(w))  # infinite beyond 3.4e38
    np.testing.assert_allclose(case.penalty.value(w), expected, 1e-6, 1e-37)
    if case.penalty.differentiable:
        expected = case.penalty.strength * case.slope(w)
        np.testing.assert_allclose(gradient(case.penalty, w), expected, 1e-5, 1e-37)
    amounts = case.takes(1e-3, np.full(w.shape, 1e-3), 1e30)
    for amount in amounts if case.penalty.proximal else ():
        assert np.all(np.isfinite(numpy(case.penalty.prox(w, amount))))


@on_torch
@every_proximal
def test_a_weight_that_is_not_a_number_does_not_become_one(case: Case) -> None:
    w = case.fit(np.array([np.nan, 1.0, 0.0]))
    for amount in case.takes(0.0, 0.3, np.full(w.shape, 0.3)):
        assert np.isnan(numpy(case.penalty.prox(w, amount)).ravel()[0])


@on_torch
@every_case
@pytest.mark.parametrize("dtype", DTYPES[:2], ids=str)
def test_half_precision_is_summed_in_float32(case: Case, dtype: np.dtype) -> None:
    # Σ|w| is 7.7e4 and Σw² is 2.3e7, beyond float16.
    w = case.fit(np.full((16, 16), 300.0).astype(dtype))
    value = case.penalty.value(w)
    assert dtype_of(value) == dtype_of(case.penalty(w)) == "float32"
    np.testing.assert_allclose(value, case.value(w), 1e-6)
    if not case.penalty.differentiable:
        return
    slope = gradient(case.penalty, w)
    assert slope.dtype == w.dtype
    with np.errstate(over="ignore"):
        expected = np.asarray(case.penalty.strength * case.slope(w)).astype(dtype)
    np.testing.assert_allclose(np.float64(slope), np.float64(expected), 1e-2, 1e-12)


@on_torch
@every_proximal
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_prox_keeps_shape_and_dtype_whatever_the_amount(
    case: Case, dtype: np.dtype
) -> None:
    w = case.fit(np.random.default_rng(0).normal(size=(3, 4)).astype(dtype))
    wide = numpy(case.penalty.prox(np.float64(w), 0.25))
    for amount in case.takes(
        0.25,
        np.float64(0.25),
        ops.convert_to_tensor(0.25, "float16"),
        ops.convert_to_tensor(np.full(w.shape, 0.25)),
        np.full(w.shape, 0.25, "float32"),
    ):
        found = case.penalty.prox(w, amount)
        found = numpy(found)
        assert found.dtype == dtype
        assert found.shape == w.shape
        # As if computed in float64 and rounded once.
        np.testing.assert_allclose(
            np.asarray(found, "float64"),
            np.asarray(wide.astype(dtype), "float64"),
            1e-6,
            case.rounding * np.finfo("float32").eps,
        )


@on_torch
@pytest.mark.parametrize(
    "case", [c for c in PROXIMAL if c.penalty.scalar_step_only], ids=str
)
def test_a_tensor_of_amounts_is_refused_by_a_step_of_one(case: Case) -> None:
    w = case.fit(np.random.default_rng(0).normal(size=(3, 4)))
    single = np.reshape(0.25, (1,) * w.ndim)
    expected = numpy(case.penalty.prox(w, 0.25))
    assert np.array_equal(numpy(case.penalty.prox(w, single)), expected)
    with pytest.raises(ParameterError) as caught:
        case.penalty.prox(w, np.full(w.shape, 0.25))
    assert str(caught.value) == (
        f"{type(case.penalty).__name__}.prox: `amount` must be a scalar: this proximal "
        f"operator needs one amount for all weights; received {w.shape}."
    )


@pytest.mark.parametrize("case", [c for c in PROXIMAL if c.convex], ids=str)
@given(pair=arrays(), seed=st.integers(0, 99))
def test_prox_of_a_convex_penalty_is_non_expansive(
    case: Case, pair: np.ndarray, seed: int
) -> None:
    pair, random = case.fit(pair), np.random.default_rng(seed)
    shift = random.normal(scale=random.choice([1e-3, 1.0]), size=pair.shape)
    other = np.asarray(pair + shift)  # PyTorch has a NumPy scalar as float32
    amount = float(random.exponential())
    ends = [numpy(case.penalty.prox(w, amount)) for w in (pair, other)]
    assert np.linalg.norm(ends[0] - ends[1]) <= np.linalg.norm(pair - other) + 1e-12


@every_case
def test_it_is_convex_where_it_says_so(case: Case) -> None:
    random = np.random.default_rng(0)

    def point(scale: float, shape: tuple[int, int]) -> np.ndarray:
        w = random.normal(scale=scale, size=shape)
        return case.fit(np.where(random.random(w.shape) < 0.2, 0.0, w))

    pairs = [
        [point(scale, shape), point(scale, shape)]
        for scale in (0.1, 1.0)
        for shape in ((3, 4), (4, 3))
        for _ in range(100)
    ]
    gaps = [
        case.value((a + b) / 2) - (case.value(a) + case.value(b)) / 2 for a, b in pairs
    ]
    assert (max(gaps) <= 1e-12) == case.penalty.convex


@every_proximal
def test_prox_makes_zeros_where_it_says_so(case: Case) -> None:
    """Some weights are zero and others not, at one amount at least."""
    w = case.fit(np.random.default_rng(0).normal(size=(6, 4)))
    amounts = np.geomspace(1e-3, 1e2, 24)
    zeros = [np.mean(np.asarray(case.penalty.prox(w, a)) == 0) for a in amounts]
    if getattr(case.penalty, "group", None) == ():  # the whole tensor is a group
        assert zeros[-1] > 0
        assert case.penalty.makes_zeros
        return
    assert any(0 < share < 1 for share in zeros) == case.penalty.makes_zeros


def test_penalties_without_a_prox_make_zeros_where_they_have_a_kink_there() -> None:
    found = {c.__name__ for c in classes() if not c.proximal and c.makes_zeros is True}
    assert found == {"GroupHoyerSquare", "Hoyer", "HoyerSquare"}


def test_a_penalty_that_does_not_say_whether_it_makes_zeros_cannot_be_made() -> None:
    class Own(Penalty):
        def _value(self, w: Any) -> Any:
            return np.sum(w)

    with pytest.raises(TypeError, match="makes_zeros"):
        Own()


@on_torch
@pytest.mark.parametrize("shape", [(2, 4, 3), (2, 4, 3, 5), (2, 3, 2, 2, 4)], ids=str)
def test_total_variation_is_along_every_inner_axis_alone(shape: tuple[int]) -> None:
    (case,) = cases_of(TotalVariation)
    h = np.random.default_rng(0).normal(size=shape)
    np.testing.assert_allclose(case.penalty.value(h), case.value(h), 1e-13)
    slope = case.penalty.strength * case.slope(h)
    np.testing.assert_allclose(gradient(case.penalty, h), slope, 1e-12)
