"""A `fit` with Consolidate that is interrupted, and copies of callbacks after one."""

import copy
import pickle

import keras
import numpy as np
import pytest
from keras import optimizers

from kregkit.callbacks import Consolidate
from kregkit.optimizers import Proximal
from kregkit.regularizers import L1

pytestmark = [pytest.mark.jax, pytest.mark.torch]

EPOCHS = 12  # 0-3 sparsify, 4-7 average, 8-11 heal


class Stop(keras.callbacks.Callback):
    """Interrupts a `fit` before an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise InterruptedError


def built(inner):
    keras.utils.set_random_seed(0)
    layer = keras.layers.Dense(8, kernel_regularizer=L1(0.05))
    model = keras.Sequential([keras.Input((5,)), layer, keras.layers.Dense(2)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(Proximal(inner), loss)
    return model


def trained(model, *callbacks, **given):
    x = np.random.default_rng(0).normal(size=(64, 5)).astype("float32")
    y = (x[:, 0] > 0).astype("int64")
    model.fit(x, y, shuffle=False, verbose=0, callbacks=list(callbacks), **given)


def fit(model, settings, *others, **given):
    phases = Consolidate(average=4, heal=4, **settings)
    trained(model, *others, phases, **given)
    return phases


def state(model):
    variables = [*model.variables, *model.optimizer.variables]
    return [keras.ops.convert_to_numpy(v) for v in variables]


WAYS = {
    "adam": (lambda: optimizers.Adam(0.02), {}, (4, 6, 9)),
    "momentum, density": (lambda: optimizers.SGD(0.05, 0.9), {"density": 0.3}, (9,)),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_fit_that_goes_on_ends_as_one_that_was_not_interrupted(way, tmp_path):
    make, settings, epochs = WAYS[way]
    whole = built(make())
    fit(whole, settings, epochs=EPOCHS)
    zeros = np.mean(state(whole)[0] == 0)
    assert 0 < zeros < 1
    for epoch in epochs:
        folder = tmp_path / str(epoch)
        backup = keras.callbacks.BackupAndRestore(folder)
        with pytest.raises(InterruptedError):
            fit(built(make()), settings, backup, Stop(epoch), epochs=EPOCHS)
        again = built(make())
        fit(again, settings, keras.callbacks.BackupAndRestore(folder), epochs=EPOCHS)
        for value, expected in zip(state(again), state(whole), strict=True):
            np.testing.assert_array_equal(value, expected, err_msg=f"epoch {epoch}")


def test_a_new_fit_of_a_model_that_was_saved_in_a_phase_begins_anew(tmp_path):
    make = WAYS["adam"][0]
    model = built(make())
    save = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras")
    fit(model, {}, save, epochs=EPOCHS)
    loaded = keras.saving.load_model(tmp_path / "6.keras")  # in averaging
    fresh = keras.saving.load_model(tmp_path / "6.keras")
    fresh.optimizer.phases.forget()
    for one in (loaded, fresh):
        fit(one, {}, epochs=EPOCHS)
    for value, expected in zip(state(loaded), state(fresh), strict=True):
        np.testing.assert_array_equal(value, expected)


def test_a_fit_that_begins_in_mid_phase_without_the_phase_is_warned_of():
    model = built(optimizers.Adam(0.02))
    with pytest.warns(UserWarning, match="continues after the first epoch"):
        fit(model, {}, epochs=EPOCHS, initial_epoch=6)


def test_it_is_copied_before_and_after_a_fit_and_works_in_another():
    model = built(optimizers.Adam(0.02))
    phases = fit(model, {"density": 0.3}, epochs=EPOCHS)
    unused = Consolidate(average=4, heal=4, density=0.3)
    for again in (copy.deepcopy(unused), pickle.loads(pickle.dumps(phases))):
        other = built(optimizers.Adam(0.02))
        trained(other, again, epochs=EPOCHS)
        for value, expected in zip(state(other), state(model), strict=True):
            np.testing.assert_array_equal(value, expected)
