"""The gradient of a scalar function on each backend, for `kkt`."""

from collections.abc import Callable
from typing import Any

import keras

from kregkit.numerics import Tensor


def gradient(
    function: Callable[[list[Tensor]], tuple[Tensor, Any]], at: list[Tensor]
) -> tuple[list[Tensor], Any]:
    """Return the gradient of a function's first result, and its second result."""
    if keras.backend.backend() == "jax":
        import jax

        gradients, other = jax.grad(function, has_aux=True)(at)
        return gradients, other
    if keras.backend.backend() == "torch":
        import torch

        with torch.enable_grad():
            own = [w.detach().requires_grad_() for w in at]
            value, other = function(own)
            found = torch.autograd.grad(value, own, allow_unused=True)
        pairs = zip(own, found, strict=True)
        return [torch.zeros_like(w) if g is None else g for w, g in pairs], other
    import tensorflow as tf

    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(at)
        value, other = function(at)
    gradients = tape.gradient(
        value, at, unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    return [tf.convert_to_tensor(g) for g in gradients], other  # from sparse ones too
