"""The engine `batch`: trains many trials of one structure as one program.

The result equals that of `model.fit` up to rounding: each trial has the initial
weights, the batches and the random numbers of its seed.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from kregkit.numerics import Tensor
from kregkit.schema import PROBE
from kregkit.study.data.data import Split
from kregkit.study.engines.batch.epoch import BatchedEpoch, PartData, State
from kregkit.study.engines.batch.unstack import Recording, unstack
from kregkit.study.engines.protocol import (
    Residuals,
    Result,
    Structure,
    check_structure,
    order,
)
from kregkit.study.plan import Trial
from kregkit.study.problem.resolve import Study
from kregkit.watch.measuring import Measuring

PARTS = ("train", "val", "test")


class Program:
    """The compiled training of `trials` trials of a study at a time.

    Args:
        study: the study.
        mixed: all trials that this program may train.
        trials: the number of trials in a batch.
    """

    def __init__(self, study: Study, mixed: Sequence[Trial], trials: int) -> None:
        self.trials = trials
        self._study = study
        self._models: dict[int, list[Any]] = {}
        self._structure: Structure | None = None
        self._residuals = Residuals(study)
        self._passes = BatchedEpoch(study, self._build(mixed[0]), mixed, trials)

    def train(
        self, trials: Sequence[Trial], progress: Callable[[float], None]
    ) -> list[Result]:
        """Train these trials, at most `self.trials`.

        It calls `progress` after each epoch with the epoch's share of the training.
        """
        begin = time.perf_counter()
        # The number of trials is fixed, so a smaller batch is filled with copies.
        asked, trials = trials, [*trials, *[trials[0]] * (self.trials - len(trials))]
        passes, config = self._passes, self._study.config.train
        seeds = sorted({trial.seed for trial in trials})
        splits = {seed: self._study.split(seed) for seed in seeds}
        which = np.array([seeds.index(trial.seed) for trial in trials])
        parts = {
            name: _part([_sides(split, name) for split in splits.values()], which)
            for name in PARTS
        }
        x, y, rows = parts["train"]
        probe = _tensor([splits[trial.seed].x_val[:PROBE] for trial in trials])
        parameters = keras.tree.map_structure(
            ops.convert_to_tensor, passes.mixture.parameters(trials)
        )
        rates, decays = self._rates(trials), passes.decays(trials)
        orders = {seed: order(seed, config.epochs, rows.shape[1]) for seed in seeds}
        state = self._start(trials)
        steps = ops.convert_to_tensor(Measuring.first_steps)
        measured, vectors = passes.measure(state, parameters, probe, steps)
        state = state._replace(vectors=vectors)
        recording = Recording([ops.convert_to_numpy(measured)])
        active = np.ones(len(trials), bool)
        for epoch in range(config.epochs):
            shuffled = [orders[trial.seed][epoch] for trial in trials]
            taken = ops.take_along_axis(rows, _tensor(shuffled), axis=1)
            state, logs, measured = passes.epoch(
                state,
                parameters,
                rates,
                decays,
                (x, y, taken),
                parts["val"],
                probe,
                _tensor(active),
            )
            recording.logs.append(ops.convert_to_numpy(logs))
            recording.measured.append(ops.convert_to_numpy(measured))
            active &= recording.finite()
            progress(1 / config.epochs)
            if not active.any():
                break
        for name, part in parts.items():
            scores = passes.evaluate(state, parameters, part)
            recording.scores[name] = ops.convert_to_numpy(scores)
        recording.exact = [ops.convert_to_numpy(pairs) for pairs in passes.exact(state)]
        descent = passes.descent(state, parameters, parts["train"])
        recording.descent = [ops.convert_to_numpy(u) for u in descent]
        recording.slopes = [
            ops.convert_to_numpy(g) for g in passes.slopes(state, parameters)
        ]
        if active.any():
            recording.probed = passes.probing(trials, splits, passes.values(state))
        recording.values = [ops.convert_to_numpy(v) for v in passes.values(state)]
        seconds = (time.perf_counter() - begin) / len(asked)
        return [
            unstack(
                recording,
                index,
                self._study,
                trial,
                splits[trial.seed],
                passes.measuring,
                passes.model,
                passes.mixture.owned(trial),
                self._residuals,
                passes.metrics,
                seconds,
            )
            for index, trial in enumerate(asked)
        ]

    def _build(self, trial: Trial) -> keras.Model:
        """Return a model for a trial's seed, and save its initial weights.

        Raises:
            ModelError: the builder returns another structure than before.
        """
        keras.backend.clear_session()  # so that automatic layer names repeat
        keras.utils.set_random_seed(trial.seed)
        model = self._study.build()
        variables = [*model.trainable_variables, *model.non_trainable_variables]
        values = [ops.convert_to_numpy(variable) for variable in variables]
        self._structure = check_structure(self._study, trial, model, self._structure)
        self._models[trial.seed] = values
        return model

    def _rates(self, trials: Sequence[Trial]) -> Tensor | None:
        """Return the learning rate of each trial; None if all have the study's."""
        rates = [trial.learning_rate for trial in trials]
        if {*rates} == {self._study.config.train.learning_rate}:
            return None
        return ops.convert_to_tensor(rates, "float32")

    def _start(self, trials: Sequence[Trial]) -> State:
        """Return the state of all trials before the first step."""
        passes = self._passes
        for trial in trials:
            if trial.seed not in self._models:
                self._build(trial)
        values = [
            ops.convert_to_tensor(
                np.stack([self._models[trial.seed][index] for trial in trials])
            )
            for index in range(len(passes.variables))
        ]
        count = len(passes.model.trainable_variables)
        slots = [ops.convert_to_tensor(slot) for slot in passes.optimizer.start]
        vectors = [
            ops.tile(ops.expand_dims(vector, 0), (len(trials), 1))
            for vector in passes.measuring.starts
        ]
        return State(values[:count], values[count:], slots, vectors)


def _tensor(arrays: Any) -> Tensor:
    return ops.convert_to_tensor(np.asarray(arrays))


def _sides(split: Split, part: str) -> tuple[Any, Any]:
    return getattr(split, f"x_{part}"), getattr(split, f"y_{part}")


def _part(parts: Sequence[tuple[Any, Any]], which: Any) -> PartData:
    """Return the concatenated data of several seeds, and each trial's row numbers."""
    size = len(parts[0][0])
    x, y = (np.concatenate([part[index] for part in parts]) for index in (0, 1))
    rows = (which[:, None] * size + np.arange(size)).astype("int32")
    return _tensor(x), _tensor(y), _tensor(rows)
