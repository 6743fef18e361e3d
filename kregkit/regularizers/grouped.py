"""Penalties on the norms of groups of weights, which end with whole groups at zero.

The one rule: which weights are a group is said by `groups.group_axes`.
"""

import dataclasses
import math
from typing import Any, ClassVar

from keras import ops

from kregkit.groups import Group
from kregkit.known import STRENGTH, Range, numeric
from kregkit.numerics import (
    Tensor,
    group_soft_threshold,
    magnitude,
    safe_norm,
    soft_threshold,
)
from kregkit.regularizers._base import Penalty, number, two_strengths
from kregkit.regularizers._groups import Grouped, checked, split
from kregkit.regularizers._register import register


@register
@dataclasses.dataclass(frozen=True, eq=False)
class GroupLasso(Grouped):
    """`Σ_g √d_g·‖w_g‖₂`, over groups `w_g` of `d_g` weights each.

    Its proximal step sets whole groups to zero. Yuan and Lin 2006,
    doi:10.1111/j.1467-9868.2005.00532.x.

    Args:
        strength: what the value is multiplied by.
        group: "unit", "input", "filter", "row", "column", a block as "4x4", or axes;
            `groups.group_axes` has the meaning.
    """

    convex: ClassVar[bool] = True

    def _value(self, w: Tensor) -> Tensor:
        return _value("GroupLasso", w, self.group)

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        return _prox("GroupLasso", w, amount, self.group)


@register
@dataclasses.dataclass(frozen=True, eq=False)
class SparseGroupLasso(Penalty):
    """`r·Σ|w| + (1−r)·Σ_g √d_g·‖w_g‖₂`, over groups `w_g` of `d_g` weights each.

    `strength = l1 + l21` and `r = l1/strength`. Simon, Friedman, Hastie and
    Tibshirani 2013, doi:10.1080/10618600.2012.681250.

    Args:
        l1: the strength of `Σ|w|`.
        l21: the strength of `Σ_g √d_g·‖w_g‖₂`; at least one of the two is positive.
        group: as for `GroupLasso`.
    """

    strength: float = dataclasses.field(init=False)
    ratio: float = dataclasses.field(init=False)
    l1: float = 0.0
    l21: float = 0.0
    group: Group = "unit"

    ranges: ClassVar[dict[str, Range]] = numeric("SparseGroupLasso")
    convex: ClassVar[bool] = True

    def __post_init__(self) -> None:
        two_strengths(self, "l1", "l21")
        object.__setattr__(self, "group", checked("SparseGroupLasso", self.group))

    @classmethod
    def make(cls, strength: float, **parameters: Any) -> "SparseGroupLasso":
        """Return the penalty of this strength, `ratio` of which is that of `Σ|w|`."""
        name, group = "SparseGroupLasso", parameters["group"]
        strength = number(name, "strength", strength, STRENGTH)
        ratio = number(name, "ratio", parameters["ratio"], cls.ranges["ratio"])
        return cls(strength * ratio, strength * (1.0 - ratio), group)

    def _value(self, w: Tensor) -> Tensor:
        ratio = ops.convert_to_tensor(self.ratio, w.dtype)
        grouped = _value("SparseGroupLasso", w, self.group)
        return ratio * ops.sum(magnitude(w)) + (1.0 - ratio) * grouped

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        ratio = ops.convert_to_tensor(self.ratio, w.dtype)
        # The group step keeps signs and zeros: the two steps are the joint one, with
        # an amount for each weight too.
        single = soft_threshold(w, amount * ratio)
        return _prox("SparseGroupLasso", single, amount * (1.0 - ratio), self.group)


def _value(owner: str, w: Tensor, group: Group) -> Tensor:
    w, axes, root = split(owner, w, group)
    return root * ops.sum(safe_norm(w, axes))


def _prox(owner: str, w: Tensor, amount: Tensor, group: Group) -> Tensor:
    shape = ops.shape(w)
    w, axes, _ = split(owner, w, group)
    if len(amount.shape) > 0:
        amount = ops.reshape(ops.broadcast_to(amount, shape), ops.shape(w))
    if math.prod(w.shape[axis] for axis in axes) == 1:
        moved = soft_threshold(w, amount)  # without the rounding of a root
    else:
        moved = group_soft_threshold(w, amount, axes)
    return ops.reshape(moved, shape)
