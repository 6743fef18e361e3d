"""The step size of every optimizer, against what the optimizer itself does."""

import keras
import numpy as np
import pytest

from kregkit.errors import ModelError
from kregkit.optimizers import KNOWN, step_size
from kregkit.optimizers._steps import kind

pytestmark = pytest.mark.torch

G = np.array([0.3, -2.0, 1e-3, 40.0], "float32")
OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.1),
    "momentum": lambda: keras.optimizers.SGD(0.1, momentum=0.9),
    "nesterov": lambda: keras.optimizers.SGD(0.1, momentum=0.8, nesterov=True),
    "adam": lambda: keras.optimizers.Adam(0.01),
    "amsgrad": lambda: keras.optimizers.Adam(0.01, amsgrad=True),
    "adamw": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.0),
    "nadam": lambda: keras.optimizers.Nadam(0.01),
    "adamax": lambda: keras.optimizers.Adamax(0.01),
    "rmsprop": lambda: keras.optimizers.RMSprop(0.01),
    "rmsprop with momentum": lambda: keras.optimizers.RMSprop(0.01, momentum=0.7),
    "rmsprop centered": lambda: keras.optimizers.RMSprop(0.01, centered=True),
    "adagrad": lambda: keras.optimizers.Adagrad(0.5),
    "adadelta": lambda: keras.optimizers.Adadelta(1.0),
}


def test_every_known_optimizer_is_tested():
    assert {kind(make()) for make in OPTIMIZERS.values()} == set(KNOWN)


# The squares that an average of steps began with are those of other steps.
EXACT = {"adadelta": (150,), "rmsprop with momentum": (1, 150)}
RTOL = {"adadelta": 0.02, "rmsprop with momentum": 0.02, "rmsprop centered": 0.02}

# What a constant gradient leaves of a centered variance is rounding in float32.
CASES = [(name, "float64") for name in OPTIMIZERS] + [
    (name, "float32") for name in OPTIMIZERS if name != "rmsprop centered"
]


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_a_constant_gradient_moves_a_weight_by_the_step(name, dtype):
    optimizer = OPTIMIZERS[name]()
    other, weight = (keras.Variable(np.zeros(n), dtype=dtype) for n in (2, 4))
    optimizer.build([other, weight])
    gradients = [keras.ops.convert_to_tensor(g, dtype) for g in (np.ones(2), G)]
    checked = EXACT.get(name, (1, 2, 10, 40))
    for update in range(1, max(checked) + 1):
        before = keras.ops.convert_to_numpy(weight).copy()
        optimizer.apply(gradients, [other, weight])
        if update in checked:
            moved = before - keras.ops.convert_to_numpy(weight)
            now = optimizer.learning_rate, optimizer.iterations
            step = keras.ops.convert_to_numpy(step_size(optimizer, 1, *now))
            np.testing.assert_allclose(moved, step * G, rtol=RTOL.get(name, 1e-4))


def test_an_unknown_optimizer_is_refused():
    optimizer = keras.optimizers.Lion(0.1)
    optimizer.build([keras.Variable(np.zeros(2))])
    with pytest.raises(
        ModelError, match=r"Lion: its step size .* Adadelta, Adagrad, Adam,"
    ):
        step_size(optimizer, 0, 0.1, 1)
