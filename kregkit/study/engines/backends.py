"""Inspects a traced model on each backend, for the schedule."""

from collections.abc import Callable
from typing import Any, Final

import keras

from kregkit._keras import functions_of

SUPPORTED: Final = ("tensorflow", "jax")


def obstacle(forward: Callable[[Any], Any], given: Any) -> str | None:
    """Return why a pass over one model cannot be mapped over many, or None.

    The result of a random or stateful operation depends on how often it has run, so it
    would differ between one model and many. Keras's random layers are no problem: their
    state is a variable of the model.
    """
    if keras.backend.backend() == "jax":
        return None
    sparse: list[int] = []
    missing: list[int] = []
    graph = _graph(
        lambda given: _differentiated(forward, given, sparse, missing), given
    )
    operations = _operations(graph)
    names = {op.type for op in operations if op.op_def.is_stateful}
    if known := ", ".join(sorted(names - _HARMLESS - {_READ})):
        return f"the model is stateful beyond Keras's variables: {known}"
    if _READ in names:  # tensors have replaced all variables of the model
        return "the model reads a variable that is not its own, such as a global seed"
    if any(op.type == "PadV2" for op in operations):
        return "TensorFlow's vectorized map pads with 0, whatever the constant is"
    if sparse:
        return "a gradient is sparse, such as the gradient of an embedding"
    if missing:  # Keras does not update such a weight, not even by weight decay
        return "the loss does not depend on a trained weight"
    return None


def traffic(forward: Callable[[Any], Any], given: Any) -> int:
    """Return the bytes of all tensors that a pass over one model computes."""
    if keras.backend.backend() == "jax":
        import jax

        traced = jax.make_jaxpr(forward)(given)
        shapes = [v.aval for eqn in traced.jaxpr.eqns for v in eqn.outvars]
        return sum(int(s.size) * s.dtype.itemsize for s in shapes if hasattr(s, "size"))
    outputs = [out for op in _operations(_graph(forward, given)) for out in op.outputs]
    return sum(
        (out.shape.num_elements() or 0) * out.dtype.size
        for out in outputs
        if out.dtype.name != "resource" and out.dtype.name != "variant"
    )


_HARMLESS: Final = frozenset(
    {"Assert", "NoOp", "Placeholder", "StatefulPartitionedCall"}
)
_READ: Final = "ReadVariableOp"


def _differentiated(
    forward: Callable[[Any], Any], given: Any, sparse: list[int], missing: list[int]
) -> list[Any]:
    """Return the gradients of the first output with respect to the first inputs.

    The indices of sparse gradients are added to `sparse`, and the indices of weights
    without a gradient to `missing`. Keras squares and clips a sparse gradient before it
    sums repeated rows; a stacked gradient is dense.
    """
    import tensorflow as tf

    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(given[0])
        value = forward(given)[0]
    gradients = tape.gradient(value, given[0])
    sparse += [i for i, g in enumerate(gradients) if isinstance(g, tf.IndexedSlices)]
    missing += [i for i, gradient in enumerate(gradients) if gradient is None]
    return [gradient for gradient in gradients if gradient is not None]


def _graph(forward: Callable[[Any], Any], given: Any) -> Any:
    import tensorflow as tf

    def flat(*leaves: Any) -> Any:
        return forward(tf.nest.pack_sequence_as(given, leaves))

    return (
        tf.function(flat, autograph=False)
        .get_concrete_function(*tf.nest.flatten(given))
        .graph
    )


def _operations(graph: Any) -> list[Any]:
    """Return the operations of a graph and of the functions that it calls."""
    found = list(graph.get_operations())
    for inner in functions_of(graph):
        found += inner.get_operations()
    return found


def out_of_memory(error: Exception) -> bool:
    """Return whether a backend raises this error when memory runs out."""
    if isinstance(error, MemoryError):
        return True
    if keras.backend.backend() == "jax":
        return "RESOURCE_EXHAUSTED" in str(error)
    import tensorflow as tf

    return isinstance(error, tf.errors.ResourceExhaustedError)
