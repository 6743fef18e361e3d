"""The one walk over a model: every weight with its path, role and layer.

Paths are built from layer names from the model down, so that they are
the same for Sequential, functional, nested and subclassed models.
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
"""Layers that call those inside them in a loop, once for every time step."""


@dataclass(frozen=True)
class Weight:
    """One weight of a model, trained or frozen by its layer.

    Statistics, seeds and what else was made as non-trainable are left out.

    `path` is `layer_path/name`; `role` is "kernel" for every kind of kernel and for
    embeddings, else the weight's own name: "bias", "gamma", "beta", ...
    """

    path: str
    layer_path: str
    name: str
    role: str
    layer: Any
    variable: Any


@dataclass(frozen=True)
class Place:
    """One layer of a model with its path; each layer once, in the model's order."""

    path: str
    layer: Any


def walk_layers(model: Any) -> Iterator[Place]:
    """Yield every layer below a built model once, parents before children."""
    yield from _below(model, "", {id(model)})


def output_places(model: Any) -> dict[str, Place]:
    """Return by the path of every layer the place whose output is its activation.

    It is the layer's own, or that of the layer around it that calls it in a loop.
    """
    found: dict[str, Place] = {}
    outer: Place | None = None
    for place in walk_layers(model):
        if outer is None or not place.path.startswith(f"{outer.path}/"):
            outer = place if isinstance(place.layer, OPAQUE) else None
        found[place.path] = outer or place
    return found


def walk(model: Any) -> Iterator[Weight]:
    """Yield every weight of a built model once, in the model's order.

    It is of the layer that was found first, or of one inside of that: wrappers and
    models keep weights of what is inside them under names of their own.
    """
    found: dict[int, Weight] = {}
    for place in (Place("", model), *walk_layers(model)):
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
    """Return the weight of a model that a variable is, or None."""
    return next((own for own in walk(model) if own.variable is variable), None)


def bind(model: Any) -> None:
    """Note on every weight of a built model which weight of which layer it is.

    A penalty on groups, or of a kernel as a matrix, depends on the kind of layer: the
    units of a transposed convolution are on another axis. Keras tells the layer in
    `fit` and in `model.losses`. Elsewhere, as in a loop of your own with `Proximal`, or
    where you call `layer.kernel_regularizer(layer.kernel)`, a model must be bound.
    """
    for weight in walk(model):
        weight.variable.kregkit_weight = weight


def known_weight(variable: Any) -> Weight | None:
    """Return the weight that a variable was bound as, or None."""
    return getattr(variable, "kregkit_weight", None)


def weight_at_work(w: Any) -> Weight | None:
    """Return the weight whose penalty is computed of `w`, or None.

    It is the one that Keras is at, or a variable that was bound.
    """
    found = regularized(w)
    if found is None:
        return known_weight(w)
    layer, variable = found
    return known_weight(variable) or weight_of(layer, variable)


def _below(layer: Any, prefix: str, seen: set[int]) -> Iterator[Place]:
    names: dict[str, int] = {}
    for child in sublayers(layer):
        if id(child) in seen:
            continue
        seen.add(id(child))
        path = f"{prefix}/{_numbered(child.name, names)}".lstrip("/")
        yield Place(path, child)
        yield from _below(child, path, seen)


def _numbered(name: str, taken: dict[str, int]) -> str:
    """Return the name, with "#2", "#3", ... where it was taken before."""
    count = taken[name] = taken.get(name, 0) + 1
    return name if count == 1 else f"{name}#{count}"
