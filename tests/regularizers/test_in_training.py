"""One step of `fit` with many penalties at once, where their gradient is all there is.

In mixed precision every penalty, with accumulated gradients and on two replicas some:
what happens there is the same whatever the penalty.
"""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from helpers.formulas import CASES, Case
from helpers.processes import printed


def only_on(case: Case) -> str:
    """Return the one target that a penalty is for, or ""."""
    return case.penalty.only_on or ""


RATE, ROWS, STEPS, INPUTS, UNITS = 0.25, 8, 2, 3, 4
ONE = {type(c.penalty): c for c in reversed(CASES) if c.rank < 3}
TRAINED = [case for case in ONE.values() if case.penalty.differentiable]
OF_WEIGHTS = [c for c in TRAINED if only_on(c) != "activity"]
OF_ACTIVITIES = [c for c in TRAINED if only_on(c) == "activity"]
EVERY = OF_WEIGHTS + OF_ACTIVITIES
SOME = OF_WEIGHTS[::5] + OF_ACTIVITIES[::2]
SETTINGS: dict[str, tuple[list[Case], dict[str, Any]]] = {
    "accumulated": (SOME, {"gradient_accumulation_steps": 2}),
    "mixed_float16": (EVERY, {"policy": "mixed_float16"}),
}

REPLICATED = """
import json
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
two = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(cpu, two)
from test_in_training import SOME, trained
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    found = trained(SOME)
print(json.dumps({name: value.tolist() for name, value in found.items()}))
"""


def starts() -> tuple[np.ndarray, np.ndarray]:
    """Return a kernel and a bias: of sixteenths, that halves have too."""
    random = np.random.default_rng(5)
    kernel = random.permutation(np.arange(-6, 7))[: INPUTS * UNITS] / 16
    return kernel.reshape(INPUTS, UNITS), np.array([3, 5, 9, 14]) / 16


def trained(
    cases: list[Case], policy: str = "float32", **further: Any
) -> dict[str, np.ndarray]:
    """Return the weights after one update on inputs of zero, by the name of a layer.

    The output of a layer is its bias, in every row, and its target: the data have no
    gradient.
    """
    optimizer = keras.optimizers.SGD(RATE, **further)
    kernel, bias = starts()
    inputs = keras.Input((STEPS, INPUTS))
    heads = {}
    for index, case in enumerate(cases):
        hook = "kernel" if case in OF_WEIGHTS else "activity"
        layer = layers.Dense(
            UNITS,
            name=f"head{index}",
            dtype=policy,
            bias_initializer=keras.initializers.Constant(bias),
            kernel_initializer=keras.initializers.Constant(kernel),
            **{f"{hook}_regularizer": case.penalty},
        )
        heads[layer.name] = layer(inputs)
    model = keras.Model(inputs, heads)
    model.compile(optimizer, "mse")
    x = np.zeros((ROWS, STEPS, INPUTS))
    y = {name: np.broadcast_to(bias, (ROWS, STEPS, UNITS)) for name in heads}
    updates = optimizer.gradient_accumulation_steps or 1
    model.fit(x, y, batch_size=ROWS // updates, shuffle=False, verbose=0)
    return {w.path: np.asarray(w.numpy()) for w in model.weights}


def check(
    cases: list[Case], found: dict[str, np.ndarray], of_outputs: float = 0.0
) -> None:
    """Compare every weight with a step of the formula's gradient.

    That of an output may be rounded, by so much of it: under a policy its dtype is.
    """
    kernel, bias = starts()
    moved = 0
    for index, case in enumerate(cases):
        strength = case.penalty.strength
        if case in OF_WEIGHTS:
            start, name = kernel, "kernel"
            slope = strength * case.slope(kernel)
        else:
            start, name = bias, "bias"
            h = np.broadcast_to(bias, (ROWS, STEPS, UNITS))
            slope = strength * case.slope(h).sum(axis=(0, 1)) / ROWS
        moved += bool(np.any(slope))
        np.testing.assert_allclose(
            found[f"head{index}/{name}"],
            start - RATE * slope,
            1e-5,
            1e-6 + (name == "bias") * of_outputs * RATE * np.abs(slope).max(),
            err_msg=f"{case} on {name}",
        )
    assert moved > 0.8 * len(cases) >= 0.8 * len(SOME)
    assert len(SOME) >= 7
    assert len(TRAINED) > 30


@pytest.mark.parametrize("setting", SETTINGS)
def test_one_step_is_that_of_the_formula(setting: str) -> None:
    cases, given = SETTINGS[setting]
    of_outputs = 2e-3 if setting == "mixed_float16" else 0.0
    check(cases, trained(cases, **given), of_outputs)


def test_two_replicas_count_a_penalty_once() -> None:
    found = printed(REPLICATED, Path(__file__).parent)
    check(SOME, {name: np.array(value) for name, value in found.items()})
