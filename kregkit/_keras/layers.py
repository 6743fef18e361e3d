"""What layers and operations do not tell in public: what is their own."""

from typing import Any


def own_variables(layer: Any) -> list[Any]:
    """Return the weights that a layer made itself, trained and frozen, in its order.

    `layer.weights` is public: it repeats those of the layers inside, and has those of a
    frozen layer in another order.
    """
    return list(layer._trainable_variables)


def own_fixed_variables(layer: Any) -> list[Any]:
    """Return the variables that a layer made itself, and made not to be trained."""
    return list(layer._non_trainable_variables)


def sublayers(layer: Any) -> list[Any]:
    """Return the layers that a layer, or a model, holds directly.

    `model.layers` is public, and of models alone: layers hold layers too.
    """
    return list(layer._layers)


def calls(operation: Any) -> list[Any]:
    """Return the calls of an operation in functional models, with their tensors.

    `layer.input` is public, of a layer that is called once.
    """
    return list(operation._inbound_nodes)
