"""An optimizer's step size for each weight, and a hook after each update.

For a constant gradient `g`, the optimizer moves a weight by `-step_size·g`. With this
step size, a fixed point of update and proximal step is a minimum of the penalised
objective.
"""

from collections.abc import Callable
from typing import Any, Final

import keras
from keras import ops

from kregkit._keras import index_of, slots, trained_variables
from kregkit.errors import ModelError
from kregkit.numerics import Tensor

KNOWN: Final = (
    keras.optimizers.Adadelta,
    keras.optimizers.Adagrad,
    keras.optimizers.Adam,
    keras.optimizers.Adamax,
    keras.optimizers.AdamW,
    keras.optimizers.Nadam,
    keras.optimizers.RMSprop,
    keras.optimizers.SGD,
)
"""The optimizers with a known step size; they treat all elements alike."""

_UPDATE: Final = (
    "_backend_update_step" if keras.backend.backend() == "torch" else "update_step"
)
"""The method that updates weights: on PyTorch all in one call, elsewhere one."""


def step_size(
    optimizer: keras.optimizers.Optimizer,
    index: int,
    learning_rate: Tensor,
    updates: Tensor,
) -> Tensor:
    """Return the step size for the weight at `index`, after an update.

    It is the distance that the update would move the weight for a gradient of 1 in all
    updates so far, given the present averages of squares. With momentum β it is
    `lr·(1-βᵗ)/(1-β)`. For Adam it is `lr·√(1-β₂ᵗ)/(√v+ε)`, since Adam's factor
    `1/(1-β₁ᵗ)` corrects its momentum.

    Args:
        optimizer: a built optimizer, in its state after the update.
        index: the index of the weight among the optimizer's weights.
        learning_rate: the learning rate of the update; a tensor is broadcast to the
            weight.
        updates: the number of updates so far, including this one.

    Returns:
        A tensor of the shape of the learning rate, or of the weight.

    Raises:
        ModelError: the optimizer is not in `KNOWN`.
    """
    own: Any = optimizer
    dtype = trained_variables(own)[index].dtype
    rate, time = ops.cast(learning_rate, dtype), ops.cast(updates, dtype)
    match kind(own):
        case keras.optimizers.SGD:
            ahead = 1.0 if own.nesterov else 0.0
            return rate * _momentum(own.momentum, time + ahead)
        case keras.optimizers.RMSprop:
            variance = slots(own, "velocities")[index] + own.epsilon
            if own.centered:
                variance = variance - ops.square(slots(own, "average_gradients")[index])
            return rate / ops.sqrt(variance) * _momentum(own.momentum, time)
        case keras.optimizers.Adagrad:
            return rate / ops.sqrt(slots(own, "accumulators")[index] + own.epsilon)
        case keras.optimizers.Adadelta:
            # The update used the deltas from before it, which are overwritten. The new
            # deltas differ by a factor near 1.
            deltas = slots(own, "accumulated_delta_vars")[index] + own.epsilon
            return rate * ops.sqrt(
                deltas / (slots(own, "accumulated_grads")[index] + own.epsilon)
            )
        case keras.optimizers.Adamax:
            return rate / (slots(own, "u")[index] + own.epsilon)
        case keras.optimizers.Nadam:
            unbiased = slots(own, "velocities")[index] / (1.0 - own.beta_2**time)
            factor = _nesterov(own.beta_1, time, slots(own, "u_product"))
            return rate * factor / (ops.sqrt(unbiased) + own.epsilon)
        case keras.optimizers.Adam | keras.optimizers.AdamW:
            squares = slots(own, "velocity_hats" if own.amsgrad else "velocities")
            root = ops.sqrt(squares[index]) + own.epsilon
            return rate * ops.sqrt(1.0 - own.beta_2**time) / root
    raise AssertionError(own)


def _momentum(beta: float, time: Tensor) -> Tensor:
    return (1.0 - beta**time) / (1.0 - beta)


def _nesterov(beta: float, time: Tensor, product: Tensor) -> Tensor:
    """Return the factor of a constant gradient in Nadam's update."""
    now, then = (beta * (1.0 - 0.5 * 0.96**t) for t in (time, time + 1.0))
    product = ops.cast(product, time.dtype)
    mean = then * (1.0 - beta**time) / (1.0 - product * then)
    return mean + (1.0 - now) / (1.0 - product)


def after_update(
    optimizer: Any,
    point: Callable[[int, Tensor, Tensor, Any], Tensor | None],
    kept: Callable[[int, Tensor], Any] = lambda index, weight: None,
) -> None:
    """Make an optimizer call a function after each update of a weight.

    The function is called where the optimizer updates: on each replica, and in the
    branch that is taken.

    Args:
        optimizer: the optimizer.
        point: takes a weight's index, its updated value, the learning rate and the
            result of `kept`; returns the weight's new value, or None for no change.
        kept: takes a weight's index and its value before the update.
    """

    def value(variable: Any) -> Tensor:
        own = variable.value if isinstance(variable, keras.Variable) else variable
        return ops.convert_to_tensor(own)

    def updated(gradients: Any, variables: Any, learning_rate: Tensor) -> None:
        several = variables if isinstance(variables, list) else [variables]
        indices = [index_of(optimizer, variable) for variable in several]
        before = [kept(i, value(v)) for i, v in zip(indices, several, strict=True)]
        update(gradients, variables, learning_rate)
        for index, variable, own in zip(indices, several, before, strict=True):
            found = point(index, value(variable), learning_rate, own)
            if found is not None:
                optimizer.assign(variable, found)

    update = getattr(optimizer, _UPDATE)
    setattr(optimizer, _UPDATE, updated)


def has_after_update(optimizer: Any) -> bool:
    """Return whether `after_update` was called for this optimizer."""
    return _UPDATE in optimizer.__dict__


def innermost(optimizer: Any) -> Any:
    """Return the innermost optimizer, which updates the weights."""
    while hasattr(optimizer, "inner_optimizer"):
        optimizer = optimizer.inner_optimizer
    return optimizer


def kind(optimizer: Any) -> type:
    """Return the class of an optimizer in `KNOWN`; on PyTorch, Keras has subclasses.

    Raises:
        ModelError: the optimizer is none of them.
    """
    if type(optimizer).__module__.startswith("keras."):
        for known in type(optimizer).__mro__:
            if known in KNOWN:
                return known
    raise ModelError(
        f"{type(optimizer).__name__}: its step size for each weight is not known; "
        f"known are {', '.join(sorted(known.__name__ for known in KNOWN))}."
    )
