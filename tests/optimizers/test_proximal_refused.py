"""What Proximal refuses, at construction or at the first build."""

import keras
import numpy as np
import pytest
from keras import optimizers

from helpers.stepping import data, trained, weights
from kregkit.errors import ModelError, ParameterError
from kregkit.optimizers import Proximal
from kregkit.regularizers import L1

pytestmark = [pytest.mark.jax, pytest.mark.torch]


BAD = {
    "no optimizer": (lambda: Proximal(0.1), ParameterError, "received 0.1"),
    "proximal": (
        lambda: Proximal(Proximal(optimizers.SGD())),
        ParameterError,
        "already has a proximal step",
    ),
    "proximal in a loss scale": (
        lambda: Proximal(optimizers.LossScaleOptimizer(Proximal(optimizers.SGD()))),
        ParameterError,
        "already has a proximal step",
    ),
    "metric": (
        lambda: Proximal(optimizers.SGD(), metric="euclid"),
        ParameterError,
        r"`metric` must be one of 'optimizer', 'euclidean'; received 'euclid'",
    ),
    "lion": (lambda: Proximal(optimizers.Lion()), ModelError, "Lion: .*Adadelta"),
    "an own optimizer": (
        lambda: Proximal(type("Mine", (optimizers.Adam,), {})()),
        ModelError,
        "Mine: .*Adadelta",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_work_is_refused(name):
    make, error, words = BAD[name]
    with pytest.raises(error, match=words):
        make()


def test_an_optimizer_in_use_is_refused():
    used = optimizers.SGD()
    used.build([keras.Variable(np.zeros(2))])
    with pytest.raises(ParameterError, match="not built yet"):
        Proximal(used)


def test_any_optimizer_may_have_the_euclidean_metric():
    model = trained(Proximal(optimizers.Lion(0.05), metric="euclidean"), L1(0.3))
    assert np.all(np.isfinite(weights(model)[0]))


def tied(first, second):
    """Return a model of two layers that share one kernel."""

    class Tied(keras.layers.Dense):
        def build(self, input_shape):
            self._kernel, self.bias = shared.kernel, None
            self.built = True

    shared = keras.layers.Dense(
        20, use_bias=False, kernel_regularizer=first, name="shared"
    )
    again = Tied(20, use_bias=False, kernel_regularizer=second, name="again")
    model = keras.Sequential([keras.Input((20,)), shared, again])
    model.compile(Proximal(optimizers.SGD(0.05)), "mse")
    return model


DIFFERENT = {
    "strength": (L1(0.1), L1(0.2)),
    "kind": (L1(0.1), keras.regularizers.L2(0.1)),
    "not a penalty": (keras.regularizers.OrthogonalRegularizer(), L1(0.1)),
}


@pytest.mark.parametrize("pair", DIFFERENT)
def test_a_weight_of_two_layers_with_different_penalties_is_refused(pair):
    model = tied(*DIFFERENT[pair])
    x, _ = data()
    with pytest.raises(ModelError, match="'shared' and 'again' share it with diff"):
        model.fit(x, x, verbose=0)


@pytest.mark.parametrize("second", [None, L1(0.25), keras.regularizers.L1(0.25)])
def test_a_weight_of_two_layers_with_one_penalty_is_handled_once(second):
    model = tied(L1(0.25), second)
    x, _ = data()
    model.fit(x, x, verbose=0)
    (kernel,) = model.trainable_variables
    (loss,) = model.losses
    np.testing.assert_allclose(loss, 0.25 * np.abs(kernel.numpy()).sum(), rtol=1e-5)
    assert np.any(kernel.numpy() == 0)
