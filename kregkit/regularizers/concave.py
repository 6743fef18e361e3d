"""Penalties that grow ever less with |w|, and so shrink large weights less than L1.

They are in units of the weight. With the literature's unscaled knot a
typical layer has no weight past it, and the penalty is L1 in disguise. Their prox is
the global minimiser: beyond the amount at which the problem has several minima, too.
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
    """`Σ (m − m²/2θ), m = min(|w|, θ)`: a weight beyond the threshold θ is free.

    The minimax concave penalty of Zhang 2010, doi:10.1214/09-AOS729, whose γ is
    θ/strength. Its prox is firm thresholding where `amount < θ`, and the hard
    threshold at `√(amount·θ)` elsewhere.

    Args:
        strength: what the value is multiplied by; its slope at zero.
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
    doi:10.1198/016214501753382273, whose λ is κ = strength. Between κ and θ its slope
    falls to 0; a weight beyond θ is free. Its prox has one minimum where
    `amount < θ − κ`, and two elsewhere.

    Args:
        strength: what the value is multiplied by; its slope up to κ.
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
    """`Σ min(|w|, θ)`: L1 for weights up to θ, and none beyond.

    T. Zhang 2010, Journal of Machine Learning Research 11. Its prox is soft
    thresholding up to `θ + amount/2` and leaves what is beyond, where `amount <= 2θ`;
    elsewhere it is the hard threshold at `√(2·amount·θ)`.

    Args:
        strength: what the value is multiplied by; its slope up to θ.
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
    """`Σ log(1 + |w|/ε)`: its slope at zero is 1/ε, and halves at `|w| = ε`.

    Candès, Wakin and Boyd 2008, doi:10.1007/s00041-008-9045-x; its prox is the better
    of 0 and the larger root of a quadratic (Prater-Bennette, Shen and Tripp 2022,
    arXiv:2103.02681).

    Args:
        strength: what the value is multiplied by.
        epsilon: ε, from 1e-6 to 1e6.
    """

    epsilon: float = 0.1

    def _value(self, w: Tensor) -> Tensor:
        epsilon = ops.convert_to_tensor(self.epsilon, w.dtype)
        return ops.sum(ops.log1p(magnitude(w) / epsilon))

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        epsilon = ops.convert_to_tensor(self.epsilon, w.dtype)
        size, limit = ops.abs(w), ops.sqrt(amount)
        # The root is |w| − amount/(x + √(x² − amount)) with x = (|w| + ε)/2: without
        # cancellation, and |w| itself at amount 0.
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
    """`Σ (a + 1)·|w|/(a + |w|)`: L0 for small `a`, L1 for large.

    Zhang and Xin 2017, doi:10.4310/CMS.2017.v15.n2.a9; its prox is the better of 0 and
    the largest root of a cubic, `|w| − 4/3·(|w| + a)·sin²(φ/3)` with φ from 0 to π/2.
    `1 − cos`, as in the paper, would leave nothing where the step is small; and the
    angle is not asked for, whose functions XLA is slow at on a CPU.

    Args:
        strength: what the value is multiplied by.
        a: the size at which a weight costs half of what it can, from 1e-6 to 1e6.
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
    """Return `4/3·sin²(φ/3)/v` as a polynomial of `v = 1 − cos φ`, up to 1.

    The highest power is first. The nearest singularity is at v = 2: each power makes
    the error six times less.
    """
    degree = 9 if dtype == "float32" else 22
    v = np.polynomial.chebyshev.chebpts1(2 * degree) * 0.5 + 0.5
    values = 4.0 / 3.0 * np.sin(np.arccos(1.0 - v) / 3.0) ** 2 / v
    fit = np.polynomial.Chebyshev.fit(v, values, degree, domain=[0.0, 1.0])
    return list(fit.convert(kind=np.polynomial.Polynomial).coef[::-1].tolist())
