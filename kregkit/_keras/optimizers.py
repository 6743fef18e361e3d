"""Private parts of Keras optimizers: their variables, slots and updates."""

from typing import Any

import keras


def applies_itself(optimizer: Any) -> bool:
    """Return whether an optimizer is Keras's own, and contains no other optimizer.

    Optimizers that contain others have no common interface.
    """
    own: Any = keras.optimizers
    holders = tuple(
        getattr(own, name)
        for name in ("LossScaleOptimizer", "MultiOptimizer")
        if hasattr(own, name)
    )
    ours = type(optimizer).__module__.startswith("keras.")
    return ours and not isinstance(optimizer, holders)


def trained_variables(optimizer: Any) -> list[Any]:
    """Return the variables that an optimizer updates, in the order of its slots.

    The public `optimizer.variables` has the slots, but not the variables they are for.
    """
    return optimizer._trainable_variables  # type: ignore[no-any-return]  # untyped


def index_of(optimizer: Any, variable: Any) -> int:
    """Return the index of a variable, or its stand-in, in `trained_variables`."""
    return optimizer._get_variable_index(variable)  # type: ignore[no-any-return]  # untyped


def averages(optimizer: Any) -> list[Any]:
    """Return the moving averages of `use_ema`, one for each trained variable."""
    return optimizer._model_variables_moving_average  # type: ignore[no-any-return]  # untyped


def slots(optimizer: Any, name: str) -> Any:
    """Return an optimizer's slots by their attribute name, such as "velocities".

    The public names of slots in `optimizer.variables` are not unique: two weights with
    one name have slots with one name.
    """
    return getattr(optimizer, f"_{name}")


def track(optimizer: Any, variable: Any) -> None:
    """Add a variable to the optimizer's, so that JAX carries it through a step.

    The public `add_variable` creates a new variable.
    """
    optimizer._track_variable(variable)


def untrack(optimizer: Any, variables: list[Any]) -> list[Any]:
    """Remove variables from the optimizer's, and return those that were removed."""
    held = optimizer._variables
    dropped = [v for v in variables if any(v is own for own in held)]
    for variable in dropped:
        del held[next(i for i, own in enumerate(held) if own is variable)]
    return dropped


BASE: Any = next(
    parent
    for parent in keras.optimizers.Optimizer.__mro__
    if parent.__name__ == "BaseOptimizer"
)
"""The optimizer without a backend, which Keras does not export."""


def decays(optimizer: Any, variable: Any) -> bool:
    """Return whether the optimizer's own weight decay acts on a variable.

    The public `exclude_from_weight_decay` sets exclusions, but cannot list them.
    """
    return bool(optimizer._use_weight_decay(variable))


def replace_rules(optimizer: Any, clip: Any, update_step: Any, decay: Any) -> Any:
    """Replace an optimizer's clipping, update and decay; return its `update_step`.

    The public `apply` calls these in order, with the rest of a step.
    """
    own = optimizer.update_step
    optimizer._clip_gradients = clip
    optimizer.update_step = update_step
    optimizer._apply_weight_decay = decay
    return own


def without_strategy(optimizer: Any) -> None:
    """Give a TensorFlow optimizer the methods of the optimizer without a backend.

    Its own methods need variables that they can assign to, for `tf.distribute`.
    """
    for name in ("assign", "assign_add", "assign_sub", "_var_key"):
        setattr(optimizer, name, getattr(BASE, name).__get__(optimizer))
    update = BASE._backend_update_step.__get__(optimizer)
    optimizer._backend_update_step = update
    if isinstance(optimizer, keras.optimizers.Nadam):

        def with_product(grads: Any, variables: Any, learning_rate: Any) -> None:
            # Nadam does this before it calls its parent's method.
            product = optimizer._u_product
            step = keras.ops.cast(optimizer.iterations + 1, product.dtype)
            factor = 1.0 - 0.5 * keras.ops.power(0.96, step)
            optimizer.assign(product, product * optimizer.beta_1 * factor)
            update(grads, variables, learning_rate)

        optimizer._backend_update_step = with_product
