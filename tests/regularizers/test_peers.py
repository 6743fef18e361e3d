"""Values and proximal steps against Keras's, skglm's and scikit-learn's."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from skglm import penalties as skglm
from sklearn.linear_model import ElasticNet

from kregkit.regularizers import (
    L1,
    L1L2,
    L2,
    MCP,
    SCAD,
    SLOPE,
    GroupLasso,
    GroupMCP,
    GroupSCAD,
    LHalf,
    LogSum,
    LTwoThirds,
    SparseGroupLasso,
    WeightedL1,
)

STRENGTH, ROWS, SIZE = 0.3, 40, 3
PARTITION = (np.arange(0, ROWS * SIZE + 1, SIZE), np.arange(ROWS * SIZE))
"""Where each group begins, and its members: the rows of a kernel."""

FACTORS = np.random.default_rng(1).uniform(0.0, 2.0, ROWS * SIZE)

ELEMENTWISE = {
    "L1": (L1(STRENGTH), skglm.L1(STRENGTH)),
    "L1L2": (L1L2(0.2, 0.05), skglm.L1_plus_L2(0.3, 0.2 / 0.3)),
    "MCP": (MCP(STRENGTH, 3 * STRENGTH), skglm.MCPenalty(STRENGTH, 3.0)),
    "SCAD": (SCAD(STRENGTH, 3.7 * STRENGTH), skglm.SCAD(STRENGTH, 3.7)),
    "LHalf": (LHalf(STRENGTH), skglm.L0_5(STRENGTH)),
    "LTwoThirds": (LTwoThirds(STRENGTH), skglm.L2_3(STRENGTH)),
    "LogSum": (LogSum(STRENGTH, 0.4), skglm.LogSumPenalty(STRENGTH, 0.4)),
    "LogSum, jumping": (LogSum(STRENGTH, 0.1), skglm.LogSumPenalty(STRENGTH, 0.1)),
}
ROW_BY_ROW = {
    "GroupLasso": (
        GroupLasso(STRENGTH, "input", weighting="none"),
        skglm.L2_1(STRENGTH),
    ),
    "GroupMCP": (
        GroupMCP(STRENGTH, "input", 3 * STRENGTH, weighting="none"),
        skglm.BlockMCPenalty(STRENGTH, 3.0),
    ),
    "GroupSCAD": (
        GroupSCAD(STRENGTH, "input", 3.7 * STRENGTH, weighting="none"),
        skglm.BlockSCAD(STRENGTH, 3.7),
    ),
}
"""Of one amount for all weights, and in skglm of the rows of a matrix."""

GROUPED = {
    "GroupLasso": (
        GroupLasso(STRENGTH, "input"),
        skglm.WeightedGroupL2(STRENGTH, np.full(ROWS, np.sqrt(SIZE)), *PARTITION),
    ),
    "GroupLasso, without weights": (
        GroupLasso(STRENGTH, "input", weighting="none"),
        skglm.WeightedGroupL2(STRENGTH, np.ones(ROWS), *PARTITION),
    ),
    "SparseGroupLasso": (
        SparseGroupLasso(l1=0.25 * STRENGTH, l21=0.75 * STRENGTH, group="input"),
        skglm.WeightedL1GroupL2(
            STRENGTH,
            np.full(ROWS, 0.75 * np.sqrt(SIZE)),
            np.full(ROWS * SIZE, 0.25),
            *PARTITION,
        ),
    ),
}


def kernel(scale=1.0):
    w = np.random.default_rng(0).normal(scale=scale, size=(ROWS, SIZE))
    return w * (np.abs(w) > 0.05)


@pytest.mark.parametrize("name", ELEMENTWISE | GROUPED)
def test_value(name):
    own, peer = (ELEMENTWISE | GROUPED)[name]
    w = kernel()
    np.testing.assert_allclose(own(w), peer.value(w.ravel()), 1e-13)


def test_value_of_l2_is_twice_that_of_a_half():
    w = kernel()
    np.testing.assert_allclose(L2(STRENGTH)(w), 2 * skglm.L2(STRENGTH).value(w), 1e-13)


@pytest.mark.parametrize("step", [1e-3, 0.1, 0.7, 2.5])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_prox_of_weights(name, step):
    own, peer = ELEMENTWISE[name]
    w = kernel().ravel()
    found = np.asarray(own.prox(w, step * own.strength))
    expected = np.array([peer.prox_1d(one, step, 0) for one in w])
    # skglm's form by cosh of an arcosh loses digits: u there solves the equation of
    # stationarity to 3e-9, ours to 1e-15 (`test_concave`).
    same = np.isclose(found, expected, 1e-8 if name == "LTwoThirds" else 1e-10, 1e-14)
    # skglm 0.5 has zeros that are no minimum where that of LogSum jumps.
    assert same.all() or (name.startswith("LogSum") and step == 2.5)
    for at, *ends in zip(w[~same], found[~same], expected[~same], strict=True):
        reached = [(u - at) ** 2 / 2 / step + peer.value(np.array([u])) for u in ends]
        assert reached[0] < reached[1] - 1e-6
    if step > 0.1:
        assert np.sum(found == 0) > np.sum(w == 0)


@pytest.mark.parametrize("step", [1e-3, 0.1, 0.7, 2.5])
@pytest.mark.parametrize("name", GROUPED)
def test_prox_of_groups(name, step):
    own, peer = GROUPED[name]
    w = kernel()
    found = own.prox(w, step * own.strength)
    expected = [peer.prox_1group(row, step, index) for index, row in enumerate(w)]
    np.testing.assert_allclose(found, expected, 1e-10, 1e-14)
    if step > 1:
        assert np.any(np.all(np.equal(expected, 0), axis=1))


@pytest.mark.parametrize("step", [1e-3, 0.1, 0.7, 2.5])
@pytest.mark.parametrize("name", ROW_BY_ROW)
def test_value_and_prox_of_rows(name, step):
    own, peer = ROW_BY_ROW[name]
    w = kernel()
    np.testing.assert_allclose(own(w), peer.value(w), 1e-13)
    found = own.prox(w, step * own.strength)
    expected = [peer.prox_1feat(row, step, 0) for row in w]
    np.testing.assert_allclose(found, expected, 1e-10, 1e-14)
    if step > 1:
        assert np.any(np.all(np.equal(expected, 0), axis=1))


@pytest.mark.parametrize("step", [1e-3, 0.1, 0.7, 2.5])
def test_value_and_prox_of_factors(step):
    w = kernel().ravel()
    own, peer = WeightedL1(STRENGTH, FACTORS), skglm.WeightedL1(STRENGTH, FACTORS)
    np.testing.assert_allclose(own(w), peer.value(w), 1e-13)
    expected = [peer.prox_1d(one, step, index) for index, one in enumerate(w)]
    np.testing.assert_allclose(own.prox(w, step * STRENGTH), expected, 1e-10, 1e-14)


@pytest.mark.parametrize("last", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("step", [1e-3, 0.1, 0.7, 2.5])
def test_value_and_prox_of_slope(last, step):
    w = kernel().ravel()
    own = SLOPE(STRENGTH, last=last)
    peer = skglm.SLOPE(np.linspace(1.0, last, w.size), STRENGTH)
    np.testing.assert_allclose(own(w), peer.value(w), 1e-13)
    expected = peer.prox_vec(w, step)
    np.testing.assert_allclose(own.prox(w, step * STRENGTH), expected, 1e-10, 1e-14)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(0, 40),
    units=st.integers(1, 40),
    strengths=st.tuples(st.floats(1e-9, 1e3), st.floats(1e-9, 1e3)),
    scale=st.floats(1e-6, 1e6),
)
def test_values_and_gradients_are_keras_s_to_the_last_bit(
    rows, units, strengths, scale
):
    one, two = strengths
    random = np.random.default_rng(rows + 41 * units)
    w = tf.constant((scale * random.normal(size=(rows, units))).astype("float32"))
    theirs = keras.regularizers
    for own, other in (
        (L1(one), theirs.L1(one)),
        (L2(two), theirs.L2(two)),
        (L1L2(one, two), theirs.L1L2(one, two)),
        (L1L2(one, 0.0), theirs.L1L2(one, 0.0)),
        (L1L2(0.0, two), theirs.L1L2(0.0, two)),
    ):
        found = []
        for penalty in (own, other):
            with tf.GradientTape() as tape:
                tape.watch(w)
                value = penalty(w)
            found.append((value.numpy(), tape.gradient(value, w).numpy()))
        assert found[0][0] == found[1][0]
        np.testing.assert_array_equal(found[0][1], found[1][1])


@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.9, 1.0])
def test_the_solution_of_scikit_learn_is_the_least_of_the_objective(ratio):
    """`Σ(y − xw)²/2n + alpha·(r·Σ|w| + (1−r)·Σw²/2)`, as it documents it."""
    random = np.random.default_rng(2)
    x = random.normal(size=(60, 8))
    y = x @ [2.0, -1.0, 0, 0, 0.5, 0, 0, 0] + 0.1 * random.normal(size=60)
    model = ElasticNet(0.2, l1_ratio=ratio, fit_intercept=False, tol=1e-14)
    solution = model.fit(x, y).coef_
    own = L1L2(0.2 * ratio, 0.2 * (1.0 - ratio) / 2)

    def objective(w):
        return np.sum((y - x @ w) ** 2) / 120 + float(own(w))

    least = objective(solution)
    for size in (1e-5, 1e-3, 1e-1):
        for _ in range(50):
            near = solution + size * random.normal(size=8)
            assert objective(near) > least
