"""The model and the data of the benchmarks: LeNet-300-100 on rows shaped like MNIST.

Plain SGD unless another optimizer is what is measured, the cheapest step
there is, so that what is added to a step weighs as much as it can.
"""

from typing import Any

import keras
import numpy as np

BATCH = 100


def rows(count: int) -> tuple[Any, Any]:
    """Return `count` random images as rows of 784 floats, and random labels."""
    random = np.random.default_rng(0)
    x = random.random((count, 784), dtype=np.float32)
    return x, random.integers(0, 10, count)


def lenet_300_100(
    regularizer: Any = None, jit_compile: Any = "auto", optimizer: Any = "sgd"
) -> Any:
    """Return the compiled model, its regularizer on the kernels of all three layers."""
    keras.utils.set_random_seed(0)
    dense = keras.layers.Dense
    model = keras.Sequential(
        [
            keras.Input((784,)),
            dense(300, activation="relu", kernel_regularizer=regularizer),
            dense(100, activation="relu", kernel_regularizer=regularizer),
            dense(10, kernel_regularizer=regularizer),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, jit_compile=jit_compile)
    return model
