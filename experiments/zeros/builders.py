"""The network of the published digits script, for the study file beside it."""

import keras


def leaky(input_shape: tuple[int, ...], outputs: int) -> keras.Model:
    """Return a 40-20 network with leaky ReLU and Glorot normal weights."""
    layers = [keras.Input(input_shape), keras.layers.Flatten()]
    for width in (40, 20, outputs):
        kernel = keras.initializers.GlorotNormal()
        layers.append(keras.layers.Dense(width, kernel_initializer=kernel))
        layers.append(keras.layers.LeakyReLU(0.2))
    return keras.Sequential(layers[:-1])
