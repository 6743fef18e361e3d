"""Removes the gradients of penalties that `Proximal` applies by proximal steps.

From `claim` to `release`, the penalty of a variable is part of the loss but has no
gradient, since the optimizer applies its proximal operator instead. This holds for
`fit`, for custom training loops, and for explicit calls of the penalty. Another
optimizer would train the variable without its penalty, so its first update raises an
error.
"""

import contextlib
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

import keras
from keras import ops

from kregkit._keras import applies_itself, training_step
from kregkit.errors import ModelError
from kregkit.numerics import Tensor, addable
from kregkit.regularizers._parameters import unknown_layer
from kregkit.weights import Weight, known_weight, weight_at_work

if TYPE_CHECKING:
    from kregkit.regularizers._base import Penalty

_HANDLED: "weakref.WeakKeyDictionary[Penalty, weakref.WeakSet[ProximalPenalty]]"
_HANDLED = weakref.WeakKeyDictionary()
"""The variables of each handled penalty. A penalty that is called explicitly finds here
whether the tensor that it gets is such a variable."""


class Owner(Protocol):
    """An optimizer that takes proximal steps."""

    def replaces(self, penalty: "Penalty") -> bool:
        """Return whether its steps now replace the gradient of a penalty."""


class ProximalPenalty(keras.regularizers.Regularizer):
    """The regularizer of a variable while optimizers apply its proximal operator.

    Attributes:
        silenced: whether the last computed value had no gradient.

    Args:
        penalty: the penalty of the variable.
        variable: the variable that gets this regularizer.
    """

    def __init__(self, penalty: "Penalty", variable: keras.Variable) -> None:
        self.penalty = penalty
        self._weight: Weight | None = None
        self._variable = weakref.ref(variable)
        self._claims: weakref.WeakSet[Owner] = weakref.WeakSet()
        self._others = _OtherUpdates(self, variable.constraint)
        self._updating = 0
        self.silenced = False
        _HANDLED.setdefault(penalty, weakref.WeakSet()).add(self)

    @property
    def path(self) -> str:
        """The path of the variable, for messages."""
        variable = self._variable()
        return "a deleted variable" if variable is None else str(variable.path)

    @property
    def bound(self) -> "Penalty":
        """The penalty with the axes of the weight's layer.

        Raises:
            ModelError: the penalty depends on the layer, which is not known.
        """
        variable = self._variable()
        self._weight = self._weight or known_weight(variable)
        rank = 0 if variable is None else len(variable.shape)
        if self._weight is None and self.penalty.needs_layer(rank):
            raise ModelError(unknown_layer(self.penalty, self.path))
        return self.penalty.bound(self._weight)

    def claim(self, owner: Owner) -> None:
        """Remove the gradient while the owner exists and `replaces` the penalty."""
        self._claims.add(owner)
        variable = self._variable()
        if variable is not None and not self._updating:
            variable.constraint = self._others

    def release(self, owner: Owner) -> None:
        """Restore the gradient, unless another optimizer has a claim."""
        self._claims.discard(owner)
        variable = self._variable()
        if not self._claims and variable is not None:
            variable.constraint = self._others.constraint

    def claimed_by(self, owner: Owner) -> bool:
        """Return whether an optimizer holds a claim."""
        return owner in self._claims

    @contextlib.contextmanager
    def updated_by_owner(self) -> Iterator[None]:
        """Restore the variable's own constraint while an owner updates it.

        Replicas enter and leave one after another, so the number inside is counted.
        """
        variable = self._variable()
        self._updating += 1
        if variable is not None:
            variable.constraint = self._others.constraint
        try:
            yield
        finally:
            self._updating -= 1
            if variable is not None and self._claims and not self._updating:
                variable.constraint = self._others

    def has_gradient(self) -> bool:
        """Return whether the gradient of the penalty must reach the variable.

        In a training step of Keras, the updating optimizer is known. If it has no inner
        optimizer, it is none of the owners, since each of these has one.
        """
        step = training_step()
        if step is not None and applies_itself(step.optimizer):
            return True
        return not any(own.replaces(self.penalty) for own in list(self._claims))

    def __call__(self, w: Tensor) -> Tensor:
        self._weight = self._weight or weight_at_work(w)
        given = w
        self.silenced = not self.has_gradient()
        if self.silenced:
            w = ops.stop_gradient(ops.convert_to_tensor(w))
        return addable(self.penalty.computed(w, self._weight), given)

    def is_given(self, w: Tensor) -> bool:
        """Return whether a tensor is the variable or its present value."""
        variable = self._variable()
        return variable is not None and (w is variable or w is variable.value)

    def get_config(self) -> dict[str, Any]:
        return self.penalty.get_config()


class _OtherUpdates(keras.constraints.Constraint):
    """A constraint that raises when an optimizer without a claim updates the variable.

    Keras optimizers call the constraint of a variable right after its update.
    """

    def __init__(self, held: ProximalPenalty, constraint: Any) -> None:
        self._held = weakref.ref(held)
        self.constraint = constraint

    def __call__(self, w: Tensor) -> Tensor:
        held = self._held()
        if held is not None and not held.has_gradient():
            raise ModelError(
                f"{held.path}: an optimizer that is no Proximal updated it without its "
                f"penalty {type(held.penalty).__name__}, which has no gradient while a "
                "Proximal handles it; call that Proximal's `release()` before you "
                "train with another optimizer."
            )
        return w if self.constraint is None else self.constraint(w)

    def get_config(self) -> dict[str, Any]:
        return {} if self.constraint is None else self.constraint.get_config()


def handled(penalty: "Penalty", w: Tensor) -> ProximalPenalty | None:
    """Return the `ProximalPenalty` that handles this penalty for `w`, or None."""
    return next((own for own in _HANDLED.get(penalty, ()) if own.is_given(w)), None)
