"""Penalties whose proximal step takes one amount: SGD, or the Euclidean metric."""

import keras
import numpy as np
import pytest
from keras import optimizers
from sklearn.isotonic import isotonic_regression

from kregkit.errors import ParameterError
from kregkit.optimizers import Proximal
from kregkit.regularizers import L1, SLOPE, GroupMCP, NuclearNorm

pytestmark = [pytest.mark.jax, pytest.mark.torch]

ROWS, INPUTS, RATE, STEPS = 64, 8, 0.1, 300


def data():
    random = np.random.default_rng(0)
    x = random.normal(size=(ROWS, INPUTS)).astype("float32")
    truth = np.float32([2.0, 2.0, -2.0, 0.0, 0.0, 0.3, -0.3, 0.0])
    noise = random.normal(scale=0.1, size=ROWS)
    return x, (x @ truth + noise).astype("float32")[:, None]


def model(penalty):
    layer = keras.layers.Dense(1, use_bias=False, kernel_regularizer=penalty)
    return keras.Sequential([keras.Input((INPUTS,)), layer])


def fitted(own):
    """Take STEPS steps on all rows, in one epoch: those of Keras take longer."""
    x, y = (np.tile(part, (STEPS, 1)) for part in data())
    own.fit(x, y, batch_size=ROWS, shuffle=False, verbose=0)
    return np.asarray(own.get_weights()[0])


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: Proximal(optimizers.SGD(RATE)),
        lambda: Proximal(optimizers.SGD(RATE, momentum=0.5)),
    ],
    ids=["sgd", "momentum"],
)
def test_slope_ends_where_the_isotonic_iteration_does(optimizer):
    """With NumPy's proximal gradient descent on the same least squares."""
    x, y = data()
    strength, slopes = 0.5, np.linspace(1, 0.5, INPUTS)
    expected = np.zeros(INPUTS)
    for _ in range(2000):
        slope = 2 / ROWS * x.T @ (x @ expected - y[:, 0])
        moved = expected - RATE * slope
        order = np.argsort(-np.abs(moved))
        cut = np.abs(moved)[order] - RATE * strength * slopes
        size = np.empty(INPUTS)
        size[order] = np.maximum(isotonic_regression(cut, increasing=False), 0)
        expected = np.sign(moved) * size
    assert (expected == 0).sum() >= 2
    assert len(np.unique(np.abs(expected[expected != 0]))) < (expected != 0).sum()
    own = model(SLOPE(strength))
    own.compile(optimizer(), "mse")
    found = fitted(own)[:, 0]
    np.testing.assert_allclose(found, expected, 0, 1e-5)
    assert np.array_equal(found == 0, expected == 0)


def test_an_optimizer_whose_steps_differ_is_refused_before_anything_changes():
    x, y = data()
    for penalty in (SLOPE(0.1), GroupMCP(0.1), NuclearNorm(0.1)):
        own = model(penalty)
        own.compile(Proximal(optimizers.Adam()), "mse")
        with pytest.raises(ParameterError) as caught:
            own.fit(x, y, verbose=0)
        assert (
            f"kernel: {type(penalty).__name__} needs one step size for all weights, "
            "and Adam has one for each; use SGD, or metric='euclidean'."
        ) in str(caught.value)
        assert own.layers[0].kernel.regularizer is penalty
        own.compile(Proximal(optimizers.Adam(), metric="euclidean"), "mse")
        own.fit(x, y, verbose=0)


def test_averages_have_one_step_too():
    for penalty in (SLOPE(0.5), L1(0.5)):
        own = model(penalty)
        own.compile(proximal := Proximal(optimizers.SGD(RATE)), "mse")
        before = fitted(own)
        proximal.phases.average()
        own.compile(proximal, "mse")
        found = fitted(own)
        assert (found == 0).sum() >= 2
        np.testing.assert_allclose(found, before, 0, 0.02)
