"""Corrects the gradients of the step in which Keras builds a `Proximal`.

On TensorFlow, Keras builds an optimizer inside the first training step. The gradients
of that step were taken before, with the gradients of the penalties. On other backends,
Keras builds it before the first step.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from kregkit._keras import training_step
from kregkit.errors import ParameterError
from kregkit.numerics import Tensor
from kregkit.regularizers import Penalty


def without_penalties(
    optimizer: Any,
    grads: Sequence[Tensor],
    variables: Sequence[keras.Variable],
    penalties: Mapping[int, Penalty],
) -> Sequence[Tensor]:
    """Return `grads` minus the gradients of the penalties.

    Args:
        optimizer: the `Proximal`.
        grads: one for each variable.
        variables: the variables of the optimizer.
        penalties: the penalties by the index of their variable.

    Raises:
        ParameterError: the scale of the penalties' gradients is not known.
    """
    if _in_a_first_trace(grads):
        return grads
    scale = _scale(optimizer, grads)
    if scale is None:
        raise ParameterError(
            "Proximal: a custom training loop, or an optimizer around this one, must "
            "call `build(trainable_variables)` before its first step; otherwise "
            "penalties have a gradient in that step."
        )
    import tensorflow as tf

    found = list(grads)
    for index, penalty in penalties.items():
        w = variables[index].value
        with tf.GradientTape() as tape:
            loss = scale(penalty.computed(w, None))
        found[index] -= tape.gradient(loss, w)
    return found


def _scale(
    optimizer: Any, grads: Sequence[Tensor]
) -> Callable[[Tensor], Tensor] | None:
    """Return the function that scaled the loss of these gradients, or None.

    It is known for a training step and a loss of Keras, if the step passed its
    gradients on unchanged, or divided by the loss scale.
    """
    step = training_step()
    if keras.backend.backend() != "tensorflow" or step is None or step.has_own_loss:
        return None
    if step.took(grads):
        return step.optimizer.scale_loss  # type: ignore[no-any-return]  # Keras is untyped
    if isinstance(step.optimizer, keras.optimizers.LossScaleOptimizer):
        return optimizer.scale_loss  # type: ignore[no-any-return]  # Keras is untyped
    return None


def _in_a_first_trace(grads: Sequence[Any]) -> bool:
    """Return whether TensorFlow will trace the function with these gradients again.

    It does so if the function creates variables, as when an optimizer is built. In the
    second trace the penalties have no gradient.
    """
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    if tf.executing_eagerly():
        return False
    graph = tf.compat.v1.get_default_graph()
    dense = [getattr(g, "values", g) for g in grads if g is not None]
    return all(g.graph is graph and g.op.type != "Placeholder" for g in dense)
