"""Whether a model of one's own gets the token ids that its Embedding layers take.

An Embedding casts what it is given to integers, so that standardised numbers would
train it on three or four ids without a word.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from kregkit.errors import DataError
from kregkit.study.scaling import Array
from kregkit.weights import walk_layers

_ROWS = 64


def check_tokens(model: keras.Model, parts: Sequence[Array]) -> None:
    """Raise where an Embedding layer is given numbers that are no ids of its table.

    `parts` are the inputs as they are trained on. The model answers to some rows of
    each, among them those that hold the least and the largest number.
    """
    found = [place.layer for place in walk_layers(model)]
    layers = [own for own in found if isinstance(own, keras.layers.Embedding)]
    if not layers:
        return
    for layer in layers:
        layer.call = _checked(layer)
    try:
        for x in parts:
            flat = x.reshape(len(x), -1)
            ends = [flat.min(axis=1).argmin(), flat.max(axis=1).argmax()]
            rows = np.concatenate([x[ends], x[:_ROWS]])
            model(keras.ops.convert_to_tensor(rows), training=False)
    finally:
        for layer in layers:
            del layer.call


def _checked(layer: Any) -> Callable[..., Any]:
    call = layer.call

    def checked(inputs: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            ids = keras.ops.convert_to_numpy(inputs)
        except (NotImplementedError, TypeError):  # traced: it holds no values
            return call(inputs, *args, **kwargs)
        if ids.dtype.kind == "f" and (ids != np.floor(ids)).any():
            odd = ids[ids != np.floor(ids)][0]
            raise DataError(
                f"the layer {layer.name!r} is an Embedding, whose inputs are token ids "
                f"from 0 to {layer.input_dim - 1}; it gets {odd:.3g}. Say scale = "
                "'none' for inputs that are ids as they are."
            )
        if ids.size and not (ids.min() >= 0 and ids.max() < layer.input_dim):
            odd = ids.min() if ids.min() < 0 else ids.max()
            raise DataError(
                f"the layer {layer.name!r} is an Embedding, whose inputs are token ids "
                f"from 0 to {layer.input_dim - 1}; it gets {odd:g}."
            )
        return call(inputs, *args, **kwargs)

    return checked
