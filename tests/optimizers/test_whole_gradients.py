"""A weight is trained as if the gradient of its penalty were in its gradient, as 0.

Keras passes over a weight without a gradient, and on TensorFlow takes that of an
embedding row by row: it has neither where a penalty has a gradient.
"""

import keras
import numpy as np
import pytest
from keras import layers, ops, optimizers

from kregkit.callbacks import RegularizationLogger
from kregkit.optimizers import Proximal
from kregkit.regularizers import L1

IDS = np.array([[0, 1], [1, 2], [1, 1], [4, 0]] * 2, "int32")
TABLE = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")


class TwoHeads(keras.Model):
    """A model that answers by one of two kernels of ones, each under L1(0.1)."""

    def __init__(self):
        super().__init__()
        self.heads = [
            layers.Dense(
                2,
                use_bias=False,
                kernel_initializer="ones",
                kernel_regularizer=L1(0.1),
            )
            for _ in range(2)
        ]
        for head in self.heads:
            head.build((None, 3))
        self.built = True

    def call(self, x):
        return self.heads[0](x)


@pytest.mark.jax
@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:Gradients do not exist")
@pytest.mark.parametrize("logged", [False, True])
@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize(
    ("momentum", "expected"), [(0.0, 0.98), (0.5, 1 - 0.01 - 0.015)]
)
def test_a_weight_without_part_in_the_data_loss_has_its_penalty(
    momentum, expected, eager, logged
):
    model = TwoHeads()
    inner = optimizers.SGD(0.1, momentum=momentum)
    model.compile(Proximal(inner), "mse", run_eagerly=eager)
    log = [RegularizationLogger()] if logged else []
    x, y = np.zeros((8, 3), "float32"), np.zeros((8, 2), "float32")
    model.fit(x, y, batch_size=4, epochs=1, verbose=0, callbacks=log)  # two steps
    for kernel in model.get_weights():
        np.testing.assert_allclose(kernel, expected, rtol=1e-6)


class OneHot(layers.Layer):
    """An embedding as a product of matrices, whose gradient has every row."""

    def build(self, shape):
        self.embeddings = self.add_weight(shape=TABLE.shape, regularizer=L1(1e-3))

    def call(self, ids):
        return ops.matmul(ops.one_hot(ids, len(TABLE)), self.embeddings)


def trained(table, optimizer):
    flat, out = layers.Flatten(), layers.Dense(1, kernel_initializer="ones")
    model = keras.Sequential([keras.Input((2,), dtype="int32"), table, flat, out])
    table.set_weights([TABLE])
    model.compile(Proximal(optimizer), "mse")
    model.fit(IDS, IDS[:, :1] - 1.0, batch_size=4, epochs=3, shuffle=False, verbose=0)
    return table.get_weights()[0]


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: optimizers.SGD(0.1, momentum=0.9, clipnorm=0.5),
        lambda: optimizers.Adam(1e-2),
        lambda: optimizers.RMSprop(1e-2),
        lambda: optimizers.Adagrad(1e-2),
        lambda: optimizers.Adamax(1e-2),
    ],
    ids=["clipped SGD", "Adam", "RMSprop", "Adagrad", "Adamax"],
)
def test_an_embedding_with_a_penalty_is_trained_as_a_product_of_matrices(optimizer):
    rows, columns = TABLE.shape
    looked_up = layers.Embedding(rows, columns, embeddings_regularizer=L1(1e-3))
    found = trained(looked_up, optimizer())
    expected = trained(OneHot(), optimizer())
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert np.abs(found - TABLE).max() > 1e-3
