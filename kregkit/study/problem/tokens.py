"""Checks that the Embedding layers of a user-defined model get token ids.

An Embedding casts its inputs to integers. With standardised numbers it would train on
three or four ids without an error.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from kregkit._keras import training_argument
from kregkit.errors import DataError
from kregkit.study.data.scaling import Array
from kregkit.weights import walk_layers

_ROWS = 64


def check_tokens(model: keras.Model, parts: Sequence[Array]) -> None:
    """Raise if an Embedding layer gets numbers that are no ids of its table.

    `parts` are the inputs as in training. The model is called on some rows of each,
    including the rows with the smallest and the largest number.
    """
    every = [place.layer for place in walk_layers(model)]
    layers = [own for own in every if isinstance(own, keras.layers.Embedding)]
    if not layers:
        return
    found = list[str]()
    for layer in layers:
        layer.call = _watched(layer, found)
    try:
        for x in parts:
            flat = x.reshape(len(x), -1)
            ends = [flat.min(axis=1).argmin(), flat.max(axis=1).argmax()]
            rows = np.concatenate([x[ends], x[:_ROWS]])
            argument = training_argument(model, False)
            model(keras.ops.convert_to_tensor(rows), **argument)
    finally:
        for layer in layers:
            del layer.call
    if found:
        raise DataError(found[0])


def _watched(layer: Any, found: list[str]) -> Callable[..., Any]:
    """Return a wrapper of the layer's call that records inputs that are no ids.

    It then calls the layer with zeros. Keras would change the message of an error that
    is raised here.
    """
    call = layer.call

    def watched(inputs: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            ids = keras.ops.convert_to_numpy(inputs)
        except (NotImplementedError, TypeError):  # a traced tensor without values
            return call(inputs, *args, **kwargs)
        if (invalid := _first_invalid(ids, layer.input_dim)) is None:
            return call(inputs, *args, **kwargs)
        hint = " Set scale = 'none' for unscaled ids." if invalid % 1 else ""
        found.append(
            f"the layer {layer.name!r} is an Embedding, which needs token ids from 0 "
            f"to {layer.input_dim - 1}; it gets {invalid:.6g}.{hint}"
        )
        return call(keras.ops.zeros_like(inputs), *args, **kwargs)

    return watched


def _first_invalid(ids: Array, count: int) -> float | None:
    """Return a number that is no id below `count`, or None."""
    invalid = ids[(ids != np.floor(ids)) | (ids < 0) | (ids >= count)]
    fractions = invalid[invalid % 1 != 0]
    first = [*fractions.ravel()[:1], *invalid.ravel()[:1]]
    return float(first[0]) if first else None
