"""Consolidate among other callbacks, in fits that stop, go on, and are saved."""

import keras
import numpy as np
import pytest
from keras import optimizers

from helpers.phased import (
    EPOCHS,
    HEAL,
    RATE,
    ROWS,
    WARM_UP,
    built,
    by_numpy,
    consolidate,
    data,
    fit,
    soft,
    start,
)
from kregkit.callbacks import RegularizationLogger
from kregkit.regularizers import L1

pytestmark = pytest.mark.jax


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
        with pytest.warns(UserWarning, match="ended before healing began; no weight"):
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


@pytest.mark.parametrize("epoch", [WARM_UP, EPOCHS - HEAL - 2, EPOCHS - 2])
def test_a_model_saved_in_a_phase_loads_with_full_strength(epoch, tmp_path):
    file = str(tmp_path / "phase.keras")

    class Save(keras.callbacks.Callback):
        def on_epoch_end(self, at, logs=None):
            if at == epoch:
                self.model.save(file)
                optimizer = self.model.optimizer.inner_optimizer
                self.momenta = [v.numpy() for v in optimizer.momentums]

    save = Save()
    fit(built(L1(0.2), optimizers.SGD(RATE, momentum=0.8)), consolidate(), save)
    loaded = keras.saving.load_model(file)
    assert float(loaded.optimizer.phases.factor) == 1.0
    assert int(loaded.optimizer.iterations) == epoch + 1
    found = loaded.optimizer.inner_optimizer.momentums
    for own, momentum in zip(found, save.momenta, strict=True):
        np.testing.assert_array_equal(own.numpy(), momentum)


def test_steps_at_once_make_no_difference():
    ends = []
    for at_once in (1, 2):
        model = built(L1(0.2), optimizers.Adam(RATE), steps_per_execution=at_once)
        x, y = data()
        model.fit(x, y, 16, EPOCHS, shuffle=False, verbose=0, callbacks=[consolidate()])
        ends.append(model.get_weights())
    for one, two in zip(*ends, strict=True):
        np.testing.assert_array_equal(one == 0, two == 0)
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-6)
    assert 0 < np.sum(ends[0][0] == 0) < ends[0][0].size


def test_the_learning_rate_may_be_set_by_a_callback():
    w, b = fit(
        built(L1(0.2), optimizers.SGD(1.0)),
        keras.callbacks.LearningRateScheduler(lambda epoch: RATE / (1 + epoch)),
        consolidate(),
    )
    expected, bias = by_numpy(0.2, rate=lambda epoch: RATE / (1 + epoch))
    np.testing.assert_allclose(w, expected, atol=2e-6)
    np.testing.assert_allclose(b, bias, atol=2e-6)
    np.testing.assert_array_equal(w == 0, expected == 0)


def test_a_fit_that_goes_on_from_an_epoch_is_in_the_phase_of_that_epoch():
    x, y = data()
    model = built(L1(0.2))
    model.layers[-1].kernel.assign(np.where(start() < 0, 0.0, start()))
    zeros = model.get_weights()[0] == 0
    model.fit(
        x,
        y,
        ROWS,
        EPOCHS,
        initial_epoch=EPOCHS - HEAL,
        verbose=0,
        callbacks=[consolidate(below=0.0)],
    )
    np.testing.assert_array_equal(model.get_weights()[0] == 0, zeros)
    assert zeros.any()


@pytest.mark.tensorflow
def test_a_tensorflow_checkpoint_can_be_written_after_averaging(tmp_path):
    import tensorflow as tf

    model = built(L1(0.2))
    fit(model, consolidate())
    assert tf.train.Checkpoint(model=model).save(str(tmp_path / "ck"))
