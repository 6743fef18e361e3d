"""Penalties that are ratios of norms, and so blind to the scale of a tensor.

The one rule: they are 0 at the zero tensor, and their gradient is too.
"""

import dataclasses
from typing import ClassVar

from keras import ops

from kregkit.numerics import Tensor, magnitude, scaled
from kregkit.regularizers._base import Penalty
from kregkit.regularizers._register import register


@register
@dataclasses.dataclass(frozen=True, eq=False)
class HoyerSquare(Penalty):
    """`(Σ|w|)²/Σw²`: from 1, one weight is left, to their number, all are equal.

    Its gradient is orthogonal to `w`: it moves weights towards zero and the largest
    away from it. There is no proximal operator for it: train with a gradient, then
    prune. Yang, Wen and Li 2020, arXiv:1908.09979.
    """

    proximal: ClassVar[bool] = False

    def _value(self, w: Tensor) -> Tensor:
        w, largest = scaled(ops.reshape(w, (-1,)), axis=0)
        squares = ops.sum(ops.square(w), keepdims=True)
        squares = ops.where(largest > 0, squares, ops.ones_like(squares))
        return ops.sum(ops.square(ops.sum(magnitude(w))) / squares)
