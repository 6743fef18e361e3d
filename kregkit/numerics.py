"""Operations whose dtype or gradient needs care.

The one rule: what is squared or summed is at least float32. Half precision
overflows at 65504, which the sum of squares of one hidden layer already passes. And
float64 stays float64: `ops.maximum` and `ops.minimum` round it on PyTorch.
"""

from typing import Any, Final, TypeAlias

from keras import backend, ops

Tensor: TypeAlias = Any
"""A backend tensor, a Keras variable or a NumPy array: Keras has no common type."""

BISECTIONS: Final = 4
NEWTON_STEPS: Final = 4
"""Steps to a group's norm, by geometric means first. Measured on groups of 2 to 100
weights whose sizes and amounts span up to 35 decades: 4 and 3 end within 2e-7 of the
largest weight in float32, where Newton's alone took 9 for 6 decades, and more than 16
for 35."""

Axis: TypeAlias = int | tuple[int, ...] | None


def accumulable(w: Tensor) -> Tensor:
    """Return `w` as float32, or as it is where it is float64."""
    wide = backend.standardize_dtype(w.dtype) == "float64"
    return ops.cast(w, "float64" if wide else "float32")


def magnitude(w: Tensor) -> Tensor:
    """Return `|w|`, with gradient 0 at 0: that of `ops.abs` is 1 there on JAX."""
    return w * ops.sign(w)


def soft_threshold(w: Tensor, amount: Tensor) -> Tensor:
    """Return `sign(w)·max(|w| − amount, 0)`, exactly zero where `|w| <= amount`."""
    return ops.sign(w) * ops.relu(ops.abs(w) - amount)


def larger(x: Tensor, y: Tensor) -> Tensor:
    """Return `max(x, y)` in the dtype of both; NaN where `x` is."""
    return ops.where(x < y, y, x)


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
    w, largest = scaled(w, axis)
    squares = ops.sum(ops.square(w), axis=axis, keepdims=True)
    squares = ops.where(largest > 0, squares, ops.ones_like(squares))
    return ops.squeeze(ops.sqrt(squares) * largest, axis=axis)


def norm_scaled_by(scale: Tensor, w: Tensor, axis: Axis = None) -> Tensor:
    """Return `√Σw²` as `safe_norm` does, with a scale near `max|w|` that is known."""
    scale = ops.where(scale > 0, scale, ops.ones_like(scale))
    norm = ops.sqrt(ops.sum(ops.square(w / scale), axis=axis, keepdims=True)) * scale
    return ops.squeeze(norm, axis=axis)


def group_soft_threshold(w: Tensor, amount: Tensor, axis: Axis) -> Tensor:
    """Return `argmin_u Σ (uᵢ − wᵢ)²/(2·amountᵢ) + ‖u‖₂` over `axis`.

    `uᵢ = wᵢ·s/(s + amountᵢ)` with `s = ‖u‖₂`, the root of `φ(s) = 1` for
    `φ(s) = Σ (wᵢ/(s + amountᵢ))²`, and 0 where `φ(0) <= 1`. `1/√φ` grows and is
    concave: each of its tangents reaches 1 at a lower bound of `s`. Where all amounts
    are equal, it is a line, and the bound to begin with is `s`.
    """
    shape, largest = scaled(w, axis)
    # A power of two, exact, where a norm or a reciprocal would overflow.
    scale = ops.where(largest > 1e25, 2.0**-40, ops.ones_like(largest))
    scale = ops.where(largest < 1e-25, 2.0**40, scale)
    z, t = w * scale, amount * scale
    t = ops.where(z == 0, ops.ones_like(z), t)  # 0/0 otherwise

    def total(x: Tensor) -> Tensor:
        return ops.sum(x, axis=axis, keepdims=True)

    squares = total(ops.square(shape))
    alive = total(ops.square(z / t)) > 1.0
    high = ops.sqrt(squares) * (largest * scale)
    # Two bounds: 1/(s + t)² is convex in t, and each |zᵢ| <= s + tᵢ.
    mean = total(shape * (shape * t)) / ops.where(alive, squares, 1.0)
    low = high - mean
    single = ops.max(ops.abs(z) - t, axis=axis, keepdims=True, initial=0.0)
    low = larger(low, single)
    for step in range(BISECTIONS + NEWTON_STEPS):
        middle = ops.sqrt(larger(low, 1e-7 * high)) * ops.sqrt(high)
        s = middle if step < BISECTIONS else low
        share = ops.square(z / (s + t))
        value, slope = total(share), total(share / (s + t))
        high = ops.where(value > 1.0, high, s)
        tangent = s + value * (ops.sqrt(value) - 1.0) / ops.where(alive, slope, 1.0)
        low = larger(low, tangent)
    shrunk = ops.where(alive, w * (low / (low + t)), ops.zeros_like(w))
    return ops.where(amount > 0, shrunk, w)
