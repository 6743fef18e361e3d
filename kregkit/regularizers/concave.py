"""Penalties that are concave in |w|, and so shrink large weights less than L1 does.

Their thresholds are in units of the weight. With the unscaled threshold of the
literature, no weight of a typical layer is beyond it, and the penalty is just L1. The
proximal operators return the global minimiser, also if there are several minima.
"""

import dataclasses
import functools

import numpy as np
from keras import backend, ops

from kregkit.numerics import Tensor, constant, magnitude, summed
from kregkit.regularizers._base import Penalty
from kregkit.regularizers._folded_concave import folded_concave, folded_concave_prox
from kregkit.regularizers._register import register


@register
@dataclasses.dataclass(frozen=True, eq=False)
class MCP(Penalty):
    """`Σ (m − m²/2θ), m = min(|w|, θ)`: constant beyond the threshold θ.

    The minimax concave penalty of Zhang 2010, doi:10.1214/09-AOS729, with γ =
    θ/strength. Its proximal operator is firm thresholding if `amount < θ`, and
    otherwise the hard threshold at `√(amount·θ)`.

    Args:
        strength: the factor of the value; its slope at zero.
        threshold: θ, from 1e-6 to 1e6.
    """

    threshold: float = 0.1

    def _value(self, w: Tensor) -> Tensor:
        return folded_concave(w, 0.0, self.threshold)

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        return folded_concave_prox(w, amount, 0.0, self.threshold)


@register
@dataclasses.dataclass(frozen=True, eq=False)
class SCAD(Penalty):
    """`Σ (m − max(m − κ, 0)²/2(θ − κ)), m = min(|w|, θ), κ = θ/a`: L1 up to κ.

    The smoothly clipped absolute deviation of Fan and Li 2001,
    doi:10.1198/016214501753382273, with λ = κ = strength. Its slope falls to 0 between
    κ and θ, and is 0 beyond. The proximal problem has one minimum if
    `amount < θ − κ`, and two otherwise.

    Args:
        strength: the factor of the value; its slope up to κ.
        threshold: θ, from 1e-6 to 1e6.
        a: θ/κ, from 1.001 to 1e6.
    """

    threshold: float = 0.1
    a: float = 3.7

    def _value(self, w: Tensor) -> Tensor:
        return folded_concave(w, self.threshold / self.a, self.threshold)

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        return folded_concave_prox(w, amount, self.threshold / self.a, self.threshold)


@register
@dataclasses.dataclass(frozen=True, eq=False)
class CappedL1(Penalty):
    """`Σ min(|w|, θ)`: L1 for weights up to θ, and constant beyond.

    T. Zhang 2010, Journal of Machine Learning Research 11. If `amount <= 2θ`, its
    proximal operator is soft thresholding up to `θ + amount/2`, and the identity
    beyond; otherwise it is the hard threshold at `√(2·amount·θ)`.

    Args:
        strength: the factor of the value; its slope up to θ.
        threshold: θ, from 1e-6 to 1e6.
    """

    threshold: float = 0.1

    def _value(self, w: Tensor) -> Tensor:
        threshold = ops.convert_to_tensor(self.threshold, w.dtype)
        size = magnitude(w)
        return ops.sum(ops.where(size > threshold, threshold, size))

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        return folded_concave_prox(w, amount, self.threshold, self.threshold)


@register
@dataclasses.dataclass(frozen=True, eq=False)
class LogSum(Penalty):
    """`Σ log(1 + |w|/ε)`: its slope is 1/ε at zero, and half of that at `|w| = ε`.

    Candès, Wakin and Boyd 2008, doi:10.1007/s00041-008-9045-x; its proximal operator is
    the better of 0 and the larger root of a quadratic (Prater-Bennette, Shen and Tripp
    2022, arXiv:2103.02681).

    Args:
        strength: the factor of the value.
        epsilon: ε, from 1e-6 to 1e6.
    """

    epsilon: float = 0.1

    def _value(self, w: Tensor) -> Tensor:
        epsilon = ops.convert_to_tensor(self.epsilon, w.dtype)
        return ops.sum(ops.log1p(magnitude(w) / epsilon))

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        epsilon = ops.convert_to_tensor(self.epsilon, w.dtype)
        size, limit = ops.abs(w), ops.sqrt(amount)
        # The root is |w| − amount/(x + √(x² − amount)) with x = (|w| + ε)/2: this form
        # has no cancellation, and is exactly |w| for an amount of 0.
        x = 0.5 * (size + epsilon)
        below = 0.5 * ((size - limit) + (epsilon - limit))  # x − √amount
        split = ops.sqrt(ops.relu(below)) * ops.sqrt(x + limit)
        shift = amount / (x + split)
        root = ops.relu(size - shift)
        gain = root * ((size + shift) / (2.0 * amount))
        worse = (limit > epsilon) & (gain <= ops.log1p(root / epsilon))
        moved = ops.where((below < 0.0) | worse, ops.zeros_like(root), root)
        return ops.sign(w) * ops.where(amount > 0, moved, size)


@register
@dataclasses.dataclass(frozen=True, eq=False)
class TransformedL1(Penalty):
    """`Σ (a + 1)·|w|/(a + |w|)`: near L0 for small `a`, near L1 for large `a`.

    Zhang and Xin 2017, doi:10.4310/CMS.2017.v15.n2.a9; its proximal operator is the
    better of 0 and the largest root of a cubic, `|w| − 4/3·(|w| + a)·sin²(φ/3)` with φ
    from 0 to π/2. The paper's `1 − cos` would cancel at small steps. φ itself is not
    computed, since XLA is slow at trigonometric functions on a CPU.

    Args:
        strength: the factor of the value.
        a: the |w| with half of the largest possible penalty, from 1e-6 to 1e6.
    """

    a: float = 0.1

    def _value(self, w: Tensor) -> Tensor:
        a = constant(self.a, w.dtype)

        def each(w: Tensor) -> Tensor:
            size = ops.abs(w)
            return size / (a + size)

        def slope(w: Tensor) -> Tensor:
            part = a / (a + ops.abs(w))
            return ops.sign(w) * part * (part / a)

        return (a + 1.0) * summed(w, each, slope)

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        a = ops.convert_to_tensor(self.a, w.dtype)
        size, slope = ops.abs(w), amount * (a + 1.0)
        small = slope <= 0.5 * a * a
        least = ops.where(small, slope / a, ops.sqrt(2.0 * slope) - 0.5 * a)
        whole = size + a
        square = 6.75 * (a / whole) * (slope / whole) / whole  # sin²φ
        square = ops.where(square < 1.0, square, ops.ones_like(square))
        versine = square / (1.0 + ops.sqrt(1.0 - square))  # 1 − cos φ
        third = ops.zeros_like(versine)
        for coefficient in _third(backend.standardize_dtype(w.dtype)):
            third = third * versine + coefficient
        root = ops.relu(size - whole * (versine * third))
        return ops.sign(w) * ops.where(size > least, root, 0.0 * size)


@functools.cache
def _third(dtype: str) -> list[float]:
    """Return `4/3·sin²(φ/3)/v` as a polynomial in `v = 1 − cos φ`, for v up to 1.

    The highest power is first. The nearest singularity is at v = 2, so each power
    divides the error by six.
    """
    degree = 9 if dtype == "float32" else 22
    v = np.polynomial.chebyshev.chebpts1(2 * degree) * 0.5 + 0.5
    values = 4.0 / 3.0 * np.sin(np.arccos(1.0 - v) / 3.0) ** 2 / v
    fit = np.polynomial.Chebyshev.fit(v, values, degree, domain=[0.0, 1.0])
    return list(fit.convert(kind=np.polynomial.Polynomial).coef[::-1].tolist())
