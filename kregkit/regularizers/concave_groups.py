"""Penalties that are concave in the size of a group: large groups shrink less.

The one rule: a group's size is the root mean square of its weights, so that a threshold
is in units of the weight, whatever the number of weights in a group; without weighting
it is the norm.
"""

import dataclasses
from typing import ClassVar

from keras import ops

from kregkit.known import Range, numeric
from kregkit.numerics import Tensor, safe_norm, scaled
from kregkit.regularizers._bent import bent, bent_prox
from kregkit.regularizers._groups import Weighted, split
from kregkit.regularizers._register import register


@register
@dataclasses.dataclass(frozen=True, eq=False)
class GroupMCP(Weighted):
    """`Σ_g d_g·MCP(‖w_g‖₂/√d_g)`, over groups `w_g` of `d_g` weights each.

    `GroupLasso` at small groups, and none at groups whose root mean square is beyond
    the threshold θ. Its proximal step takes one amount for all weights. Huang, Breheny
    and Ma 2012, doi:10.1214/12-STS392.

    Args:
        strength: what the value is multiplied by.
        group: as for `GroupLasso`.
        threshold: θ, from 1e-6 to 1e6.
        weighting: "sqrt", or "none" for `Σ_g MCP(‖w_g‖₂)`.
    """

    threshold: float = 0.1

    ranges: ClassVar[dict[str, Range]] = numeric("GroupMCP")
    one_amount: ClassVar[bool] = True
    makes_zeros: ClassVar[bool] = True

    def _value(self, w: Tensor) -> Tensor:
        return _value(self, w, 0.0, self.threshold)

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        return _prox(self, w, amount, 0.0, self.threshold)


@register
@dataclasses.dataclass(frozen=True, eq=False)
class GroupSCAD(Weighted):
    """`Σ_g d_g·SCAD(‖w_g‖₂/√d_g)`, over groups `w_g` of `d_g` weights each.

    As `GroupMCP`, and `GroupLasso` itself up to a root mean square of θ/a. Wang, Chen
    and Li 2007, doi:10.1093/bioinformatics/btm125.

    Args:
        strength: what the value is multiplied by.
        group: as for `GroupLasso`.
        threshold: θ, from 1e-6 to 1e6.
        a: as for `SCAD`, from 1.001 to 1e6.
        weighting: "sqrt", or "none" for `Σ_g SCAD(‖w_g‖₂)`.
    """

    threshold: float = 0.1
    a: float = 3.7

    ranges: ClassVar[dict[str, Range]] = numeric("GroupSCAD")
    one_amount: ClassVar[bool] = True
    makes_zeros: ClassVar[bool] = True

    def _value(self, w: Tensor) -> Tensor:
        return _value(self, w, self.threshold / self.a, self.threshold)

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        return _prox(self, w, amount, self.threshold / self.a, self.threshold)


def _value(penalty: Weighted, w: Tensor, knot: Tensor, threshold: Tensor) -> Tensor:
    w, axes, root = _split(penalty, w)
    return ops.square(root) * bent(safe_norm(w, axes) / root, knot, threshold)


def _prox(
    penalty: Weighted, w: Tensor, amount: Tensor, knot: Tensor, threshold: Tensor
) -> Tensor:
    """Scale each group by what the step makes of its size."""
    shape = ops.shape(w)
    w, axes, root = _split(penalty, w)
    unit, most = scaled(w, axes)
    norm = ops.sqrt(ops.sum(ops.square(unit), axis=axes, keepdims=True))
    size = most * (norm / root)
    left = bent_prox(size, amount, knot, threshold)
    moved = w * (left / ops.where(size > 0.0, size, ops.ones_like(size)))
    return ops.reshape(moved, shape)


def _split(penalty: Weighted, w: Tensor) -> tuple[Tensor, tuple[int, ...], Tensor]:
    owner = type(penalty).__name__
    w, axes, root = split(owner, w, penalty.group, penalty.weighting)
    return w, axes, ops.where(root > 0.0, root, ops.ones_like(root))  # may be empty
