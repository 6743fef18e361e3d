"""A model that trains by other optimizers than the one that it was compiled with."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, optimizers

from kregkit.optimizers import Proximal
from kregkit.regularizers import L1


class Pair(keras.Model):
    """Two layers with an optimizer for each, as generator and discriminator have."""

    def __init__(self):
        super().__init__()
        self.one = layers.Dense(1, use_bias=False, kernel_regularizer=L1(1.0))
        self.two = layers.Dense(1, use_bias=False, kernel_regularizer=L1(1.0))

    def build(self, shape):
        self.one.build(shape)
        self.two.build(shape)

    def compile(self, first, second):
        super().compile()  # with Keras's default
        self.first, self.second = first, second

    def call(self, x):
        return self.one(x) + self.two(x)

    def train_step(self, data):
        for layer, optimizer in ((self.one, self.first), (self.two, self.second)):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(self(data)) + tf.add_n(self.losses)
            weights = layer.trainable_variables
            optimizer.apply(tape.gradient(loss, weights), weights)
        return {"loss": loss}


@pytest.mark.parametrize("eager", [False, True])
def test_a_penalty_acts_once_by_the_optimizer_that_has_it(eager):
    model = Pair()
    model.build((None, 2))
    model.set_weights([np.ones((2, 1)), np.ones((2, 1))])
    model.compile(Proximal(optimizers.SGD(0.1)), optimizers.SGD(0.1))
    model.first.build(model.one.trainable_variables)
    model.run_eagerly = eager
    model.fit(np.zeros((4, 2)), epochs=2, verbose=0)
    for weight in model.get_weights():
        np.testing.assert_allclose(weight, 0.8, 1e-6)
