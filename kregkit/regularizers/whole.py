"""Penalties of a whole tensor: ratios and differences of its norms.

Ratios do not depend on the scale of the tensor. At the zero tensor they and their
gradients are 0. The proximal operator of a difference returns a global minimiser; there
may be several.
"""

import dataclasses

from keras import ops

from kregkit.numerics import (
    Tensor,
    constant,
    differentiated,
    magnitude,
    safe_divisor,
    safe_norm,
    scaled,
    soft_threshold,
)
from kregkit.regularizers._base import Penalty
from kregkit.regularizers._groups import Grouped, split
from kregkit.regularizers._register import register


@register
@dataclasses.dataclass(frozen=True, eq=False)
class Hoyer(Penalty):
    """`Σ|w|/√Σw²`: from 1 (one nonzero weight) to √n (all n weights equal).

    The Hoyer sparsity, `hoyer` in tables, is `(√n − value)/(√n − 1)`. The penalty has
    no proximal operator: train with its gradient. Hoyer 2004, Journal of Machine
    Learning Research 5.
    """

    def _value(self, w: Tensor) -> Tensor:
        w, _ = scaled(ops.reshape(w, (-1,)), axis=0)
        norm = safe_norm(w, axis=0)
        norm = safe_divisor(norm)
        return ops.sum(magnitude(w)) / norm


@register
@dataclasses.dataclass(frozen=True, eq=False)
class HoyerSquare(Penalty):
    """`(Σ|w|)²/Σw²`: from 1 (one nonzero weight) to n (all n weights equal).

    Its gradient is orthogonal to `w`: descent moves small weights towards zero, and the
    largest away from it. It has no proximal operator: train with its gradient, then
    prune. Yang, Wen and Li 2020, arXiv:1908.09979.
    """

    def _value(self, w: Tensor) -> Tensor:
        return _square(magnitude(ops.reshape(w, (-1,))))


@register
@dataclasses.dataclass(frozen=True, eq=False)
class GroupHoyerSquare(Grouped):
    """`(Σ_g ‖w_g‖₂)²/Σw²`: from 1 (one nonzero group) to the number of groups.

    `HoyerSquare` of the norms of the groups. Yang, Wen and Li 2020, arXiv:1908.09979.

    Args:
        strength: the factor of the value.
        group: as for `GroupLasso`.
    """

    def _value(self, w: Tensor) -> Tensor:
        w, axes, _ = split("GroupHoyerSquare", w, self.group)
        return _square(ops.reshape(safe_norm(w, axes), (-1,)))


def _square(sizes: Tensor) -> Tensor:
    sizes, largest = scaled(sizes, axis=0)
    squares = ops.sum(ops.square(sizes), keepdims=True)
    squares = ops.where(largest > 0, squares, ops.ones_like(squares))
    return ops.sum(ops.square(ops.sum(sizes)) / squares)


@register
@dataclasses.dataclass(frozen=True, eq=False)
class L1MinusL2(Penalty):
    """`Σ|w| − β·√Σw²`: with β = 1, it is 0 for at most one nonzero weight.

    Its proximal operator needs one amount for all weights. Lou and Yan 2018,
    doi:10.1007/s10915-017-0463-2.

    Args:
        strength: the factor of the value.
        beta: β, from 0 (L1) to 1.
    """

    beta: float = 1.0

    def _value(self, w: Tensor) -> Tensor:
        beta = constant(self.beta, w.dtype)

        def left(flat: Tensor) -> Tensor:
            norm = safe_norm(flat, axis=0)
            return 1.0 - beta * ops.abs(flat) / safe_divisor(norm)

        def value(flat: Tensor) -> Tensor:
            # A sum of each weight's part of the difference, without cancellation.
            unit, most = scaled(flat, axis=0)
            return most[0] * ops.sum(ops.abs(unit) * left(unit))

        def back(flat: Tensor, upstream: Tensor) -> Tensor:
            return upstream * ops.sign(flat) * left(scaled(flat, axis=0)[0])

        return differentiated(value, back)(ops.reshape(w, (-1,)))

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        """Lengthen the soft-thresholded vector, or keep only the largest weight."""
        beta = ops.convert_to_tensor(self.beta, w.dtype)
        flat = ops.reshape(w, (-1,))
        soft = soft_threshold(flat, amount)
        norm = safe_norm(soft, axis=0)

        def several() -> Tensor:
            return soft * (1.0 + amount * beta / safe_divisor(norm))

        def one() -> Tensor:
            size = ops.abs(flat)
            first = ops.arange(flat.shape[0]) == ops.argmax(ops.pad(size, ((0, 1),)))
            kept = soft_threshold(flat, amount * (1.0 - beta))
            return ops.where(first, kept, 0.0 * size)

        moved = ops.cond(norm > 0.0, several, one)
        return ops.reshape(ops.where(amount > 0.0, moved, flat), ops.shape(w))
