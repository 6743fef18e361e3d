"""What the backend of Keras computes, as NumPy arrays."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

Function = Callable[[Any], Any]


def numpy(tensor: Any) -> np.ndarray:
    """Return a tensor of any backend and dtype as an array."""
    if keras.backend.backend() == "tensorflow":
        return np.asarray(tensor.numpy())  # a bfloat16 scalar is no array for Keras
    return np.asarray(ops.convert_to_numpy(tensor))


def dtype_of(tensor: Any) -> str:
    """Return the name of a tensor's dtype."""
    return str(keras.backend.standardize_dtype(tensor.dtype))


def gradient(function: Function, w: object, xla: bool = False) -> np.ndarray:
    """Return the gradient of a scalar function of one tensor."""
    w = ops.convert_to_tensor(w)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        def slope(w: tf.Tensor) -> tf.Tensor:
            with tf.GradientTape() as tape:
                tape.watch(w)
                value = function(w)
            return tape.gradient(value, w)

        return numpy(tf.function(slope, jit_compile=True)(w) if xla else slope(w))
    if keras.backend.backend() == "jax":
        import jax

        slope = jax.grad(function)
        return numpy((jax.jit(slope) if xla else slope)(w))
    w = w.detach().clone().requires_grad_()
    function(w).backward()
    return numpy(w.grad)


def curvature(function: Function, w: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Return the gradient of the slope along a direction: its second derivatives."""
    if keras.backend.backend() == "torch":
        import torch

        w = torch.tensor(w, requires_grad=True)
        (slope,) = torch.autograd.grad(function(w), w, create_graph=True)
        (found,) = torch.autograd.grad(
            (slope * torch.tensor(along)).sum(), w, materialize_grads=True
        )
        return numpy(found + 0.0)  # a ZeroTensor is no array
    if keras.backend.backend() == "jax":
        import jax

        return gradient(lambda w: ops.sum(jax.grad(function)(w) * along), w)
    import tensorflow as tf

    def slope(w: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(w)
            value = function(w)
        return tf.reduce_sum(tape.gradient(value, w) * along)

    w = tf.constant(w)
    with tf.GradientTape() as tape:
        tape.watch(w)
        value = slope(w)
    zero = tf.UnconnectedGradients.ZERO
    return numpy(tape.gradient(value, w, unconnected_gradients=zero))
