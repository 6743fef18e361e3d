"""Private parts of Keras layers and operations: their own variables and sublayers."""

from typing import Any


def own_variables(layer: Any) -> list[Any]:
    """Return the weights that a layer created itself, trained or frozen, in its order.

    The public `layer.weights` includes the weights of inner layers, and has another
    order for a frozen layer.
    """
    return list(layer._trainable_variables)


def own_fixed_variables(layer: Any) -> list[Any]:
    """Return the variables that a layer created itself as non-trainable."""
    return list(layer._non_trainable_variables)


def sublayers(layer: Any) -> list[Any]:
    """Return the direct inner layers of a layer or model.

    The public `model.layers` exists for models only.
    """
    return list(layer._layers)


def calls(operation: Any) -> list[Any]:
    """Return the calls of an operation in functional models, with their tensors.

    The public `layer.input` works only for a layer that is called once.
    """
    return list(operation._inbound_nodes)
