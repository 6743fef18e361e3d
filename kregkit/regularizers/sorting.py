"""Penalties whose proximal step needs the weights of a group in order.

The one rule: the root of a step is the largest of those of the first k weights, so
that no search is needed; one more sum takes the rounding of the running sums away.
"""

import dataclasses
from typing import ClassVar

from keras import ops

from kregkit.groups import Group
from kregkit.numerics import Tensor, larger, largest, magnitude, scaled, soft_threshold
from kregkit.regularizers._base import Penalty
from kregkit.regularizers._groups import Grouped, Weighted, rows, split
from kregkit.regularizers._register import register


@register
@dataclasses.dataclass(frozen=True, eq=False)
class LInf(Penalty):
    """`max|w|`, the largest weight, which its proximal step cuts down.

    Of weights that are the largest together each has its part of the gradient. No
    weight becomes zero before all are. Turlach, Venables and Wright 2005,
    doi:10.1198/004017005000000139.
    """

    convex: ClassVar[bool] = True
    kinks_at_zero_alone: ClassVar[bool] = False
    makes_zeros: ClassVar[bool] = False

    def _value(self, w: Tensor) -> Tensor:
        return largest(w)

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        return _largest_prox("LInf", w, amount, ())


@register
@dataclasses.dataclass(frozen=True, eq=False)
class GroupLInf(Weighted):
    """`Σ_g max|w_g|`, over groups `w_g`: whole groups end at zero, as under GroupLasso.

    The weights of a group that is not zero are cut to one size. Quattoni, Carreras,
    Collins and Darrell 2009, doi:10.1145/1553374.1553484.

    Args:
        strength: what the value is multiplied by.
        group: as for `GroupLasso`.
        weighting: "none", or "sqrt" for `Σ_g √d_g·max|w_g|`.
    """

    weighting: str = dataclasses.field(default="none", kw_only=True)

    convex: ClassVar[bool] = True
    kinks_at_zero_alone: ClassVar[bool] = False
    makes_zeros: ClassVar[bool] = True

    def _value(self, w: Tensor) -> Tensor:
        w, axes, root = split("GroupLInf", w, self.group, self.weighting)
        return root * largest(w, axes)

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        _, _, root = split("GroupLInf", w, self.group, self.weighting)
        return _largest_prox("GroupLInf", w, amount * root, self.group)


@register
@dataclasses.dataclass(frozen=True, eq=False)
class ExclusiveLasso(Grouped):
    """`½·Σ_g (Σ|w_g|)²`, over groups `w_g`: the weights of a group compete.

    Where `GroupLasso` ends with few groups, this ends with few weights in each, and at
    least one. Zhou, Jin and Hoi 2010, Proceedings of Machine Learning Research 9.

    Args:
        strength: what the value is multiplied by.
        group: as for `GroupLasso`.
    """

    convex: ClassVar[bool] = True
    makes_zeros: ClassVar[bool] = True

    def _value(self, w: Tensor) -> Tensor:
        grouped, _ = rows("ExclusiveLasso", w, self.group)
        return 0.5 * ops.sum(ops.square(ops.sum(magnitude(grouped), axis=1)))

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        """Threshold at `amount·S`, with `S = max_k Σ|w|/(1 + Σ amount)` the norm left.

        The sums are over the first k weights in the order of `|w|/amount`.
        """
        amount = ops.broadcast_to(amount, ops.shape(w))
        grouped, back = rows("ExclusiveLasso", w, self.group)
        each, _ = rows("ExclusiveLasso", amount, self.group)
        unit, most = scaled(grouped, axis=1)
        size, free = ops.abs(unit), each <= 0.0
        steep = size / ops.where(free, ops.ones_like(each), each)
        order = ops.argsort(ops.where(free, -float("inf"), -steep), axis=1)
        tops, steps = (ops.take_along_axis(x, order, axis=1) for x in (size, each))
        norms = ops.cumsum(tops, axis=1) / (1.0 + ops.cumsum(steps, axis=1))
        left = ops.max(norms, axis=1, keepdims=True, initial=0.0)
        kept = ops.cast(size > each * left, size.dtype)
        total = ops.sum(kept * size, axis=1, keepdims=True)
        left = total / (1.0 + ops.sum(kept * each, axis=1, keepdims=True))
        return soft_threshold(w, back(each * left * most))


def _largest_prox(owner: str, w: Tensor, amount: Tensor, group: Group) -> Tensor:
    """Cut weights at m, the root of `Σ max(|w| − m, 0)/amount = 1`, or 0 without one.

    Of the first k weights in the order of `|w|` the root is `(Σ |w|/amount − 1)/
    Σ 1/amount`, and m the largest of these. A weight of amount 0 stays, and m is not
    below it.
    """
    amount = ops.broadcast_to(amount, ops.shape(w))
    grouped, back = rows(owner, w, group)
    each, _ = rows(owner, amount, group)
    unit, most = scaled(grouped, axis=1)
    each = each / ops.where(most > 0, most, ops.ones_like(most))
    size, free = ops.abs(unit), each <= 0.0
    none = ops.zeros_like(size)
    least = ops.min(
        ops.where(free, float("inf"), each), axis=1, keepdims=True, initial=float("inf")
    )
    least = ops.where(least < float("inf"), least, ops.ones_like(least))
    share = ops.where(free, none, least / ops.where(free, ops.ones_like(each), each))

    def root(total: Tensor, weight: Tensor) -> Tensor:
        some = weight > 0.0
        return ops.where(
            some, (total - least) / ops.where(some, weight, 1.0), 0.0 * total
        )

    order = ops.argsort(-size, axis=1)
    tops, parts = (ops.take_along_axis(x, order, axis=1) for x in (size, share))
    roots = root(ops.cumsum(parts * tops, axis=1), ops.cumsum(parts, axis=1))
    cut = ops.max(roots, axis=1, keepdims=True, initial=0.0)
    over = ops.where(size > cut, share, none)
    sums = (ops.sum(x, axis=1, keepdims=True) for x in (over * size, over))
    cut = ops.relu(root(*sums))
    stays = ops.where(free, size, none)
    cut = larger(cut, ops.max(stays, axis=1, keepdims=True, initial=0.0))
    cut = back(ops.broadcast_to(cut * most, ops.shape(grouped)))
    return ops.where(
        ops.broadcast_to(amount, ops.shape(w)) > 0, ops.clip(w, -cut, cut), w
    )
