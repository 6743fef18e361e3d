"""What an optimizer is given as the gradient of a weight, as one tensor.

On TensorFlow the gradient of an `Embedding` is a list of rows, in which a row that was
looked up twice stands twice. Keras's optimizers square and clip these before they are
summed, so that the step is not that of the loss. The gradient of a penalty has every
row, and makes one tensor of both: with a penalty and without one a weight would be
trained by different rules.
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
    """Return gradients as they would be with that of each handled penalty, as 0.

    Keras does not update a weight without a gradient, and the gradient of a penalty is
    one: a weight that the data loss does not depend on has its penalty alone.

    Args:
        optimizer: a Proximal.
        grads: one for each variable; None for one that the loss does not depend on.
        variables: that are to be updated; all of the optimizer's, if None.
    """
    every = trained_variables(optimizer)
    # While a logger trains, a variable itself has no regularizer.
    handled = {id(every[i]): held for i, held in optimizer.phases.handled.items()}
    several = every if variables is None else variables
    if len(grads) != len(several):
        return grads  # Keras says what is wrong
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
    # `tf.convert_to_tensor` warns where it is not told the shape.
    return tf.math.unsorted_segment_sum(
        gradient.values, gradient.indices, variable.shape[0]
    )


def sum_gradients(optimizer: Any) -> None:
    """Let an optimizer sum the rows of every gradient before it does anything else."""

    def summed_first(
        grads: Sequence[Tensor],
        trainable_variables: Sequence[keras.Variable] | None = None,
    ) -> None:
        variables = trainable_variables or trained_variables(optimizer)
        pairs = zip(grads, variables, strict=True)
        apply([summed(g, v) for g, v in pairs], trainable_variables)

    apply = optimizer.apply
    optimizer.apply = summed_first
