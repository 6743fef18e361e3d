"""Operations whose dtype or gradient needs care.

The one rule: what is squared or summed is at least float32. Half precision
overflows at 65504, which the sum of squares of one hidden layer already passes.
"""

from typing import Any, TypeAlias

from keras import backend, ops

Tensor: TypeAlias = Any
"""A backend tensor, a Keras variable or a NumPy array: Keras has no common type."""


def accumulable(w: Tensor) -> Tensor:
    """Return `w` as float32, or as it is where it is float64."""
    wide = backend.standardize_dtype(w.dtype) == "float64"
    return ops.cast(w, "float64" if wide else "float32")


def soft_threshold(w: Tensor, amount: Tensor) -> Tensor:
    """Return `sign(w)·max(|w| − amount, 0)`, exactly zero where `|w| <= amount`."""
    return ops.sign(w) * ops.maximum(ops.abs(w) - amount, 0.0)


def safe_norm(w: Tensor, axis: int | None = None) -> Tensor:
    """Return `√Σw²` over `axis` as `m·√Σ(w/m)²` with `m = max|w|`; 0 at zeros.

    The plain form is 0 for |w| below 1e-23 and infinite above 1e19 in float32.
    """
    return norm_scaled_by(ops.max(ops.abs(w), axis=axis, keepdims=True), w, axis)


def norm_scaled_by(scale: Tensor, w: Tensor, axis: int | None = None) -> Tensor:
    """Return `√Σw²` as `safe_norm` does, with a scale near `max|w|` that is known."""
    scale = ops.where(scale > 0, scale, ops.ones_like(scale))
    norm = ops.sqrt(ops.sum(ops.square(w / scale), axis=axis, keepdims=True)) * scale
    return ops.squeeze(norm, axis=axis)
