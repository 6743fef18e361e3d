"""Walks over a model's weights and layers, with path, role and layer of each.

Paths join the layer names from the model down. They have the same form for Sequential,
functional, nested and subclassed models.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from keras import layers

from kregkit._keras import own_variables, regularized, sublayers

KERNELS = frozenset(
    {
        "kernel",
        "recurrent_kernel",
        "depthwise_kernel",
        "pointwise_kernel",
        "embeddings",
    }
)


OPAQUE = layers.RNN | layers.TimeDistributed
"""Layers that call their inner layer or cell in a loop, once for every time step."""


@dataclass(frozen=True)
class Weight:
    """One weight of a model, trainable or frozen by its layer.

    Variables that were created as non-trainable, such as statistics and seeds, are no
    weights.

    `path` is `layer_path/name`. `role` is "kernel" for every kind of kernel and for
    embeddings, else the weight's name: "bias", "gamma", "beta", ...
    """

    path: str
    layer_path: str
    name: str
    role: str
    layer: Any
    variable: Any


@dataclass(frozen=True)
class NestedLayer:
    """One layer of a model with its path."""

    path: str
    layer: Any


def walk_layers(model: Any) -> Iterator[NestedLayer]:
    """Yield each layer of a built model once, in its order, parents before children."""
    yield from _below(model, "", {id(model)})


def output_places(model: Any) -> dict[str, NestedLayer]:
    """Return a map from each layer's path to the place where its output is measured.

    This is the layer itself, or an enclosing layer that calls it in a loop.
    """
    found: dict[str, NestedLayer] = {}
    outer: NestedLayer | None = None
    for place in walk_layers(model):
        if outer is None or not place.path.startswith(f"{outer.path}/"):
            outer = place if isinstance(place.layer, OPAQUE) else None
        found[place.path] = outer or place
    return found


def walk(model: Any) -> Iterator[Weight]:
    """Yield each weight of a built model once, in the model's order.

    A weight that several layers hold belongs to the first one found, or to a layer
    inside it: wrappers and models also list the weights of their inner layers.
    """
    found: dict[int, Weight] = {}
    for place in (NestedLayer("", model), *walk_layers(model)):
        names: dict[str, int] = {}
        for variable in own_variables(place.layer):
            held = found.get(id(variable))
            inside = held is not None and f"/{place.path}/".startswith(
                f"/{held.layer_path}/".replace("//", "/")
            )
            if held is None or inside:
                name = _numbered(variable.name, names)
                path = f"{place.path}/{name}".lstrip("/")
                role = "kernel" if variable.name in KERNELS else variable.name
                found[id(variable)] = Weight(
                    path, place.path, name, role, place.layer, variable
                )
    yield from found.values()


def weight_of(model: Any, variable: Any) -> Weight | None:
    """Return the model's weight for a variable, or None."""
    return next((own for own in walk(model) if own.variable is variable), None)


def bind(model: Any) -> None:
    """Attach to each variable of a built model its layer and name.

    Penalties of groups and of matrices depend on the kind of layer: in a transposed
    convolution, another axis numbers the units. In `fit` and in `model.losses` kregkit
    finds the layer itself. Bind the model before a custom training loop with
    `Proximal`, and before you call `layer.kernel_regularizer(layer.kernel)`.
    """
    for weight in walk(model):
        weight.variable.kregkit_weight = weight


def known_weight(variable: Any) -> Weight | None:
    """Return the weight that `bind` attached to a variable, or None."""
    return getattr(variable, "kregkit_weight", None)


def weight_at_work(w: Any) -> Weight | None:
    """Return the weight that is now being penalised, or None if it is not known.

    It is the weight that Keras is regularizing, or the one bound to the variable `w`.
    """
    found = regularized(w)
    if found is None:
        return known_weight(w)
    layer, variable = found
    return known_weight(variable) or weight_of(layer, variable)


def _below(layer: Any, prefix: str, seen: set[int]) -> Iterator[NestedLayer]:
    names: dict[str, int] = {}
    for child in sublayers(layer):
        if id(child) in seen:
            continue
        seen.add(id(child))
        path = f"{prefix}/{_numbered(child.name, names)}".lstrip("/")
        yield NestedLayer(path, child)
        yield from _below(child, path, seen)


def _numbered(name: str, taken: dict[str, int]) -> str:
    """Return the name, with "#2", "#3", ... appended if it was used before."""
    count = taken[name] = taken.get(name, 0) + 1
    return name if count == 1 else f"{name}#{count}"
