"""SLOPE: L1 whose weights are sorted, so that large ones cost more.

The one rule: weights of one size are treated alike, whatever their order.
"""

import dataclasses
from typing import ClassVar

from keras import backend, ops

from kregkit.known import Range, numeric
from kregkit.numerics import Tensor, magnitude
from kregkit.regularizers._base import Penalty
from kregkit.regularizers._parameters import check_shape
from kregkit.regularizers._register import register


@register
@dataclasses.dataclass(frozen=True, eq=False)
class SLOPE(Penalty):
    """`Σ λᵢ·|w|₍ᵢ₎`, |w|₍₁₎ the largest: λᵢ falls evenly from λ₁ = 1 to λₙ = last.

    L1 where `last` is 1. Otherwise weights of nearly one size become of one size
    exactly, and its proximal step, which takes one amount for all weights, makes zeros
    besides. Bogdan, van den Berg, Sabatti, Su and Candès 2015, doi:10.1214/15-AOAS842;
    with these λ it is OSCAR (Bondell and Reich 2008,
    doi:10.1111/j.1541-0420.2007.00843.x).

    Args:
        strength: what the value is multiplied by; the slope of the largest weight.
        last: λₙ, the part of that which the smallest weight has, from 0 to 1.
    """

    last: float = 0.5

    ranges: ClassVar[dict[str, Range]] = numeric("SLOPE")
    convex: ClassVar[bool] = True
    kinks_at_zero_alone: ClassVar[bool] = False
    one_amount: ClassVar[bool] = True
    makes_zeros: ClassVar[bool] = True

    def _value(self, w: Tensor) -> Tensor:
        check_shape("SLOPE", w)
        size = ops.reshape(magnitude(w), (-1,))
        tops = ops.take(size, ops.argsort(-size))
        # Of weights of one size each has the mean of their λ, that of the mean rank.
        start, length = _extent(
            _numbered(tops[1:] != tops[:-1], tops.shape[0]), tops.dtype
        )
        return ops.sum(tops * self._slopes(start + 0.5 * (length - 1.0)))

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        size = ops.reshape(ops.abs(w), (-1,))
        order = ops.argsort(-size)
        slopes = self._slopes(ops.arange(size.shape[0], dtype=size.dtype))
        sunk = ops.take(size, order) - amount * slopes
        # What follows the last that is positive ends at 0: pooled one by one, it would
        # take a pass for each.
        rank = ops.arange(1, size.shape[0] + 1, dtype="int32")
        last = ops.max(ops.where(sunk > 0.0, rank, 0), initial=0)
        left = ops.relu(_falling(ops.where(rank <= last, sunk, 0.0 * sunk)))
        back = ops.reshape(ops.take(left, ops.argsort(order)), ops.shape(w))
        return ops.where(amount > 0, ops.sign(w) * back, w)

    def _slopes(self, rank: Tensor) -> Tensor:
        """Return λ of each rank, of 0 to their number less 1; it may be between two."""
        last = ops.convert_to_tensor(self.last, rank.dtype)
        return 1.0 - (1.0 - last) * (rank / max(rank.shape[0] - 1, 1))


def _numbered(starts: Tensor, count: int) -> Tensor:
    """Return the number of the block of each element, by where a further one starts."""
    return ops.pad(ops.cumsum(ops.cast(starts, "int32")), ((1, 0),))[:count]


def _sums(x: Tensor, block: Tensor) -> Tensor:
    """Return the sum over each block, at its number."""
    if backend.backend() == "torch":  # where `segment_sum` rounds float64
        return ops.scatter(block[:, None], x, x.shape)
    return ops.segment_sum(x, block, num_segments=x.shape[0])


def _extent(block: Tensor, dtype: str) -> tuple[Tensor, Tensor]:
    """Return where the block of each element starts, and its length."""
    length = _sums(ops.ones(block.shape, dtype), block)
    start = ops.cumsum(length) - length
    return ops.take(start, block), ops.take(length, block)


def _falling(x: Tensor) -> Tensor:
    """Return the nearest vector that does not rise, in the sum of squares.

    Neighbours that rise belong to one block of it, whose value is its mean: all that do
    are pooled at once, until none does (de Leeuw, Hornik and Mair 2009,
    doi:10.18637/jss.v032.i05, for one after the other).
    """

    def rises(fit: Tensor) -> Tensor:
        return fit[1:] > fit[:-1]

    def pool(fit: Tensor, block: Tensor) -> tuple[Tensor, Tensor]:
        stays = ops.logical_and(block[1:] != block[:-1], ops.logical_not(rises(fit)))
        block = _numbered(stays, x.shape[0])
        start, length = _extent(block, x.dtype)
        first = ops.take(x, ops.cast(start, "int32"))
        # What the elements of a block differ by is small: so is the rounding of sums.
        more = ops.take(_sums(x - first, block), block)
        return first + more / length, block

    apart = ops.arange(x.shape[0], dtype="int32")
    fit, _ = ops.while_loop(lambda fit, _: ops.any(rises(fit)), pool, (x, apart))
    return fit
