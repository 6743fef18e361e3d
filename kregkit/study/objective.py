"""What one trial of a batch minimises, and what is read from it, in keras ops.

The one rule: everything here is of ONE model. Many trials at once are a vectorized
map over it, with each trial's weights, data and penalty parameters as tensors.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from kregkit.callbacks import Penalties
from kregkit.numerics import Tensor
from kregkit.regularizers import Penalty
from kregkit.study.models import layers_for
from kregkit.study.plan import Trial
from kregkit.study.resolve import Study
from kregkit.weights import walk

Place = tuple[str, str, str]
"""The regularizer, target and layers of a trial: what its batch has one term for."""

Parameters = list[dict[str, Tensor]]
"""The numeric parameters of one trial for each term; strength 0 where it has none."""


def place(trial: Trial) -> Place | None:
    """Return the term that a trial has; None for a baseline."""
    if trial.regularizer is None or trial.target is None or trial.layers is None:
        return None
    return trial.regularizer, trial.target, trial.layers


class Terms(NamedTuple):
    """One forward pass: what is minimised, its parts, and what the model became."""

    loss: Tensor
    data_loss: Tensor
    penalty: Tensor
    outputs: Tensor
    state: list[Tensor]


class _Mixed:
    """The sum of the terms that some trial of the batch has on one tensor."""

    def __init__(self, live: dict[int, Penalty], terms: list[int]) -> None:
        self._live = live
        self.terms = terms

    def __call__(self, w: Tensor) -> Tensor:
        total = ops.zeros((), "float32")
        for term in self.terms:
            penalty = self._live[term]
            # A value that overflows must not reach trials without this term.
            given = penalty.strength > 0  # a tensor
            total = total + ops.where(given, penalty(w), 0.0)
        return total


@dataclass(frozen=True)
class Mixture:
    """The penalties of the trials of a batch, attached to one model.

    Each combination of regularizer, target and layers that a trial has is a term,
    and each trial has a strength for every term, 0 for those that are not its own.
    """

    terms: tuple[Place, ...]
    penalties: tuple[Penalty, ...]
    live: dict[int, Penalty]
    owners: tuple[frozenset[tuple[str, str]], ...]
    """For each term the layer and tensor, as in a row, of everything that it is on."""

    @classmethod
    def attach(cls, model: keras.Model, study: Study, trials: Iterable[Trial]) -> Any:
        """Set the penalties of all trials on the layers of a model."""
        first: dict[Place, Trial] = {}
        for trial in trials:
            own = place(trial)
            if own is not None:
                first.setdefault(own, trial)
        terms = tuple(sorted(first))
        found = [study.penalty(first[term]) for term in terms]
        penalties = tuple(penalty for penalty in found if penalty is not None)
        live: dict[int, Penalty] = {}
        mixed: dict[int, tuple[Any, str, list[int]]] = {}
        owners = []
        for index, (_, target, layers) in enumerate(terms):
            chosen = {id(layer) for layer in layers_for(model, target, layers)}
            owners.append(frozenset(_owners(model, chosen, target)))
            for holder, attribute in _holders(model, chosen, target):
                entry = mixed.setdefault(id(holder), (holder, attribute, []))
                entry[2].append(index)
        for holder, attribute, indices in mixed.values():
            setattr(holder, attribute, _Mixed(live, indices))
        return cls(terms, penalties, live, tuple(owners))

    def parameters(self, trials: Sequence[Trial]) -> list[dict[str, Any]]:
        """Return the parameters of every trial, stacked: one dictionary for a term."""
        stacked = []
        for term, penalty in zip(self.terms, self.penalties, strict=True):
            values = {
                name: np.full(len(trials), getattr(penalty, name), "float32")
                for name in penalty.ranges
            }
            values["strength"][:] = 0.0
            for index, trial in enumerate(trials):
                if place(trial) == term:
                    for name in values:
                        values[name][index] = dict(
                            trial.parameters, strength=trial.strength
                        )[name]
            stacked.append(values)
        return stacked

    def owned(self, trial: Trial) -> frozenset[tuple[str, str]]:
        """Return the layer and tensor of everything that a trial's penalty is on."""
        own = place(trial)
        return frozenset() if own is None else self.owners[self.terms.index(own)]

    @contextmanager
    def lively(self, parameters: Parameters) -> Iterator[None]:
        """Let the attached penalties have these parameters of one trial."""
        for index, penalty in enumerate(self.penalties):
            self.live[index] = penalty.replace(**parameters[index])
        try:
            yield
        finally:
            self.live.clear()


def _holders(
    model: keras.Model, chosen: set[int], target: str
) -> Iterator[tuple[Any, str]]:
    """Yield what Keras reads a regularizer from, and the attribute's name."""
    seen = set()
    for weight in walk(model):
        if id(weight.layer) not in chosen:
            continue
        if target == "activity" and id(weight.layer) not in seen:
            seen.add(id(weight.layer))
            yield weight.layer, "activity_regularizer"
        elif target == weight.role:
            yield weight.variable, "regularizer"


def _owners(
    model: keras.Model, chosen: set[int], target: str
) -> Iterator[tuple[str, str]]:
    for weight in walk(model):
        if id(weight.layer) in chosen:
            if target == "activity":
                yield weight.layer_path, "activation"
            elif target == weight.role:
                yield weight.layer_path, weight.name


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
    ) -> Terms:
        """Return the terms; `given` are weights, state, x, y and parameters."""
        weights, state, x, y, parameters = given
        model, penalties = self._model, self._penalties
        mapping = list(zip(model.trainable_variables, weights, strict=True))
        with self._mixture.lively(parameters), penalties.silenced():
            outputs, state, added = model.stateless_call(
                weights, state, x, training=training, return_losses=True
            )
            data = ops.sum([self._loss(y, outputs), *added])
            with keras.StatelessScope(state_mapping=mapping):
                penalty = ops.sum([ops.zeros((), "float32"), *penalties.values()])
        return Terms(data + penalty, data, penalty, outputs, state)
