"""Consolidate's three phases, step by step against NumPy."""

import keras
import numpy as np
import pytest
from keras import optimizers

from kregkit.callbacks import Consolidate, RegularizationLogger
from kregkit.errors import ModelError, ParameterError
from kregkit.optimizers import Proximal
from kregkit.regularizers import L1, L2, HoyerSquare

pytestmark = pytest.mark.jax

RATE, ROWS, INPUTS = 0.05, 64, 12
EPOCHS, WARM_UP, RAMP, AVERAGE, HEAL = 18, 3, 4, 5, 4
BIAS = 0.3


def data():
    random = np.random.default_rng(0)
    x = random.normal(size=(ROWS, INPUTS)).astype("float32")
    truth = np.zeros((INPUTS, 2), "float32")
    truth[:3] = [[1.0, 0.0], [-0.6, 0.4], [0.0, 0.9]]
    noise = 0.1 * random.normal(size=(ROWS, 2)).astype("float32")
    return x, x @ truth + noise


def start():
    return np.random.default_rng(1).normal(0, 0.3, (INPUTS, 2)).astype("float32")


BIAS_L2 = L2(BIAS)


def built(penalty, optimizer=None, bias=BIAS_L2, **compiled):
    layer = keras.layers.Dense(2, kernel_regularizer=penalty, bias_regularizer=bias)
    model = keras.Sequential([keras.Input((INPUTS,)), layer])
    layer.set_weights([start(), np.ones(2)])
    inner = optimizers.SGD(RATE) if optimizer is None else optimizer
    model.compile(Proximal(inner), "mse", **compiled)
    return model


def fit(model, *callbacks, epochs=EPOCHS):
    x, y = data()
    model.fit(x, y, ROWS, epochs, shuffle=False, verbose=0, callbacks=[*callbacks])
    return [keras.ops.convert_to_numpy(w) for w in model.layers[-1].weights]


def consolidate(**changed):
    given = {"average": AVERAGE, "heal": HEAL, "warm_up": WARM_UP, "ramp": RAMP}
    given["below"] = 0.1
    return Consolidate(**{**given, **changed})


def soft(w, amount):
    return np.sign(w) * np.maximum(np.abs(w) - amount, 0.0)


def smallest_to_zero(w, density):
    kept = round(density * w.size)
    order = np.argsort(-np.abs(w), axis=None, kind="stable")
    w = w.copy()
    w.ravel()[order[kept:]] = 0.0
    return w


def by_numpy(strength=0.0, hoyer=0.0, below=0.1, density=None):
    """Return weights and bias after full-batch steps of SGD in the three phases."""
    x, y = (part.astype("float64") for part in data())
    w, b = start().astype("float64"), np.ones(2)
    for epoch in range(EPOCHS):
        done = epoch - WARM_UP + 1
        factor = 0.0 if done <= 0 else min((done / RAMP) ** 3, 1.0)
        healing = epoch >= EPOCHS - HEAL
        averaging = epoch - (EPOCHS - HEAL - AVERAGE) + 1 if not hoyer else 0
        if averaging == 1:
            point = w
        if epoch == EPOCHS - HEAL and density is not None:
            w = smallest_to_zero(w, density)
        elif epoch == EPOCHS - HEAL:
            w[np.abs(w) <= below] = 0.0
        zeros = w == 0
        residual = 2 * (x @ w + b - y) / y.size
        gradient = x.T @ residual
        if hoyer and not healing:
            l1, squares = np.abs(w).sum(), np.square(w).sum()
            gradient += hoyer * 2 * l1 / squares * (np.sign(w) - w * l1 / squares)
        if averaging > 0 and not healing:
            point = point - RATE * gradient
            w = soft(point, averaging * RATE * strength)
        else:
            w = w - RATE * gradient
        b = (b - RATE * residual.sum(axis=0)) / (1 + 2 * RATE * BIAS)
        if healing:
            w[zeros] = 0.0
        elif averaging <= 0:
            w = soft(w, RATE * factor * strength)
    return w, b


@pytest.mark.parametrize("eager", [False, True], ids=["compiled", "eager"])
@pytest.mark.parametrize("density", [None, 0.25], ids=["below", "density"])
def test_every_step_is_that_of_numpy(density, eager):
    model = built(L1(0.2), run_eagerly=eager)
    w, b = fit(model, consolidate(density=density))
    expected, bias = by_numpy(0.2, density=density)
    np.testing.assert_allclose(w, expected, atol=2e-6)
    np.testing.assert_allclose(b, bias, atol=2e-6)
    assert 0 < np.sum(w == 0) < w.size
    np.testing.assert_array_equal(w == 0, expected == 0)


def test_a_penalty_without_a_prox_acts_by_its_gradient_until_healing_begins():
    w, b = fit(built(HoyerSquare(0.01)), consolidate())
    expected, bias = by_numpy(hoyer=0.01)
    np.testing.assert_allclose(w, expected, atol=5e-6)
    np.testing.assert_allclose(b, bias, atol=5e-6)
    np.testing.assert_array_equal(w == 0, expected == 0)


def test_exactly_the_largest_share_stays():
    w, _ = fit(built(L1(1e-4)), consolidate(density=1 / 3))
    assert np.sum(w != 0) == 8


def test_fewer_than_the_share_stay_where_training_left_fewer():
    w, _ = fit(built(L1(0.5)), consolidate(density=0.9))
    assert 0 < np.sum(w != 0) < 0.9 * w.size


def test_another_fit_has_the_penalty_again_and_no_frozen_zeros():
    model = built(L1(0.05), bias=None)
    w, b = fit(model, consolidate(density=0.25))
    x, y = data()
    after, _ = fit(model, epochs=1)
    residual = 2 * (x @ w + b - y) / y.size
    expected = soft(w - RATE * x.T @ residual, RATE * 0.05)
    np.testing.assert_allclose(after, expected, atol=2e-6)
    assert np.any((w == 0) & (after != 0))


INNER = {
    "accumulated": lambda: optimizers.SGD(RATE, gradient_accumulation_steps=2),
    "adam": lambda: optimizers.Adam(RATE),
    "ema": lambda: optimizers.SGD(RATE, momentum=0.9, use_ema=True),
    "loss scale": lambda: optimizers.LossScaleOptimizer(optimizers.SGD(RATE)),
}


@pytest.mark.parametrize("inner", INNER)
def test_zeros_stay_with_every_kind_of_inner_optimizer(inner):
    zeros = []

    class Zeros(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            kernel = keras.ops.convert_to_numpy(self.model.layers[-1].kernel)
            zeros.append(kernel == 0)

    w, _ = fit(built(L1(0.2), INNER[inner]()), consolidate(), Zeros())
    healing = np.stack(zeros[-HEAL:])
    assert 0 < healing[0].sum() < w.size
    assert (healing == healing[0]).all()
    assert (healing[0] == (w == 0)).all()


def test_the_logged_penalty_is_at_full_strength_in_every_phase():
    log = RegularizationLogger()
    fit(built(L1(0.2)), log, consolidate())
    rows = log.table().filter(tensor="kernel").to_dicts()
    assert len(rows) == EPOCHS + 1
    for row in rows:
        assert row["penalty"] == pytest.approx(0.2 * row["l1"], rel=1e-5)


def test_an_interrupted_fit_leaves_nothing_frozen_for_the_next():
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == EPOCHS - 2:
                raise KeyboardInterrupt

    model = built(L1(0.2))
    with pytest.raises(KeyboardInterrupt):
        fit(model, consolidate(), Stop())
    assert model.optimizer.phases.frozen
    model.layers[-1].set_weights([start(), np.ones(2)])
    w, _ = fit(model, consolidate())
    np.testing.assert_allclose(w, by_numpy(0.2)[0], atol=2e-6)


def test_ending_before_healing_warns():
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True

    with pytest.warns(UserWarning, match="ended before it began to heal; nothing was"):
        fit(built(L1(0.2)), consolidate(), Stop())


REFUSED = {
    "average": (2.0, "a whole number of epochs >= 0"),
    "heal": (0, "a whole number of epochs >= 1"),
    "warm_up": (-1, "a whole number of epochs >= 0"),
    "ramp": (True, "a whole number of epochs >= 0"),
    "below": (-0.1, "a number >= 0"),
    "density": (0.0, "a share of the weights, 0 < density <= 1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_numbers_outside_their_range_are_refused(name):
    value, rule = REFUSED[name]
    with pytest.raises(ParameterError) as caught:
        consolidate(**{name: value})
    expected = f"Consolidate: `{name}` must be {rule}; received {value!r}."
    assert str(caught.value) == expected


def test_phases_longer_than_the_fit_are_refused():
    with pytest.raises(ParameterError) as caught:
        fit(built(L1(0.2)), consolidate(), epochs=16)
    assert str(caught.value) == (
        "Consolidate: `warm_up`, `ramp`, `average` and `heal` take 3, 4, 5 and 4 "
        "epochs; 16 leave none to sparsify."
    )


def test_another_optimizer_is_refused():
    model = built(L1(0.2))
    model.compile("sgd", "mse")
    with pytest.raises(ParameterError, match="must be a Proximal, in `compile`; rec"):
        fit(model, consolidate())


def test_a_model_without_such_a_penalty_is_refused():
    model = built(L2(0.2))
    with pytest.raises(ParameterError, match="has a penalty that makes zeros"):
        fit(model, consolidate())


@pytest.mark.tensorflow  # elsewhere `fit` builds a model before its callbacks begin
def test_a_model_that_is_not_built_is_refused():
    model = keras.Sequential([keras.layers.Dense(2, kernel_regularizer=L1(0.2))])
    model.compile(Proximal(optimizers.SGD(RATE)), "mse")
    with pytest.raises(ModelError, match="has no weights before its first step"):
        fit(model, consolidate())
