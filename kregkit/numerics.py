"""Operations whose dtype or gradient needs care.

What is squared or summed is at least float32. Half precision
overflows at 65504, which the sum of squares of one hidden layer already passes. And
float64 stays float64: `ops.maximum` and `ops.minimum` round it on PyTorch.
"""

import math
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import keras
import numpy as np
from keras import backend, ops

Tensor: TypeAlias = Any
"""A backend tensor, a Keras variable or a NumPy array: Keras has no common type."""

PASSES: Final = 10
"""Passes over a group whose root is hard to find, at most. Measured on groups of 2 to
100 weights whose sizes and amounts span up to 35 decades: they end within 1.3e-7 of the
largest weight in float32. A group of ordinary training needs none of them."""

Axis: TypeAlias = int | tuple[int, ...] | None


def accumulable(w: Tensor) -> Tensor:
    """Return `w` as float32, or as it is where it is float64."""
    wide = backend.standardize_dtype(w.dtype) == "float64"
    return ops.cast(w, "float64" if wide else "float32")


def magnitude(w: Tensor) -> Tensor:
    """Return `|w|`, with gradient 0 at 0: that of `ops.abs` is 1 there on JAX."""
    return w * ops.sign(w) if backend.backend() == "jax" else ops.abs(w)


def constant(x: Tensor, dtype: str) -> Tensor:
    """Return a number, a tensor or a variable as a tensor, constant to gradients.

    `ops.convert_to_tensor` returns a variable as it is on TensorFlow, which then
    refuses a gradient of one's own that reads it.
    """
    return ops.stop_gradient(ops.convert_to_tensor(x, dtype))


def differentiated(
    value: Callable[[Tensor], Tensor], back: Callable[[Tensor, Tensor], Tensor]
) -> Callable[[Tensor], Tensor]:
    """Return a function whose gradient is `back(w, upstream)`.

    Written by hand it takes fewer passes over a tensor than the chain rule does, which
    is what a penalty costs where nothing fuses them. `back` is differentiated in turn:
    second derivatives are those of the function.
    """

    @ops.custom_gradient  # type: ignore[untyped-decorator]  # Keras is untyped
    def own(w: Tensor) -> Any:
        def gradient(*given: Tensor, upstream: Tensor | None = None) -> Tensor:
            # On PyTorch `w` is given, and upstream by its name.
            return back(w, given[0] if upstream is None else upstream)

        return value(w), gradient

    return own  # type: ignore[no-any-return]  # Keras is untyped


def summed(
    w: Tensor, each: Callable[[Tensor], Tensor], slope: Callable[[Tensor], Tensor]
) -> Tensor:
    """Return the sum over weights of a function, whose derivative is given too."""
    total = differentiated(
        lambda w: ops.sum(each(w)), lambda w, upstream: upstream * slope(w)
    )
    return total(w)


def soft_threshold(w: Tensor, amount: Tensor) -> Tensor:
    """Return `sign(w)·max(|w| − amount, 0)`, exactly zero where `|w| <= amount`."""
    return w - ops.clip(w, -amount, amount)


def larger(x: Tensor, y: Tensor) -> Tensor:
    """Return `max(x, y)` in the dtype of both; NaN where `x` is."""
    return ops.where(x < y, y, x)


def largest(w: Tensor, axis: Axis = None) -> Tensor:
    """Return the sum over groups of `max|w|` over `axis`, with gradient 0 at zeros.

    Of no weights, or no groups, it is 0 and has a gradient: PyTorch's `max` has none.
    """
    size = magnitude(w)
    if not all(size.shape):  # none, or not known
        size = ops.pad(size, [(0, 1)] * len(size.shape))
    return ops.sum(ops.max(size, axis=axis))


def scaled(w: Tensor, axis: Axis = None) -> tuple[Tensor, Tensor]:
    """Return `w/m` and `m = max|w|` over `axis`, kept; 0 and 0 at zeros.

    The scale is constant to gradients: it is for functions that divide it out again.
    """
    largest = ops.stop_gradient(
        ops.max(ops.abs(w), axis=axis, keepdims=True, initial=0.0)
    )
    return w / ops.where(largest > 0, largest, ops.ones_like(largest)), largest


def safe_norm(w: Tensor, axis: Axis = None) -> Tensor:
    """Return `√Σw²` over `axis` as `m·√Σ(w/m)²` with `m = max|w|`; 0 at zeros.

    The plain form is 0 for |w| below 1e-23 and infinite above 1e19 in float32, and
    its gradient at zeros is NaN; this one's is 0.
    """

    def parts(w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        unit, largest = scaled(w, axis)
        squares = ops.sum(ops.square(unit), axis=axis, keepdims=True)
        root = ops.sqrt(ops.where(largest > 0, squares, ops.ones_like(squares)))
        return unit, root, largest

    def norm(w: Tensor) -> Tensor:
        _, root, largest = parts(w)
        return ops.squeeze(root * largest, axis=axis)

    def back(w: Tensor, upstream: Tensor) -> Tensor:
        unit, root, _ = parts(w)
        return unit * (ops.reshape(upstream, ops.shape(root)) / root)

    return differentiated(norm, back)(w)


def norm_scaled_by(scale: Tensor, w: Tensor, axis: Axis = None) -> Tensor:
    """Return `√Σw²` as `safe_norm` does, with a scale near `max|w|` that is known."""
    scale = ops.where(scale > 0, scale, ops.ones_like(scale))
    norm = ops.sqrt(ops.sum(ops.square(w / scale), axis=axis, keepdims=True)) * scale
    return ops.squeeze(norm, axis=axis)


def mean(x: Tensor, axis: Axis) -> Tensor:
    """Return the mean over `axis`, kept: `ops.mean` rounds float64 on PyTorch."""
    total = ops.sum(x, axis=axis, keepdims=True)
    return total / max(math.prod(x.shape) // max(math.prod(total.shape), 1), 1)


def group_soft_threshold(w: Tensor, amount: Tensor, axis: Axis) -> Tensor:
    """Return `argmin_u Σ (uᵢ − wᵢ)²/(2·amountᵢ) + √d·‖u‖₂` over `axis`, of d weights.

    `uᵢ = wᵢ·s/(s + amountᵢ)` with `s = ‖u‖₂/√d`, the root of `φ(s) = 1` for
    `φ(s) = mean (wᵢ/(s + amountᵢ))²`, and 0 where `φ(0) <= 1`. `amount` is a scalar or
    has the shape of `w`. A scalar has a closed form. Otherwise one step from the root
    mean square of `w` is exact where amounts are small beside it, or a second one, and
    known to be; only where some group is not so are there more passes over the tensor.
    """
    if len(amount.shape) == 0:
        shape, largest = scaled(w, axis)
        s = largest * ops.sqrt(mean(ops.square(shape), axis))
        s = ops.relu(s - amount)
    else:
        s = _group_root(w, amount, axis)
    return w * (s / (ops.where(s > 0.0, s, ops.ones_like(s)) + amount))


def _group_root(w: Tensor, amount: Tensor, axis: Axis) -> Tensor:
    """Return `s` of `group_soft_threshold`, 0 where the group is."""
    precision = float(np.finfo(backend.standardize_dtype(w.dtype)).eps)
    start = ops.sqrt(mean(ops.square(w), axis))
    _, easy, doubt = _group_step(w, amount, start, 1e-15, axis)
    # A relative error of s is at most a quarter of it in u. NaN is not settled.
    ordinary = ops.logical_and(start > 1e-15, start < 1e15)
    settled = ops.logical_and(doubt <= 2.0 * precision * easy, ordinary)

    def again() -> Tensor:
        _, found, doubt = _group_step(w, amount, easy, 1e-15, axis)
        # Where the first step ends near 0, a group may be zero.
        some = ops.logical_and(easy > 1e-15, easy > 1e-6 * start)
        done = ops.logical_and(doubt <= 2.0 * precision * found, some)
        done = ops.logical_and(done, ordinary)
        return ops.cond(ops.all(done), lambda: found, lambda: with_zeros(found, done))

    def with_zeros(found: Tensor, done: Tensor) -> Tensor:
        least = float(np.finfo(backend.standardize_dtype(w.dtype)).tiny)
        share = w / larger(amount, least)  # 0/0 otherwise
        zero = mean(ops.square(share), axis) <= 1.0
        enough = ops.all(ops.logical_or(done, zero))
        s = ops.cond(enough, lambda: found, lambda: _hard_root(w, amount, zero, axis))
        return ops.where(zero, ops.zeros_like(s), s)

    return ops.cond(ops.all(settled), lambda: easy, again)


def _hard_root(w: Tensor, amount: Tensor, zero: Tensor, axis: Axis) -> Tensor:
    """Return the root between bounds, by geometric means until they are near."""
    precision = float(np.finfo(backend.standardize_dtype(w.dtype)).eps)
    w, largest = scaled(w, axis)
    largest = ops.where(largest > 0.0, largest, ops.ones_like(largest))
    amount = amount / largest
    least = 0.01 * precision

    def between(low: Tensor, high: Tensor, passes: int) -> Tensor:
        s = ops.where(high > 4.0 * low, ops.sqrt(low) * ops.sqrt(high), low)
        value, tangent, doubt = _group_step(w, amount, s, least, axis)
        low, high = larger(low, tangent), ops.where(value > 1.0, high, s)
        settled = ops.logical_or(zero, doubt <= 2.0 * precision * low)
        if passes == 1:
            return low
        return ops.cond(
            ops.all(settled), lambda: low, lambda: between(low, high, passes - 1)
        )

    high = ops.sqrt(mean(ops.square(w), axis))
    return between(least * ops.ones_like(high), high, PASSES) * largest


def _group_step(
    w: Tensor, amount: Tensor, s: Tensor, least: float, axis: Axis
) -> tuple[Tensor, Tensor, Tensor]:
    """Return `φ(s)`, a lower bound of the root, and how far below the root it may be.

    `ψ = 1/√φ` grows and is concave: its tangent reaches 1 at a lower bound. With
    `β = mean w²/(s + amount)³` the bend `−ψ''/ψ'` is at most `3·(1/s − β/φ)`, and β/φ
    falls with s, no faster than `s⁻³`: so the bend is bounded from s to the tangent's
    end, and with it the distance from there to the root.
    """
    inverse = 1.0 / (s + amount)
    squares = ops.square(w * inverse)
    value, slope = mean(squares, axis), mean(squares * inverse, axis)
    tangent = larger(s + value * (ops.sqrt(value) - 1.0) / slope, least)
    fall = ops.where(s < tangent, s / tangent, 1.0)
    bend = 1.0 / ops.where(tangent < s, tangent, s) - slope / value * (
        fall * fall * fall
    )
    return value, tangent, 1.5 * bend * ops.square(tangent - s)


def addable(value: Tensor, w: Tensor) -> Tensor:
    """Return the penalty of a variable in the dtype of the loss that Keras adds it to.

    That is `floatx`, in a layer of another dtype too.
    """
    variable = isinstance(w, keras.Variable)
    return ops.cast(value, keras.config.floatx()) if variable else value
