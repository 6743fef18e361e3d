"""A step of Proximal(Adam) against the same step of Adam.

LeNet-300-100, batches of 100, the penalty on every kernel: L1 against Adam with the
same L1 by its gradient, and group lasso over inputs against Adam with group lasso.
Blocks of steps take turns as in `step.py`, for models built three times; the control
is Adam against Adam. Not compiled by XLA, as Keras has it on a CPU unless told
otherwise, and compiled.

ResNet50, every convolution kernel and that of the last layer: a whole step on 16
random images, and the update alone, by given gradients.
"""

import gc
import statistics
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from experiments.benchmarks._interleave import (
    Arm,
    emit,
    figure,
    interleave,
    ratios,
    timed,
)
from experiments.benchmarks._model import BATCH, lenet_300_100, rows
from experiments.benchmarks.step import BUILDS, ROUNDS, STEPS, block
from kregkit.optimizers import Proximal
from kregkit.regularizers import L1, GroupLasso

LIMITS = {"L1": 1.05, "group lasso": 1.15}
PENALTIES = {
    "L1": lambda: L1(1e-5),
    "group lasso": lambda: GroupLasso(1e-5, group="input"),
}


RESNET_BATCH, RESNET_ROUNDS = 16, 10

MAKERS: dict[str, Callable[[], Any]] = {
    "Adam": lambda: keras.optimizers.Adam(1e-3),
    "Adam, again": lambda: keras.optimizers.Adam(1e-3),
    "Proximal(Adam)": lambda: Proximal(keras.optimizers.Adam(1e-3)),
}


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
    x = random.random((RESNET_BATCH, 224, 224, 3), np.float32)
    y = random.integers(0, 1000, RESNET_BATCH)
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


def report(
    title: str, unit: str, seconds: dict[str, list[float]], limit: float | None = None
) -> None:
    """Print the figures of the arms in `MAKERS`."""
    own = seconds["Adam"]
    again = ratios(seconds["Adam, again"], own)
    noise = abs(statistics.median(again) - 1.0)
    values = ratios(seconds["Proximal(Adam)"], own)
    words = f"{title}: Proximal(Adam) / Adam"
    emit(figure(words, "ratio", values, limit, noise=noise))
    emit(figure(f"{title}: Adam, again / Adam", "ratio", again))
    emit(figure(f"{title}: Adam, one {unit}", "seconds", own))


def main() -> None:
    """Measure and print the figures."""
    data = tf.data.Dataset.from_tensor_slices(rows(10 * BATCH))
    batches = data.batch(BATCH, drop_remainder=True).cache().repeat()
    for jit, words in ((False, "no XLA"), (True, "XLA")):
        for penalty, limit in LIMITS.items():
            seconds: dict[str, list[float]] = {name: [] for name in MAKERS}
            for _ in range(BUILDS):
                arms = {}
                for name, make in MAKERS.items():
                    model = lenet_300_100(PENALTIES[penalty](), jit, make())
                    arms[name] = block(model, batches)
                interleave(arms, 2)  # traces, compiles, warms up
                for name, found in interleave(arms, ROUNDS).items():
                    seconds[name] += [whole / STEPS for whole in found]
            report(f"proximal, {words}, {penalty}", "step", seconds, limit)
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
                seconds = interleave(arms, RESNET_ROUNDS)
                title = f"proximal, {words}, {penalty}, ResNet50, {unit}"
                # The update is a part of the step that the target is for.
                report(title, unit, seconds, limit if unit == "step" else None)
                del arms
                gc.collect()


if __name__ == "__main__":
    main()
