"""The engine `batch` against `fit` for several kinds of model.

A CNN, and MLPs with BatchNormalization and with Dropout: 64 trials on the digits, 40
epochs, every measure logged. Rounds of 2 trials by `model.fit` with a new model each,
as a user of Keras and of the logger writes it, a batch run of all 64 as `kregkit run`
has it, tracing included, 2 more trials by `model.fit`, and the same 4 by the engine
`fit` with a new model each, which runs an epoch's steps as one call. A factor is the
seconds of a trial there over a 64th of the batch run.

Where the gain comes from: the later epochs alone, in which neither traces anything.
Rounds of a run of a program that has run before, and a fit whose first and last epochs
are left out; what counts is the median of the others, per trial. An epoch has its
validation and its measures in both.
"""

import functools
import statistics
import time
from itertools import pairwise
from typing import Any

import keras

from experiments.benchmarks._interleave import around, emit, figure, ratios, timed
from experiments.benchmarks._studies import epochs, made, plain, sample, train
from kregkit.study.engines.batch.program import Program
from kregkit.study.engines.fit import train_one
from kregkit.study.engines.schedule import schedule
from kregkit.study.plan import Trial
from kregkit.study.problem.resolve import Study

TRIALS, EPOCHS, FITS, ROUNDS = 64, 40, 4, 2
KINDS: dict[str, tuple[str, float | None]] = {
    "CNN": ('name = "cnn"', 8.0),
    "MLP with BatchNormalization": (
        'build = "experiments.benchmarks._builders:normalised"',
        None,
    ),
    "MLP with Dropout": ('build = "experiments.benchmarks._builders:dropped"', None),
}


class Epochs(keras.callbacks.Callback):
    """Keeps when every epoch begins."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.begun.append(time.perf_counter())

    def seconds(self) -> list[float]:
        """Return the length of all epochs but the first and the last."""
        return [end - begin for begin, end in pairwise(self.begun[1:])]


def fit_epochs(study: Study, trial: Trial) -> list[float]:
    """Return the seconds of all epochs of a fit but the first and the last."""
    keras.backend.clear_session()
    clock = Epochs()
    plain(study, trial, clock)
    return clock.seconds()


def measured(kind: str, model: str, limit: float | None) -> None:
    """Measure and print the figures of one kind."""
    study = made(model, EPOCHS)
    trials = sample(study.trials, TRIALS)
    chosen = sample(trials, FITS)
    plains, fits = (
        [functools.partial(timed, functools.partial(one, study, t)) for t in chosen]
        for one in (plain, train_one.train)
    )
    for first in (plains[0], fits[0]):  # what is loaded when it is needed first
        first()
    each, by_plain, by_fit = [], [], []
    for _ in range(ROUNDS):
        whole, outer = around(lambda: timed(lambda: train(study, trials)), plains)
        each.append(whole / TRIALS)
        by_plain.append(statistics.mean(outer))
        by_fit.append(statistics.mean(fit() for fit in fits))
    words = f"kinds: {kind}, model.fit with a new model / batch"
    emit(figure(words, "ratio", ratios(by_plain, each), limit, at_least=True))
    words = f"kinds: {kind}, engine fit with a new model / batch"
    emit(figure(words, "ratio", ratios(by_fit, each)))
    emit(figure(f"kinds: {kind}, batch, of each trial", "seconds", each))
    emit(figure(f"kinds: {kind}, model.fit, of each trial", "seconds", by_plain))
    emit(figure(f"kinds: {kind}, engine fit, of each trial", "seconds", by_fit))

    size = schedule(study, trials, "batch").units[0].size
    program, now = Program(study, trials, size), sample(trials, size)
    epochs(program, now)  # traces
    each, by_fit = [], []
    for trial in chosen[::2]:
        own, _ = epochs(program, now)
        each.append(statistics.median(own) / size)
        by_fit.append(statistics.median(fit_epochs(study, trial)))
    words = f"kinds: {kind}, later epochs, fit / batch of {size}"
    emit(figure(words, "ratio", ratios(by_fit, each)))
    words = f"kinds: {kind}, a later epoch"
    emit(figure(f"{words}, batch, of each trial", "seconds", each))
    emit(figure(f"{words}, fit", "seconds", by_fit))


def main() -> None:
    """Measure and print the figures."""
    train_one.deterministic()
    for kind, (model, limit) in KINDS.items():
        measured(kind, model, limit)


if __name__ == "__main__":
    main()
