"""Penalties with a proximal operator that sorts the weights of a tensor or a group.

The threshold is the maximum over k of the thresholds for the k largest weights, so no
search is needed. One more sum removes the rounding error of the cumulative sums. SLOPE
treats weights of equal size alike, in any order.
"""

import dataclasses

from keras import backend, ops

from kregkit.groups import Group
from kregkit.numerics import (
    Tensor,
    larger,
    largest,
    magnitude,
    safe_divisor,
    scaled,
    soft_threshold,
)
from kregkit.regularizers._base import Penalty
from kregkit.regularizers._groups import Grouped, Weighted, rows, split
from kregkit.regularizers._parameters import check_shape
from kregkit.regularizers._register import register


@register
@dataclasses.dataclass(frozen=True, eq=False)
class LInf(Penalty):
    """`max|w|`, the largest magnitude, which its proximal operator clips.

    If several weights are the largest, each gets its share of the gradient. No weight
    becomes zero before all do. Turlach, Venables and Wright 2005,
    doi:10.1198/004017005000000139.
    """

    def _value(self, w: Tensor) -> Tensor:
        return largest(w)

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        return _largest_prox("LInf", w, amount, ())


@register
@dataclasses.dataclass(frozen=True, eq=False)
class GroupLInf(Weighted):
    """`Σ_g max|w_g|`, over groups `w_g`: sets whole groups to zero, as GroupLasso.

    In nonzero groups, the largest weights are clipped to one size. Quattoni, Carreras,
    Collins and Darrell 2009, doi:10.1145/1553374.1553484.

    Args:
        strength: the factor of the value.
        group: as for `GroupLasso`.
        weighting: "none", or "sqrt" for `Σ_g √d_g·max|w_g|`.
    """

    weighting: str = dataclasses.field(default="none", kw_only=True)

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

    `GroupLasso` keeps few groups; this penalty keeps few weights in each group, and at
    least one. Zhou, Jin and Hoi 2010, Proceedings of Machine Learning Research 9.

    Args:
        strength: the factor of the value.
        group: as for `GroupLasso`.
    """

    def _value(self, w: Tensor) -> Tensor:
        grouped, _ = rows("ExclusiveLasso", w, self.group)
        return 0.5 * ops.sum(ops.square(ops.sum(magnitude(grouped), axis=1)))

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        """Threshold at `amount·S`, with `S = max_k Σ|w|/(1 + Σ amount)`.

        S is the L1 norm of the result. The sums are over the k weights with the largest
        `|w|/amount`.
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
    """Clip weights at m, the root of `Σ max(|w| − m, 0)/amount = 1`, or 0 without one.

    For the k largest weights, the root is `(Σ |w|/amount − 1)/Σ 1/amount`; m is the
    maximum over k. A weight with amount 0 is unchanged, and m is at least its size.
    """
    amount = ops.broadcast_to(amount, ops.shape(w))
    grouped, back = rows(owner, w, group)
    each, _ = rows(owner, amount, group)
    unit, most = scaled(grouped, axis=1)
    each = each / safe_divisor(most)
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


@register
@dataclasses.dataclass(frozen=True, eq=False)
class SLOPE(Penalty):
    """`Σ λᵢ·|w|₍ᵢ₎`, |w|₍₁₎ the largest; λᵢ falls linearly from λ₁ = 1 to λₙ = last.

    With `last` = 1 it is L1. Otherwise weights of similar size become exactly equal in
    size, and its proximal operator also makes zeros. The operator needs one amount for
    all weights. Bogdan, van den Berg, Sabatti, Su and Candès 2015,
    doi:10.1214/15-AOAS842; with these λ it is OSCAR (Bondell and Reich 2008,
    doi:10.1111/j.1541-0420.2007.00843.x).

    Args:
        strength: the factor of the value; the slope for the largest weight.
        last: λₙ, the factor of the strength for the smallest weight, from 0 to 1.
    """

    last: float = 0.5

    def _value(self, w: Tensor) -> Tensor:
        check_shape("SLOPE", w)
        size = ops.reshape(magnitude(w), (-1,))
        tops = ops.take(size, ops.argsort(-size))
        # Weights of equal size share the mean of their λ, the λ of their mean rank.
        start, length = _extent(
            _numbered(tops[1:] != tops[:-1], tops.shape[0]), tops.dtype
        )
        return ops.sum(tops * self._slopes(start + 0.5 * (length - 1.0)))

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        size = ops.reshape(ops.abs(w), (-1,))
        order = ops.argsort(-size)
        slopes = self._slopes(ops.arange(size.shape[0], dtype=size.dtype))
        sunk = ops.take(size, order) - amount * slopes
        # All elements after the last positive one end at 0. Pooling them would need a
        # pass for each.
        rank = ops.arange(1, size.shape[0] + 1, dtype="int32")
        last = ops.max(ops.where(sunk > 0.0, rank, 0), initial=0)
        left = ops.relu(_falling(ops.where(rank <= last, sunk, 0.0 * sunk)))
        back = ops.reshape(ops.take(left, ops.argsort(order)), ops.shape(w))
        return ops.where(amount > 0, ops.sign(w) * back, w)

    def _slopes(self, rank: Tensor) -> Tensor:
        """Return λ of each rank, from 0 to n − 1; ranks may be fractions."""
        last = ops.convert_to_tensor(self.last, rank.dtype)
        return 1.0 - (1.0 - last) * (rank / max(rank.shape[0] - 1, 1))


def _numbered(starts: Tensor, count: int) -> Tensor:
    """Return each element's block number; `starts` marks where a next block starts."""
    return ops.pad(ops.cumsum(ops.cast(starts, "int32")), ((1, 0),))[:count]


def _sums(x: Tensor, block: Tensor) -> Tensor:
    """Return the sum over each block, at the index of its number."""
    if backend.backend() == "torch":  # its `segment_sum` rounds float64
        return ops.scatter(block[:, None], x, x.shape)
    return ops.segment_sum(x, block, num_segments=x.shape[0])


def _extent(block: Tensor, dtype: str) -> tuple[Tensor, Tensor]:
    """Return the start and the length of each element's block."""
    length = _sums(ops.ones(block.shape, dtype), block)
    start = ops.cumsum(length) - length
    return ops.take(start, block), ops.take(length, block)


def _falling(x: Tensor) -> Tensor:
    """Return the non-increasing vector nearest to x, in the sum of squares.

    Neighbours that increase belong to one block, with the block's mean as value. Each
    pass pools all such neighbours, until there are none (de Leeuw, Hornik and Mair
    2009, doi:10.18637/jss.v032.i05, pool one pair at a time).
    """

    def rises(fit: Tensor) -> Tensor:
        return fit[1:] > fit[:-1]

    def pool(fit: Tensor, block: Tensor) -> tuple[Tensor, Tensor]:
        stays = ops.logical_and(block[1:] != block[:-1], ops.logical_not(rises(fit)))
        block = _numbered(stays, x.shape[0])
        start, length = _extent(block, x.dtype)
        first = ops.take(x, ops.cast(start, "int32"))
        # Sums of the small differences within a block have small rounding errors.
        more = ops.take(_sums(x - first, block), block)
        return first + more / length, block

    apart = ops.arange(x.shape[0], dtype="int32")
    fit, _ = ops.while_loop(lambda fit, _: ops.any(rises(fit)), pool, (x, apart))
    return fit
