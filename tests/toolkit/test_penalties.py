"""Families over the registry: value, gradient and prox against NumPy."""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import tensorflow as tf
from formulas import CASES, Case, cases_of
from hypothesis import given
from hypothesis import strategies as st
from ml_dtypes import bfloat16

from kregkit.regularizers import Penalty

every_case = pytest.mark.parametrize("case", CASES, ids=str)
DTYPES = tuple(np.dtype(d) for d in ("float16", bfloat16, "float32", "float64"))
SHAPES = ((), (1,), (5,), (3, 4), (2, 3, 4), (3, 3, 2, 4))


def arrays(low: float = -10.0, high: float = 10.0) -> st.SearchStrategy[np.ndarray]:
    """Return float64 arrays in which exact zeros are common, none below 1e-3."""
    number = st.floats(low, high).map(lambda x: 0.0 if abs(x) < 1e-3 else x)
    shapes = hnp.array_shapes(min_dims=0, max_dims=3, max_side=3)
    return shapes.flatmap(
        lambda shape: hnp.arrays("float64", shape, elements=number | st.just(0.0))
    )


def gradient(penalty: Penalty, w: object) -> np.ndarray:
    """Return the gradient of `strength * value` at `w`, as TensorFlow takes it."""
    w = tf.constant(w)
    with tf.GradientTape() as tape:
        tape.watch(w)
        penalised = penalty(w)
    return tape.gradient(penalised, w).numpy()


def subdifferential(case: Case, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the left and right derivative of `strength * value` in each element."""
    sides = []
    for h in (-1e-6, 1e-6):
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
    w = np.random.default_rng(0).normal(size=shape)
    for dtype, rtol in (("float64", 1e-13), ("float32", 1e-6)):
        kept = np.asarray(w, dtype)
        value, penalised = case.penalty.value(kept), case.penalty(kept)
        assert value.shape == penalised.shape == ()
        assert value.dtype == penalised.dtype == dtype
        expected = case.value(kept)
        np.testing.assert_allclose(value, expected, rtol)
        np.testing.assert_allclose(penalised, case.penalty.strength * expected, rtol)


@every_case
@given(w=arrays())
def test_value_and_gradient_are_those_of_the_formula(case: Case, w: np.ndarray) -> None:
    np.testing.assert_allclose(case.penalty.value(w), case.value(w), 1e-12, 1e-300)
    low, high = subdifferential(case, w)
    slope = gradient(case.penalty, w)
    assert slope.shape == w.shape
    assert np.all(slope >= low - 1e-4)
    assert np.all(slope <= high + 1e-4)


@every_case
def test_gradient_is_not_zero_where_the_weight_is_not(case: Case) -> None:
    w = np.float32([-2.0, -1e-3, 1e-3, 2.0])
    assert np.array_equal(np.sign(gradient(case.penalty, w)), np.sign(w))


@every_case
@pytest.mark.parametrize("amount", [0.0, 1e-3, 0.4, 3.0, 1e4])
def test_prox_beats_every_point_of_a_grid(case: Case, amount: float) -> None:
    for w in (-2.5, -0.4, -1e-3, 0.0, 0.3, 0.4, 1.7):
        at = np.array([w])
        found = np.asarray(case.penalty.prox(at, amount))
        if amount == 0:
            assert found[0] == w
            continue
        grid = np.append(np.linspace(-3, 3, 601), [w, 0.0])
        amounts = np.array([amount])
        least = min(objective(case, np.array([u]), at, amounts) for u in grid)
        assert objective(case, found, at, amounts) <= least + 1e-12


@every_case
@given(w=arrays(-2, 2), seed=st.integers(0, 99))
def test_prox_beats_nearby_points_with_an_amount_per_weight(
    case: Case, w: np.ndarray, seed: int
) -> None:
    random = np.random.default_rng(seed)
    amounts = np.asarray(random.exponential(0.5, w.shape))
    amounts[random.random(w.shape) < 0.3] = 0.0
    common = float(random.exponential(0.5))
    for given_amount, amount in (
        (amounts, amounts),
        (tf.constant(amounts, "float32"), np.float64(np.float32(amounts))),
        (common, np.full(w.shape, common)),
    ):
        found = np.asarray(case.penalty.prox(w, given_amount))
        reached = objective(case, found, w, amount)
        for size in (1.0, 0.1, 1e-2, 1e-3):
            shift = random.normal(scale=size, size=w.shape)
            shift *= (random.random(w.shape) < 0.5) & (amount > 0)
            beside = objective(case, found + shift, w, amount)
            assert reached <= beside + 1e-9 * (1 + abs(beside))


@every_case
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_zero_tensor_has_finite_value_gradient_and_prox(
    case: Case, dtype: np.dtype
) -> None:
    for shape in ((), (0,), (1,), (3, 4)):
        w = np.zeros(shape, dtype)
        assert float(case.penalty.value(w)) == 0.0
        assert np.all(gradient(case.penalty, w) == 0)
        for amount in (0.0, 0.5, np.zeros(shape), np.full(shape, 0.5)):
            assert np.all(case.penalty.prox(w, amount).numpy() == 0)


@every_case
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_amount_zero_returns_the_weight_bit_for_bit(
    case: Case, dtype: np.dtype
) -> None:
    numbers = [0.0, 1e-4, -1e-4, 0.1, -0.3, 1.0, -77.7, 6e4, -6e4]
    w = np.array(numbers, np.float64).astype(dtype)
    if dtype == np.float32:
        w = np.append(w, np.float32([1e-37, -1e-37, 3e38, -3e38]))
    none, one_free = np.zeros(w.shape), np.zeros(w.shape)
    one_free[5] = 0.5
    for amount in (0, 0.0, np.float32(0), tf.constant(0.0), none):
        assert np.asarray(case.penalty.prox(w, amount)).tobytes() == w.tobytes()
    moved = np.asarray(case.penalty.prox(w, one_free))
    assert np.flatnonzero(moved != w).tolist() == [5]


@every_case
@pytest.mark.parametrize("size", [1e30, 1e18, 1e-18, 1e-30])
def test_extreme_float32_gives_the_formula_or_infinity_but_never_nan(
    case: Case, size: float
) -> None:
    w = np.float32([size, -size, 0.0, 2 * size])
    with np.errstate(over="ignore"):
        expected = np.float32(case.value(w))  # infinite beyond 3.4e38
    np.testing.assert_allclose(case.penalty.value(w), expected, 1e-6, 1e-37)
    slope = gradient(case.penalty, w)
    assert np.all(np.isfinite(slope))
    assert np.array_equal(np.sign(slope), np.sign(w))
    for amount in (1e-3, np.full(4, 1e-3), 1e30):
        assert np.all(np.isfinite(case.penalty.prox(w, amount)))


@every_case
@pytest.mark.parametrize("dtype", DTYPES[:2], ids=str)
def test_half_precision_is_summed_in_float32(case: Case, dtype: np.dtype) -> None:
    w = np.full((64, 64), 300.0).astype(dtype)  # Σw² is 3.7e8, beyond float16
    value = case.penalty.value(w)
    assert value.dtype == case.penalty(w).dtype == "float32"
    np.testing.assert_allclose(value, case.value(w), 1e-6)
    slope = gradient(case.penalty, w)
    assert slope.dtype == w.dtype
    low, high = subdifferential(case, np.full((1,), np.float64(w[0, 0])))
    np.testing.assert_allclose(np.float64(slope), np.broadcast_to(low, w.shape), 1e-2)
    np.testing.assert_allclose(low, high, 1e-2)


@every_case
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_prox_keeps_shape_and_dtype_whatever_the_amount(
    case: Case, dtype: np.dtype
) -> None:
    w = np.random.default_rng(0).normal(size=(3, 4)).astype(dtype)
    wide = np.asarray(case.penalty.prox(np.float64(w), 0.25))
    for amount in (
        0.25,
        np.float64(0.25),
        tf.constant(0.25, "float16"),
        tf.constant(np.full(w.shape, 0.25)),
        np.full(w.shape, 0.25, "float32"),
    ):
        found = case.penalty.prox(w, amount)
        assert found.dtype == dtype.name
        assert found.shape == w.shape
        # As if computed in float64 and rounded once.
        np.testing.assert_allclose(
            np.asarray(found, "float64"),
            np.asarray(wide.astype(dtype), "float64"),
            1e-6,
        )


@pytest.mark.parametrize("case", [c for c in CASES if c.convex], ids=str)
@given(pair=arrays(), seed=st.integers(0, 99))
def test_prox_of_a_convex_penalty_is_non_expansive(
    case: Case, pair: np.ndarray, seed: int
) -> None:
    random = np.random.default_rng(seed)
    other = pair + random.normal(scale=random.choice([1e-3, 1.0]), size=pair.shape)
    amount = float(random.exponential())
    ends = [np.asarray(case.penalty.prox(w, amount)) for w in (pair, other)]
    assert np.linalg.norm(ends[0] - ends[1]) <= np.linalg.norm(pair - other) + 1e-12


@every_case
def test_compiled_value_and_prox_equal_the_eager_ones(case: Case) -> None:
    w = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
    w[0] = 0.0

    def both(w: tf.Tensor, amount: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return case.penalty(w), case.penalty.prox(w, amount)

    amount = tf.constant(np.abs(w[::-1]))
    expected = both(w, amount)
    for found in (
        tf.function(both)(tf.constant(w), amount),
        tf.function(both, jit_compile=True)(tf.constant(w), amount),
    ):
        np.testing.assert_allclose(found[0], expected[0], 1e-6)
        np.testing.assert_allclose(found[1], expected[1], 1e-6)


@every_case
def test_a_batch_of_trials_equals_the_loop(case: Case) -> None:
    random = np.random.default_rng(0)
    w = random.normal(size=(3, 4, 5)).astype("float32")
    strengths = np.float32([0.01, 0.1, 1.0])

    def one(pair: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        live = case.penalty.replace(strength=pair[1])
        return live(pair[0]), live.prox(pair[0], 0.1 * live.strength)

    batch = tf.vectorized_map(one, (tf.constant(w), tf.constant(strengths)))
    for trial in range(3):
        alone = one((w[trial], tf.constant(strengths[trial])))
        np.testing.assert_allclose(batch[0][trial], alone[0], 1e-6)
        np.testing.assert_allclose(batch[1][trial], alone[1], 1e-6)
        expected = strengths[trial] * case.value(w[trial])
        np.testing.assert_allclose(alone[0], expected, 1e-5)
