"""Penalties `Σ|w|ᵖ` with p below 1, whose slope at zero is infinite.

The one rule: p is `1 − 1/n` of a whole n. With `|u| = |w|·yⁿ` the stationary points of
the proximal problem are then the roots of one polynomial, `yⁿ⁺¹ − y + c`, for every n:
no cosines, which cancel where the step is small.
"""

import dataclasses
from typing import Final

from keras import ops

from kregkit.numerics import Tensor
from kregkit.regularizers._base import Penalty
from kregkit.regularizers._register import register

_NEWTON: Final = 6
"""Steps from 1 to the largest root, above 0.79: then it is exact in float64."""


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


def _root(x: Tensor, n: int) -> Tensor:
    """Return the n-th root of what is positive, exact to rounding, as its gradient."""
    if n == 2:
        return ops.sqrt(x)
    near = ops.stop_gradient(_power(x, 1.0 / n))
    return near - (near - x / near ** (n - 1)) / n


def _sum_of_powers(w: Tensor, n: int) -> Tensor:
    size = ops.abs(w)
    zero = size == 0
    power = _root(ops.where(zero, ops.ones_like(size), size), n) ** (n - 1)
    return ops.sum(ops.where(zero, ops.zeros_like(size), power))


def _prox(w: Tensor, amount: Tensor, n: int) -> Tensor:
    size = ops.abs(w)
    jump = 0.5 * (n + 1) * _power(2.0 / n * amount, n / (n + 1))
    zero = size <= jump
    kept = ops.where(zero, ops.ones_like(size), size)
    c = (1.0 - 1.0 / n) * amount / kept / _root(kept, n)
    c = ops.where(zero, ops.zeros_like(c), c)
    y = ops.ones_like(size)
    for _ in range(_NEWTON):
        power = y**n
        y = (n * power * y - c) / ((n + 1) * power - 1.0)
    return ops.where(zero, ops.zeros_like(w), w * y**n)
