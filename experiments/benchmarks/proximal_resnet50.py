"""A step of Proximal(Adam) against the same step of Adam, on ResNet50.

The penalty is on every convolution kernel and that of the last layer. A whole step on
16 random images, and the update alone, by given gradients, which is a part of it.
"""

import gc
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from experiments.benchmarks._interleave import Arm, interleave, timed
from experiments.benchmarks.proximal import LIMITS, MAKERS, PENALTIES, report

BATCH, ROUNDS = 16, 10


def resnet50(penalty: Any) -> Any:
    """Return the model with a penalty on every kernel."""
    model = keras.applications.ResNet50(weights=None)
    for variable in model.trainable_variables:
        if variable.path.endswith("/kernel"):
            variable.regularizer = penalty
    return model


def step(penalty: Any, jit: bool, optimizer: Any) -> Arm:
    """Return an arm: one training step of ResNet50 on random images."""
    model, random = resnet50(penalty), np.random.default_rng(0)
    model.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=jit)
    x = random.random((BATCH, 224, 224, 3), np.float32)
    y = random.integers(0, 1000, BATCH)
    batches = iter(tf.data.Dataset.from_tensors((x, y)).cache().repeat())
    model.make_train_function()
    return lambda: timed(lambda: float(model.train_function(batches)["loss"]))


def update(penalty: Any, jit: bool, optimizer: Any) -> Arm:
    """Return an arm: one update of ResNet50's weights by given gradients."""
    variables = resnet50(penalty).trainable_variables
    random = np.random.default_rng(0)
    gradients = [
        tf.constant(1e-3 * random.standard_normal(v.shape, np.float32))
        for v in variables
    ]
    optimizer.build(variables)

    @tf.function(jit_compile=jit)  # type: ignore[untyped-decorator]  # untyped
    def updated() -> Any:
        optimizer.apply(gradients, variables)
        return tf.identity(variables[0].value)

    return lambda: timed(lambda: updated().numpy())


def main() -> None:
    """Measure and print the figures."""
    for penalty, limit in LIMITS.items():
        for jit, words in ((False, "no XLA"), (True, "XLA")):
            for make_arm, unit in ((step, "step"), (update, "update")):
                if jit and make_arm is step:
                    continue  # minutes of compiling for each arm
                arms = {
                    name: make_arm(PENALTIES[penalty](), jit, make())
                    for name, make in MAKERS.items()
                }
                interleave(arms, 2)
                seconds = interleave(arms, ROUNDS)
                title = f"proximal, {words}, {penalty}, ResNet50, {unit}"
                report(title, unit, seconds, limit if unit == "step" else None)
                del arms
                gc.collect()


if __name__ == "__main__":
    main()
