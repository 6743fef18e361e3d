"""How penalties act on the weights of an optimizer, in each phase of a training.

The one rule: a penalty acts by its proximal step or by its gradient, never by both.
"""

from typing import Any

import keras
from keras import ops

from kregkit.numerics import Tensor
from kregkit.optimizers._steps import after_update, step_size
from kregkit.regularizers import Penalty


class Phases:
    """The proximal steps of an optimizer, and what a training does to them by phase.

    As it is made, every penalty with a proximal operator acts by it after each update.
    The other phases are of penalties that make zeros, the `sparse` ones. A step that
    was traced knows nothing of a phase that began later.

    Attributes:
        penalties: by the index of their weight.
        factor: what the strengths of sparse penalties are multiplied by, a variable.
        frozen: whether weights at zero stay there, and sparse penalties rest.
    """

    factor: keras.Variable

    def __init__(self, optimizer: Any, metric: str) -> None:
        self.penalties: dict[int, Penalty] = {}
        self.frozen = False
        self._optimizer = optimizer
        self._metric = metric
        self._averaged: dict[int, tuple[keras.Variable, keras.Variable]] = {}
        self._begun = 0
        after_update(optimizer, self._proximal_point, self._kept, self._instead)

    def build(self) -> None:
        # A variable that is made while a step is traced has TensorFlow trace it anew:
        # in the first trace the penalties still had gradients.
        self.factor = self._optimizer.add_variable((), "ones", name="factor")

    def sparse(self) -> list[int]:
        """Return the indices of the weights whose penalties make zeros."""
        return [index for index, p in self.penalties.items() if p.sparse]

    def sparse_weights(self) -> list[keras.Variable]:
        """Return these weights."""
        weights = self._optimizer._trainable_variables
        return [weights[index] for index in self.sparse()]

    def replaces(self, penalty: Penalty) -> bool:
        """Return whether the gradient of a penalty is not to reach the weights."""
        return penalty.proximal or self._rests(penalty)

    def begin(self) -> None:
        """Let every penalty act by proximal steps again, at full strength."""
        self.factor.assign(1.0)
        self.frozen = False
        self._stop_averaging()

    def average(self) -> None:
        """Begin dual averaging, of the weights whose penalty is convex and sparse.

        From here on `w = prox(w₀ − s·Σg, t·s·strength)` after `t` steps, with the step
        `s` of each weight as it is now. The zeros are those where the mean of all
        gradients is below the strength, not that of the last few: that a pattern found
        so settles while proximal steps go in and out of it is shown by Lee and Wright
        2012, JMLR 13. The method is Xiao's 2010, JMLR 11.
        """
        optimizer = self._optimizer
        self._stop_averaging()
        self._begun = int(optimizer.iterations)
        for index in self.sparse():
            weight = optimizer._trainable_variables[index]
            if self.penalties[index].convex:
                size = ops.broadcast_to(self._step(index, self._rate()), weight.shape)
                pair = [
                    optimizer.add_variable(weight.shape, dtype=weight.dtype, name=name)
                    for name in ("averaged_point", "averaged_step")
                ]
                pair[0].assign(ops.copy(weight.value))  # JAX donates the weight's
                pair[1].assign(size)
                self._averaged[index] = (pair[0], pair[1])

    def freeze(self, below: float) -> None:
        """Set weights with `|w| <= below` to zero, and keep them there."""
        self._stop_averaging()
        self.frozen = True
        optimizer = self._optimizer
        for index in self.sparse():
            weight = optimizer._trainable_variables[index]
            kept = ops.abs(weight.value) > below
            held = [weight]
            if optimizer.use_ema:
                held.append(optimizer._model_variables_moving_average[index])
            for variable in held:
                value = variable.value
                variable.assign(ops.where(kept, value, ops.zeros_like(value)))

    def _stop_averaging(self) -> None:
        made = {id(variable) for pair in self._averaged.values() for variable in pair}
        held = self._optimizer._variables
        for index in reversed(range(len(held))):
            if id(held[index]) in made:
                del held[index]
        self._averaged.clear()

    def _rests(self, penalty: Penalty) -> bool:
        return self.frozen and penalty.sparse

    def _rate(self) -> Tensor:
        return self._optimizer.learning_rate

    def _step(self, index: int, learning_rate: Tensor) -> Tensor:
        """Return the step of a weight after an update of this learning rate."""
        optimizer = self._optimizer
        dtype = optimizer._trainable_variables[index].dtype
        step = ops.cast(learning_rate, dtype)
        if self._metric == "optimizer":
            step = step_size(optimizer, index, step, optimizer.iterations + 1)
        return step

    def _strength(self, index: int, dtype: str) -> Tensor:
        penalty = self.penalties[index]
        strength = ops.cast(penalty.strength, dtype)
        return strength * ops.cast(self.factor, dtype) if penalty.sparse else strength

    def _proximal_point(
        self, index: int, weight: Tensor, learning_rate: Tensor
    ) -> Tensor | None:
        penalty = self.penalties.get(index)
        if penalty is None or not penalty.proximal or self._rests(penalty):
            return None
        # Every step is proportional to the learning rate: the strength is multiplied
        # into a scalar here, not into a tensor of the weight's shape.
        rate = ops.cast(learning_rate, weight.dtype)
        amount = self._step(index, rate * self._strength(index, weight.dtype))
        return penalty.prox(weight, amount)

    def _kept(self, index: int, weight: Tensor) -> Tensor | None:
        penalty = self.penalties.get(index)
        return weight == 0 if penalty is not None and self._rests(penalty) else None

    def _instead(self, index: int, gradient: Tensor) -> Tensor | None:
        if index not in self._averaged:
            return None
        point, step = self._averaged[index]
        moved = point - step * ops.cast(gradient, point.dtype)
        self._optimizer.assign(point, moved)
        updates = ops.cast(self._optimizer.iterations + 1 - self._begun, point.dtype)
        amount = step * (updates * self._strength(index, point.dtype))
        return self.penalties[index].prox(moved, amount)
