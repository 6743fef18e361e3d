"""Finds regularizers without an effect, for a warning of the logger.

Keras reads a layer's regularizer attribute once, when it creates the weight. Later it
adds the regularizers of trained weights only. An attribute that is set later, and the
regularizer of a frozen weight, have no effect.
"""

import re
import warnings
from collections.abc import Iterator
from typing import Any, Final

from kregkit._keras import own_fixed_variables, own_variables
from kregkit.optimizers import proximable, unhandled
from kregkit.weights import NestedLayer, Weight, walk_layers

_ATTRIBUTE: Final = re.compile(
    r"_?(kernel|bias|recurrent|depthwise|pointwise|embeddings|gamma|beta|alpha)"
    r"_regularizer"
)
_KERNELS: Final = ("recurrent", "depthwise", "pointwise")


def warn_of_what_does_nothing(model: Any) -> None:
    """Warn of the regularizers of a built model that add nothing to its loss.

    Warns:
        UserWarning: there are such regularizers; the message names each, with a reason.
    """
    found = [*_attributes(model), *_frozen(model)]
    if found:
        warnings.warn(
            f"RegularizationLogger: these regularizers do nothing: {'; '.join(found)}.",
            stacklevel=3,
        )


def _attributes(model: Any) -> Iterator[str]:
    places = [NestedLayer("", model), *walk_layers(model)]
    for place in places:
        # A custom layer may use such an attribute in its `call`.
        if not type(place.layer).call.__module__.startswith("keras."):
            continue
        below = [p for p in places if f"{p.path}/".startswith(f"{place.path}/")]
        for attribute, regularizer in vars(place.layer).items():
            match = _ATTRIBUTE.fullmatch(attribute)
            if match is None or regularizer is None or not place.layer.built:
                continue
            name = match[1] + ("_kernel" if match[1] in _KERNELS else "")
            weights = [w for w in _weights([place]) if w.name == name] or [
                weight for weight in _weights(below) if weight.name == name
            ]
            if not any(_same(regularizer, weight) for weight in weights):
                has = sorted({_called(w.variable.regularizer) for w in weights})
                reason = (
                    f"the weight was made with {' and '.join(has)}"
                    if weights
                    else "there is no such weight"
                )
                where = f"{attribute!r} of layer {place.path!r}"
                yield f"{where} is {_called(regularizer)}, but {reason}"


def _frozen(model: Any) -> Iterator[str]:
    trained = {id(variable) for variable in model.trainable_variables}
    seen: set[int] = set()
    for weight in _weights([NestedLayer("", model), *walk_layers(model)]):
        key = id(weight.variable)
        regularizer = unhandled(weight.variable.regularizer)
        if regularizer is None or key in trained or key in seen:
            continue
        seen.add(key)
        yield f"{weight.path!r} has {_called(regularizer)}, but it is not trained"


def _weights(places: list[NestedLayer]) -> Iterator[Weight]:
    """Yield the weights of these layers, without weights of their inner layers."""
    for place in places:
        own = place.layer
        for variable in (*own_variables(own), *own_fixed_variables(own)):
            path = f"{place.path}/{variable.name}".lstrip("/")
            role = variable.name
            yield Weight(path, place.path, role, role, own, variable)


def _same(regularizer: Any, weight: Weight) -> bool:
    """Return whether a weight has this regularizer, or one with an equal config."""
    other = unhandled(weight.variable.regularizer)
    if other is None or other is regularizer:
        return other is regularizer
    one, other = (proximable(own) or own for own in (regularizer, other))
    if type(one) is not type(other) or not hasattr(one, "get_config"):
        return False
    # A live copy has no config. It was made from this penalty, to vary its strength.
    return "_live" in vars(other) or one.get_config() == other.get_config()


def _called(regularizer: Any) -> str:
    found = unhandled(regularizer)
    return "none" if found is None else type(found).__name__
