"""A small problem, `Consolidate` in four phases, and what it does in NumPy."""

import keras
import numpy as np
from keras import optimizers

from kregkit.callbacks import Consolidate
from kregkit.optimizers import Proximal
from kregkit.regularizers import L2

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
    strength=0.0,
    hoyer=0.0,
    below=0.1,
    density=None,
    momentum=0.0,
    epochs=EPOCHS,
    rate=lambda epoch: RATE,
):
    """Return weights and bias after full-batch steps of SGD in the four phases."""
    x, y = (part.astype("float64") for part in data())
    w, b = start().astype("float64"), np.ones(2)
    velocity, slide = np.zeros_like(w), np.zeros(2)
    averaging_from, healing_from = EPOCHS - HEAL - AVERAGE, EPOCHS - HEAL
    for epoch in range(epochs):
        done = epoch - WARM_UP + 1
        factor = 0.0 if done <= 0 else min((done / RAMP) ** 3, 1.0)
        step = rate(epoch) * sum(momentum**k for k in range(epoch + 1))
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
        velocity = momentum * velocity - rate(epoch) * gradient
        slide = momentum * slide - rate(epoch) * residual.sum(axis=0)
        b = (b + slide) / (1 + 2 * step * BIAS)
        if epoch >= healing_from:
            w = np.where(zeros, 0.0, w + velocity)
        elif epoch >= averaging_from and not hoyer:
            point, steps = point + velocity, steps + step
            w = soft(point, steps * strength)
        else:
            w = soft(w + velocity, step * factor * strength)
    return w, b
