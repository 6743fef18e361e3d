"""Penalties of a layer's output that couple the samples of a batch.

The one rule: a value is the batch size times the published one, since Keras divides
the penalty of an activity by the batch size. Units are the last axis; pixels and time
steps are samples more. A batch is to have several samples for each unit.
"""

import dataclasses
from typing import ClassVar

from keras import ops

from kregkit.known import Range, numeric
from kregkit.numerics import Tensor
from kregkit.regularizers._base import Penalty
from kregkit.regularizers._register import register
from kregkit.regularizers.activity import check_rank

_LEAST = 1e-4
"""Added to a variance before its root is taken, as published."""


@register
@dataclasses.dataclass(frozen=True, eq=False)
class DeCov(Penalty):
    """`n·½·Σ_{i≠j} C_ij²`, C the covariance of the units over the batch of n.

    C is a mean over samples, not that over one sample less. Cogswell, Ahmed, Girshick,
    Zitnick and Batra 2016, arXiv:1511.06068.
    """

    proximal: ClassVar[bool] = False
    makes_zeros: ClassVar[bool] = False

    def _value(self, w: Tensor) -> Tensor:
        covariance, samples = _covariance("DeCov", w, 0)
        return samples * 0.5 * _off_diagonal(covariance)


@register
@dataclasses.dataclass(frozen=True, eq=False)
class VarianceCovariance(Penalty):
    """`n/d·(Σⱼ max(γ − √(C_jj + 1e-4), 0) + ν·Σ_{i≠j} C_ij²)`, for d units.

    C is their covariance over the batch of n: units that vary, and not together. Two of
    the three terms of VICReg: Bardes, Ponce and LeCun 2022, arXiv:2105.04906, who count
    the second 1 and the first 25 times: ν is 1/25.

    Args:
        strength: what the value is multiplied by.
        gamma: γ, the standard deviation that suffices, from 1e-6 to 1e6.
        nu: ν, from 0 to 1e6.
    """

    gamma: float = 1.0
    nu: float = 0.04

    ranges: ClassVar[dict[str, Range]] = numeric("VarianceCovariance")
    proximal: ClassVar[bool] = False
    makes_zeros: ClassVar[bool] = False

    def _value(self, w: Tensor) -> Tensor:
        covariance, samples = _covariance("VarianceCovariance", w, 1)
        gamma, nu = (ops.convert_to_tensor(x, w.dtype) for x in (self.gamma, self.nu))
        deviation = ops.sqrt(ops.diagonal(covariance) + _LEAST)
        hinge = ops.sum(ops.relu(gamma - deviation))
        value = hinge + nu * _off_diagonal(covariance)
        return samples * (value / max(covariance.shape[0], 1))


def _covariance(owner: str, h: Tensor, less: int) -> tuple[Tensor, Tensor]:
    """Return the covariance of units, over count − `less`, and the batch size."""
    check_rank(owner, h)
    samples = ops.cast(ops.shape(h)[0], h.dtype)
    flat = ops.reshape(h, (-1, h.shape[-1])) if h.shape[-1] else h[..., :0]
    count = ops.cast(ops.shape(flat)[0], h.dtype)
    one = ops.ones_like(count)

    def least(x: Tensor) -> Tensor:
        return ops.where(x > one, x, one)

    away = flat - ops.sum(flat, axis=0, keepdims=True) / least(count)
    return ops.transpose(away) @ away / least(count - less), samples


def _off_diagonal(square: Tensor) -> Tensor:
    unit = ops.eye(square.shape[0], dtype=square.dtype)
    return ops.sum(ops.square(square * (1.0 - unit)))
