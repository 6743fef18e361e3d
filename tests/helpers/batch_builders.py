"""Models that a study file names as "helpers.batch_builders:function"."""

import keras
from keras import layers, ops


def normalised(shape, outputs):
    return keras.Sequential(
        [
            keras.Input(shape),
            # A bias here would have a gradient of rounding errors alone.
            layers.Dense(6, use_bias=False, name="a"),
            layers.BatchNormalization(momentum=0.7, name="norm"),
            layers.ReLU(name="relu"),
            layers.Dropout(0.4, name="drop"),
            layers.Dense(5, activation="tanh", name="b"),
            layers.LayerNormalization(name="layer_norm"),
            layers.Dense(outputs, name="output"),
        ]
    )


class Bounded(layers.Layer):
    """The identity with a loss of its own, which is data loss."""

    def call(self, x):
        self.add_loss(1e-2 * ops.mean(ops.square(x)))
        return x


def constrained(shape, outputs):
    return keras.Sequential(
        [
            keras.Input(shape),
            layers.Dropout(0.2, seed=7, name="drop"),
            layers.Dense(
                6,
                kernel_constraint=keras.constraints.MaxNorm(0.6, axis=0),
                bias_constraint=keras.constraints.NonNeg(),
                name="a",
            ),
            layers.GaussianNoise(0.1, name="noise"),
            layers.Dense(outputs, name="output"),
        ]
    )


class Bins(layers.Layer):
    """Every column as a whole number from 0 to 7."""

    def call(self, x):
        return ops.cast(ops.clip(2.0 * x + 4.0, 0.0, 7.0), "int32")


class Summed(layers.Layer):
    """The identity with a loss that is a sum over the rows that it is given."""

    def call(self, x):
        self.add_loss(1e-4 * ops.sum(ops.square(x)))
        return x


def summing(shape, outputs):
    inner = [layers.Flatten(name="flatten"), Summed(name="summed")]
    output = layers.Dense(outputs, name="output")
    return keras.Sequential([keras.Input(shape), *inner, output])


def adding(shape, outputs):
    return keras.Sequential(
        [
            keras.Input(shape),
            layers.Dense(3, name="a"),
            Bounded(name="bounded"),
            layers.Dense(outputs, name="output"),
        ]
    )


def wired(shape, outputs):
    """Return a model with a frozen layer and one that is used twice."""
    given = keras.Input(shape)
    x = layers.Reshape((2, shape[0] // 2), name="pairs")(given)
    x = layers.EinsumDense(
        "abc,cd->abd", output_shape=(2, 3), bias_axes="d", name="einsum"
    )(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(6, activation="tanh", trainable=False, name="frozen")(x)
    shared = layers.Dense(6, activation="relu", name="shared")
    x = layers.Add(name="add")([x, shared(shared(x))])
    return keras.Model(given, layers.Dense(outputs, name="output")(x))


def unnamed(shape, outputs):
    return keras.Sequential(
        [
            keras.Input(shape),
            layers.Dense(5, activation="relu"),
            layers.Dense(outputs),
        ]
    )


def recurrent(shape, outputs):
    """Return an LSTM over 8 rows of 8 numbers."""
    return keras.Sequential(
        [
            keras.Input(shape),
            layers.Reshape((8, 8), name="rows"),
            layers.LSTM(4, name="lstm"),
            layers.Dense(outputs, name="output"),
        ]
    )


def embedded(shape, outputs):
    given = keras.Input(shape)
    x = layers.Embedding(8, 3, name="embedding")(Bins(name="bins")(given))
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(given, layers.Dense(outputs, name="output")(x))


def attentive(shape, outputs):
    x = keras.Input(shape)
    h = layers.Reshape((2, 2))(x)
    # The bias of the keys would have a gradient of rounding errors alone.
    own = layers.MultiHeadAttention(3, 2, use_bias=False, name="attention")
    h = own(h, h)
    h = layers.Conv1DTranspose(3, 2, name="up")(h)
    return keras.Model(x, layers.Dense(outputs, name="output")(layers.Flatten()(h)))
