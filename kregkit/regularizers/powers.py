"""Penalties `Σ|w|ᵖ` with p below 1, whose slope at zero is infinite.

The one rule: p is `1 − 1/n` of a whole n. With `|u| = |w|·yⁿ` the stationary points of
the proximal problem are then the roots of one polynomial, `yⁿ⁺¹ − y + c`, for every n:
no cosines, which cancel where the step is small.
"""

import dataclasses
import functools
from typing import ClassVar, Final

import numpy as np
from keras import backend, ops

from kregkit.numerics import Tensor, summed
from kregkit.regularizers._base import Penalty
from kregkit.regularizers._register import register

_NEWTON: Final = {"float32": 1, "float64": 3}
"""Steps to the largest root from `_start`: it is then within rounding of 1."""


@register
@dataclasses.dataclass(frozen=True, eq=False)
class LHalf(Penalty):
    """`Σ √|w|`: half-way from L1 to L0.

    Its prox is 0 up to `1.5·amount^(2/3)`, and jumps to two thirds of the weight there.
    The gradient of a weight that is exactly zero is 0. Xu, Chang, Xu and Zhang 2012,
    doi:10.1109/TNNLS.2012.2197412.
    """

    makes_zeros: ClassVar[bool] = True

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

    makes_zeros: ClassVar[bool] = True

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
    """Return the n-th root of what is positive, exact to rounding, as its gradient."""
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
