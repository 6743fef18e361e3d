"""Penalties of a layer's output, `h[i, ...]` of sample `i`, for `activity_regularizer`.

Keras divides an activity penalty by the batch size. A value is therefore a sum over
samples, or the batch size times the published value, and training minimises a mean over
samples. Covariance penalties take units on the last axis, and treat pixels and time
steps as samples. They need batches with several samples for each unit.
"""

import dataclasses
from typing import Final

from keras import ops

from kregkit.errors import ParameterError, must
from kregkit.numerics import Tensor, larger, magnitude, safe_divisor, safe_norm, scaled
from kregkit.regularizers._base import Penalty
from kregkit.regularizers._register import register

_EDGE: Final = 2.0**-13
"""Both this and 1 − this are exact in float32, unlike 1 − 1e-4."""

_LEAST_PROBABILITY: Final = 2.0**-24
"""Smaller probabilities are replaced by this in the logarithm."""

_ADDED: Final = 1e-4
"""Added to a variance before the square root, as in the paper."""


@register
@dataclasses.dataclass(frozen=True, eq=False)
class KLSparsity(Penalty):
    """`n·Σⱼ (ρ·log(ρ/mⱼ) + (1−ρ)·log((1−ρ)/(1−mⱼ)))`, m the mean over n samples.

    For units between 0 and 1, such as sigmoids, that should have the mean ρ over a
    batch (Ng 2011, the sparse autoencoder). Each pixel or time step is a separate unit.
    For means outside 2⁻¹³ to 1 − 2⁻¹³ the tangent at that end is used: value and
    gradient are finite, and the gradient leads back. `rho` is ρ, from 0.001 to 0.999.
    """

    rho: float = 0.05

    def _value(self, w: Tensor) -> Tensor:
        check_rank("KLSparsity", w)
        rho = ops.convert_to_tensor(self.rho, w.dtype)
        samples = ops.cast(ops.shape(w)[0], w.dtype)
        mean = ops.sum(w, axis=0) / larger(samples, ops.ones_like(samples))
        on = ops.clip(mean, _EDGE, 1.0 - _EDGE)
        off = 1.0 - on
        inside = rho * ops.log(rho / on) + (1.0 - rho) * ops.log((1.0 - rho) / off)
        tangent = ((1.0 - rho) / off - rho / on) * (mean - on)
        return samples * ops.sum(inside + tangent)


@register
@dataclasses.dataclass(frozen=True, eq=False)
class HoyerActivity(Penalty):
    """`Σᵢ ‖hᵢ‖₁/‖hᵢ‖₂`: per sample from 1 (one active unit) to √d (d equal units).

    The Hoyer sparsity of a sample, `hoyer` in tables, is `(√d − ‖h‖₁/‖h‖₂)/(√d − 1)`.
    This penalty increases its mean, and does not depend on the scale of activations. A
    sample with all activations zero has value and gradient 0. Hoyer 2004, Journal of
    Machine Learning Research 5.
    """

    def _value(self, w: Tensor) -> Tensor:
        check_rank("HoyerActivity", w)
        axes = tuple(range(1, len(w.shape)))
        w, _ = scaled(w, axes)
        norm = safe_norm(w, axes)
        norm = safe_divisor(norm)
        return ops.sum(ops.sum(magnitude(w), axes) / norm)


@register
@dataclasses.dataclass(frozen=True, eq=False)
class EntropyPenalty(Penalty):
    """`Σᵢ Σⱼ hᵢⱼ·log hᵢⱼ`, the negative entropy of outputs that are probabilities.

    It penalises confident softmax outputs: per sample, the value is −log(classes) for a
    uniform output and 0 for a certain one. Below 2⁻²⁴ the logarithm of 2⁻²⁴ is used, so
    value and gradient are finite. Pereyra, Tucker, Chorowski, Kaiser and Hinton 2017,
    arXiv:1701.06548.
    """

    def _value(self, w: Tensor) -> Tensor:
        check_rank("EntropyPenalty", w)
        least = ops.convert_to_tensor(_LEAST_PROBABILITY, w.dtype)
        return ops.sum(w * ops.log(larger(w, least)))


@register
@dataclasses.dataclass(frozen=True, eq=False)
class TotalVariation(Penalty):
    """`Σᵢ Σ|hᵢ[…, t+1, …] − hᵢ[…, t, …]|`, along every inner axis.

    The inner axes, between the first and the last, are time steps or pixels. The
    penalty favours outputs that are piecewise constant. Rudin, Osher and Fatemi 1992,
    doi:10.1016/0167-2789(92)90242-F, in the anisotropic form.
    """

    def _value(self, w: Tensor) -> Tensor:
        if len(w.shape) < 3:
            rule = "the output of a layer, with time steps or pixels on inner axes"
            raise ParameterError(must("TotalVariation", "w", rule, tuple(w.shape)))
        inner = range(1, len(w.shape) - 1)
        return sum(ops.sum(magnitude(ops.diff(w, axis=axis))) for axis in inner)


def check_rank(owner: str, w: Tensor) -> None:
    """Raise `ParameterError` for a tensor that cannot be the output of a layer."""
    if len(w.shape) < 2:
        rule = "the output of a layer, with samples on the first axis"
        raise ParameterError(must(owner, "w", rule, tuple(w.shape)))


@register
@dataclasses.dataclass(frozen=True, eq=False)
class DeCov(Penalty):
    """`n·½·Σ_{i≠j} C_ij²`, C the covariance of the units over the batch of n.

    C divides by n, not by n − 1. Cogswell, Ahmed, Girshick, Zitnick and Batra 2016,
    arXiv:1511.06068.
    """

    def _value(self, w: Tensor) -> Tensor:
        covariance, samples = _covariance("DeCov", w, 0)
        return samples * 0.5 * _off_diagonal(covariance)


@register
@dataclasses.dataclass(frozen=True, eq=False)
class VarianceCovariance(Penalty):
    """`n/d·(Σⱼ max(γ − √(C_jj + 1e-4), 0) + ν·Σ_{i≠j} C_ij²)`, for d units.

    C is their covariance over the batch of n. The penalty favours units that vary and
    are uncorrelated. These are two of the three terms of VICReg, of Bardes, Ponce and
    LeCun 2022, arXiv:2105.04906, with factors 25 and 1 there: hence ν = 1/25.

    Args:
        strength: the factor of the value.
        gamma: γ, the target standard deviation, from 1e-6 to 1e6.
        nu: ν, from 0 to 1e6.
    """

    gamma: float = 1.0
    nu: float = 0.04

    def _value(self, w: Tensor) -> Tensor:
        covariance, samples = _covariance("VarianceCovariance", w, 1)
        gamma, nu = (ops.convert_to_tensor(x, w.dtype) for x in (self.gamma, self.nu))
        deviation = ops.sqrt(ops.diagonal(covariance) + _ADDED)
        hinge = ops.sum(ops.relu(gamma - deviation))
        value = hinge + nu * _off_diagonal(covariance)
        return samples * (value / max(covariance.shape[0], 1))


def _covariance(owner: str, h: Tensor, less: int) -> tuple[Tensor, Tensor]:
    """Return the covariance of units, divided by count − `less`, and the batch size."""
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
