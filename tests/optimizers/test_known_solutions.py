"""Full-batch training with Proximal against the solvers of scikit-learn.

One test fails for each way to take the wrong step: a threshold of `lr·strength` under
momentum or an adaptive optimizer, and a penalty that acts twice. On PyTorch, which goes
step by step, this takes minutes: there two optimizers and the Lasso stand for all.
"""

import keras
import numpy as np
import pytest
import skglm
from keras import optimizers
from skglm.datafits import QuadraticGroup
from skglm.penalties import WeightedL1GroupL2
from skglm.solvers import GroupBCD
from sklearn import linear_model

from helpers.linear import diabetes, falling, planted, solved
from kregkit.optimizers import KNOWN, Proximal, innermost
from kregkit.optimizers._steps import kind
from kregkit.regularizers import L1, L1L2, L2, MCP, GroupLasso, SparseGroupLasso

pytestmark = pytest.mark.jax

STEPS = 6000


def by_adam():
    return optimizers.Adam(falling(0.02, STEPS))


OPTIMIZERS = {
    "sgd": (lambda: optimizers.SGD(0.1), 1e-5),
    "momentum": (lambda: optimizers.SGD(0.02, momentum=0.9), 1e-5),
    "nesterov": (lambda: optimizers.SGD(0.02, momentum=0.9, nesterov=True), 1e-5),
    "adam": (by_adam, 1e-5),
    "amsgrad": (lambda: optimizers.Adam(falling(0.02, STEPS), amsgrad=True), 1e-4),
    "adamw": (lambda: optimizers.AdamW(falling(0.02, STEPS), weight_decay=0.0), 1e-4),
    "nadam": (lambda: optimizers.Nadam(falling(0.02, STEPS)), 1e-4),
    "adamax": (lambda: optimizers.Adamax(falling(0.02, STEPS)), 1e-4),
    "rmsprop": (lambda: optimizers.RMSprop(falling(0.01, STEPS)), 1e-4),
    "rmsprop with momentum": (
        lambda: optimizers.RMSprop(falling(0.003, 2 * STEPS), momentum=0.7),
        1e-4,
    ),
    "adagrad": (lambda: optimizers.Adagrad(0.3), 1e-4),
    "adadelta": (lambda: optimizers.Adadelta(falling(5.0, STEPS)), 1e-4),
    "loss scale": (lambda: optimizers.LossScaleOptimizer(by_adam()), 1e-5),
}


def lasso(x, y, strength):
    """Return the minimum of mean squared error and `strength·Σ|w|`."""
    model = linear_model.Lasso(strength / 2, fit_intercept=False, tol=1e-12)
    return model.fit(np.float64(x), np.float64(y)).coef_.reshape(-1, 1)


def assert_same(found, expected, atol):
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol)
    np.testing.assert_array_equal(found == 0, expected == 0)


def test_every_known_optimizer_is_tested():
    made = [make() for make, _ in OPTIMIZERS.values()]
    kinds = {kind(innermost(one)) for one in made}
    assert kinds == set(KNOWN)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=[pytest.mark.torch] * (n in ("momentum", "adam")))
        for n in OPTIMIZERS
    ],
)
def test_the_lasso_of_diabetes(name):
    make, atol = OPTIMIZERS[name]
    x, y = diabetes()
    expected = lasso(x, y, 0.2)
    assert 0 < np.sum(expected == 0) < len(expected)
    found = solved(L1(0.2), Proximal(make()), x, y, STEPS)
    assert_same(found, expected, atol)


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam"])
def test_the_support_is_found_from_dense_weights(name):
    x, y, w = planted()
    found = solved(L1(0.3), Proximal(OPTIMIZERS[name][0]()), x, y, STEPS, start=1.0)
    assert_same(found, lasso(x, y, 0.3), 1e-5)
    np.testing.assert_array_equal(found == 0, w == 0)


@pytest.mark.parametrize("name", ["momentum", "adam"])
def test_the_elastic_net_of_diabetes(name):
    x, y = diabetes()
    model = linear_model.ElasticNet(
        0.1 + 0.2, l1_ratio=0.1 / 0.3, fit_intercept=False, tol=1e-12
    )  # alpha·(r·Σ|w| + (1−r)/2·Σw²), of half the error
    expected = model.fit(np.float64(x), np.float64(y)).coef_.reshape(-1, 1)
    found = solved(L1L2(l1=0.2, l2=0.2), Proximal(OPTIMIZERS[name][0]()), x, y, STEPS)
    assert_same(found, expected, 1e-5)


@pytest.mark.parametrize("name", ["momentum", "adam"])
def test_the_ridge_of_diabetes(name):
    x, y = diabetes()
    model = linear_model.Ridge(0.2 * len(x), fit_intercept=False, tol=1e-12)
    expected = model.fit(np.float64(x), np.float64(y)).coef_.reshape(-1, 1)
    found = solved(L2(0.2), Proximal(OPTIMIZERS[name][0]()), x, y, STEPS)
    assert_same(found, expected, 1e-5)


@pytest.mark.parametrize("name", ["momentum", "adam"])
def test_the_lasso_of_several_tasks(name):
    x, y, w = planted()
    y = np.hstack([y, -y / 2 + x[:, :1], y**2 / 10 - 1])
    tasks = y.shape[1]
    model = linear_model.MultiTaskLasso(
        0.1 * tasks**1.5 / 2, fit_intercept=False, tol=1e-12, max_iter=10_000
    )
    expected = model.fit(np.float64(x), np.float64(y)).coef_.T
    assert 0 < np.sum(np.all(expected == 0, axis=1)) < len(w)
    faster = optimizers.Adam(falling(0.05, STEPS, last=1e-5))
    inner = faster if name == "adam" else OPTIMIZERS[name][0]()
    penalty = GroupLasso(0.1, group="input")
    found = solved(penalty, Proximal(inner), x, y, STEPS)
    assert_same(found, expected, 1e-5)


GROUPS, SIZE = 8, 3


def by_groups():
    """Return inputs in rows of three, and targets that five of the groups make."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, GROUPS, SIZE))
    w = rng.normal(size=(GROUPS, SIZE)) * (np.arange(GROUPS) < 5)[:, None]
    y = (x * w).sum(axis=(1, 2)) + 0.3 * rng.normal(size=200)
    return x.reshape(200, -1).astype("float32"), y.astype("float32")[:, None]


@pytest.mark.parametrize("ratio", [0.0, 0.3])
@pytest.mark.parametrize("name", ["momentum", "adam"])
def test_the_group_lasso_of_skglm(name, ratio):
    x, y = by_groups()
    split = np.arange(0, GROUPS * SIZE + 1, SIZE), np.arange(GROUPS * SIZE)
    parts = [part.astype("int32") for part in split]
    weights = np.full(GROUPS, (1 - ratio) * SIZE**0.5), np.full(GROUPS * SIZE, ratio)
    strength = 0.3
    peer = skglm.GeneralizedLinearEstimator(
        QuadraticGroup(*parts),
        WeightedL1GroupL2(strength / 2, *weights, *parts),  # of half the error
        GroupBCD(max_iter=1000, tol=1e-12, ws_strategy="fixpoint"),
    )
    peer.fit(np.float64(x), np.float64(y[:, 0]))
    expected = peer.coef_.reshape(GROUPS * SIZE, 1)
    assert 0 < np.sum(np.all(expected.reshape(GROUPS, SIZE) == 0, axis=1)) < GROUPS
    l1, l21 = ratio * strength, (1 - ratio) * strength
    # Blocks of a `Dense`: an `EinsumDense` with axes takes ten times as long.
    block = f"{SIZE}x1"
    penalty = SparseGroupLasso(l1, l21, block) if ratio else GroupLasso(l21, block)
    found = solved(penalty, Proximal(OPTIMIZERS[name][0]()), x, y, STEPS)
    assert_same(found, expected, 1e-5)


@pytest.mark.parametrize(
    ("name", "threshold"), [("momentum", 0.02), ("adam", 0.5), ("momentum", 3.0)]
)
def test_mcp_ends_at_a_stationary_point(name, threshold):
    x, y, _ = planted()
    strength = 0.3
    optimizer = Proximal(OPTIMIZERS[name][0]())
    w = np.float64(solved(MCP(strength, threshold), optimizer, x, y, STEPS, start=0.1))
    u = -2 * x.T @ (x @ w - y) / len(x)
    slope = strength * np.maximum(1 - np.abs(w) / threshold, 0.0) * np.sign(w)
    zero = w == 0
    assert 0 < zero.sum() < len(w)
    np.testing.assert_allclose(u[~zero], slope[~zero], rtol=0, atol=1e-4)
    assert np.all(np.abs(u[zero]) <= strength + 1e-4)


def test_logistic_regression_with_l1():
    x, y, _ = planted()
    y = (y > 0.0).astype("float32")
    model = linear_model.LogisticRegression(
        C=1 / (0.02 * len(x)),
        l1_ratio=1,
        solver="liblinear",
        fit_intercept=False,
        tol=1e-10,
        max_iter=100_000,
        random_state=0,
    )
    expected = model.fit(np.float64(x), y[:, 0]).coef_.reshape(-1, 1)
    assert 5 < np.sum(expected == 0) < 18
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    optimizer = Proximal(optimizers.Adam(falling(0.1, 2 * STEPS)))
    found = solved(L1(0.02), optimizer, x, y, 2 * STEPS, loss)
    assert_same(found, expected, 1e-4)


@pytest.mark.parametrize("name", ["momentum", "adam"])
def test_the_euclidean_metric_solves_another_problem(name):
    x, y = diabetes()
    optimizer = Proximal(OPTIMIZERS[name][0](), metric="euclidean")
    found = solved(L1(0.2), optimizer, x, y, STEPS)
    assert np.abs(found - lasso(x, y, 0.2)).max() > 0.05
