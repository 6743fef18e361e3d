"""A training step with kregkit's penalties against the same step with Keras's own.

LeNet-300-100, batches of 100, the penalty on every kernel. Each arm is a model of its
own; a block is 10 calls of its traced training function on batches that wait in
memory, without the rest of `fit`. Blocks of all arms take turns, and every ratio is
of two blocks of one round. Two equal models are not equally fast, for reasons such as
where their memory lies: everything is built three times over, and the control, Keras
against Keras, shows what noise is left. Once not compiled by XLA, as Keras has it on
a CPU unless told otherwise, and once compiled.
"""

import statistics
from typing import Any

import keras
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
from kregkit.regularizers import L1, L2

BUILDS, ROUNDS, STEPS, LIMIT = 3, 50, 10, 1.02

PENALTIES = {
    "none": lambda: None,
    "Keras L1": lambda: keras.regularizers.L1(1e-5),
    "Keras L1, again": lambda: keras.regularizers.L1(1e-5),
    "kregkit L1": lambda: L1(1e-5),
    "Keras L2": lambda: keras.regularizers.L2(1e-4),
    "Keras L2, again": lambda: keras.regularizers.L2(1e-4),
    "kregkit L2": lambda: L2(1e-4),
}


def block(model: Any, batches: Any) -> Arm:
    """Return an arm: one block of training steps of this model."""
    iterator = iter(batches)
    model.make_train_function()

    def steps() -> None:
        for _ in range(STEPS):
            logs = model.train_function(iterator)
        float(logs["loss"])

    return lambda: timed(steps)


def main() -> None:
    """Measure and print the figures."""
    data = tf.data.Dataset.from_tensor_slices(rows(10 * BATCH))
    batches = data.batch(BATCH, drop_remainder=True).cache().repeat()
    for jit, words in ((False, "no XLA"), (True, "XLA")):
        seconds: dict[str, list[float]] = {name: [] for name in PENALTIES}
        for _ in range(BUILDS):
            arms = {
                name: block(lenet_300_100(make(), jit), batches)
                for name, make in PENALTIES.items()
            }
            interleave(arms, 2)  # traces, compiles, warms up
            for name, found in interleave(arms, ROUNDS).items():
                seconds[name] += found
        for name in ("L1", "L2"):
            own = seconds[f"Keras {name}"]
            again = ratios(seconds[f"Keras {name}, again"], own)
            noise = abs(statistics.median(again) - 1.0)
            values = ratios(seconds[f"kregkit {name}"], own)
            title = f"step, {words}: kregkit {name} / Keras {name}"
            emit(figure(title, "ratio", values, LIMIT, noise=noise))
            title = f"step, {words}: Keras {name}, again / Keras {name}"
            emit(figure(title, "ratio", again))
        step = [block / STEPS for block in seconds["Keras L2"]]
        emit(figure(f"step, {words}: Keras L2, one step", "seconds", step))
        bare = ratios(seconds["Keras L2"], seconds["none"])
        emit(figure(f"step, {words}: Keras L2 / no penalty", "ratio", bare))


if __name__ == "__main__":
    main()
