"""Whether a model of one's own gets the token ids that its Embedding layers take.

An Embedding casts what it is given to integers, so that standardised numbers would
train it on three or four ids without a word.
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
    """Raise where an Embedding layer is given numbers that are no ids of its table.

    `parts` are the inputs as they are trained on. The model answers to some rows of
    each, among them those that hold the least and the largest number.
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
    """Return the layer's call, which also finds inputs that are no ids.

    It answers to zeros instead. An error raised here would get Keras's own words.
    """
    call = layer.call

    def watched(inputs: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            ids = keras.ops.convert_to_numpy(inputs)
        except (NotImplementedError, TypeError):  # traced: it holds no values
            return call(inputs, *args, **kwargs)
        if (odd := _odd(ids, layer.input_dim)) is None:
            return call(inputs, *args, **kwargs)
        hint = " Say scale = 'none' for ids as they are." if odd % 1 else ""
        found.append(
            f"the layer {layer.name!r} is an Embedding, whose inputs are token ids "
            f"from 0 to {layer.input_dim - 1}; it gets {odd:.6g}.{hint}"
        )
        return call(keras.ops.zeros_like(inputs), *args, **kwargs)

    return watched


def _odd(ids: Array, count: int) -> float | None:
    """Return a number that is no id below `count`."""
    odd = ids[(ids != np.floor(ids)) | (ids < 0) | (ids >= count)]
    fractions = odd[odd % 1 != 0]
    first = [*fractions.ravel()[:1], *odd.ravel()[:1]]
    return float(first[0]) if first else None
