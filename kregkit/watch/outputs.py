"""The outputs of a model's layers, recorded while it answers.

A layer is watched where its output is an activation worth a row, and
what its calls return is taken as it is, each call for itself.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
from keras import layers

from kregkit._keras import own_variables
from kregkit.numerics import Tensor
from kregkit.weights import OPAQUE, Place, output_places

_ACTIVATIONS = (
    layers.Activation
    | layers.ELU
    | layers.LeakyReLU
    | layers.PReLU
    | layers.ReLU
    | layers.Softmax
)


def watched(model: Any) -> list[Place]:
    """Return the layers whose outputs are activations worth a row."""
    found: list[Place] = []
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
def recording(places: list[Place], samples: int) -> Iterator[dict[int, list[Tensor]]]:
    """Record what every call of these layers returns for a batch of `samples`."""
    outputs: dict[int, list[Tensor]] = {id(place.layer): [] for place in places}
    own_calls = [place.layer.__dict__.get("call") for place in places]
    scope = _scope()

    def recorder(layer: Any) -> Callable[..., Any]:
        call = layer.call

        def record(*args: Any, **kwargs: Any) -> Any:
            returned = call(*args, **kwargs)
            # What is made inside a loop of the backend ends with it.
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
    """Return what tensors made now belong to, where the backend can tell."""
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    return tf.compat.v1.get_default_graph()
