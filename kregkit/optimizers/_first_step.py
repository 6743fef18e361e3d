"""The first step of an optimizer that is built in it, after the gradients were taken.

On TensorFlow Keras builds an optimizer inside the first training step, when the
penalties that it is to handle have had their gradients already. Elsewhere it does so
before.
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
    """Return gradients without those of the penalties, by the index of their variable.

    Raises:
        ParameterError: how much of them the gradients contain is not known.
    """
    if _in_a_first_trace(grads):
        return grads
    scale = _scale(optimizer, grads)
    if scale is None:
        raise ParameterError(
            "Proximal: a loop of your own, or an optimizer around this one, must call "
            "`build(trainable_variables)` before its first step, so that no penalty "
            "has a gradient in it."
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
    """Return how the loss was scaled that these are gradients of, or None.

    It is known of a step of Keras's own, with the loss of Keras's own, that has handed
    its gradients on as they were, or divided by the scale of the loss.
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
    """Return whether TensorFlow is to trace anew the function that took gradients.

    It does so where a function has made variables, as an optimizer does when it is
    built. The penalties have no gradient in the second trace.
    """
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    if tf.executing_eagerly():
        return False
    graph = tf.compat.v1.get_default_graph()
    dense = [getattr(g, "values", g) for g in grads if g is not None]
    return all(g.graph is graph and g.op.type != "Placeholder" for g in dense)
