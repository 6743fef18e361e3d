"""Applies Keras optimizers to weights that are stacked over trials.

An optimizer that treats all elements alike is built on the stacked weights, and applied
without side effects. Operations on a whole tensor (clipping by a norm, constraints) are
done here for each trial.
"""

from collections.abc import Callable, Mapping, Sequence

import keras
import numpy as np
from keras import ops
from keras.optimizers import Optimizer

from kregkit._keras import BASE, decays, index_of, replace_rules, without_strategy
from kregkit.numerics import Tensor
from kregkit.optimizers import KNOWN, after_update, step_size

Proxes = Mapping[int, Callable[[Tensor, Tensor], Tensor]]
"""Proximal steps by the index of their weight: functions of the stacked weights and the
step size, which is a scalar, or one per trial, or one per element."""


def obstacle(optimizer: Optimizer) -> str | None:
    """Return why an optimizer cannot train stacked weights, or None."""
    name = type(optimizer).__name__
    if type(optimizer) not in KNOWN:
        return f"the optimizer {name} is not known to treat all elements alike"
    if optimizer.use_ema:
        return f"{name} keeps moving averages of the weights"
    if optimizer.gradient_accumulation_steps:
        return f"{name} accumulates gradients"
    return None


class Stacked:
    """An optimizer for `trials` copies of a model's weights, as pure functions.

    All trials use the optimizer's learning rate or schedule, unless `apply` gets one
    rate for each.
    """

    def __init__(self, optimizer: Optimizer, model: keras.Model, trials: int) -> None:
        self._optimizer = optimizer
        self._constraints = [w.constraint for w in model.trainable_variables]
        if keras.backend.backend() == "tensorflow":
            without_strategy(optimizer)
        after_update(optimizer, self._proximal_point)
        rules = self._clip, self._update_step, self._decay
        self._update = replace_rules(optimizer, *rules)
        self._proxes: Proxes = {}
        self._rates: Tensor | None = None
        self._decays: Sequence[Tensor | None] = ()
        stacked = [_copies(weight, trials) for weight in model.trainable_variables]
        optimizer.build(stacked)
        self.start = [ops.convert_to_numpy(v) for v in optimizer.variables]

    def apply(
        self,
        slots: list[Tensor],
        gradients: list[Tensor],
        weights: list[Tensor],
        proxes: Proxes,
        decays: Sequence[Tensor | None],
        rates: Tensor | None = None,
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return the weights after one step, and the optimizer's variables.

        `decays` has the decoupled decay of the trials for each weight; None: the
        optimizer's. `rates` has the learning rates of the trials; None: the
        optimizer's.
        """
        self._proxes, self._decays, self._rates = proxes, decays, rates
        weights, slots = BASE.stateless_apply(
            self._optimizer, slots, gradients, weights
        )
        constrained = [
            weight if constraint is None else ops.vectorized_map(constraint, weight)
            for weight, constraint in zip(weights, self._constraints, strict=True)
        ]
        return constrained, slots

    def _rate(self, learning_rate: Tensor, like: Tensor) -> Tensor:
        """Return the learning rate, or one per trial, in a shape to multiply `like`."""
        return learning_rate if self._rates is None else _along(self._rates, like)

    def _update_step(
        self, gradient: Tensor, weights: Tensor, learning_rate: Tensor
    ) -> None:
        self._update(gradient, weights, self._rate(learning_rate, weights))

    def _decay(self, stacked: list[Tensor]) -> None:
        """Decay weights as Keras does, with each trial's learning rate."""
        optimizer = self._optimizer
        for weights in stacked:
            decay = self._decays[index_of(optimizer, weights)]
            if decay is not None:
                decay = _along(decay, weights)
            elif decays(optimizer, weights):
                decay = optimizer.weight_decay
            if decay is not None:
                rate = self._rate(optimizer.learning_rate, weights)
                weights.assign(weights - weights * decay * rate)

    def _proximal_point(
        self, index: int, weights: Tensor, learning_rate: Tensor, _: None
    ) -> Tensor | None:
        if index not in self._proxes:
            return None
        updates = self._optimizer.iterations + 1
        step = step_size(self._optimizer, index, learning_rate, updates)
        if len(step.shape) and step.shape != weights.shape:  # one for each trial
            step = ops.reshape(step, (-1,))
        return self._proxes[index](weights, step)

    def _clip(self, gradients: list[Tensor]) -> list[Tensor]:
        """Clip as Keras does, with each trial's norms."""
        optimizer = self._optimizer
        if optimizer.clipnorm and optimizer.clipnorm > 0:
            return [g * _factor([g], optimizer.clipnorm, g) for g in gradients]
        if optimizer.global_clipnorm and optimizer.global_clipnorm > 0:
            limit = optimizer.global_clipnorm
            return [g * _factor(gradients, limit, g) for g in gradients]
        if optimizer.clipvalue and optimizer.clipvalue > 0:
            limit = optimizer.clipvalue
            return [ops.clip(g, -limit, limit) for g in gradients]
        return gradients


def _factor(gradients: list[Tensor], limit: float, like: Tensor) -> Tensor:
    """Return `min(1, limit / ‖gradients of a trial‖)` in a shape to multiply `like`."""
    flat = [ops.reshape(g, (g.shape[0], -1)) for g in gradients]
    norm = ops.sqrt(sum(ops.sum(ops.square(g), axis=1) for g in flat))
    return _along(limit / ops.maximum(norm, limit), like)


def _along(values: Tensor, like: Tensor) -> Tensor:
    """Return one value per trial in a shape that broadcasts to `like`."""
    return ops.reshape(values, (-1,) + (1,) * (len(like.shape) - 1))


def _copies(weight: keras.Variable, trials: int) -> keras.Variable:
    shape = (trials, *weight.shape)
    return keras.Variable(
        np.zeros(shape, weight.dtype), trainable=True, name=weight.name
    )
