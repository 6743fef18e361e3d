"""What `RegularizationLogger` adds to the time of an epoch, and where it goes.

LeNet-300-100 with L2 on every kernel, 60,000 rows, batches of 100, a probe of 256
rows. What is added to an epoch has two parts: every step computes the loss terms, and
now and then there is a logging call. Blocks of ten steps with the callbacks around
them, as `fit` has them, with and without the logger, take turns with single calls;
the targets are for their sum.

Two models of the same code differ by a few percent in speed for as long as they live,
by where their tensors lie: every arm is built 24 times over, each time anew beside the
others, and a figure is of 24 ratios of medians. There are two arms without the logger;
what they have in the mean is what others are compared with, and the one against the
other shows what noise is left. An `on_train_batch_end`, even an empty one, makes
Keras hand over the logs in the training thread: a part of what `every=100` costs.
"""

import gc
import statistics
from collections import defaultdict
from typing import Any

import keras
import tensorflow as tf
from keras.callbacks import CallbackList

from experiments.benchmarks._interleave import (
    Arm,
    emit,
    figure,
    interleave,
    ratios,
    timed,
)
from experiments.benchmarks._model import BATCH, lenet_300_100, rows
from kregkit.callbacks import RegularizationLogger
from kregkit.regularizers import L2

ROWS, PROBE, STEPS = 60_000, 256, 10
BUILDS, BLOCKS = 24, 60
EVERY_EPOCH, EVERY_100, CONTROL, EMPTY = (
    "every epoch",
    "every 100 steps",
    "control, no callback",
    "an empty batch callback instead of the logger",
)


class Empty(keras.callbacks.Callback):
    """Does nothing after every batch."""

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        pass


def watched(*callbacks: keras.callbacks.Callback) -> CallbackList:
    """Return these callbacks around a new model."""
    model = lenet_300_100(L2(1e-4))
    return CallbackList(callbacks, add_history=True, model=model, steps=STEPS)


def block(callbacks: CallbackList, batches: tf.data.Dataset) -> Arm:
    """Return an arm: one block of steps of a model with the callbacks around them."""
    iterator = iter(batches)
    callbacks.on_train_begin()
    callbacks.model.make_train_function()

    def steps() -> None:
        for step in range(STEPS):
            callbacks.on_train_batch_begin(step)
            logs = callbacks.model.train_function(iterator)
            callbacks.on_train_batch_end(step, logs)
        float(logs["loss"])

    return lambda: timed(steps)


def main() -> None:
    """Measure and print the figures."""
    x, y = rows(10 * BATCH)
    data = tf.data.Dataset.from_tensor_slices((x, y))
    batches = data.batch(BATCH, drop_remainder=True).cache().repeat()
    medians: dict[str, list[float]] = defaultdict(list)
    for _ in range(BUILDS):
        logger = RegularizationLogger(x[:PROBE])
        callbacks = watched(logger)

        def call(callbacks: CallbackList = callbacks) -> None:
            callbacks.on_epoch_begin(0)
            callbacks.on_train_batch_end(0)
            callbacks.on_epoch_end(0, {})

        arms = {
            EVERY_EPOCH: block(callbacks, batches),
            # One that is handed every step and has never reached its own.
            EVERY_100: block(
                watched(RegularizationLogger(x[:PROBE], every=10**9)), batches
            ),
            EMPTY: block(watched(Empty()), batches),
            "call": lambda call=call: timed(call),
            "bare": block(watched(), batches),
            CONTROL: block(watched(), batches),
        }
        medians["first"].append(timed(call))
        interleave(arms, 5)
        for name, seconds in interleave(arms, BLOCKS).items():
            medians[name].append(statistics.median(seconds))
        medians["end"].append(timed(logger.on_train_end))
        del arms, callbacks, logger, call
        gc.collect()
    both = zip(medians["bare"], medians[CONTROL], strict=True)
    bare = [statistics.mean(pair) for pair in both]
    added = {
        name: [ratio - 1.0 for ratio in ratios(medians[name], bare)]
        for name in (EVERY_EPOCH, EVERY_100, EMPTY)
    }
    control = [ratio - 1.0 for ratio in ratios(medians[CONTROL], medians["bare"])]
    noise = abs(statistics.median(control))
    for name, count, limit in (
        (EVERY_EPOCH, ROWS // BATCH, 0.02),
        (EVERY_100, 100, 0.05),
    ):
        share = [STEPS * ratio / count for ratio in ratios(medians["call"], bare)]
        whole = [a + b for a, b in zip(added[name], share, strict=True)]
        words = f"logger: {count} steps and a call, {name}"
        emit(figure(words, "share", whole, limit, noise=noise))
        emit(figure(f"logger: the call alone, {name}", "share", share))
        emit(figure(f"logger: the steps alone, {name}", "share", added[name]))
    emit(figure(f"logger: the steps alone, {EMPTY}", "share", added[EMPTY]))
    emit(figure(f"logger: the steps alone, {CONTROL}", "share", control))
    step = [seconds / STEPS for seconds in bare]
    emit(figure("logger: one step without it", "seconds", step))
    emit(figure("logger: one call", "seconds", medians["call"]))
    emit(figure("logger: first call, with tracing", "seconds", medians["first"]))
    emit(figure("logger: end, with exact norms", "seconds", medians["end"]))


if __name__ == "__main__":
    main()
