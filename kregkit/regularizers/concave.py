"""Penalties that grow ever less with |w|, and so shrink large weights less than L1.

The one rule: they are in units of the weight. With the literature's unscaled knot a
typical layer has no weight past it, and the penalty is L1 in disguise. Their prox is
the global minimiser: beyond the amount at which the problem has several minima, too.
"""

import dataclasses
from typing import ClassVar

from keras import ops

from kregkit.numerics import Tensor, magnitude
from kregkit.regularizers._base import Penalty
from kregkit.regularizers._register import register
from kregkit.schema import Range, numeric


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

    ranges: ClassVar[dict[str, Range]] = numeric("MCP")

    def _value(self, w: Tensor) -> Tensor:
        threshold = ops.convert_to_tensor(self.threshold, w.dtype)
        size = magnitude(w)
        least = ops.where(size > threshold, threshold, size)
        return ops.sum(least * (1.0 - least / (2.0 * threshold)))

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        threshold = ops.convert_to_tensor(self.threshold, w.dtype)
        size, convex = ops.abs(w), amount < threshold
        gap = ops.where(convex, threshold - amount, ops.ones_like(amount))
        firm = ops.relu(size - amount) * (threshold / gap)
        free = ops.logical_or(size > threshold, firm > size)
        firm = ops.where(free, size, firm)
        knot = ops.sqrt(amount) * ops.sqrt(threshold)
        hard = ops.where(size > knot, size, ops.zeros_like(size))
        return ops.sign(w) * ops.where(convex, firm, hard)


@register
@dataclasses.dataclass(frozen=True, eq=False)
class LogSum(Penalty):
    """`Σ log(1 + |w|/ε)`: its slope at zero is 1/ε, and halves at `|w| = ε`.

    Candès, Wakin and Boyd 2008, doi:10.1007/s00041-008-9045-x; its prox is the better
    of 0 and the larger root of a quadratic (Prater-Bennette, Shen and Tripp 2022,
    doi:10.1007/s10915-022-02021-4).

    Args:
        strength: what the value is multiplied by.
        epsilon: ε, from 1e-6 to 1e6.
    """

    epsilon: float = 0.1

    ranges: ClassVar[dict[str, Range]] = numeric("LogSum")

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
        better = (limit <= epsilon) | (gain > ops.log1p(root / epsilon))
        moved = ops.where((below >= 0.0) & better, root, ops.zeros_like(root))
        return ops.sign(w) * ops.where(amount > 0, moved, size)
