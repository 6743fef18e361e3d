"""Records the outputs of a model's layers during a forward pass, for `measuring`.

Each call of a layer is recorded separately.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
from keras import layers

from kregkit._keras import own_variables
from kregkit.numerics import Tensor
from kregkit.weights import OPAQUE, NestedLayer, output_places

_ACTIVATIONS = (
    layers.Activation
    | layers.ELU
    | layers.LeakyReLU
    | layers.PReLU
    | layers.ReLU
    | layers.Softmax
)


def watched(model: Any) -> list[NestedLayer]:
    """Return the layers with outputs that are logged as activations.

    These are layers with weights, an activation function or an activity regularizer,
    and layers that call an inner layer in a loop.
    """
    found: list[NestedLayer] = []
    for path, place in output_places(model).items():
        layer = place.layer
        if path == place.path and (
            own_variables(layer)
            or isinstance(layer, _ACTIVATIONS | OPAQUE)
            or layer.activity_regularizer is not None
        ):
            found.append(place)
    return found


@contextmanager
def recording(
    places: list[NestedLayer], samples: int
) -> Iterator[dict[int, list[Tensor]]]:
    """Record the return value of each call of these layers, for `samples` samples."""
    outputs: dict[int, list[Tensor]] = {id(place.layer): [] for place in places}
    own_calls = [place.layer.__dict__.get("call") for place in places]
    scope = _scope()

    def recorder(layer: Any) -> Callable[..., Any]:
        call = layer.call

        def record(*args: Any, **kwargs: Any) -> Any:
            returned = call(*args, **kwargs)
            # Tensors created inside a loop of the backend do not exist outside it.
            leaves = keras.tree.flatten(returned) if _scope() is scope else []
            for leaf in leaves:
                batched = len(leaf.shape) > 1 and leaf.shape[0] in (samples, None)
                if batched and keras.backend.is_float_dtype(leaf.dtype):
                    outputs[id(layer)].append(leaf)
            return returned

        return record

    for place in places:
        place.layer.call = recorder(place.layer)
    try:
        yield outputs
    finally:
        for place, own in zip(places, own_calls, strict=True):
            if own is None:
                del place.layer.call
            else:
                place.layer.call = own


def _scope() -> Any:
    """Return the TensorFlow graph that new tensors belong to; else None."""
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    return tf.compat.v1.get_default_graph()
