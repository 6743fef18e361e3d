"""The function that MCP, SCAD, CappedL1 and the concave group penalties sum.

It is |w| up to a knot, and from there its slope falls to 0 at a threshold θ. The
proximal operator returns the global minimiser, also if there are two minima.
"""

from keras import ops

from kregkit.numerics import Tensor, constant, larger, summed


def folded_concave(w: Tensor, knot: Tensor, threshold: Tensor) -> Tensor:
    """Return the sum of the function, with slope 1 up to the knot and 0 from θ."""
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
    """Return the proximal point of `folded_concave`; `knot <= threshold`.

    If `amount` is less than `threshold − knot`, weights up to the knot shrink by the
    amount, and larger ones by less, until 0 at the threshold. Otherwise there is no
    minimum between knot and threshold: weights shrink by the amount up to a jump, and
    are unchanged beyond it.
    """
    knot, threshold = (ops.convert_to_tensor(x, w.dtype) for x in (knot, threshold))
    width, both = threshold - knot, threshold + knot
    jump = ops.where(
        amount < both, 0.5 * (both + amount), ops.sqrt(amount) * ops.sqrt(both)
    )
    # At a jump, so steep that it takes place within one unit of rounding.
    steep = amount / larger(width - amount, 1e-30 * amount + 1e-37)
    most = ops.relu(larger(jump, threshold) - ops.abs(w)) * steep
    most = ops.where(amount < most, amount, most)
    return w - ops.clip(w, -most, most)
