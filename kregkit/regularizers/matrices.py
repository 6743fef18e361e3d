"""Penalties of a kernel as a matrix `W` of inputs by units, and of its singular values.

A column of `W` is a unit of the layer. A row is one index of all other axes, including
the places of a convolution's window.
"""

import dataclasses
from typing import Final

from keras import ops

from kregkit.known import ORTHOGONALITY, SPECTRAL
from kregkit.numerics import Tensor, largest, safe_divisor, safe_norm, scaled
from kregkit.regularizers._matrix import (
    OfMatrix,
    adjoint,
    gram_of,
    leading,
    narrow,
    polar,
    power,
)
from kregkit.regularizers._parameters import word
from kregkit.regularizers._register import register

_SOFT: Final = ("soft", "double_soft")


@register
@dataclasses.dataclass(frozen=True, eq=False)
class Orthogonality(OfMatrix):
    """`‖WᵀW − I‖_F²`, or another value by `form`: makes units' weights orthogonal.

    With G = WᵀW, and units in the columns of W:

    | form | value | source |
    |---|---|---|
    | "soft" | `‖G − I‖_F²` | Bansal, Chen and Wang 2018, arXiv:1810.09102 |
    | "double_soft" | `‖WᵀW − I‖_F² + ‖WWᵀ − I‖_F²` | the same |
    | "mutual_coherence" | the largest magnitude in `G − I` | the same |
    | "srip" | the largest magnitude of an eigenvalue of `G − I` | the same |
    | "srip_power" | `‖(G − I)v‖`, `v` after 16 steps of a power iteration | the same |
    | "off_diagonal" | `Σ_{i≠j} G_ij²` | Brock, Donahue and Simonyan 2018 |

    "off_diagonal", of arXiv:1809.11096, does not penalise the lengths. With more units
    than inputs, no W has `G = I`, and "soft" is at least the difference of the two
    numbers. In "srip_power", `v` is constant for the gradient. Its value is at most the
    value of "srip", and it costs a twentieth.

    Args:
        strength: the factor of the value.
        form: one of the table.
    """

    form: str = "soft"

    def __post_init__(self) -> None:
        super().__post_init__()
        word("Orthogonality", "form", self.form, ORTHOGONALITY)

    def _value(self, w: Tensor) -> Tensor:
        matrix = self.matrix(w)
        if self.form in _SOFT:
            return _soft(matrix, 1.0 + (self.form == "double_soft"))
        if self.form == "srip_power":
            held = ops.stop_gradient(matrix)
            vector = power(lambda v: adjoint(held, held @ v) - v, matrix)
            return safe_norm(adjoint(matrix, matrix @ vector) - vector)
        gram = gram_of(matrix)
        unit = ops.eye(gram.shape[0], dtype=w.dtype)
        off = gram - unit
        if self.form == "off_diagonal":
            return ops.sum(ops.square(gram * (1.0 - unit)))
        if self.form == "srip":
            return _largest_eigenvalue(off)
        return largest(off)


def _soft(matrix: Tensor, sides: float) -> Tensor:
    """Return `‖WᵀW − I‖_F²`, for `sides = 2` plus `‖WWᵀ − I‖_F²`.

    The two terms differ only by the difference of their sizes, so the smaller Gram
    matrix gives both.
    """
    inputs, units = matrix.shape
    gram = gram_of(ops.transpose(matrix) if inputs < units else matrix)
    unit = ops.eye(gram.shape[0], dtype=matrix.dtype)
    more = abs(units - inputs) if sides == 2.0 else max(units - inputs, 0)
    return sides * ops.sum(ops.square(gram - unit)) + float(more)


def _largest_eigenvalue(matrix: Tensor) -> Tensor:
    """Return the largest magnitude of an eigenvalue of a symmetric matrix.

    All eigenvalues with this magnitude share the gradient, whatever their sign.
    """
    fixed, most = scaled(ops.stop_gradient(matrix))
    signed = leading(fixed @ fixed) @ fixed
    size = ops.sqrt(ops.sum(signed * fixed))
    size = ops.where(most > 0.0, size, ops.ones_like(most))
    return ops.sum(matrix * signed / size)


@register
@dataclasses.dataclass(frozen=True, eq=False)
class NuclearNorm(OfMatrix):
    """`Σᵢ σᵢ(W)`, the sum of the singular values, which favours low rank.

    Its proximal operator subtracts the amount from each singular value, down to 0; it
    needs one amount for all weights. With the polar decomposition W = PH, computed by
    matrix products only, it is `W − P·min(H, amount)`. Singular values of 0 are 0 up to
    rounding. Cai, Candès and Shen 2010, doi:10.1137/080738970.
    """

    def _value(self, w: Tensor) -> Tensor:
        matrix, most = scaled(narrow(self.matrix(w)))
        return ops.sum(most) * ops.sum(matrix * ops.stop_gradient(polar(matrix)))

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        whole = self.matrix(w)
        matrix, most = scaled(narrow(whole))
        most = ops.sum(most)
        unit = ops.eye(matrix.shape[0], dtype=matrix.dtype)
        cut = unit * (amount / safe_divisor(most))
        factor = polar(matrix)
        over = matrix @ ops.transpose(factor) - cut
        over = 0.5 * (over + ops.transpose(over))
        sign = polar(over)
        some = ops.sum(unit * (sign + unit)) > 0.5  # trace −n: no value above the cut
        less = most * ((cut + 0.5 * (over - over @ sign)) @ factor)
        if whole.shape != matrix.shape:
            less = ops.transpose(less)
        moved = w - self.tensor(less, w)
        moved = ops.where(some, moved, 0.0 * w)
        return ops.where(amount > 0.0, moved, w)


@register
@dataclasses.dataclass(frozen=True, eq=False)
class SpectralNorm(OfMatrix):
    """`σ₁(W)²`, the square of the largest singular value, which bounds the slope.

    If several singular values are the largest, they share the gradient. The form
    "exact" squares the smaller of WᵀW and WWᵀ 20 times, which is 2²⁰ steps of a power
    iteration from all start vectors at once. Yoshida and Miyato 2017, arXiv:1705.10941.

    The form "power" is `‖Wv‖²`, with `v` after 16 steps of a power iteration from a
    fixed start; as in the paper, `v` is constant for the gradient. It is at most
    σ₁(W)², and 0.94 of it for a kernel of 784 by 300 random weights, at a tenth of the
    cost.

    Args:
        strength: the factor of the value.
        form: "exact" or "power".
    """

    form: str = "exact"

    def __post_init__(self) -> None:
        super().__post_init__()
        word("SpectralNorm", "form", self.form, SPECTRAL)
        object.__setattr__(self, "convex", self.form == "exact")

    def _value(self, w: Tensor) -> Tensor:
        if self.form == "power":
            matrix = self.matrix(w)
            held, _ = scaled(ops.stop_gradient(matrix))
            vector = power(lambda v: adjoint(held, held @ v), matrix)
            return ops.sum(ops.square(matrix @ vector))
        matrix = narrow(self.matrix(w))
        fixed, _ = scaled(ops.stop_gradient(matrix))
        first = ops.stop_gradient(leading(fixed @ ops.transpose(fixed)))
        return ops.sum(matrix * (first @ matrix))
