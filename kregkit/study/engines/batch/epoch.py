"""Passes over the data for many trials at once, as pure functions of stacked tensors.

All tensors except counters have trials on axis 0. `objective` and `Measuring` define
the computation for one trial.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from kregkit.kkt.gradient import gradient
from kregkit.numerics import Tensor
from kregkit.schema import PROBE
from kregkit.study.engines.batch import convolutions
from kregkit.study.engines.batch.objective import Losses, Mixture, Objective
from kregkit.study.engines.batch.optimizer import Stacked
from kregkit.study.engines.decay import Decays
from kregkit.study.plan import Trial
from kregkit.study.probes.part_metrics import PartMetrics
from kregkit.study.probes.probes import chunk
from kregkit.study.probes.probing import Probing
from kregkit.study.problem.resolve import Study
from kregkit.watch.measuring import Measuring, compiled
from kregkit.weights import walk_layers

PartData = tuple[Tensor, Tensor, Tensor]
"""The data of all seeds together: x, y, and the row numbers of each trial."""


class State(NamedTuple):
    """The state of training; all tensors except counters have trials on axis 0."""

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


class BatchedEpoch:
    """Trains, evaluates and measures a fixed number of trials of a study.

    Args:
        study: the study.
        model: any model of the study; only its structure is used.
        mixed: all trials that may be in a batch.
        trials: the number of trials in a batch.
    """

    def __init__(
        self, study: Study, model: keras.Model, mixed: Sequence[Trial], trials: int
    ) -> None:
        self.model = model
        self.variables = [*model.trainable_variables, *model.non_trainable_variables]
        self.mixture = Mixture.attach(model, study, mixed)
        self.decays = Decays(model, mixed)
        self.measuring = Measuring(model, study.split(mixed[0].seed).x_val[:PROBE])
        self.optimizer = Stacked(study.optimizer(), model, trials)
        self._study, self._trials = study, trials
        layers = (place.layer for place in walk_layers(model))
        self._forms = convolutions.convolution_forms(layers)
        self._objective = Objective(model, study, self.mixture)
        self.probing = Probing(study, model, self.measuring, self._map)
        self.metrics = PartMetrics(study, model)
        self._metric = study.metric()
        # Compiled separately, so that functions an epoch calls are traced once.
        self.measure = compiled(self._measured)
        self.evaluate = compiled(self._evaluated)
        self.epoch = compiled(self._trained)
        self.exact = compiled(self._exact)
        self.descent = compiled(self._descended)
        self.slopes = compiled(self._sloped)

    def values(self, state: State) -> list[Tensor]:
        """Return the values of the model's variables, in their order."""
        own = {
            id(variable): value
            for variable, value in zip(
                self.variables, [*state.weights, *state.others], strict=True
            )
        }
        return [own[id(variable)] for variable in self.measuring.variables]

    def _trained(
        self,
        state: State,
        parameters: Any,
        rates: Tensor | None,
        decays: list[Tensor | None],
        train: PartData,
        val: PartData,
        probe: Tensor,
        active: Tensor,
    ) -> tuple[State, Tensor, Tensor]:
        """Train one epoch; return the state, the logs and the measures."""
        batch = self._study.config.train.batch_size

        def step(rows: Tensor, carried: tuple[State, Sums]) -> tuple[State, Sums]:
            now, sums = carried
            x, y = ops.take(train[0], rows, axis=0), ops.take(train[1], rows, axis=0)
            now, terms = self._step(now, parameters, rates, decays, x, y)
            return now, self._add(sums, terms, y)

        after, sums = _over(train[2], batch, step, (state, self._zero()))
        count = train[2].shape[1]
        logs = [self._means(sums, count), self.evaluate(after, parameters, val)]
        kept = State(
            *(
                [_where(active, new, old) for new, old in zip(news, olds, strict=True)]
                for news, olds in zip(after, state, strict=True)
            )
        )
        steps = ops.convert_to_tensor(Measuring.steps)
        measured, vectors = self.measure(kept, parameters, probe, steps)
        return kept._replace(vectors=vectors), ops.concatenate(logs, axis=1), measured

    def _step(
        self,
        state: State,
        parameters: Any,
        rates: Tensor | None,
        decays: list[Tensor | None],
        x: Tensor,
        y: Tensor,
    ) -> tuple[State, Losses]:
        """Return the state after one step of the optimizer, and the losses before."""

        def total(weights: list[Tensor]) -> tuple[Tensor, Losses]:
            terms = self._map(
                lambda own: self._objective(own, training=True),
                (weights, state.others, x, y, parameters),
            )
            return ops.sum(terms.loss), terms

        gradients, terms = gradient(total, state.weights)
        proxes = {
            index: functools.partial(self.mixture.prox, index, parameters)
            for index in self.mixture.proximal
        }
        weights, slots = self.optimizer.apply(
            state.slots, gradients, state.weights, proxes, decays, rates
        )
        return state._replace(weights=weights, others=terms.state, slots=slots), terms

    def _evaluated(self, state: State, parameters: Any, part: PartData) -> Tensor:
        """Return `LOGS` of each trial on a part of its data, `(trials, LOGS)`."""

        def step(rows: Tensor, sums: Sums) -> Sums:
            x, y = ops.take(part[0], rows, axis=0), ops.take(part[1], rows, axis=0)
            terms = self._map(
                lambda own: self._objective(own, training=False),
                (state.weights, state.others, x, y, parameters),
            )
            return self._add(sums, terms, y)

        sums = _over(part[2], chunk(part[2].shape[1]), step, self._zero())
        return self._means(sums, part[2].shape[1])

    def _descended(self, state: State, parameters: Any, part: PartData) -> list[Tensor]:
        """Return `−∂(data loss)/∂w` for each trained weight of each trial.

        It takes as many rows at a time as a training step, whose memory is known.
        """
        count, size = part[2].shape[1], self._study.config.train.batch_size

        def step(rows: Tensor, sums: list[Tensor]) -> list[Tensor]:
            x, y = ops.take(part[0], rows, axis=0), ops.take(part[1], rows, axis=0)

            def total(weights: list[Tensor]) -> tuple[Tensor, None]:
                data_loss = self._map(
                    lambda own: self._objective(own, training=False).data_loss,
                    (weights, state.others, x, y, parameters),
                )
                return ops.sum(data_loss), None

            gradients, _ = gradient(total, state.weights)
            share = rows.shape[1] / count
            return [u - share * g for u, g in zip(sums, gradients, strict=True)]

        start = [ops.zeros_like(weight) for weight in state.weights]
        return list(_over(part[2], size, step, start))

    def _sloped(self, state: State, parameters: Any) -> list[Tensor]:
        """Return the gradient of the attached penalties for each trained weight."""

        def one(own: Any) -> Tensor:
            weights, parameters = own
            with self.mixture.with_parameters(parameters):
                pairs = zip(self.model.trainable_variables, weights, strict=True)
                penalised = [
                    (v.regularizer, w) for v, w in pairs if v.regularizer is not None
                ]
                return sum((of(w) for of, w in penalised), ops.zeros((), "float32"))

        def total(weights: list[Tensor]) -> tuple[Tensor, None]:
            return ops.sum(self._map(one, (weights, parameters))), None

        gradients, _ = gradient(total, state.weights)
        return gradients

    def _measured(
        self, state: State, parameters: Any, probe: Tensor, steps: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """Return all measures of each trial, and the vectors of power iterations."""

        def one(own: Any) -> Any:
            values, vectors, probe, parameters = own
            with self.mixture.with_parameters(parameters):
                return self.measuring.compute(values, vectors, steps, probe)

        found: tuple[Tensor, list[Tensor]] = self._map(
            one, (self.values(state), state.vectors, probe, parameters)
        )
        return found

    def _exact(self, state: State) -> list[Tensor]:
        # Values of diverged trials are not stored, but must not break eigenvalues.
        given = [*map(_finite, self.values(state))], [*map(_finite, state.vectors)]
        pairs: list[Tensor] = ops.vectorized_map(
            lambda own: self.measuring.exact(*own), given
        )
        return pairs

    def _zero(self) -> Sums:
        zeros = ops.zeros((self._trials,), "float32")
        score = [
            ops.zeros((self._trials, *variable.shape), variable.dtype)
            for variable in self._metric.variables
        ]
        return Sums(zeros, zeros, zeros, score)

    def _add(self, sums: Sums, terms: Losses, y: Tensor) -> Sums:
        rows = ops.cast(y.shape[1], "float32")
        if self._study.task == "classification":
            # Keras's accuracy drops the axis of rows if there is one row.
            answers = ops.argmax(terms.outputs, axis=-1)
            hits = ops.cast(ops.equal(answers, ops.cast(y, answers.dtype)), "float32")
            score = [sums.score[0] + ops.sum(hits, axis=1), sums.score[1] + rows]
        else:
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

    def _map(self, function: Callable[[Any], Any], stacked: Any) -> Any:
        """Apply a function of one trial's model to all trials."""
        with convolutions.batched_convolutions(self._forms):
            return ops.vectorized_map(function, stacked)


def _over(
    rows: Tensor, size: int, step: Callable[[Tensor, Any], Any], start: Any
) -> Any:
    """Apply `step` to all rows, `(trials, rows)`, `size` at a time."""
    trials, count = rows.shape
    whole = count // size

    def body(index: Tensor, carried: Any) -> Any:
        return step(ops.slice(rows, (0, index * size), (trials, size)), carried)

    carried = ops.fori_loop(0, whole, body, start) if whole else start
    if count % size:
        carried = step(rows[:, whole * size :], carried)
    return carried


def _finite(values: Tensor) -> Tensor:
    """Return floats with 0 for values that are not finite; other dtypes unchanged."""
    if not keras.backend.is_float_dtype(values.dtype):
        return values
    return ops.where(ops.isfinite(values), values, ops.zeros_like(values))


def _where(active: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """Return new values for active trials, old ones for others; counters are new."""
    if len(new.shape) == 0:
        return new
    return ops.where(ops.reshape(active, (-1,) + (1,) * (len(new.shape) - 1)), new, old)
