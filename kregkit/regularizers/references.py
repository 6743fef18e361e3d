"""Penalties with a reference or a factor for each weight.

These parameters are a number or an array of the weight's shape, saved exactly with the
penalty. A variable's value is copied when the penalty is made.
"""

import dataclasses
from typing import Any, Final

import numpy as np
from keras import ops
from numpy.typing import NDArray

from kregkit.errors import ParameterError, must
from kregkit.numerics import Tensor, magnitude, soft_threshold
from kregkit.regularizers._base import Penalty
from kregkit.regularizers._parameters import number
from kregkit.regularizers._register import register
from kregkit.specs import SPECS

_EPSILON: Final = SPECS["LogSum"].ranges["epsilon"]


@register
@dataclasses.dataclass(frozen=True, eq=False)
class WeightedL1(Penalty):
    """`Σ cᵢ·|wᵢ|`, the adaptive lasso: L1 with a factor for each weight.

    Zou 2006, doi:10.1198/016214506000000735. `reweighted` uses the factors of Candès,
    Wakin and Boyd 2008, doi:10.1007/s00041-008-9045-x.

    Args:
        strength: the factor of the value.
        factors: c, a number from 0 to 1e6, an array of such numbers, or a weight.
    """

    factors: float | NDArray[Any] = 1.0

    @classmethod
    def reweighted(
        cls, strength: float, weight: Tensor, epsilon: float = 0.1
    ) -> "WeightedL1":
        """Return the penalty with `cᵢ = ε/(|wᵢ| + ε)`: 1 for zeros, less for others.

        Train, reweight and train again: the fixed points are the stationary points of
        `LogSum`, which has the slope `cᵢ/ε`. The published factors are `1/(|wᵢ| + ε)`.
        """
        epsilon = number("WeightedL1.reweighted", "epsilon", epsilon, _EPSILON)
        size = np.abs(np.asarray(ops.convert_to_numpy(weight), "float64"))
        return cls(strength, (epsilon / (size + epsilon)).astype("float32"))

    def _value(self, w: Tensor) -> Tensor:
        return ops.sum(_like(self, "factors", w) * magnitude(w))

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        return soft_threshold(w, amount * _like(self, "factors", w))


@register
@dataclasses.dataclass(frozen=True, eq=False)
class L2SP(Penalty):
    """`Σ(w − w₀)²`: keeps weights near a reference, such as pretrained weights.

    It has no factor 1/2, and is `L2` for a reference of 0. Li, Grandvalet and
    Davoine 2018, arXiv:1802.01483.

    Args:
        strength: the factor of the value.
        reference: w₀, a number from -1e6 to 1e6, an array of such numbers, or a weight.
    """

    reference: float | NDArray[Any] = 0.0

    def _value(self, w: Tensor) -> Tensor:
        return ops.sum(ops.square(w - _like(self, "reference", w)))

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        share = 2.0 * amount / (1.0 + 2.0 * amount)
        return w - (w - _like(self, "reference", w)) * share


@register
@dataclasses.dataclass(frozen=True, eq=False)
class L1SP(Penalty):
    """`Σ|w − w₀|`: few weights leave the reference; the others stay exactly at it.

    Li, Grandvalet and Davoine 2018, arXiv:1802.01483.

    Args:
        strength: the factor of the value.
        reference: w₀, a number from -1e6 to 1e6, an array of such numbers, or a weight.
    """

    reference: float | NDArray[Any] = 0.0

    @property
    def makes_zeros(self) -> bool:
        return not np.any(self.reference)

    def _value(self, w: Tensor) -> Tensor:
        return ops.sum(magnitude(w - _like(self, "reference", w)))

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        reference = _like(self, "reference", w)
        away = w - reference
        shrunk = w - ops.clip(away, -amount, amount)
        return ops.where(ops.abs(away) <= amount, reference, shrunk)


def _like(penalty: Penalty, name: str, w: Tensor) -> Tensor:
    """Return the parameter `name` for the weight `w`, in its dtype."""
    held = getattr(penalty, name)
    if isinstance(held, np.ndarray) and held.shape != tuple(w.shape):
        rule = f"a tensor of the shape of `{name}`, {held.shape}"
        raise ParameterError(must(type(penalty).__name__, "w", rule, tuple(w.shape)))
    return ops.convert_to_tensor(held, w.dtype)
