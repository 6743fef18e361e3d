"""Linear problems with known solutions, and training that solves them."""

import functools
import itertools

import keras
import numpy as np
from sklearn.datasets import load_diabetes


@functools.cache
def diabetes() -> tuple[np.ndarray, np.ndarray]:
    """Return standardised inputs and targets of unit variance, without intercept."""
    x, y = load_diabetes(return_X_y=True)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    return x.astype("float32"), ((y - y.mean()) / y.std()).astype("float32")[:, None]


@functools.cache
def planted() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return inputs, targets and the coefficients, 4 of 20 of which are not zero."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 20))
    w = np.zeros((20, 1))
    w[[1, 4, 9, 16], 0] = 2.0, -1.5, 1.0, -0.8
    y = x @ w + 0.3 * rng.normal(size=(200, 1))
    return x.astype("float32"), y.astype("float32"), w


def falling(first: float, steps: int, last: float = 1e-6) -> keras.optimizers.schedules:
    """Return a learning rate that falls from `first` to `last` in so many steps."""
    rate = (last / first) ** (1 / steps)
    return keras.optimizers.schedules.ExponentialDecay(first, 1, rate)


def solved(penalty, optimizer, x, y, steps, loss="mse", start=0.0):
    """Return the kernel of a linear model after full-batch training."""
    layer = keras.layers.Dense(
        y.shape[1],
        use_bias=False,
        kernel_initializer=keras.initializers.Constant(start),
        kernel_regularizer=penalty,
    )
    return trained(layer, optimizer, x, y, steps, loss)


def trained(layer, optimizer, x, y, steps, loss="mse"):
    """Return the kernel of a model of one layer after full-batch training."""
    model = keras.Sequential([keras.Input(x.shape[1:]), layer])
    # PyTorch runs step by step.
    at_once = 1 if keras.backend.backend() == "torch" else 500
    model.compile(optimizer, loss, steps_per_execution=at_once)
    data = rows(x, y)
    model.fit(data, steps_per_epoch=steps, shuffle=False, verbose=0)
    return keras.ops.convert_to_numpy(layer.kernel)


def rows(x, y):
    """Return a dataset that gives all rows at every step."""
    if keras.backend.backend() == "torch":
        return ((x, y) for _ in itertools.count())
    import tensorflow as tf

    whole = tf.data.Dataset.from_tensors((x, y)).cache().repeat()
    options = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = False
    return whole.with_options(options)
