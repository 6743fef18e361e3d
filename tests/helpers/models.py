"""Small models of every kind, with regularizers of kregkit and of Keras."""

import keras
import numpy as np
from keras import layers

from kregkit import regularizers

ROWS, CLASSES = 96, 3


def _terms(regularized: bool) -> dict:
    if not regularized:
        return {}
    return {
        "kernel_regularizer": regularizers.L1(1e-2),
        "bias_regularizer": keras.regularizers.L2(0.1),
        "activity_regularizer": regularizers.L1L2(1e-2, 1e-3),
    }


def sequential(regularized: bool) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(8, activation="relu", name="hidden", **_terms(regularized)),
            layers.BatchNormalization(name="norm"),
            layers.Dropout(0.3, seed=1),
            layers.Dense(CLASSES, name="output", **_terms(regularized)),
        ]
    )


def functional(regularized: bool) -> keras.Model:
    """A shared layer, called twice."""
    inputs = keras.Input((6,))
    shared = layers.Dense(6, activation="tanh", name="shared", **_terms(regularized))
    return keras.Model(
        inputs, layers.Dense(CLASSES, name="out")(shared(shared(inputs)))
    )


def nested(regularized: bool) -> keras.Model:
    inner = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(5, name="a", **_terms(regularized)),
            layers.ReLU(name="relu"),
        ],
        name="inner",
    )
    return keras.Sequential([keras.Input((6,)), inner, layers.Dense(CLASSES, name="a")])


class Own(layers.Layer):
    """A layer with a loss of its own and an activity regularizer."""

    def __init__(self, regularized: bool) -> None:
        terms = _terms(regularized)
        super().__init__(
            name="own", activity_regularizer=terms.pop("activity_regularizer", None)
        )
        self.dense = layers.Dense(4, name="dense", **terms)

    def call(self, x):
        y = self.dense(x)
        self.add_loss(0.3 * keras.ops.mean(y**2))
        return y


class Subclassed(keras.Model):
    def __init__(self, regularized: bool) -> None:
        super().__init__(name="subclassed")
        self.own = Own(regularized)
        self.last = layers.Dense(CLASSES, name="last")

    def call(self, x):
        return self.last(self.own(x))


def subclassed(regularized: bool) -> keras.Model:
    model = Subclassed(regularized)
    model(np.zeros((1, 6), "float32"))
    return model


def sequences(regularized: bool) -> keras.Model:
    terms = _terms(regularized)
    # Of the recurrent layers the one that is traced the soonest.
    recurrent = layers.SimpleRNN(
        4, name="rnn", return_sequences=True, recurrent_regularizer=None, **terms
    )
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Reshape((3, 2)),
            layers.Conv1D(4, 2, padding="same", name="conv", **terms),
            layers.Bidirectional(recurrent, name="both"),
            layers.TimeDistributed(layers.Dense(3, name="inside"), name="times"),
            layers.GlobalAveragePooling1D(),
            layers.Dense(CLASSES, name="output"),
        ]
    )


KINDS = {
    maker.__name__: maker
    for maker in (sequential, functional, nested, subclassed, sequences)
}


def data() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    x = random.normal(size=(ROWS, 6)).astype("float32")
    return x, random.integers(0, CLASSES, ROWS)


def make(kind: str, regularized: bool = True, **compile_arguments) -> keras.Model:
    keras.utils.set_random_seed(3)
    model = KINDS[kind](regularized)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    compile_arguments.setdefault("loss", loss)
    model.compile(optimizer="adam", metrics=["accuracy"], **compile_arguments)
    return model
