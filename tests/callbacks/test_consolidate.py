"""Consolidate's phases, step by step against NumPy, and what it refuses."""

import keras
import numpy as np
import pytest
from keras import optimizers

from helpers.phased import RATE, built, by_numpy, consolidate, fit
from kregkit.errors import ModelError, ParameterError
from kregkit.optimizers import Proximal
from kregkit.regularizers import L1, L2, HoyerSquare

pytestmark = pytest.mark.jax


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
        "epochs; of 16 epochs, none is left to sparsify."
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
