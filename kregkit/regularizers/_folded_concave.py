"""|w| whose slope falls from 1 to 0: what MCP, SCAD and CappedL1 sum, over groups too.

The prox is the global minimiser, also where there are two minima.
"""

from keras import ops

from kregkit.numerics import Tensor, constant, larger, summed


def folded_concave(w: Tensor, knot: Tensor, threshold: Tensor) -> Tensor:
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


def folded_concave_prox(
    w: Tensor, amount: Tensor, knot: Tensor, threshold: Tensor
) -> Tensor:
    """Return the prox of `folded_concave`, whose knot may be the threshold.

    Where `amount` is less than the width of the bend, weights shrink by it up to the
    knot, and ever less beyond, to nothing at the threshold. Elsewhere the bend holds no
    minimum: a weight shrinks up to an edge, from which on it is free.
    """
    knot, threshold = (ops.convert_to_tensor(x, w.dtype) for x in (knot, threshold))
    width, both = threshold - knot, threshold + knot
    jump = ops.where(
        amount < both, 0.5 * (both + amount), ops.sqrt(amount) * ops.sqrt(both)
    )
    # So steep where there is a jump that one unit of rounding is enough for all of it.
    steep = amount / larger(width - amount, 1e-30 * amount + 1e-37)
    most = ops.relu(larger(jump, threshold) - ops.abs(w)) * steep
    most = ops.where(amount < most, amount, most)
    return w - ops.clip(w, -most, most)
