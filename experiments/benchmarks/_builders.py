"""Models for the benchmarks that no built-in name gives: their builders.

Two hidden layers of 64 and 32 with ReLU, as the MLP of the studies has,
and one kind of layer more.
"""

from collections.abc import Callable, Sequence

import keras


def normalised(input_shape: Sequence[int], outputs: int) -> keras.Model:
    """Batch normalization between each hidden layer and its ReLU."""
    return _mlp(
        input_shape,
        outputs,
        lambda index: [
            keras.layers.BatchNormalization(name=f"norm_{index}"),
            keras.layers.ReLU(name=f"relu_{index}"),
        ],
    )


def dropped(input_shape: Sequence[int], outputs: int) -> keras.Model:
    """Dropout of 0.2 after each ReLU."""
    return _mlp(
        input_shape,
        outputs,
        lambda index: [
            keras.layers.ReLU(name=f"relu_{index}"),
            keras.layers.Dropout(0.2, name=f"drop_{index}"),
        ],
    )


def _mlp(
    input_shape: Sequence[int],
    outputs: int,
    after: Callable[[int], list[keras.layers.Layer]],
) -> keras.Model:
    layers = [keras.Input(input_shape), keras.layers.Flatten(name="flatten")]
    for index, width in enumerate((64, 32), 1):
        dense = keras.layers.Dense(width, name=f"hidden_{index}")
        layers += [dense, *after(index)]
    return keras.Sequential([*layers, keras.layers.Dense(outputs, name="output")])
