"""Penalties that are ratios of norms, and so blind to the scale of a tensor.

The one rule: they are 0 at the zero tensor, and their gradient is too.
"""

import dataclasses
from typing import ClassVar

from keras import ops

from kregkit.numerics import Tensor, magnitude, safe_norm, scaled
from kregkit.regularizers._base import Penalty
from kregkit.regularizers._groups import Grouped, split
from kregkit.regularizers._register import register


@register
@dataclasses.dataclass(frozen=True, eq=False)
class Hoyer(Penalty):
    """`Σ|w|/√Σw²`: from 1, one weight is left, to √n, all n are equal.

    The Hoyer sparsity, which tables call `hoyer`, is `(√n − value)/(√n − 1)`. As
    `HoyerSquare`, it is trained with a gradient. Hoyer 2004, Journal of Machine
    Learning Research 5.
    """

    proximal: ClassVar[bool] = False
    makes_zeros: ClassVar[bool] = True

    def _value(self, w: Tensor) -> Tensor:
        w, _ = scaled(ops.reshape(w, (-1,)), axis=0)
        norm = safe_norm(w, axis=0)
        norm = ops.where(norm > 0, norm, ops.ones_like(norm))
        return ops.sum(magnitude(w)) / norm


@register
@dataclasses.dataclass(frozen=True, eq=False)
class HoyerSquare(Penalty):
    """`(Σ|w|)²/Σw²`: from 1, one weight is left, to their number, all are equal.

    Its gradient is orthogonal to `w`: it moves weights towards zero and the largest
    away from it. There is no proximal operator for it: train with a gradient, then
    prune. Yang, Wen and Li 2020, arXiv:1908.09979.
    """

    proximal: ClassVar[bool] = False
    makes_zeros: ClassVar[bool] = True

    def _value(self, w: Tensor) -> Tensor:
        return _square(magnitude(ops.reshape(w, (-1,))))


@register
@dataclasses.dataclass(frozen=True, eq=False)
class GroupHoyerSquare(Grouped):
    """`(Σ_g ‖w_g‖₂)²/Σw²`: from 1, one group is left, to their number, all are alike.

    `HoyerSquare` of the norms of the groups. Yang, Wen and Li 2020, arXiv:1908.09979.

    Args:
        strength: what the value is multiplied by.
        group: as for `GroupLasso`.
    """

    proximal: ClassVar[bool] = False
    makes_zeros: ClassVar[bool] = True

    def _value(self, w: Tensor) -> Tensor:
        w, axes, _ = split("GroupHoyerSquare", w, self.group)
        return _square(ops.reshape(safe_norm(w, axes), (-1,)))


def _square(sizes: Tensor) -> Tensor:
    sizes, largest = scaled(sizes, axis=0)
    squares = ops.sum(ops.square(sizes), keepdims=True)
    squares = ops.where(largest > 0, squares, ops.ones_like(squares))
    return ops.sum(ops.square(ops.sum(sizes)) / squares)
