"""What data asks of weights against what penalties allow, by NumPy and scikit-learn."""

import keras
import numpy as np
import pytest
from keras import layers
from sklearn import linear_model
from sklearn.datasets import load_diabetes

import kregkit
from helpers.models import KINDS, data, make
from kregkit.callbacks import RegularizationLogger
from kregkit.errors import ModelError, ParameterError
from kregkit.kkt.negative_gradient import NegativeGradient
from kregkit.optimizers import Proximal
from kregkit.regularizers import L1, L1L2, L2, GroupLasso, HoyerSquare
from kregkit.store import Store
from kregkit.weights import walk

X, Y = data()


def linear(penalty, w, bias=False):
    """Return a linear model with this kernel."""
    layer = layers.Dense(
        w.shape[1], use_bias=bias, kernel_regularizer=penalty, name="only"
    )
    model = keras.Sequential([keras.Input(w.shape[:1]), layer])
    layer.kernel.assign(w)
    model.compile("sgd", "mse")
    return model


@pytest.fixture(scope="module")
def diabetes():
    x, y = load_diabetes(return_X_y=True)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    return x, (y - y.mean()) / y.std()


# Half the mean squared error there, the whole of it here; `Ridge` has the sum.
SOLVED = {
    "lasso": (lambda n: linear_model.Lasso(0.1), L1(0.2)),
    "Keras's lasso": (lambda n: linear_model.Lasso(0.1), keras.regularizers.L1(0.2)),
    "elastic net": (
        lambda n: linear_model.ElasticNet(0.3, l1_ratio=1 / 3),
        L1L2(0.2, 0.2),
    ),
    "ridge": (lambda n: linear_model.Ridge(0.2 * n), L2(0.2)),
}


@pytest.mark.jax
@pytest.mark.parametrize("name", SOLVED)
def test_the_solutions_of_scikit_learn_are_optimal_and_others_are_not(name, diabetes):
    x, y = diabetes
    make_solver, penalty = SOLVED[name]
    solver = make_solver(len(x)).set_params(fit_intercept=False, tol=1e-12)
    w = solver.fit(x, y).coef_.reshape(-1, 1)
    model = linear(penalty, w)
    found = kregkit.optimality(model, x, y[:, None])
    assert found.kkt_residual <= 1e-6
    (row,) = found.table().iter_rows(named=True)
    assert row["largest"] <= 1e-6
    assert row["inside_fraction"] == 1.0
    assert row["gradient_ratio"] == pytest.approx(1.0, rel=1e-5)
    u = found.tensors[0].u
    np.testing.assert_allclose(u, 2 * x.T @ (y[:, None] - x @ w) / len(x), atol=1e-6)
    if name != "ridge":
        assert 0 < np.sum(w == 0) < w.size
        assert np.all(np.abs(u[w == 0]) <= 0.2)
    model.layers[0].kernel.assign(w + 0.1)
    assert kregkit.optimality(model, x, y[:, None]).kkt_residual > 0.01


def test_where_a_subdifferential_is_not_known_there_is_no_residual():
    w = np.float32([[0.0, 1.0], [2.0, -3.0]])
    result = kregkit.optimality(linear(HoyerSquare(0.1), w), X[:, :2], X[:, 2:4])
    assert result.kkt_residual is None
    (row,) = result.table().iter_rows(named=True)
    undefined = ("kkt_residual", "largest", "inside_fraction", "gradient_ratio")
    assert [row[name] for name in undefined] == [None] * 4
    assert row["strength"] == 0.1


@pytest.mark.parametrize("kind", ["functional", "nested", "subclassed", "sequences"])
def test_u_is_a_step_of_gradient_descent_without_penalties(kind):
    model, plain = make(kind), make(kind, regularized=False)
    plain.set_weights(model.get_weights())
    plain.compile(keras.optimizers.SGD(1.0), model.loss)
    before = [keras.ops.convert_to_numpy(w.variable) for w in walk(plain)]
    plain.train_on_batch(X, Y)
    after = [keras.ops.convert_to_numpy(w.variable) for w in walk(plain)]
    with pytest.warns(UserWarning, match="^optimality: KKT residuals leave out"):
        found = kregkit.optimality(model, X, Y, batch_size=len(X))
    assert len(found.tensors) == len(before)
    for one, then, now in zip(found.tensors, before, after, strict=True):
        np.testing.assert_array_equal(one.w, then)
        np.testing.assert_allclose(one.u, now - then, rtol=0, atol=1e-6)


def test_u_is_a_finite_difference_in_inference_mode():
    """Of a model with dropout and batch statistics, in float64."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    keras.config.set_floatx("float64")
    try:
        model = make("sequential", regularized=False)
        model.fit(X, Y, verbose=0)
        found = NegativeGradient(model)(X, Y, 40)
        random = np.random.default_rng(0)
        for u, weight in zip(found, NegativeGradient(model).weights, strict=True):
            direction, values = random.normal(size=u.shape), weight.variable.numpy()
            losses = []
            for step in (1e-4, -1e-4):
                weight.variable.assign(values + step * direction)
                losses.append(model.evaluate(X, Y, len(X), verbose=0)[0])
            weight.variable.assign(values)
            slope = (losses[0] - losses[1]) / 2e-4
            assert np.sum(u * direction) == pytest.approx(-slope, rel=1e-5, abs=1e-8)
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy(policy)


def test_how_many_rows_at_a_time_is_of_no_influence():
    model = make("sequential", regularized=False)
    whole, parts = NegativeGradient(model)(X, Y, 96), NegativeGradient(model)(X, Y, 7)
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_model_is_left_as_it_was(kind):
    model = make(kind)
    before = [v.numpy() for v in model.variables]
    held = [w.variable.regularizer for w in walk(model)]
    with pytest.warns(UserWarning, match="activity penalties"):
        kregkit.optimality(model, X, Y)
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)
    assert [w.variable.regularizer for w in walk(model)] == held
    assert not model.optimizer.built


def test_several_inputs_and_outputs_have_the_loss_that_they_are_compiled_with():
    def build(a, b):
        one, two = keras.Input((3,), name="one"), keras.Input((3,), name="two")
        left = layers.Dense(1, name="left", kernel_regularizer=a)(one)
        right = layers.Dense(1, name="right", kernel_regularizer=b)(two)
        return keras.Model({"one": one, "two": two}, [left, right])

    model = build(L1(0.1), None)
    model.compile("sgd", ["mse", "mae"], loss_weights=[1.0, 3.0])
    x, y = {"one": X[:, :3], "two": X[:, 3:]}, [X[:, :1], X[:, 5:]]
    found = kregkit.optimality(model, x, y, batch_size=50)
    named = {(t.layer, t.tensor): t for t in found.tensors}
    left, right = named["left", "kernel"], named["right", "kernel"]
    error = X[:, :1] - X[:, :3] @ left.w
    np.testing.assert_allclose(left.u, 2 * X[:, :3].T @ error / 96, atol=1e-6)
    sign = np.sign(X[:, 5:] - X[:, 3:] @ right.w)
    np.testing.assert_allclose(right.u, 3 * X[:, 3:].T @ sign / 96, atol=1e-6)


def test_a_penalty_that_an_optimizer_handles_counts():
    w = np.float32([[0.0], [0.5], [-0.1]])
    plain, handled = linear(L1(0.2), w), linear(L1(0.2), w)
    handled.compile(Proximal(keras.optimizers.Adam()), "mse")
    handled.optimizer.build(handled.trainable_variables)
    one, other = (
        kregkit.optimality(model, X[:, :3], X[:, 3:4]) for model in (plain, handled)
    )
    assert one.table().equals(other.table())


def test_a_loss_takes_the_place_of_that_of_compile():
    w = np.float32([[0.3], [0.5], [-0.1]])
    model, x, y = linear(None, w, bias=True), X[:, :3], X[:, 3:4]
    model.compile("sgd", "mae")
    found = kregkit.optimality(model, x, y, loss=keras.losses.mean_squared_error)
    error = y - x @ w
    np.testing.assert_allclose(found.tensors[0].u, 2 * x.T @ error / 96, atol=1e-6)
    np.testing.assert_allclose(found.tensors[1].u, [2 * error.mean()], atol=1e-6)


def test_what_is_found_is_told():
    w = np.float32([[0.0], [0.5], [-0.1]])
    found = kregkit.optimality(linear(L1(0.2), w, bias=True), X[:, :3], X[:, 3:4])
    kernel, bias = found.table().iter_rows(named=True)
    u = found.tensors[0].u
    soft = np.sign(u) * np.maximum(np.abs(u) - 0.2, 0)
    off = np.where(w == 0, soft, u - 0.2 * np.sign(w))
    assert kernel["kkt_residual"] == pytest.approx(np.sqrt(np.mean(off**2)), rel=1e-5)
    assert kernel["largest"] == pytest.approx(np.abs(off).max(), rel=1e-5)
    assert kernel["inside_fraction"] == np.mean(np.abs(off) <= 0.02)
    ratio = np.linalg.norm(u - off) / np.linalg.norm(u)
    assert kernel["gradient_ratio"] == pytest.approx(ratio, rel=1e-5)
    assert (kernel["size"], kernel["strength"]) == (3, 0.2)
    assert (bias["strength"], bias["inside_fraction"]) == (None, None)
    assert bias["kkt_residual"] == pytest.approx(abs(found.tensors[1].u[0]))
    assert found.kkt_residual == kernel["kkt_residual"]
    assert repr(found) == (
        "<Optimality: 1 of 2 tensors penalised, KKT residual "
        f"{found.kkt_residual:.3g}; see .table() and .plot()>"
    )
    assert "gradient_ratio" in found._repr_html_()


def test_the_plot_has_a_step_for_l1_a_line_for_l2_and_none_for_groups():
    inner = [
        layers.Dense(4, kernel_regularizer=penalty, name=name)
        for penalty, name in (
            (L1(0.3), "one"),
            (L2(0.3), "two"),
            (GroupLasso(0.3), "group"),
            (None, "none"),
        )
    ]
    model = keras.Sequential([keras.Input((6,)), *inner])
    model.compile("sgd", "mse")
    found = kregkit.optimality(model, X, X[:, :4])
    figure = found.plot()
    shown = [axis for axis in figure.axes if axis.get_title()]
    titles = [axis.get_title().partition("\n")[0] for axis in shown]
    assert titles == ["one/kernel, L1", "two/kernel, L2", "group/kernel, GroupLasso"]
    one, two, group = (axis.get_lines() for axis in shown)
    np.testing.assert_array_equal(one[0].get_xdata(), found.tensors[0].w.ravel())
    np.testing.assert_array_equal(one[0].get_ydata(), found.tensors[0].u.ravel())
    for lines, slope in ((one, lambda w: 0.3 * np.sign(w)), (two, lambda w: 0.6 * w)):
        x, y = lines[1].get_data()
        np.testing.assert_allclose(y, slope(x), rtol=1e-5)
    assert len(group) == 1


def test_what_cannot_be_asked_is_refused():
    model = linear(None, np.float32([[1.0]]))
    x = X[:, :1]
    with pytest.raises(ParameterError) as refused:
        kregkit.optimality(model, x, x[:5])
    assert str(refused.value) == (
        "optimality: `y` must be of as many rows as `x`, at least one; received "
        "[5, 96]."
    )
    for size in (0, -1, 1.5, True):
        with pytest.raises(ParameterError) as refused:
            kregkit.optimality(model, x, x, batch_size=size)
        assert str(refused.value) == (
            "optimality: `batch_size` must be a positive number of rows; "
            f"received {size!r}."
        )
    bare = keras.Sequential([keras.Input((1,)), layers.Dense(1)], name="bare")
    with pytest.raises(ModelError) as refused:
        kregkit.optimality(bare, x, x)
    assert str(refused.value) == (
        "optimality: model 'bare' was compiled without a loss; compile it with one, "
        "or give `loss`."
    )
    late = keras.Sequential([layers.Dense(1)], name="late")
    with pytest.raises(ModelError) as refused:
        kregkit.optimality(late, x, x)
    assert str(refused.value) == (
        "optimality: model 'late' has no weights yet; begin it with `keras.Input`, or "
        "call it on data."
    )
    with pytest.raises(ParameterError) as refused:
        RegularizationLogger(optimality=3)
    assert str(refused.value) == (
        "RegularizationLogger: `optimality` must be a tuple (x, y) or "
        "(x, y, sample_weight); received 3."
    )


def test_the_logger_logs_it_and_traces_once(monkeypatch, tmp_path):
    traced = []
    added = NegativeGradient._added
    monkeypatch.setattr(
        NegativeGradient, "_added", lambda *given: traced.append(1) or added(*given)
    )
    model = linear(L1(0.2), np.float32([[0.3], [0.5], [-0.1]]), bias=True)
    x, y = X[:, :3], X[:, 3:4]
    log = RegularizationLogger(optimality=(x, y), store=tmp_path)
    model.fit(x, y, epochs=3, verbose=0, callbacks=[log])
    assert len(traced) == 1
    found = kregkit.optimality(model, x, y)
    kernel = log.table().filter(tensor="kernel")
    expected = found.table().row(0, named=True)
    for name in ("kkt_residual", "gradient_ratio"):
        assert kernel[name].null_count() == 0
        assert kernel[name][0] != kernel[name][-1] == pytest.approx(expected[name])
    assert log.table().filter(tensor="model")["kkt_residual"].null_count() == 3
    contents = Store(tmp_path).read()
    assert contents.finals["kkt_residual"][0] == pytest.approx(found.kkt_residual)
    for stored, tensor in zip(contents.tensors["u"], found.tensors, strict=True):
        np.testing.assert_allclose(stored, tensor.u.ravel(), rtol=1e-6)


def test_without_it_the_columns_of_a_log_are_null(tmp_path):
    model = linear(L1(0.2), np.float32([[0.3], [0.5], [-0.1]]))
    log = RegularizationLogger(store=tmp_path)
    model.fit(X[:, :3], X[:, 3:4], verbose=0, callbacks=[log])
    table = log.table()
    for name in ("kkt_residual", "gradient_ratio"):
        assert table[name].null_count() == table.height
    assert Store(tmp_path).read().tensors["u"].to_list() == [None]
