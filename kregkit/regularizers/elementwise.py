"""Penalties that are a sum over single weights.

The one rule: value and prox of a penalty stand side by side and describe the same
function.
"""

import dataclasses
import math
from typing import Any, ClassVar

from keras import ops

from kregkit._keras import applies_itself, training_step
from kregkit.errors import ParameterError
from kregkit.known import STRENGTH, Range, numeric
from kregkit.numerics import Tensor, constant, magnitude, soft_threshold, summed
from kregkit.regularizers._base import Penalty
from kregkit.regularizers._parameters import number, two_strengths
from kregkit.regularizers._register import register


@register
@dataclasses.dataclass(frozen=True, eq=False)
class L1(Penalty):
    """`Σ|w|`, the lasso (Tibshirani 1996, doi:10.1111/j.2517-6161.1996.tb02080.x).

    Its proximal step is soft-thresholding, which ends at exact zeros; gradient
    descent on it does not.
    """

    convex: ClassVar[bool] = True
    makes_zeros: ClassVar[bool] = True

    def _value(self, w: Tensor) -> Tensor:
        return ops.sum(magnitude(w))

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        return soft_threshold(w, amount)


@register
@dataclasses.dataclass(frozen=True, eq=False)
class L2(Penalty):
    """`Σw²`, ridge or weight decay, without a factor 1/2: its gradient is `2w`.

    Hoerl and Kennard 1970, doi:10.1080/00401706.1970.10488634.
    """

    convex: ClassVar[bool] = True
    makes_zeros: ClassVar[bool] = False

    def _value(self, w: Tensor) -> Tensor:
        return ops.sum(ops.square(w))

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        return w / (1.0 + 2.0 * amount)


@register
@dataclasses.dataclass(frozen=True, eq=False)
class L1L2(Penalty):
    """`r·Σ|w| + (1−r)·Σw²`, the elastic net, without a factor 1/2.

    `strength = l1 + l2` and `r = l1/strength`: with the strength it is
    `l1·Σ|w| + l2·Σw²`. Zou and Hastie 2005, doi:10.1111/j.1467-9868.2005.00503.x.

    Args:
        l1: the strength of `Σ|w|`.
        l2: the strength of `Σw²`; at least one of the two is positive.
    """

    strength: float = dataclasses.field(init=False)
    ratio: float = dataclasses.field(init=False)
    l1: float = 0.0
    l2: float = 0.0

    ranges: ClassVar[dict[str, Range]] = numeric("L1L2")
    convex: ClassVar[bool] = True

    def __post_init__(self) -> None:
        two_strengths(self, "l1", "l2")

    @property
    def makes_zeros(self) -> bool:
        return not (isinstance(self.ratio, float) and self.ratio == 0.0)

    @classmethod
    def make(cls, strength: float, **parameters: Any) -> "L1L2":
        """Return the elastic net of this strength, `ratio` of which is L1's."""
        strength = number("L1L2", "strength", strength, STRENGTH)
        ratio = number("L1L2", "ratio", parameters["ratio"], cls.ranges["ratio"])
        return cls(l1=strength * ratio, l2=strength * (1.0 - ratio))

    def _value(self, w: Tensor) -> Tensor:
        return _mixed(w, self.ratio, 1.0 - self.ratio)

    def _scaled(self, w: Tensor) -> Tensor:
        """Return `l1·Σ|w| + l2·Σw²`: Keras's value to the last bit, where given."""
        if "_live" not in self.__dict__:
            return _mixed(w, self.l1, self.l2)
        return _mixed(w, self.strength * self.ratio, self.strength * (1.0 - self.ratio))

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        ratio = ops.convert_to_tensor(self.ratio, w.dtype)
        return soft_threshold(w, amount * ratio) / (1.0 + 2.0 * amount * (1.0 - ratio))


def _mixed(w: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Return `first·Σ|w| + second·Σw²`; 0·Σw² is 0 where w² overflows."""
    first, second = (ops.convert_to_tensor(x, w.dtype) for x in (first, second))
    squares = ops.where(second > 0.0, second * ops.sum(ops.square(w)), 0.0)
    return first * ops.sum(magnitude(w)) + squares


@register
@dataclasses.dataclass(frozen=True, eq=False)
class L0(Penalty):
    """`#{w ≠ 0}`, the number of weights that are not zero.

    Its proximal step is the hard threshold: a weight is set to zero up to
    `√(2·amount)`, and left as it is beyond. It has no gradient to train with, and
    raises where one is asked for: train it with `Proximal`, whose steps it takes.
    Blumensath and Davies 2008, doi:10.1007/s00041-008-9035-z.

    Raises:
        ParameterError: its gradient is asked for.
    """

    differentiable: ClassVar[bool] = False
    makes_zeros: ClassVar[bool] = True

    def _value(self, w: Tensor) -> Tensor:
        return _count(w)

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        limit = math.sqrt(2.0) * ops.sqrt(amount)
        return ops.where(ops.abs(w) > limit, w, 0.0 * w)


@ops.custom_gradient  # type: ignore[untyped-decorator]  # Keras is untyped
def _count(w: Tensor) -> Any:
    """Return how many weights are not zero, without letting 0 pass for a slope.

    TensorFlow takes the gradient of the first step of a `fit` before Keras builds the
    optimizer, so that no Proximal handles the penalty yet.
    """

    def refused(*_: Any, **__: Any) -> Tensor:
        step = training_step()
        unknown = step is not None and not step.optimizer.built
        if step is not None and unknown and not applies_itself(step.optimizer):
            return ops.zeros_like(w)
        raise ParameterError(
            "L0: has no gradient that trains; use it with kregkit.optimizers.Proximal "
            "(in a loop of your own, `build` that before the first step), in studies "
            'with solver = "proximal".'
        )

    return ops.sum(ops.cast(ops.not_equal(w, 0), w.dtype)), refused


@register
@dataclasses.dataclass(frozen=True, eq=False)
class Huber(Penalty):
    """`Σ (m²/2δ + |w| − m), m = min(|w|, δ)`: L1 with a round tip, the smooth L1.

    Its slope is `w/δ` up to δ, and ±1 beyond. It makes no zeros: its proximal step
    divides small weights by `1 + amount/δ`. Huber 1964, doi:10.1214/aoms/1177703732.

    Args:
        strength: what the value is multiplied by; its largest slope.
        delta: δ, from 1e-6 to 1e6.
    """

    delta: float = 0.1

    ranges: ClassVar[dict[str, Range]] = numeric("Huber")
    convex: ClassVar[bool] = True
    makes_zeros: ClassVar[bool] = False

    def _value(self, w: Tensor) -> Tensor:
        delta = constant(self.delta, w.dtype)

        def each(w: Tensor) -> Tensor:
            size = ops.abs(w)
            least = ops.where(size > delta, delta, size)
            return least * (0.5 * least / delta) + (size - least)

        return summed(w, each, lambda w: ops.clip(w, -delta, delta) / delta)

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        delta = ops.convert_to_tensor(self.delta, w.dtype)
        whole = delta + amount
        inside = ops.abs(w) <= whole
        return ops.where(inside, w * (delta / whole), w - ops.sign(w) * amount)
