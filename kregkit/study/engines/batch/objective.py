"""The loss of one trial of a batch, in keras ops.

The functions take one model. `epoch` maps them over many trials, with each trial's
weights, data and penalty parameters as tensors.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import keras
import numpy as np
from keras import ops

from kregkit._keras import training_argument
from kregkit.numerics import Tensor
from kregkit.regularizers import Penalty
from kregkit.regularizers._base import bound
from kregkit.study.plan import Trial
from kregkit.study.problem.models import holders
from kregkit.study.problem.resolve import Study
from kregkit.watch.penalties import Penalties
from kregkit.weights import Weight, walk

Term = tuple[str, str, str, str, tuple[tuple[str, str], ...]]
"""Regularizer, target, layers, solver and structural parameters of one loss term."""

Parameters = list[dict[str, Tensor]]
"""One trial's numeric parameters for each term; strength 0 for terms of others."""


def term(trial: Trial) -> Term | None:
    """Return the term of a trial; None for a baseline and for decoupled decay."""
    if trial.regularizer is None or trial.target is None or trial.layers is None:
        return None
    if trial.decay:
        return None
    return trial.regularizer, trial.target, trial.layers, trial.solver, trial.structure


class Losses(NamedTuple):
    """The result of a forward pass: the loss, its parts, outputs, and new state."""

    loss: Tensor
    data_loss: Tensor
    penalty: Tensor
    outputs: Tensor
    state: list[Tensor]


class _Mixed:
    """The sum of all terms of the batch on one tensor."""

    def __init__(
        self,
        live: dict[int, Penalty],
        terms: list[int],
        handled: list[int],
        weight: Weight | None,
    ) -> None:
        self._live = live
        self._handled = handled
        self._weight = weight
        self.terms = terms

    def __call__(self, w: Tensor) -> Tensor:
        total = ops.zeros((), "float32")
        for index in self.terms:
            penalty = bound(self._live[index], self._weight)
            # An overflow must not reach trials without this term.
            given = penalty.strength > 0  # a tensor
            value = ops.where(given, penalty(w), 0.0)
            handled = index in self._handled  # by a proximal step
            total = total + (ops.stop_gradient(value) if handled else value)
        return total


@dataclass(frozen=True)
class Mixture:
    """The penalties of the trials of a batch, attached to one model.

    Each combination of regularizer, target, layers, solver and structural parameters is
    a term. Each trial has a strength for each term: 0, except for its own.
    """

    terms: tuple[Term, ...]
    penalties: tuple[Penalty, ...]
    live: dict[int, Penalty]
    owners: tuple[frozenset[tuple[str, str]], ...]
    """For each term, the layer and tensor (as in a row) of all tensors with it."""

    proximal: dict[int, list[int]]
    """The terms with a proximal step, by the index of their trained weight."""

    weights: tuple[Weight | None, ...]
    """The trained weights, in the order of their index."""

    @classmethod
    def attach(cls, model: keras.Model, study: Study, trials: Iterable[Trial]) -> Self:
        """Set the penalties of all trials on the layers of a model."""
        first: dict[Term, Trial] = {}
        for trial in trials:
            own = term(trial)
            if own is not None:
                first.setdefault(own, trial)
        terms = tuple(sorted(first))
        found = [study.penalty(first[own]) for own in terms]
        penalties = tuple(penalty for penalty in found if penalty is not None)
        live: dict[int, Penalty] = {}
        mixed: dict[int, tuple[Any, str, list[int]]] = {}
        owners = []
        for index, (_, target, layers, *_) in enumerate(terms):
            held = holders(model, target, layers)
            owners.append(frozenset(held))
            for holder, attribute in held.values():
                entry = mixed.setdefault(id(holder), (holder, attribute, []))
                entry[2].append(index)
        handled = [index for index, own in enumerate(terms) if own[3] == "proximal"]
        weights = {id(weight.variable): weight for weight in walk(model)}
        for holder, attribute, indices in mixed.values():
            weight = weights.get(id(holder))
            setattr(holder, attribute, _Mixed(live, indices, handled, weight))
        proximal = {
            index: sorted({*variable.regularizer.terms} & {*handled})
            for index, variable in enumerate(model.trainable_variables)
            if isinstance(variable.regularizer, _Mixed)
            and {*variable.regularizer.terms} & {*handled}
        }
        trained = [weights.get(id(v)) for v in model.trainable_variables]
        return cls(terms, penalties, live, tuple(owners), proximal, tuple(trained))

    def parameters(self, trials: Sequence[Trial]) -> list[dict[str, Any]]:
        """Return the stacked parameters of all trials: one dictionary per term."""
        stacked = []
        for place, penalty in zip(self.terms, self.penalties, strict=True):
            values = {
                name: np.full(len(trials), getattr(penalty, name), "float32")
                for name in penalty.ranges
            }
            values["strength"][:] = 0.0
            for index, trial in enumerate(trials):
                if term(trial) == place:
                    for name in values:
                        values[name][index] = dict(
                            trial.parameters, strength=trial.strength
                        )[name]
            stacked.append(values)
        return stacked

    def prox(
        self, index: int, parameters: Parameters, weights: Tensor, step: Tensor
    ) -> Tensor:
        """Return the stacked proximal points of one weight for all trials.

        `step` is a scalar, or one per trial, or one per element.
        """
        for place in self.proximal[index]:
            strength = parameters[place]["strength"]

            own = bound(self.penalties[place], self.weights[index])

            def one(given: Any, penalty: Penalty = own) -> Tensor:
                w, numbers, *steps = given
                live = penalty.replace(**numbers)
                amount = (steps[0] if steps else step) * live.strength
                return live.prox(w, amount)

            stacked = [weights, parameters[place], *([step] if len(step.shape) else [])]
            has = ops.reshape(strength > 0, (-1,) + (1,) * (len(weights.shape) - 1))
            weights = ops.where(has, ops.vectorized_map(one, stacked), weights)
        return weights

    def owned(self, trial: Trial) -> frozenset[tuple[str, str]]:
        """Return the layer and tensor of all tensors with a trial's penalty."""
        own = term(trial)
        return frozenset() if own is None else self.owners[self.terms.index(own)]

    @contextmanager
    def with_parameters(self, parameters: Parameters) -> Iterator[None]:
        """Use these parameters of one trial for the attached penalties."""
        for index, penalty in enumerate(self.penalties):
            self.live[index] = penalty.replace(**parameters[index])
        try:
            yield
        finally:
            self.live.clear()


class Objective:
    """The loss of one trial as a function of its tensors."""

    def __init__(self, model: keras.Model, study: Study, mixture: Mixture) -> None:
        self._model = model
        self._mixture = mixture
        self._loss = study.loss()
        self._penalties = Penalties(model)

    def __call__(
        self,
        given: tuple[list[Tensor], list[Tensor], Tensor, Tensor, Parameters],
        training: bool,
    ) -> Losses:
        """Return the terms; `given` are weights, state, x, y and parameters."""
        weights, state, x, y, parameters = given
        model, penalties = self._model, self._penalties
        mapping = list(zip(model.trainable_variables, weights, strict=True))
        with self._mixture.with_parameters(parameters), penalties.silenced() as values:
            outputs, state, added = model.stateless_call(
                *(weights, state, x),
                return_losses=True,
                **training_argument(model, training),
            )
            data = ops.sum([self._loss(y, outputs), *added])
            with keras.StatelessScope(state_mapping=mapping):
                penalty = ops.sum([ops.zeros((), "float32"), *values()])
        return Losses(data + penalty, data, penalty, outputs, state)
