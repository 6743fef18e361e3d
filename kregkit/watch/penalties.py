"""Separates the penalties of a model from its data loss.

The data loss is what Keras computes while all regularizers return zero. It is not a
difference of sums, which would lose digits.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import keras
from keras import ops

from kregkit.layers import ActivityRegularization
from kregkit.numerics import Tensor
from kregkit.regularizers._base import bound
from kregkit.weights import NestedLayer, Weight, walk, walk_layers

_Adds: TypeAlias = Callable[..., Tensor]
"""Returns what a layer adds to the loss, from its output and, if used, its mask."""


class Penalties:
    """The regularizers of a model that Keras adds to the loss: layers, then weights.

    Inside `silenced`, regularizers return zero, and the yielded function returns their
    values. The data loss is then exact; losses that layers add by `add_loss` are part
    of it. Outside, nothing changes, so checkpoints during training keep the model's
    regularizers.
    """

    def __init__(self, model: Any) -> None:
        self.weights = penalised_weights(model)
        self.layers = [
            place
            for place in (NestedLayer("", model), *walk_layers(model))
            if isinstance(place.layer, ActivityRegularization)
            or place.layer.activity_regularizer is not None
        ]

    @property
    def paths(self) -> list[str]:
        """The path of each penalty's layer or weight, in the order of their values."""
        paths = [f"{place.path}/activity".lstrip("/") for place in self.layers]
        return paths + [weight.path for weight in self.weights]

    @contextlib.contextmanager
    def silenced(self) -> Iterator[Callable[[], list[Tensor]]]:
        """Make all regularizers return zero.

        Yields a function that returns the penalties after a forward pass in here.
        """
        variables = [weight.variable for weight in self.weights]
        held = [variable.regularizer for variable in variables]
        own = [bound(w.variable.regularizer, w) for w in self.weights]
        recorded: dict[int, Tensor] = {}

        def values() -> list[Tensor]:
            zero = ops.zeros((), "float32")
            found = [recorded.get(id(place.layer), zero) for place in self.layers]
            return found + [
                total(regularizer(variable.value))
                for variable, regularizer in zip(variables, own, strict=True)
            ]

        for variable in variables:
            variable.regularizer = None
        try:
            with self._replaced(lambda *own: _recorder(recorded, *own)):
                yield values
        finally:
            for variable, regularizer in zip(variables, held, strict=True):
                variable.regularizer = regularizer

    @contextlib.contextmanager
    def absent(self) -> Iterator[None]:
        """Remove the activity regularizers: a forward pass computes none."""
        with self._replaced(lambda layer, adds: None):
            yield

    @contextlib.contextmanager
    def _replaced(self, by: Callable[[Any, _Adds], _Adds | None]) -> Iterator[None]:
        """Replace what each layer adds to the loss by the result of `by`."""
        layers = [place.layer for place in self.layers]
        names = [_attribute(layer) for layer in layers]
        held = [getattr(layer, name) for layer, name in zip(layers, names, strict=True)]
        for layer, name, own in zip(layers, names, held, strict=True):
            adds = own
            if name == "activity_regularizer":
                adds = functools.partial(activity_penalty, own)
            setattr(layer, name, by(layer, adds))
        try:
            yield
        finally:
            for layer, name, own in zip(layers, names, held, strict=True):
                setattr(layer, name, own)


def _attribute(layer: Any) -> str:
    """Return the name of the attribute that computes a layer's activity penalty."""
    if isinstance(layer, ActivityRegularization):
        return "reduced"
    return "activity_regularizer"


def _recorder(recorded: dict[int, Tensor], layer: Any, adds: _Adds) -> _Adds:
    def record(*output: Tensor) -> Tensor:
        value = adds(*output)
        earlier = recorded.get(id(layer))
        recorded[id(layer)] = value if earlier is None else earlier + value
        return ops.zeros((), keras.config.floatx())  # Keras adds this to its loss

    return record


def penalised_weights(model: Any) -> list[Weight]:
    """Return the trained weights with a regularizer, which Keras adds to the loss."""
    trainable = {id(variable) for variable in model.trainable_variables}
    return [
        weight
        for weight in walk(model)
        if weight.variable.regularizer is not None and id(weight.variable) in trainable
    ]


def total(value: Tensor) -> Tensor:
    """Return the sum of a regularizer's return value, as Keras does."""
    return value if len(value.shape) == 0 else ops.sum(value)


def activity_penalty(regularizer: Callable[[Tensor], Tensor], output: Tensor) -> Tensor:
    """Return Keras's activity penalty for one output of a layer: a mean per sample."""
    value = total(regularizer(output))
    if len(output.shape) == 0:
        return value
    batch = ops.cast(ops.shape(output)[0], value.dtype)
    return ops.divide_no_nan(value, batch)
