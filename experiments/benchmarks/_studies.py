"""Studies for the benchmarks of the engine `batch`, samples of them, and batch runs.

All are sweeps of L1 and L2 over kernels, biases and activations of a
model for the digits, like `mlp_digits.toml`, so that each batch has
all six terms; a sample is spread evenly over its study.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import keras
from keras import ops

from experiments.benchmarks._interleave import Arm, timed
from kregkit.callbacks import RegularizationLogger
from kregkit.schema import PROBE
from kregkit.store import Store
from kregkit.study.engines.batch.program import Program
from kregkit.study.engines.fit.train_one import attach
from kregkit.study.engines.schedule import schedule
from kregkit.study.engines.training import Training
from kregkit.study.file.config import parse
from kregkit.study.plan import Trial
from kregkit.study.problem.resolve import Study, resolve

One = TypeVar("One")

MLP = 'name = "mlp"\nhidden = [64, 32]'
TEXT = """
name = "benchmark"
title = "Benchmark"
seeds = 5
[data]
name = "digits"
[model]
{model}
[train]
epochs = {epochs}
[[sweep]]
regularizer = ["L1", "L2"]
target = ["kernel", "bias", "activity"]
strength = {{ from = 1e-6, to = 1e-1, count = {strengths} }}
"""


def made(model: str, epochs: int, strengths: int = 7) -> Study:
    """Return the study of a model, with 5 + 30 * `strengths` trials."""
    text = TEXT.format(model=model, epochs=epochs, strengths=strengths)
    return resolve(parse(text, "benchmark"), Path("benchmark"))


def sample(items: Sequence[One], count: int) -> list[One]:
    """Return so many of the items, spread evenly; the first of all is among them."""
    return [items[index * len(items) // count] for index in range(count)]


def train(study: Study, trials: Sequence[Trial]) -> None:
    """Train trials by `batch` as `kregkit run` does, into a store that is dropped."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "store")
        store.begin()
        training = Training(study, store, trials)
        for unit in schedule(study, trials, "batch").units:
            training.train(unit, lambda share, failed: None)


def plain(study: Study, trial: Trial, *others: keras.callbacks.Callback) -> None:
    """Train a trial as a user of Keras and of the logger writes it."""
    own, split = study.config.train, study.split(trial.seed)
    keras.utils.set_random_seed(trial.seed)
    model = study.build()
    attach(model, study, trial)
    model.compile(study.optimizer(), study.loss(), metrics=[study.metric()])
    log = RegularizationLogger(split.x_val[:PROBE], score="score")
    model.fit(
        split.x_train,
        split.y_train,
        own.batch_size,
        own.epochs,
        validation_data=(split.x_val, split.y_val),
        callbacks=[*others, log],
        verbose=0,
    )


def epochs(program: Program, trials: Sequence[Trial]) -> tuple[list[float], float]:
    """Train trials; return the seconds of each epoch but the first, and those after.

    What comes after the last epoch: scores, exact norms, and the rows of the store.
    """
    ends: list[float] = []
    program.train(trials, lambda share: ends.append(time.perf_counter()))
    after = time.perf_counter() - ends[-1]
    return [end - start for start, end in pairwise(ends)], after


def called(function: Callable[..., Any], *given: Any) -> Arm:
    """Return an arm: one call of a compiled function, to the end."""

    def call() -> None:
        ops.convert_to_numpy(keras.tree.flatten(function(*given))[-1])

    return lambda: timed(call)


def last_epoch(program: Program, trials: Sequence[Trial]) -> tuple[Any, ...]:
    """Train trials and return what the compiled last epoch was given."""
    passes, given = program._passes, ()
    epoch = passes.epoch

    def kept(*arguments: Any) -> Any:
        nonlocal given
        given = arguments
        return epoch(*arguments)

    passes.epoch = kept
    program.train(trials, lambda share: None)
    passes.epoch = epoch
    return given
