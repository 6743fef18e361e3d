"""Penalties of the norms of groups of weights, which set whole groups to zero.

`groups.group_axes` defines the groups. The concave penalties measure a group by the
root mean square of its weights: a threshold is in units of the weight, whatever the
number of weights in a group. Without weighting they use the norm.
"""

import dataclasses
import math
from typing import Any

from keras import ops

from kregkit.groups import OF_LAYERS, Group
from kregkit.known import STRENGTH, WEIGHTING
from kregkit.numerics import (
    Tensor,
    group_soft_threshold,
    magnitude,
    safe_divisor,
    safe_norm,
    scaled,
    soft_threshold,
)
from kregkit.regularizers._base import Penalty
from kregkit.regularizers._folded_concave import folded_concave, folded_concave_prox
from kregkit.regularizers._groups import Weighted, axes_in, checked, split
from kregkit.regularizers._parameters import number, two_strengths, word
from kregkit.regularizers._register import register
from kregkit.weights import Weight


@register
@dataclasses.dataclass(frozen=True, eq=False)
class GroupLasso(Weighted):
    """`Σ_g √d_g·‖w_g‖₂`, over groups `w_g` of `d_g` weights each.

    Its proximal operator sets whole groups to zero. Yuan and Lin 2006,
    doi:10.1111/j.1467-9868.2005.00532.x.

    Args:
        strength: the factor of the value.
        group: "unit", "input", "filter" or "head" of the weight's layer; "row" or
            "column" of the kernel as a matrix, or a block of it such as "4x4"; or the
            axes that index groups: see `groups.group_axes`.
        weighting: "sqrt", or "none" for `Σ_g ‖w_g‖₂`.
    """

    def _value(self, w: Tensor) -> Tensor:
        return _value(self, w)

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        return _prox(self, w, amount)


@register
@dataclasses.dataclass(frozen=True, eq=False)
class SparseGroupLasso(Penalty):
    """`r·Σ|w| + (1−r)·Σ_g √d_g·‖w_g‖₂`, over groups `w_g` of `d_g` weights each.

    `strength = l1 + l21` and `r = l1/strength`. Simon, Friedman, Hastie and
    Tibshirani 2013, doi:10.1080/10618600.2012.681250.

    Args:
        l1: the strength of `Σ|w|`.
        l21: the strength of `Σ_g √d_g·‖w_g‖₂`; at least one strength must be positive.
        group: as for `GroupLasso`.
        weighting: as for `GroupLasso`.
    """

    strength: float = dataclasses.field(init=False)
    ratio: float = dataclasses.field(init=False)
    l1: float = 0.0
    l21: float = 0.0
    group: Group = "unit"
    weighting: str = dataclasses.field(default="sqrt", kw_only=True)

    def __post_init__(self) -> None:
        two_strengths(self, "l1", "l21")
        object.__setattr__(self, "group", checked("SparseGroupLasso", self.group))
        word("SparseGroupLasso", "weighting", self.weighting, WEIGHTING)

    def needs_layer(self, rank: int) -> bool:
        return rank > 1 and self.group in OF_LAYERS

    def _on(self, weight: Weight) -> dict[str, Any]:
        return axes_in("SparseGroupLasso", self.group, weight)

    @classmethod
    def make(cls, strength: float, **parameters: Any) -> "SparseGroupLasso":
        """Return the penalty with this strength; `Σ|w|` has the share `ratio` of it."""
        strength = number("SparseGroupLasso", "strength", strength, STRENGTH)
        ratio = parameters.pop("ratio")
        ratio = number("SparseGroupLasso", "ratio", ratio, cls.ranges["ratio"])
        return cls(strength * ratio, strength * (1.0 - ratio), **parameters)

    def _value(self, w: Tensor) -> Tensor:
        ratio = ops.convert_to_tensor(self.ratio, w.dtype)
        grouped = _value(self, w)
        return ratio * ops.sum(magnitude(w)) + (1.0 - ratio) * grouped

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        ratio = ops.convert_to_tensor(self.ratio, w.dtype)
        # The group step keeps signs and zeros, so the two steps in a row are the joint
        # proximal operator, also for one amount per weight.
        single = soft_threshold(w, amount * ratio)
        return _prox(self, single, amount * (1.0 - ratio))


_Penalty = GroupLasso | SparseGroupLasso


def _value(penalty: _Penalty, w: Tensor) -> Tensor:
    w, axes, root = split(type(penalty).__name__, w, penalty.group, penalty.weighting)
    return root * ops.sum(safe_norm(w, axes))


def _prox(penalty: _Penalty, w: Tensor, amount: Tensor) -> Tensor:
    shape = ops.shape(w)
    w, axes, root = split(type(penalty).__name__, w, penalty.group)
    if penalty.weighting == "none":  # `group_soft_threshold` is for √d·‖w_g‖₂
        amount = amount / safe_divisor(root)
    if len(amount.shape) > 0:
        amount = ops.reshape(ops.broadcast_to(amount, shape), ops.shape(w))
    if math.prod(w.shape[axis] for axis in axes) == 1:
        moved = soft_threshold(w, amount)  # exact, without a square root
    else:
        moved = group_soft_threshold(w, amount, axes)
    return ops.reshape(moved, shape)


@register
@dataclasses.dataclass(frozen=True, eq=False)
class GroupMCP(Weighted):
    """`Σ_g d_g·MCP(‖w_g‖₂/√d_g)`, over groups `w_g` of `d_g` weights each.

    It is close to `GroupLasso` for small groups, and constant for groups with a root
    mean square beyond the threshold θ. Its proximal operator needs one amount for all
    weights. Huang, Breheny and Ma 2012, doi:10.1214/12-STS392.

    Args:
        strength: the factor of the value.
        group: as for `GroupLasso`.
        threshold: θ, from 1e-6 to 1e6.
        weighting: "sqrt", or "none" for `Σ_g MCP(‖w_g‖₂)`.
    """

    threshold: float = 0.1

    def _value(self, w: Tensor) -> Tensor:
        return _concave_value(self, w, 0.0, self.threshold)

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        return _concave_prox(self, w, amount, 0.0, self.threshold)


@register
@dataclasses.dataclass(frozen=True, eq=False)
class GroupSCAD(Weighted):
    """`Σ_g d_g·SCAD(‖w_g‖₂/√d_g)`, over groups `w_g` of `d_g` weights each.

    Like `GroupMCP`, but equal to `GroupLasso` up to a root mean square of θ/a. Wang,
    Chen and Li 2007, doi:10.1093/bioinformatics/btm125.

    Args:
        strength: the factor of the value.
        group: as for `GroupLasso`.
        threshold: θ, from 1e-6 to 1e6.
        a: as for `SCAD`, from 1.001 to 1e6.
        weighting: "sqrt", or "none" for `Σ_g SCAD(‖w_g‖₂)`.
    """

    threshold: float = 0.1
    a: float = 3.7

    def _value(self, w: Tensor) -> Tensor:
        return _concave_value(self, w, self.threshold / self.a, self.threshold)

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        return _concave_prox(self, w, amount, self.threshold / self.a, self.threshold)


def _concave_value(
    penalty: Weighted, w: Tensor, knot: Tensor, threshold: Tensor
) -> Tensor:
    w, axes, root = _split(penalty, w)
    return ops.square(root) * folded_concave(safe_norm(w, axes) / root, knot, threshold)


def _concave_prox(
    penalty: Weighted, w: Tensor, amount: Tensor, knot: Tensor, threshold: Tensor
) -> Tensor:
    """Apply the proximal operator to each group's size, and scale the group by it."""
    shape = ops.shape(w)
    w, axes, root = _split(penalty, w)
    unit, most = scaled(w, axes)
    norm = ops.sqrt(ops.sum(ops.square(unit), axis=axes, keepdims=True))
    size = most * (norm / root)
    left = folded_concave_prox(size, amount, knot, threshold)
    moved = w * (left / safe_divisor(size))
    return ops.reshape(moved, shape)


def _split(penalty: Weighted, w: Tensor) -> tuple[Tensor, tuple[int, ...], Tensor]:
    owner = type(penalty).__name__
    w, axes, root = split(owner, w, penalty.group, penalty.weighting)
    return w, axes, safe_divisor(root)  # may be empty
