"""The engine `batch`: many trials of one structure, trained as one program.

The one rule: a trial ends as `model.fit` would have ended it. It has the initial
weights, the batches and the random numbers of its seed; only rounding differs.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from kregkit.callbacks import Measuring, compiled
from kregkit.numerics import Tensor
from kregkit.study import backends, stacked
from kregkit.study.data import Split
from kregkit.study.objective import Mixture, Objective, Terms
from kregkit.study.plan import Trial
from kregkit.study.protocol import PROBE, Result, order
from kregkit.study.resolve import Study
from kregkit.study.unstack import Recording, unstack

PARTS = ("train", "val", "test")

CHUNK = 1024
"""Rows that are evaluated at a time."""

Part = tuple[Tensor, Tensor, Tensor]
"""Data of all seeds together: x, y, and for every trial its rows of both."""


class State(NamedTuple):
    """What training changes; every tensor but counters has the trials in front."""

    weights: list[Tensor]
    others: list[Tensor]
    slots: list[Tensor]
    vectors: list[Tensor]


class Sums(NamedTuple):
    """Sums over the samples of one pass over data, and the state of the score."""

    loss: Tensor
    data_loss: Tensor
    penalty: Tensor
    score: list[Tensor]


class Program:
    """The compiled training of `trials` trials of a study at a time.

    Args:
        study: what all trials share.
        mixed: every trial that this program may be asked to train.
        trials: how many it trains at a time.
    """

    def __init__(self, study: Study, mixed: Sequence[Trial], trials: int) -> None:
        self._study = study
        self._trials = trials
        self._models: dict[int, list[Any]] = {}
        self._model = self._build(mixed[0])
        self._mixture = Mixture.attach(self._model, study, mixed)
        self._objective = Objective(self._model, study, self._mixture)
        self._metric = study.metric()
        probe = study.split(mixed[0].seed).x_val[:PROBE]
        self._measuring = Measuring(self._model, probe)
        self._optimizer = stacked.Stacked(study.optimizer(), self._model, trials)
        self._begin = compiled(self._measure)
        self._epoch = compiled(self._train_and_measure)
        self._score = compiled(self._evaluate)
        self._end = compiled(self._exact)

    def train(
        self, trials: Sequence[Trial], progress: Callable[[float], None]
    ) -> list[Result]:
        """Train these trials from the beginning to the end."""
        begin = time.perf_counter()
        config = self._study.config.train
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
            ops.convert_to_tensor, self._mixture.parameters(trials)
        )
        orders = {seed: order(seed, config.epochs, rows.shape[1]) for seed in seeds}
        state = self._start(trials)
        steps = ops.convert_to_tensor(Measuring.first_steps)
        measured, vectors = self._begin(state, parameters, probe, steps)
        state = state._replace(vectors=vectors)
        recording = Recording([ops.convert_to_numpy(measured)])
        active = np.ones(len(trials), bool)
        for epoch in range(config.epochs):
            shuffled = [orders[trial.seed][epoch] for trial in trials]
            taken = ops.take_along_axis(rows, _tensor(shuffled), axis=1)
            state, logs, measured = self._epoch(
                state, parameters, (x, y, taken), parts["val"], probe, _tensor(active)
            )
            recording.logs.append(ops.convert_to_numpy(logs))
            recording.measured.append(ops.convert_to_numpy(measured))
            active &= recording.finite()
            progress(1 / config.epochs)
            if not active.any():
                break
        for name, part in parts.items():
            scores = self._score(state, parameters, part)
            recording.scores[name] = ops.convert_to_numpy(scores)
        recording.exact = [ops.convert_to_numpy(pairs) for pairs in self._end(state)]
        recording.values = [ops.convert_to_numpy(v) for v in self._values(state)]
        seconds = (time.perf_counter() - begin) / len(trials)
        return [
            unstack(
                recording,
                index,
                self._study,
                trial,
                splits[trial.seed],
                self._measuring,
                self._model,
                self._mixture.owned(trial),
                seconds,
            )
            for index, trial in enumerate(trials)
        ]

    def _build(self, trial: Trial) -> keras.Model:
        """Return the model of a trial's seed; it must be what it was before."""
        keras.utils.set_random_seed(trial.seed)
        model = self._study.build()
        self._models[trial.seed] = [
            ops.convert_to_numpy(variable) for variable in _variables(model)
        ]
        return model

    def _start(self, trials: Sequence[Trial]) -> State:
        """Return the state of every trial before its first step."""
        for trial in trials:
            if trial.seed not in self._models:
                self._build(trial)
        values = [
            ops.convert_to_tensor(
                np.stack([self._models[trial.seed][index] for trial in trials])
            )
            for index in range(len(_variables(self._model)))
        ]
        count = len(self._model.trainable_variables)
        slots = [ops.convert_to_tensor(slot) for slot in self._optimizer.start]
        vectors = [
            ops.tile(ops.expand_dims(vector, 0), (len(trials), 1))
            for vector in self._measuring.vectors
        ]
        return State(values[:count], values[count:], slots, vectors)

    def _values(self, state: State) -> list[Tensor]:
        """Return the state as the values of the model's variables, in their order."""
        own = {
            id(variable): value
            for variable, value in zip(
                _variables(self._model), [*state.weights, *state.others], strict=True
            )
        }
        return [own[id(variable)] for variable in self._measuring.variables]

    def _train_and_measure(
        self,
        state: State,
        parameters: Any,
        train: Part,
        val: Part,
        probe: Tensor,
        active: Tensor,
    ) -> tuple[State, Tensor, Tensor]:
        """Train one epoch; return the state, the logs and the measures."""
        batch = self._study.config.train.batch_size

        def step(rows: Tensor, carried: tuple[State, Sums]) -> tuple[State, Sums]:
            now, sums = carried
            x, y = ops.take(train[0], rows, axis=0), ops.take(train[1], rows, axis=0)
            now, terms = self._step(now, parameters, x, y)
            return now, self._add(sums, terms, y)

        after, sums = _over(train[2], batch, step, (state, self._zero()))
        count = train[2].shape[1]
        logs = [self._means(sums, count), self._evaluate(after, parameters, val)]
        kept = State(
            *(
                [_where(active, new, old) for new, old in zip(news, olds, strict=True)]
                for news, olds in zip(after, state, strict=True)
            )
        )
        steps = ops.convert_to_tensor(Measuring.steps)
        measured, vectors = self._measure(kept, parameters, probe, steps)
        return kept._replace(vectors=vectors), ops.concatenate(logs, axis=1), measured

    def _step(
        self, state: State, parameters: Any, x: Tensor, y: Tensor
    ) -> tuple[State, Terms]:
        """Return the state after one step of the optimizer, and what it minimised."""

        def total(weights: list[Tensor]) -> tuple[Tensor, Terms]:
            terms = ops.vectorized_map(
                lambda own: self._objective(own, training=True),
                (weights, state.others, x, y, parameters),
            )
            return ops.sum(terms.loss), terms

        gradients, terms = backends.gradient(total, state.weights)
        weights, slots = self._optimizer.apply(state.slots, gradients, state.weights)
        return state._replace(weights=weights, others=terms.state, slots=slots), terms

    def _evaluate(self, state: State, parameters: Any, part: Part) -> Tensor:
        """Return `LOGS` of every trial on a part of its data, `(trials, LOGS)`."""

        def step(rows: Tensor, sums: Sums) -> Sums:
            x, y = ops.take(part[0], rows, axis=0), ops.take(part[1], rows, axis=0)
            terms = ops.vectorized_map(
                lambda own: self._objective(own, training=False),
                (state.weights, state.others, x, y, parameters),
            )
            return self._add(sums, terms, y)

        sums = _over(part[2], CHUNK, step, self._zero())
        return self._means(sums, part[2].shape[1])

    def _measure(
        self, state: State, parameters: Any, probe: Tensor, steps: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """Return every measure of every trial, and the vectors of their norms."""

        def one(own: Any) -> Any:
            values, vectors, probe, parameters = own
            with self._mixture.lively(parameters):
                return self._measuring.compute(values, vectors, steps, probe)

        found: tuple[Tensor, list[Tensor]] = ops.vectorized_map(
            one, (self._values(state), state.vectors, probe, parameters)
        )
        return found

    def _exact(self, state: State) -> list[Tensor]:
        pairs: list[Tensor] = ops.vectorized_map(
            lambda own: self._measuring.exact(*own),
            (self._values(state), state.vectors),
        )
        return pairs

    def _zero(self) -> Sums:
        zeros = ops.zeros((self._trials,), "float32")
        score = [
            ops.zeros((self._trials, *variable.shape), variable.dtype)
            for variable in self._metric.variables
        ]
        return Sums(zeros, zeros, zeros, score)

    def _add(self, sums: Sums, terms: Terms, y: Tensor) -> Sums:
        rows = ops.cast(y.shape[1], "float32")
        score = ops.vectorized_map(
            lambda own: self._metric.stateless_update_state(*own),
            (sums.score, y, terms.outputs),
        )
        return Sums(
            sums.loss + rows * terms.loss,
            sums.data_loss + rows * terms.data_loss,
            sums.penalty + rows * terms.penalty,
            score,
        )

    def _means(self, sums: Sums, rows: int) -> Tensor:
        score = ops.vectorized_map(self._metric.stateless_result, sums.score)
        losses = (sums.loss, sums.data_loss, sums.penalty)
        return ops.stack([*(total / rows for total in losses), score], axis=1)


def _variables(model: keras.Model) -> list[keras.Variable]:
    return [*model.trainable_variables, *model.non_trainable_variables]


def _tensor(arrays: Any) -> Tensor:
    return ops.convert_to_tensor(np.asarray(arrays))


def _sides(split: Split, part: str) -> tuple[Any, Any]:
    return getattr(split, f"x_{part}"), getattr(split, f"y_{part}")


def _part(parts: Sequence[tuple[Any, Any]], which: Any) -> Part:
    """Return the data of several seeds, one after another, and each trial's rows."""
    size = len(parts[0][0])
    x, y = (np.concatenate([part[index] for part in parts]) for index in (0, 1))
    rows = (which[:, None] * size + np.arange(size)).astype("int32")
    return _tensor(x), _tensor(y), _tensor(rows)


def _over(
    rows: Tensor, size: int, step: Callable[[Tensor, Any], Any], start: Any
) -> Any:
    """Carry a value through all rows, `(trials, rows)`, so many at a time."""
    trials, count = rows.shape
    whole = count // size

    def body(index: Tensor, carried: Any) -> Any:
        return step(ops.slice(rows, (0, index * size), (trials, size)), carried)

    carried = ops.fori_loop(0, whole, body, start) if whole else start
    if count % size:
        carried = step(rows[:, whole * size :], carried)
    return carried


def _where(active: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """Return the new values of active trials; counters, which have none, are new."""
    if len(new.shape) == 0:
        return new
    return ops.where(ops.reshape(active, (-1,) + (1,) * (len(new.shape) - 1)), new, old)
