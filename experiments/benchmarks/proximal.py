"""A training step of Proximal(Adam) against the same step of Adam.

LeNet-300-100, batches of 100, the penalty on every kernel: L1 against Adam with the
same L1 by its gradient, and group lasso over inputs against Adam with group lasso.
Blocks of steps take turns as in `step.py`, for models built three times; the control
is Adam against Adam. Compiled by XLA, as Keras does unless told otherwise, and not.
"""

import statistics

import keras
import tensorflow as tf

from experiments.benchmarks._interleave import emit, figure, interleave, ratios
from experiments.benchmarks._model import BATCH, lenet_300_100, rows
from experiments.benchmarks.step import BUILDS, ROUNDS, STEPS, block
from kregkit.optimizers import Proximal
from kregkit.regularizers import L1, GroupLasso

LIMITS = {"L1": 1.05, "group lasso": 1.15}
PENALTIES = {
    "L1": lambda: L1(1e-5),
    "group lasso": lambda: GroupLasso(1e-5, group="input"),
}


def main() -> None:
    """Measure and print the figures."""
    data = tf.data.Dataset.from_tensor_slices(rows(10 * BATCH))
    batches = data.batch(BATCH, drop_remainder=True).cache().repeat()
    makers = {
        "Adam": lambda: keras.optimizers.Adam(1e-3),
        "Adam, again": lambda: keras.optimizers.Adam(1e-3),
        "Proximal(Adam)": lambda: Proximal(keras.optimizers.Adam(1e-3)),
    }
    for jit, words in (("auto", "XLA"), (False, "no XLA")):
        for penalty, limit in LIMITS.items():
            seconds: dict[str, list[float]] = {name: [] for name in makers}
            for _ in range(BUILDS):
                arms = {}
                for name, make in makers.items():
                    model = lenet_300_100(PENALTIES[penalty](), jit, make())
                    arms[name] = block(model, batches)
                interleave(arms, 2)  # traces, compiles, warms up
                for name, found in interleave(arms, ROUNDS).items():
                    seconds[name] += found
            own = seconds["Adam"]
            again = ratios(seconds["Adam, again"], own)
            noise = abs(statistics.median(again) - 1.0)
            title = f"proximal, {words}, {penalty}"
            values = ratios(seconds["Proximal(Adam)"], own)
            words_of = f"{title}: Proximal(Adam) / Adam"
            emit(figure(words_of, "ratio", values, limit, noise=noise))
            emit(figure(f"{title}: Adam, again / Adam", "ratio", again))
            step = [whole / STEPS for whole in own]
            emit(figure(f"{title}: Adam, one step", "seconds", step))


if __name__ == "__main__":
    main()
