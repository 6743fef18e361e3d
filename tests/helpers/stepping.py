"""A linear model, its first steps under Proximal, and the same steps in NumPy."""

import keras
import numpy as np
from keras import optimizers

from helpers.linear import planted

STEPS = 10


def data():
    x, y, _ = planted()
    return x[:32], y[:32]


def model_of(optimizer, penalty, bias=None, **compiled):
    """Return a linear model with weights 0.5 and bias 0.2."""
    layer = keras.layers.Dense(
        1,
        kernel_initializer=keras.initializers.Constant(0.5),
        bias_initializer=keras.initializers.Constant(0.2),
        kernel_regularizer=penalty,
        bias_regularizer=bias,
        name="only",
    )
    model = keras.Sequential([keras.Input((20,)), layer])
    model.compile(optimizer, "mse", **compiled)
    return model


def trained(optimizer, penalty, steps=STEPS, **compiled):
    """Return a model after so many steps with all rows."""
    x, y = data()
    model = model_of(optimizer, penalty, **compiled)
    model.fit(x, y, batch_size=len(x), epochs=steps, shuffle=False, verbose=0)
    return model


def weights(model):
    return [np.array(value) for value in model.get_weights()]


def soft(w, amount):
    return np.sign(w) * np.maximum(np.abs(w) - amount, 0.0)


def gradients(w, b):
    x, y = data()
    residual = np.float64(x) @ w + b - y
    return 2 * x.T @ residual / len(x), 2 * residual.mean(axis=0)


def by_hand(update, steps=STEPS):
    """Return kernel and bias after steps of `update(state, w, gradient, t)`."""
    w, b = np.full((20, 1), 0.5), np.full(1, 0.2)
    states = {}, {}
    for t in range(1, steps + 1):
        dw, db = gradients(w, b)
        w, step = update(states[0], w, dw, t)
        b, _ = update(states[1], b, db, t)
        w = soft(w, 0.3 * step)
    return w, b


def sgd(state, w, gradient, t):
    return w - 0.05 * gradient, 0.05


def momentum(state, w, gradient, t):
    state["m"] = 0.9 * state.get("m", 0.0) - 0.005 * gradient
    return w + state["m"], 0.05 * (1 - 0.9**t)


def adam(state, w, gradient, t):
    state["m"] = 0.9 * state.get("m", 0.0) + 0.1 * gradient
    state["v"] = 0.999 * state.get("v", 0.0) + 0.001 * gradient**2
    # Keras takes the powers in float32, where 1 - 0.999 has four digits.
    squares, mean = (1 - np.float32(b) ** np.float32(t) for b in (0.999, 0.9))
    step = 0.05 * np.sqrt(squares) / (np.sqrt(state["v"]) + 1e-7)
    return w - step * state["m"] / mean, step


LOOPS = {
    "sgd": (lambda: optimizers.SGD(0.05), sgd),
    "momentum": (lambda: optimizers.SGD(0.005, momentum=0.9), momentum),
    "adam": (lambda: optimizers.Adam(0.05), adam),
}
