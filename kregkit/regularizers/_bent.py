"""|w| whose slope falls from 1 to 0: what MCP, SCAD and CappedL1 sum, over groups too.

The one rule: the prox is the global minimiser, also where there are two minima.
"""

from keras import ops

from kregkit.numerics import Tensor, constant, summed


def bent(w: Tensor, knot: Tensor, threshold: Tensor) -> Tensor:
    """Return the sum of |w| whose slope falls from 1 at the knot to 0 at θ."""
    knot, threshold = (constant(x, w.dtype) for x in (knot, threshold))
    width = threshold - knot

    def parts(w: Tensor) -> tuple[Tensor, Tensor]:
        size = ops.abs(w)
        least = ops.where(size > threshold, threshold, size)
        return least, ops.relu(least - knot)

    def each(w: Tensor) -> Tensor:
        least, bend = parts(w)
        return least - bend * (bend / (2.0 * width))

    def slope(w: Tensor) -> Tensor:
        _, bend = parts(w)
        return ops.sign(w) * (1.0 - bend / width)

    return summed(w, each, slope)


def bent_prox(w: Tensor, amount: Tensor, knot: Tensor, threshold: Tensor) -> Tensor:
    """Return the prox of `bent`, whose knot may be the threshold.

    Where `amount` is less than the width of the bend, weights shrink by it up to the
    knot, and ever less beyond. Elsewhere the bend holds no minimum: a weight shrinks,
    or is free, whichever costs less.
    """
    knot, threshold = (ops.convert_to_tensor(x, w.dtype) for x in (knot, threshold))
    size, width = ops.abs(w), threshold - knot
    soft, convex = ops.relu(size - amount), amount < width
    gap = ops.where(convex, width - amount, ops.ones_like(amount))
    below = ops.where(soft > knot, knot, soft)
    firm = below + ops.relu(soft - knot) * (width / gap)
    firm = ops.where(ops.logical_or(size > threshold, firm > size), size, firm)
    both = threshold + knot
    jump = ops.where(
        amount < both, 0.5 * (both + amount), ops.sqrt(amount) * ops.sqrt(both)
    )
    moved = ops.where(convex, firm, ops.where(size > jump, size, soft))
    return ops.sign(w) * ops.where(amount > 0, moved, size)
