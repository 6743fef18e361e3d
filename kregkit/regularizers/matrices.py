"""Penalties of a kernel as a matrix `W`, of inputs by units.

The one rule: a column of it is a unit of the layer, and a row an index of all else.
"""

import dataclasses
from typing import ClassVar, Final

from keras import ops

from kregkit.known import ORTHOGONALITY
from kregkit.numerics import Tensor, largest, safe_norm, scaled
from kregkit.regularizers._matrix import OfMatrix, adjoint, gram_of, leading, power
from kregkit.regularizers._parameters import word
from kregkit.regularizers._register import register

_SOFT: Final = ("soft", "double_soft")


@register
@dataclasses.dataclass(frozen=True, eq=False)
class Orthogonality(OfMatrix):
    """`‖WᵀW − I‖_F²` or what else `form` says: units whose weights are orthogonal.

    With G = WᵀW, and units in the columns of W, of every kernel but a bias:

    | form | value | source |
    |---|---|---|
    | "soft" | `‖G − I‖_F²` | Bansal, Chen and Wang 2018, arXiv:1810.09102 |
    | "double_soft" | `‖WᵀW − I‖_F² + ‖WWᵀ − I‖_F²` | the same |
    | "mutual_coherence" | the largest size in `G − I` | the same |
    | "srip" | the largest size of an eigenvalue of `G − I` | the same |
    | "srip_power" | `‖(G − I)v‖`, `v` after 16 steps of a power iteration | the same |
    | "off_diagonal" | `Σ_{i≠j} G_ij²` | Brock, Donahue and Simonyan 2018 |

    The last, of arXiv:1809.11096, leaves the lengths free. With more units than inputs
    no W has `G = I`: "soft" is then at least the difference of the two numbers. The `v`
    of "srip_power" is constant to the gradient, and what it is of is at most that of
    "srip", at a twentieth of the cost.

    Args:
        strength: what the value is multiplied by.
        form: a word of the table.
    """

    form: str = "soft"

    proximal: ClassVar[bool] = False
    makes_zeros: ClassVar[bool] = False

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
    """Return `‖WᵀW − I‖_F²`, for two sides with `‖WWᵀ − I‖_F²`.

    Both are of one value, but for the difference of their sizes: the smaller Gram
    matrix tells them.
    """
    inputs, units = matrix.shape
    gram = gram_of(ops.transpose(matrix) if inputs < units else matrix)
    unit = ops.eye(gram.shape[0], dtype=matrix.dtype)
    more = abs(units - inputs) if sides == 2.0 else max(units - inputs, 0)
    return sides * ops.sum(ops.square(gram - unit)) + float(more)


def _largest_eigenvalue(matrix: Tensor) -> Tensor:
    """Return the largest size of an eigenvalue of a symmetric matrix.

    Each that has it has its part of the gradient, whatever its sign.
    """
    fixed, most = scaled(ops.stop_gradient(matrix))
    signed = leading(fixed @ fixed) @ fixed
    size = ops.sqrt(ops.sum(signed * fixed))
    size = ops.where(most > 0.0, size, ops.ones_like(most))
    return ops.sum(matrix * signed / size)
