"""Penalties that are a sum over single weights: L1, L2, their mixtures, and powers.

The powers are `Σ|w|ᵖ` with `p = 1 − 1/n` for an integer n. With `|u| = |w|·yⁿ`, the
stationary points of the proximal problem are the roots of `yⁿ⁺¹ − y + c`, for every n.
The published forms with cosines suffer cancellation at small steps.
"""

import dataclasses
import functools
import math
from typing import Any, Final

import numpy as np
from keras import backend, ops

from kregkit._keras import applies_itself, training_step
from kregkit.errors import ParameterError
from kregkit.known import STRENGTH
from kregkit.numerics import (
    Tensor,
    constant,
    magnitude,
    safe_divisor,
    soft_threshold,
    summed,
)
from kregkit.regularizers._base import Penalty
from kregkit.regularizers._parameters import number, two_strengths
from kregkit.regularizers._register import register

_NEWTON: Final = {"float32": 1, "float64": 3}
"""Newton steps from `_start` to the largest root, for an error below rounding of 1."""


@register
@dataclasses.dataclass(frozen=True, eq=False)
class L1(Penalty):
    """`Σ|w|`, the lasso (Tibshirani 1996, doi:10.1111/j.2517-6161.1996.tb02080.x).

    Its proximal operator is soft-thresholding, which yields exact zeros; gradient
    descent does not.
    """

    def _value(self, w: Tensor) -> Tensor:
        return ops.sum(magnitude(w))

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        return soft_threshold(w, amount)


@register
@dataclasses.dataclass(frozen=True, eq=False)
class L2(Penalty):
    """`Σw²`, ridge or weight decay, without a factor 1/2; its gradient is `2w`.

    Hoerl and Kennard 1970, doi:10.1080/00401706.1970.10488634.
    """

    def _value(self, w: Tensor) -> Tensor:
        return ops.sum(ops.square(w))

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        return w / (1.0 + 2.0 * amount)


@register
@dataclasses.dataclass(frozen=True, eq=False)
class L1L2(Penalty):
    """`r·Σ|w| + (1−r)·Σw²`, the elastic net, without a factor 1/2.

    `strength = l1 + l2` and `r = l1/strength`, so the penalty with its strength is
    `l1·Σ|w| + l2·Σw²`. Zou and Hastie 2005, doi:10.1111/j.1467-9868.2005.00503.x.

    Args:
        l1: the strength of `Σ|w|`.
        l2: the strength of `Σw²`; at least one of `l1` and `l2` must be positive.
    """

    strength: float = dataclasses.field(init=False)
    ratio: float = dataclasses.field(init=False)
    l1: float = 0.0
    l2: float = 0.0

    def __post_init__(self) -> None:
        two_strengths(self, "l1", "l2")

    @property
    def makes_zeros(self) -> bool:
        return not (isinstance(self.ratio, float) and self.ratio == 0.0)

    @classmethod
    def make(cls, strength: float, **parameters: Any) -> "L1L2":
        """Return the elastic net of this strength, with L1's share `ratio`."""
        strength = number("L1L2", "strength", strength, STRENGTH)
        ratio = number("L1L2", "ratio", parameters["ratio"], cls.ranges["ratio"])
        return cls(l1=strength * ratio, l2=strength * (1.0 - ratio))

    def _value(self, w: Tensor) -> Tensor:
        return _mixed(w, self.ratio, 1.0 - self.ratio)

    def scaled(self, w: Tensor) -> Tensor:
        """Return `l1·Σ|w| + l2·Σw²`; without live parameters, Keras's value exactly."""
        if "_live" not in self.__dict__:
            return _mixed(w, self.l1, self.l2)
        return _mixed(w, self.strength * self.ratio, self.strength * (1.0 - self.ratio))

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        ratio = ops.convert_to_tensor(self.ratio, w.dtype)
        return soft_threshold(w, amount * ratio) / (1.0 + 2.0 * amount * (1.0 - ratio))


def _mixed(w: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Return `first·Σ|w| + second·Σw²`; 0·Σw² is 0 even if w² overflows."""
    first, second = (ops.convert_to_tensor(x, w.dtype) for x in (first, second))
    squares = ops.where(second > 0.0, second * ops.sum(ops.square(w)), 0.0)
    return first * ops.sum(magnitude(w)) + squares


@register
@dataclasses.dataclass(frozen=True, eq=False)
class L0(Penalty):
    """`#{w ≠ 0}`, the number of weights that are not zero.

    Its proximal operator is the hard threshold: weights up to `√(2·amount)` become
    zero, and larger ones are unchanged. Its gradient is useless, so computing it raises
    an error: train with `Proximal`. Blumensath and Davies 2008,
    doi:10.1007/s00041-008-9035-z.

    Raises:
        ParameterError: the gradient is computed.
    """

    def _value(self, w: Tensor) -> Tensor:
        return _count(w)

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        limit = math.sqrt(2.0) * ops.sqrt(amount)
        return ops.where(ops.abs(w) > limit, w, 0.0 * w)


@ops.custom_gradient  # type: ignore[untyped-decorator]  # Keras is untyped
def _count(w: Tensor) -> Any:
    """Return the number of nonzero weights; its gradient raises rather than being 0.

    In the first step of a `fit`, TensorFlow takes the gradient before Keras builds the
    optimizer. No Proximal handles the penalty yet, so the gradient is 0 there.
    """

    def refused(*_: Any, **__: Any) -> Tensor:
        step = training_step()
        unknown = step is not None and not step.optimizer.built
        if step is not None and unknown and not applies_itself(step.optimizer):
            return ops.zeros_like(w)
        raise ParameterError(
            "L0: has no useful gradient; use it with kregkit.optimizers.Proximal (in a "
            "custom training loop, call its `build` before the first step), or in "
            'studies with solver = "proximal".'
        )

    return ops.sum(ops.cast(ops.not_equal(w, 0), w.dtype)), refused


@register
@dataclasses.dataclass(frozen=True, eq=False)
class Huber(Penalty):
    """`Σ (m²/2δ + |w| − m), m = min(|w|, δ)`: smooth L1, quadratic for `|w| <= δ`.

    Its slope is `w/δ` up to δ, and ±1 beyond. It makes no zeros: its proximal operator
    divides small weights by `1 + amount/δ`. Huber 1964, doi:10.1214/aoms/1177703732.

    Args:
        strength: the factor of the value; its largest slope.
        delta: δ, from 1e-6 to 1e6.
    """

    delta: float = 0.1

    def _value(self, w: Tensor) -> Tensor:
        delta = constant(self.delta, w.dtype)

        def each(w: Tensor) -> Tensor:
            size = ops.abs(w)
            least = ops.where(size > delta, delta, size)
            return least * (0.5 * least / delta) + (size - least)

        return summed(w, each, lambda w: ops.clip(w, -delta, delta) / delta)

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        delta = ops.convert_to_tensor(self.delta, w.dtype)
        whole = delta + amount
        inside = ops.abs(w) <= whole
        return ops.where(inside, w * (delta / whole), w - ops.sign(w) * amount)


@register
@dataclasses.dataclass(frozen=True, eq=False)
class LHalf(Penalty):
    """`Σ √|w|`: half-way between L1 and L0.

    Its proximal operator is 0 up to `1.5·amount^(2/3)`, where it jumps to two thirds of
    the weight. The gradient at exactly zero is 0. Xu, Chang, Xu and Zhang 2012,
    doi:10.1109/TNNLS.2012.2197412.
    """

    def _value(self, w: Tensor) -> Tensor:
        return _sum_of_powers(w, 2)

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        return _prox(w, amount, 2)


@register
@dataclasses.dataclass(frozen=True, eq=False)
class LTwoThirds(Penalty):
    """`Σ |w|^(2/3)`: closer to L1 than `LHalf`.

    Its proximal operator is 0 up to `2·(2·amount/3)^(3/4)`, where it jumps to half of
    the weight. The gradient at exactly zero is 0. Cao, Sun and Xu 2013,
    doi:10.1016/j.jvcir.2012.10.006.
    """

    def _value(self, w: Tensor) -> Tensor:
        return _sum_of_powers(w, 3)

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        return _prox(w, amount, 3)


def _power(x: Tensor, exponent: float) -> Tensor:
    """Return the power, to 3e-6 in float32; `ops.power` takes four times as long."""
    return ops.exp(ops.convert_to_tensor(exponent, x.dtype) * ops.log(x))


def _whole(x: Tensor, n: int) -> Tensor:
    return x if n == 1 else x * _whole(x, n - 1)


def _root(x: Tensor, n: int) -> Tensor:
    """Return the n-th root of x > 0, with value and gradient exact to rounding."""
    if n == 2:
        return ops.sqrt(x)
    near = ops.stop_gradient(_power(x, 1.0 / n))
    return near - (near - x / _whole(near, n - 1)) / n


def _sum_of_powers(w: Tensor, n: int) -> Tensor:
    def root(w: Tensor) -> Tensor:
        size = ops.abs(w)
        return _root(safe_divisor(size), n)

    def slope(w: Tensor) -> Tensor:
        return (1.0 - 1.0 / n) * ops.sign(w) / root(w)

    return summed(w, lambda w: ops.abs(w) / root(w), slope)


def _prox(w: Tensor, amount: Tensor, n: int) -> Tensor:
    size = ops.abs(w)
    c = (1.0 - 1.0 / n) * amount / size / _root(size, n)
    kept = c < _most(n)  # False beyond the jump, and for 0/0
    c = ops.where(kept, c, ops.zeros_like(c))
    y = ops.zeros_like(c)
    for coefficient in _start(n):
        y = y * c + coefficient
    for _ in range(_NEWTON[backend.standardize_dtype(w.dtype)]):
        power = _whole(y, n)
        y = (n * power * y - c) / ((n + 1) * power - 1.0)
    return ops.where(kept, w * _whole(y, n), w - w)  # NaN stays


def _most(n: int) -> float:
    """Return the c from which on 0 is the minimum."""
    return float(0.5 * (n - 1) / (0.5 * (n + 1)) ** (1.0 + 1.0 / n))


@functools.cache
def _start(n: int) -> list[float]:
    """Return a polynomial in c for the root, to 6e-5, with value 1 at c = 0.

    Its highest power is first.
    """
    y = np.linspace((2.0 / (n + 1)) ** (1.0 / n), 1.0, 400)[:-1]
    c = y - y ** (n + 1)
    return [*np.polyfit(c, (y - 1.0) / c, 2 * n).tolist(), 1.0]
