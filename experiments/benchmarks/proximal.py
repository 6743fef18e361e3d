"""A step of Proximal(Adam) against the same step of Adam.

LeNet-300-100, batches of 100, the penalty on every kernel: L1 against Adam with the
same L1 by its gradient, and group lasso over inputs against Adam with group lasso.
Blocks of steps take turns as in `step.py`, for models built three times; the control
is Adam against Adam. Not compiled by XLA, as Keras has it on a CPU unless told
otherwise, and compiled.
"""

import statistics
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from experiments.benchmarks._interleave import (
    emit,
    figure,
    interleave,
    ratios,
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

MAKERS: dict[str, Callable[[], Any]] = {
    "Adam": lambda: keras.optimizers.Adam(1e-3),
    "Adam, again": lambda: keras.optimizers.Adam(1e-3),
    "Proximal(Adam)": lambda: Proximal(keras.optimizers.Adam(1e-3)),
}


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


if __name__ == "__main__":
    main()
