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


def by_numpy(
    strength=0.0, hoyer=0.0, below=0.1, density=None, momentum=0.0, epochs=EPOCHS
):
    """Return weights and bias after full-batch steps of SGD in the four phases."""
    x, y = (part.astype("float64") for part in data())
    w, b = start().astype("float64"), np.ones(2)
    velocity, slide = np.zeros_like(w), np.zeros(2)
    averaging_from, healing_from = EPOCHS - HEAL - AVERAGE, EPOCHS - HEAL
    for epoch in range(epochs):
        done = epoch - WARM_UP + 1
        factor = 0.0 if done <= 0 else min((done / RAMP) ** 3, 1.0)
        step = RATE * sum(momentum**k for k in range(epoch + 1))
        if epoch == averaging_from:
            point, steps = w, 0.0
        if epoch == healing_from and density is not None:
            w = smallest_to_zero(w, density)
        elif epoch == healing_from:
            w[np.abs(w) <= below] = 0.0
        zeros = w == 0
        residual = 2 * (x @ w + b - y) / y.size
        gradient = x.T @ residual
        if hoyer and epoch < healing_from:
            l1, squares = np.abs(w).sum(), np.square(w).sum()
            gradient += hoyer * 2 * l1 / squares * (np.sign(w) - w * l1 / squares)
        velocity = momentum * velocity - RATE * gradient
        slide = momentum * slide - RATE * residual.sum(axis=0)
        b = (b + slide) / (1 + 2 * step * BIAS)
        if epoch >= healing_from:
            w = np.where(zeros, 0.0, w + velocity)
        elif epoch >= averaging_from and not hoyer:
            point, steps = point + velocity, steps + step
            w = soft(point, steps * strength)
        else:
            w = soft(w + velocity, step * factor * strength)
    return w, b


@pytest.mark.parametrize("eager", [False, True], ids=["compiled", "eager"])
@pytest.mark.parametrize(
    ("density", "momentum"),
    [(None, 0.0), (0.25, 0.0), (None, 0.8)],
    ids=["below", "density", "momentum"],
)
def test_every_step_is_that_of_numpy(density, momentum, eager):
    inner = optimizers.SGD(RATE, momentum=momentum)
    model = built(L1(0.2), inner, run_eagerly=eager)
    w, b = fit(model, consolidate(density=density))
    expected, bias = by_numpy(0.2, density=density, momentum=momentum)
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


class Stop(keras.callbacks.Callback):
    """Ends training after so many epochs, kindly or not."""

    def __init__(self, epochs, error=None):
        super().__init__()
        self.epochs, self.error = epochs, error

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epochs - 1:
            if self.error is not None:
                raise self.error
            self.model.stop_training = True


PHASES = {"warm-up": 2, "ramp": 5, "average": 11, "heal": 16}


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("kind", ["stopped", "interrupted"])
def test_after_any_phase_a_plain_fit_has_the_penalty_at_full_strength(kind, phase):
    phases, model = consolidate(), built(L1(0.2), bias=None)
    done = PHASES[phase]
    if kind == "interrupted":
        with pytest.raises(KeyboardInterrupt):
            fit(model, phases, Stop(done, KeyboardInterrupt()))
        phases.detach()
    elif phase == "heal":
        fit(model, phases, Stop(done))
    else:
        with pytest.warns(UserWarning, match="ended before it began to heal; nothing"):
            fit(model, phases, Stop(done))
    w, b = (keras.ops.convert_to_numpy(own) for own in model.layers[-1].weights)
    x, y = data()
    after, _ = fit(model, epochs=1)
    residual = 2 * (x @ w + b - y) / y.size
    expected = soft(w - RATE * x.T @ residual, RATE * 0.2)
    np.testing.assert_allclose(after, expected, atol=2e-6)


def test_an_interrupted_fit_is_no_part_of_the_next_with_phases():
    model = built(L1(0.2))
    with pytest.raises(KeyboardInterrupt):
        fit(model, consolidate(), Stop(EPOCHS - 1, KeyboardInterrupt()))
    model.layers[-1].set_weights([start(), np.ones(2)])
    w, _ = fit(model, consolidate())
    np.testing.assert_allclose(w, by_numpy(0.2)[0], atol=2e-6)


def test_weights_that_are_not_finite_are_not_set_to_zero():
    model = built(L1(0.2), optimizers.SGD(1e30))
    w, _ = fit(model, consolidate())
    assert not np.isfinite(w).any()


def test_a_model_saved_in_a_phase_loads_with_full_strength(tmp_path):
    file = str(tmp_path / "phase.keras")

    class Save(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == WARM_UP:
                self.model.save(file)

    fit(built(L1(0.2)), consolidate(), Save())
    loaded = keras.saving.load_model(file)
    assert float(loaded.optimizer.phases.factor) == 1.0
    assert int(loaded.optimizer.iterations) == WARM_UP + 1


@pytest.mark.tensorflow
def test_a_tensorflow_checkpoint_can_be_written_after_averaging(tmp_path):
    import tensorflow as tf

    model = built(L1(0.2))
    fit(model, consolidate())
    assert tf.train.Checkpoint(model=model).save(str(tmp_path / "ck"))


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
