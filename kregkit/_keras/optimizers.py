"""What optimizers do not tell in public: their variables, slots and updates."""

from typing import Any

import keras


def applies_itself(optimizer: Any) -> bool:
    """Return whether an optimizer is Keras's own and hands gradients to no other.

    There is no common interface of the optimizers that hold others.
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

    `optimizer.variables` is public; it has the slots, and not what they are for.
    """
    return optimizer._trainable_variables  # type: ignore[no-any-return]  # untyped


def index_of(optimizer: Any, variable: Any) -> int:
    """Return the place of a variable, or of a stand-in for it, among these."""
    return optimizer._get_variable_index(variable)  # type: ignore[no-any-return]  # untyped


def averages(optimizer: Any) -> list[Any]:
    """Return the moving averages of `use_ema`, one for each trained variable."""
    return optimizer._model_variables_moving_average  # type: ignore[no-any-return]  # untyped


def slots(optimizer: Any, name: str) -> Any:
    """Return the slots that a rule of Keras keeps under a name, as "velocities".

    The names of slots in `optimizer.variables` are public, and not unique: those of
    two weights of one name are the same.
    """
    return getattr(optimizer, f"_{name}")


def track(optimizer: Any, variable: Any) -> None:
    """Make a variable one of the optimizer's, which JAX carries through a step.

    `add_variable` is public, but makes a variable of its own.
    """
    optimizer._track_variable(variable)


def untrack(optimizer: Any, variables: list[Any]) -> list[Any]:
    """Take variables out of the optimizer's, and return those that were among them."""
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
"""The optimizer without a backend, which Keras exports under no name."""


def decays(optimizer: Any, variable: Any) -> bool:
    """Return whether the optimizer's own weight decay acts on a variable.

    `exclude_from_weight_decay` is public, and what was excluded cannot be asked for.
    """
    return bool(optimizer._use_weight_decay(variable))


def replace_rules(optimizer: Any, clip: Any, update_step: Any, decay: Any) -> Any:
    """Replace how this optimizer clips, updates and decays; return its `update_step`.

    Its public `apply` has the order of these, and what else happens in a step.
    """
    own = optimizer.update_step
    optimizer._clip_gradients = clip
    optimizer.update_step = update_step
    optimizer._apply_weight_decay = decay
    return own


def without_strategy(optimizer: Any) -> None:
    """Give an optimizer of the TensorFlow backend the backend-neutral methods.

    Its own ones want variables that they may assign to, for `tf.distribute`.
    """
    for name in ("assign", "assign_add", "assign_sub", "_var_key"):
        setattr(optimizer, name, getattr(BASE, name).__get__(optimizer))
    update = BASE._backend_update_step.__get__(optimizer)
    optimizer._backend_update_step = update
    if isinstance(optimizer, keras.optimizers.Nadam):

        def with_product(grads: Any, variables: Any, learning_rate: Any) -> None:
            # What Nadam does before it calls its parent's.
            product = optimizer._u_product
            step = keras.ops.cast(optimizer.iterations + 1, product.dtype)
            factor = 1.0 - 0.5 * keras.ops.power(0.96, step)
            optimizer.assign(product, product * optimizer.beta_1 * factor)
            update(grads, variables, learning_rate)

        optimizer._backend_update_step = with_product
