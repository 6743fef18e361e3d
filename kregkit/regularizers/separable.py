"""Penalties that are a sum over single weights: L1, L2, their mixtures, and powers.

Value and proximal operator of a penalty stand side by side and describe the same
function. Of the powers `Σ|w|ᵖ`, p is `1 − 1/n` of a whole n. With `|u| = |w|·yⁿ` the
stationary points of the proximal problem are the roots of one polynomial,
`yⁿ⁺¹ − y + c`, for every n: no cosines, which cancel where the step is small.
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
from kregkit.numerics import Tensor, constant, magnitude, soft_threshold, summed
from kregkit.regularizers._base import Penalty
from kregkit.regularizers._parameters import number, two_strengths
from kregkit.regularizers._register import register

_NEWTON: Final = {"float32": 1, "float64": 3}
"""Steps to the largest root from `_start`: it is then within rounding of 1."""


@register
@dataclasses.dataclass(frozen=True, eq=False)
class L1(Penalty):
    """`Σ|w|`, the lasso (Tibshirani 1996, doi:10.1111/j.2517-6161.1996.tb02080.x).

    Its proximal step is soft-thresholding, which ends at exact zeros; gradient
    descent on it does not.
    """

    def _value(self, w: Tensor) -> Tensor:
        return ops.sum(magnitude(w))

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        return soft_threshold(w, amount)


@register
@dataclasses.dataclass(frozen=True, eq=False)
class L2(Penalty):
    """`Σw²`, ridge or weight decay, without a factor 1/2: its gradient is `2w`.

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

    `strength = l1 + l2` and `r = l1/strength`: with the strength it is
    `l1·Σ|w| + l2·Σw²`. Zou and Hastie 2005, doi:10.1111/j.1467-9868.2005.00503.x.

    Args:
        l1: the strength of `Σ|w|`.
        l2: the strength of `Σw²`; at least one of the two is positive.
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
        """Return the elastic net of this strength, `ratio` of which is L1's."""
        strength = number("L1L2", "strength", strength, STRENGTH)
        ratio = number("L1L2", "ratio", parameters["ratio"], cls.ranges["ratio"])
        return cls(l1=strength * ratio, l2=strength * (1.0 - ratio))

    def _value(self, w: Tensor) -> Tensor:
        return _mixed(w, self.ratio, 1.0 - self.ratio)

    def scaled(self, w: Tensor) -> Tensor:
        """Return `l1·Σ|w| + l2·Σw²`: Keras's value to the last bit, where given."""
        if "_live" not in self.__dict__:
            return _mixed(w, self.l1, self.l2)
        return _mixed(w, self.strength * self.ratio, self.strength * (1.0 - self.ratio))

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        ratio = ops.convert_to_tensor(self.ratio, w.dtype)
        return soft_threshold(w, amount * ratio) / (1.0 + 2.0 * amount * (1.0 - ratio))


def _mixed(w: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Return `first·Σ|w| + second·Σw²`; 0·Σw² is 0 where w² overflows."""
    first, second = (ops.convert_to_tensor(x, w.dtype) for x in (first, second))
    squares = ops.where(second > 0.0, second * ops.sum(ops.square(w)), 0.0)
    return first * ops.sum(magnitude(w)) + squares


@register
@dataclasses.dataclass(frozen=True, eq=False)
class L0(Penalty):
    """`#{w ≠ 0}`, the number of weights that are not zero.

    Its proximal step is the hard threshold: a weight is set to zero up to
    `√(2·amount)`, and left as it is beyond. It has no gradient to train with, and
    raises where one is asked for: train it with `Proximal`, whose steps it takes.
    Blumensath and Davies 2008, doi:10.1007/s00041-008-9035-z.

    Raises:
        ParameterError: its gradient is asked for.
    """

    def _value(self, w: Tensor) -> Tensor:
        return _count(w)

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        limit = math.sqrt(2.0) * ops.sqrt(amount)
        return ops.where(ops.abs(w) > limit, w, 0.0 * w)


@ops.custom_gradient  # type: ignore[untyped-decorator]  # Keras is untyped
def _count(w: Tensor) -> Any:
    """Return how many weights are not zero, without letting 0 pass for a slope.

    TensorFlow takes the gradient of the first step of a `fit` before Keras builds the
    optimizer, so that no Proximal handles the penalty yet.
    """

    def refused(*_: Any, **__: Any) -> Tensor:
        step = training_step()
        unknown = step is not None and not step.optimizer.built
        if step is not None and unknown and not applies_itself(step.optimizer):
            return ops.zeros_like(w)
        raise ParameterError(
            "L0: has no gradient that trains; use it with kregkit.optimizers.Proximal "
            "(in a loop of your own, `build` that before the first step), in studies "
            'with solver = "proximal".'
        )

    return ops.sum(ops.cast(ops.not_equal(w, 0), w.dtype)), refused


@register
@dataclasses.dataclass(frozen=True, eq=False)
class Huber(Penalty):
    """`Σ (m²/2δ + |w| − m), m = min(|w|, δ)`: L1 with a round tip, the smooth L1.

    Its slope is `w/δ` up to δ, and ±1 beyond. It makes no zeros: its proximal step
    divides small weights by `1 + amount/δ`. Huber 1964, doi:10.1214/aoms/1177703732.

    Args:
        strength: what the value is multiplied by; its largest slope.
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
    """`Σ √|w|`: half-way from L1 to L0.

    Its prox is 0 up to `1.5·amount^(2/3)`, and jumps to two thirds of the weight there.
    The gradient of a weight that is exactly zero is 0. Xu, Chang, Xu and Zhang 2012,
    doi:10.1109/TNNLS.2012.2197412.
    """

    def _value(self, w: Tensor) -> Tensor:
        return _sum_of_powers(w, 2)

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        return _prox(w, amount, 2)


@register
@dataclasses.dataclass(frozen=True, eq=False)
class LTwoThirds(Penalty):
    """`Σ |w|^(2/3)`: nearer to L1 than `LHalf`.

    Its prox is 0 up to `2·(2·amount/3)^(3/4)`, and jumps to half of the weight there.
    The gradient of a weight that is exactly zero is 0. Cao, Sun and Xu 2013,
    doi:10.1016/j.jvcir.2012.10.006.
    """

    def _value(self, w: Tensor) -> Tensor:
        return _sum_of_powers(w, 3)

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        return _prox(w, amount, 3)


def _power(x: Tensor, exponent: float) -> Tensor:
    """Return the power, in float32 to 3e-6; `ops.power` takes four times as long."""
    return ops.exp(ops.convert_to_tensor(exponent, x.dtype) * ops.log(x))


def _whole(x: Tensor, n: int) -> Tensor:
    return x if n == 1 else x * _whole(x, n - 1)


def _root(x: Tensor, n: int) -> Tensor:
    """Return the n-th root of x > 0; value and gradient are exact to rounding."""
    if n == 2:
        return ops.sqrt(x)
    near = ops.stop_gradient(_power(x, 1.0 / n))
    return near - (near - x / _whole(near, n - 1)) / n


def _sum_of_powers(w: Tensor, n: int) -> Tensor:
    def root(w: Tensor) -> Tensor:
        size = ops.abs(w)
        return _root(ops.where(size > 0, size, ops.ones_like(size)), n)

    def slope(w: Tensor) -> Tensor:
        return (1.0 - 1.0 / n) * ops.sign(w) / root(w)

    return summed(w, lambda w: ops.abs(w) / root(w), slope)


def _prox(w: Tensor, amount: Tensor, n: int) -> Tensor:
    size = ops.abs(w)
    c = (1.0 - 1.0 / n) * amount / size / _root(size, n)
    kept = c < _most(n)  # up to the jump, and where there is no 0/0
    c = ops.where(kept, c, ops.zeros_like(c))
    y = ops.zeros_like(c)
    for coefficient in _start(n):
        y = y * c + coefficient
    for _ in range(_NEWTON[backend.standardize_dtype(w.dtype)]):
        power = _whole(y, n)
        y = (n * power * y - c) / ((n + 1) * power - 1.0)
    return ops.where(kept, w * _whole(y, n), w - w)  # NaN stays


def _most(n: int) -> float:
    """Return the c from which on 0 is the better point."""
    return float(0.5 * (n - 1) / (0.5 * (n + 1)) ** (1.0 + 1.0 / n))


@functools.cache
def _start(n: int) -> list[float]:
    """Return a polynomial in c, the highest power first: the root to 6e-5, 1 at 0."""
    y = np.linspace((2.0 / (n + 1)) ** (1.0 / n), 1.0, 400)[:-1]
    c = y - y ** (n + 1)
    return [*np.polyfit(c, (y - 1.0) / c, 2 * n).tolist(), 1.0]
