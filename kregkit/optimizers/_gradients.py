"""Turns the gradients that an optimizer gets into one dense tensor per weight.

On TensorFlow the gradient of an `Embedding` is a list of rows, with one entry for each
lookup of a row. Keras's optimizers square and clip these entries before summing them,
so the step differs from the step for the summed gradient. The gradient of a penalty
makes the sum dense. Without this module, an embedding with a penalty would be trained
by another rule than one without.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kregkit._keras import trained_variables
from kregkit.numerics import Tensor


def whole(
    optimizer: Any,
    grads: Sequence[Tensor],
    variables: Sequence[keras.Variable] | None,
) -> Sequence[Tensor]:
    """Return the gradients with a zero gradient added for each handled penalty.

    Keras does not update a weight without a gradient. With the zero gradient, it also
    updates a weight that has a penalty but no effect on the data loss.

    Args:
        optimizer: a Proximal.
        grads: one for each variable; None if the loss does not depend on it.
        variables: the variables to update; None: all of the optimizer's.
    """
    every = trained_variables(optimizer)
    # Not by `variable.regularizer`: a logger removes it while it trains.
    handled = {id(every[i]): held for i, held in optimizer.phases.handled.items()}
    several = every if variables is None else variables
    if len(grads) != len(several):
        return grads  # Keras raises an error
    found = list(grads)
    for index, variable in enumerate(several):
        held = handled.get(id(variable))
        if held is not None and grads[index] is not None:
            found[index] = summed(grads[index], variable)
        elif held is not None and held.silenced:
            found[index] = ops.zeros_like(variable)
    return found


def summed(gradient: Tensor, variable: keras.Variable) -> Tensor:
    """Return a gradient as a tensor of its variable's shape."""
    if keras.backend.backend() != "tensorflow":
        return gradient
    import tensorflow as tf

    if not isinstance(gradient, tf.IndexedSlices):
        return gradient  # None, where the loss does not depend on the variable
    # `tf.convert_to_tensor` warns if it does not know the shape.
    return tf.math.unsorted_segment_sum(
        gradient.values, gradient.indices, variable.shape[0]
    )


def sum_gradients(optimizer: Any) -> None:
    """Make an optimizer sum the rows of each gradient before it uses it."""

    def summed_first(
        grads: Sequence[Tensor],
        trainable_variables: Sequence[keras.Variable] | None = None,
    ) -> None:
        variables = trainable_variables or trained_variables(optimizer)
        pairs = zip(grads, variables, strict=True)
        apply([summed(g, v) for g, v in pairs], trainable_variables)

    apply = optimizer.apply
    optimizer.apply = summed_first
