"""The built-in models of studies, and the layers that a sweep selects.

A builder takes `(input_shape, outputs)` and options. It returns a built model that
outputs logits, always with the same layer names.
"""

import fnmatch
from collections.abc import Callable, Mapping
from typing import Any, Final

import keras

from kregkit.errors import ModelError
from kregkit.known import CODE, CODE_LAYER, KERNEL_TARGETS
from kregkit.weights import NestedLayer, Weight, output_places, walk

Shape = tuple[int, ...]


def linear(input_shape: Shape, outputs: int) -> keras.Model:
    """One dense layer."""
    return _sequential(input_shape, _flat(input_shape), outputs)


def mlp(input_shape: Shape, outputs: int, hidden: Shape) -> keras.Model:
    """Dense hidden layers with ReLU."""
    return _sequential(input_shape, [*_flat(input_shape), *_dense(hidden)], outputs)


def cnn(input_shape: Shape, outputs: int, filters: Shape, hidden: Shape) -> keras.Model:
    """3x3 convolutions, each with ReLU and 2x2 max pooling, then dense layers."""
    _check_image("cnn", input_shape, 2 ** len(filters))
    layers: list[Any] = []
    for index, count in enumerate(filters, 1):
        layers += [
            keras.layers.Conv2D(
                count, 3, padding="same", activation="relu", name=f"conv_{index}"
            ),
            keras.layers.MaxPooling2D(2, name=f"pool_{index}"),
        ]
    layers += [keras.layers.Flatten(name="flatten"), *_dense(hidden)]
    return _sequential(input_shape, layers, outputs)


def lenet_300_100(input_shape: Shape, outputs: int) -> keras.Model:
    """Dense 300-100 with ReLU (LeCun et al. 1998, doi:10.1109/5.726791)."""
    return mlp(input_shape, outputs, (300, 100))


def lenet_5(input_shape: Shape, outputs: int) -> keras.Model:
    """The Caffe form, 20-50-800-500 on 28x28, without activations of convolutions."""
    _check_image("lenet_5", input_shape, 16)
    layers: list[Any] = [
        keras.layers.Conv2D(20, 5, name="conv_1"),
        keras.layers.MaxPooling2D(2, name="pool_1"),
        keras.layers.Conv2D(50, 5, name="conv_2"),
        keras.layers.MaxPooling2D(2, name="pool_2"),
        keras.layers.Flatten(name="flatten"),
        *_dense((500,)),
    ]
    return _sequential(input_shape, layers, outputs)


def autoencoder(
    input_shape: Shape, outputs: int, hidden: Shape, code: str = CODE.default
) -> keras.Model:
    """Dense encoder and its mirror with ReLU; `hidden` ends with the code.

    `code` is the activation of the code layer only.
    """
    layers = [*_flat(input_shape), *_dense(hidden[:-1], "encoder")]
    layers.append(keras.layers.Dense(hidden[-1], activation=code, name=CODE_LAYER))
    layers += _dense(hidden[-2::-1], "decoder")
    return _sequential(input_shape, layers, outputs)


BUILDERS: Final[dict[str, Callable[..., keras.Model]]] = {
    "linear": linear,
    "mlp": mlp,
    "cnn": cnn,
    "lenet_300_100": lenet_300_100,
    "lenet_5": lenet_5,
    "autoencoder": autoencoder,
}


def layers_for(
    model: keras.Model, target: str, layers: str
) -> tuple[keras.layers.Layer, ...]:
    """Return the layers that a sweep's `target` and `layers` select.

    Candidates are the layers with a weight of the target; for activities, layers with a
    kernel. "all" selects all candidates, "hidden" all but the last layer with a kernel.
    Other values are globs, separated by commas, for a layer's name or its path.

    Raises:
        ModelError: there is no such layer, or all of them are frozen.
    """
    weights = list(walk(model))
    kernels = {id(w.layer): w.layer for w in weights if w.role == "kernel"}
    owners = {id(w.layer): w for w in weights if is_of(w, _owned(target))}
    chosen = [w.layer for w in owners.values() if _is_named(w, layers, kernels)]
    if not chosen:
        raise ModelError(_none_found(target, layers, list(owners.values())))
    if target == "bias":
        biased = {id(w.layer) for w in weights if w.role == "bias"}
        chosen = [layer for layer in chosen if id(layer) in biased]
        if not chosen:
            raise ModelError(f"no layer that matches {layers!r} has a bias.")
    if target != "activity":  # Keras leaves out the penalties of frozen weights
        chosen = [layer for layer in chosen if layer.trainable]
        if not chosen:
            raise ModelError(f"all layers that match {layers!r} are frozen.")
    return tuple(chosen)


def holders(
    model: keras.Model, target: str, layers: str
) -> dict[tuple[str, str], tuple[Any, str]]:
    """Return the objects that hold a penalty on `target` and `layers`.

    The values are an object from which Keras reads the regularizer, and the name of its
    attribute. The keys are layer and tensor, as in a row of the store.
    """
    chosen = {id(layer) for layer in layers_for(model, target, layers)}
    own = [weight for weight in walk(model) if id(weight.layer) in chosen]
    if target == "activity":
        places = output_places(model)
        held = [
            places.get(w.layer_path, NestedLayer(w.layer_path, w.layer)) for w in own
        ]
        attribute = "activity_regularizer"
        return {(place.path, "activation"): (place.layer, attribute) for place in held}
    return {
        (w.layer_path, w.name): (w.variable, "regularizer")
        for w in own
        if is_of(w, target)
    }


def _owned(target: str) -> str:
    """Return the kind of weight that the layers of a target must have."""
    return "kernel" if target in ("activity", "bias") else target


def is_of(weight: Weight, target: str) -> bool:
    """Return whether a weight belongs to a target."""
    if target in KERNEL_TARGETS:
        return bool(weight.variable.name == KERNEL_TARGETS[target])
    return weight.role == target


def _is_named(weight: Weight, layers: str, kernels: Mapping[int, Any]) -> bool:
    """Return whether `layers` selects the layer of a weight."""
    names = layers.split(",")
    path = weight.layer_path
    hidden = id(weight.layer) not in list(kernels)[-1:]
    return (
        "all" in names
        or ("hidden" in names and hidden)
        or any(fnmatch.fnmatchcase(weight.layer.name, name) for name in names)
        or any(fnmatch.fnmatchcase(path, name) for name in names)
    )


def _none_found(target: str, layers: str, owners: list[Weight]) -> str:
    names = ", ".join(weight.layer_path for weight in owners) or "none"
    what = "a kernel" if _owned(target) == "kernel" else f"weights {target!r}"
    hint = " Set layers = 'all'." if layers == "hidden" and owners else ""
    return f"no layer matches {layers!r}; layers with {what}: {names}.{hint}"


def _sequential(input_shape: Shape, layers: list[Any], outputs: int) -> keras.Model:
    last = keras.layers.Dense(outputs, name="output")
    return keras.Sequential([keras.Input(input_shape, name="input"), *layers, last])


def _flat(input_shape: Shape) -> list[Any]:
    return [keras.layers.Flatten(name="flatten")] if len(input_shape) > 1 else []


def _dense(widths: Shape, stem: str = "hidden") -> list[Any]:
    return [
        keras.layers.Dense(width, activation="relu", name=f"{stem}_{index}")
        for index, width in enumerate(widths, 1)
    ]


def _check_image(model: str, input_shape: Shape, smallest: int) -> None:
    if len(input_shape) != 3 or min(input_shape[:2]) < smallest:
        raise ModelError(
            f"{model} needs images of {smallest}x{smallest} pixels or more; received "
            f"inputs of shape {input_shape}."
        )
