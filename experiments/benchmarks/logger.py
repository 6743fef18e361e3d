"""What `RegularizationLogger` adds to the time of an epoch, and where it goes.

LeNet-300-100 with L2 on every kernel, 60,000 rows, batches of 100, a probe of 256
rows. What is added to an epoch has two parts: every step computes the loss terms, and
now and then there is a logging call. Blocks of ten steps with the callbacks around
them, as `fit` has them, with and without the logger, take turns with single calls;
the targets are for their sum.

Whole fits take turns as a check: the epochs of one fit differ by tens of percent on a
machine that others use, so that only many of them would show 2 %. An epoch lasts from
its `on_epoch_begin` to the next one; the first of each fit, which traces and compiles,
is left out, and the median of the others counts. CPU time, of all threads, is less
moved by neighbours. An `on_train_batch_end`, even an empty one, makes Keras hand over
the logs in the training thread: a part of what `every=100` costs.
"""

import statistics
import time
from collections import defaultdict
from itertools import pairwise
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

ROWS, PROBE, ROUNDS, EPOCHS = 60_000, 256, 5, 4
BLOCKS, STEPS = 1500, 10
EVERY_EPOCH, EVERY_100, CONTROL, EMPTY = (
    "every epoch",
    "every 100 steps",
    "control, no callback",
    "an empty batch callback instead of the logger",
)
FITS = (EVERY_EPOCH, EVERY_100, CONTROL, EMPTY)


class Epochs(keras.callbacks.Callback):
    """Keeps when every epoch begins, on the wall and in CPU time of this process."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: dict[str, list[float]] = {"": [], "CPU time": []}

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.begun[""].append(time.perf_counter())
        self.begun["CPU time"].append(time.process_time())

    def seconds(self, of: str) -> list[float]:
        """Return the length of all epochs but the first and the last."""
        begun = self.begun[of]
        return [end - begin for begin, end in pairwise(begun[1:])]


class Empty(keras.callbacks.Callback):
    """Does nothing after every batch."""

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        pass


def epochs() -> None:
    """Measure and print what callbacks add to an epoch."""
    x, y = rows(ROWS)
    probe = x[:PROBE]
    makers = {
        "none": lambda: [],
        CONTROL: lambda: [],
        EMPTY: lambda: [Empty()],
        EVERY_EPOCH: lambda: [RegularizationLogger(probe)],
        EVERY_100: lambda: [RegularizationLogger(probe, every=100)],
    }
    lasted: dict[tuple[str, str], list[float]] = defaultdict(list)

    def fit(name: str) -> None:
        model, clock = lenet_300_100(L2(1e-4)), Epochs()
        callbacks = [clock, *makers[name]()]
        model.fit(x, y, BATCH, EPOCHS, callbacks=callbacks, verbose=0)
        for of in clock.begun:
            lasted[name, of].append(statistics.median(clock.seconds(of)))

    interleave(
        {name: lambda name=name: timed(lambda: fit(name)) for name in makers}, ROUNDS
    )
    emit(figure("whole epochs: without the logger", "seconds", lasted["none", ""]))
    for name in FITS:
        for of in ("", "CPU time"):
            pairs = ratios(lasted[name, of], lasted["none", of])
            added = [ratio - 1.0 for ratio in pairs]
            words = ", ".join(filter(None, (f"whole epochs: {name}", of)))
            emit(figure(words, "share", added))


def parts() -> None:
    """Measure and print a logging call, and what loss terms add to a step."""
    x, y = rows(10 * BATCH)
    data = tf.data.Dataset.from_tensor_slices((x, y))
    batches = data.batch(BATCH, drop_remainder=True).cache().repeat()

    def block(callbacks: CallbackList) -> Arm:
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

    def watched(*callbacks: keras.callbacks.Callback) -> CallbackList:
        model = lenet_300_100(L2(1e-4))
        return CallbackList(callbacks, add_history=True, model=model, steps=STEPS)

    def call() -> None:
        callbacks.on_epoch_begin(0)
        callbacks.on_epoch_end(0, {})

    logger = RegularizationLogger(x[:PROBE])
    callbacks = watched(logger)
    arms = {
        EVERY_EPOCH: block(callbacks),
        # One that is handed every step and has never reached its own.
        EVERY_100: block(watched(RegularizationLogger(x[:PROBE], every=10**9))),
        "call": lambda: timed(call),
        "bare": block(watched()),
        "again": block(watched()),
    }
    first = timed(call)
    interleave(arms, 5)
    seconds = interleave(arms, BLOCKS)
    calls = [STEPS * ratio for ratio in ratios(seconds["call"], seconds["bare"])]
    again = [ratio - 1.0 for ratio in ratios(seconds["again"], seconds["bare"])]
    noise = abs(statistics.median(again))
    for name, count, limit in (
        (EVERY_EPOCH, ROWS // BATCH, 0.02),
        (EVERY_100, 100, 0.05),
    ):
        steps = [ratio - 1.0 for ratio in ratios(seconds[name], seconds["bare"])]
        share = [call / count for call in calls]
        whole = [a + b for a, b in zip(steps, share, strict=True)]
        words = f"logger: {count} steps and a call, {name}"
        emit(figure(words, "share", whole, limit, noise=noise))
        emit(figure(f"logger: the call alone, {name}", "share", share))
        emit(figure(f"logger: the steps alone, {name}", "share", steps))
    emit(figure("logger: the steps alone, control", "share", again))
    emit(figure("logger: one call", "seconds", seconds["call"]))
    emit(figure("logger: first call, with tracing", "seconds", [first]))
    end = timed(logger.on_train_end)
    emit(figure("logger: end, with exact norms", "seconds", [end]))


def main() -> None:
    """Measure and print the figures."""
    parts()
    epochs()


if __name__ == "__main__":
    main()
