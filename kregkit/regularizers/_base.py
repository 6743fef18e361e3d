"""The base of every penalty.

A penalty is `strength * value(w)`, and only this module multiplies.
"""

import dataclasses
import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Final, Self, final

import keras
import numpy as np
from keras import ops

from kregkit._keras import regularizes_activity
from kregkit.errors import ParameterError, must
from kregkit.known import STRENGTH, Range
from kregkit.numerics import Tensor, accumulable, addable
from kregkit.regularizers._handled import handled
from kregkit.regularizers._parameters import (
    array_or_number,
    given,
    number,
    plain,
    unknown_layer,
)
from kregkit.weights import Weight, weight_at_work

FORMAT = 1

_FIXED: Final = (str, bool, int, float, np.generic, np.ndarray, list, tuple)
"""Parameters that are checked; what else there may be is a tensor or a variable."""


@dataclasses.dataclass(frozen=True, eq=False)
class Penalty(keras.regularizers.Regularizer, ABC):
    """`strength * value(w)`: a Keras regularizer that also knows its proximal step.

    Penalties are immutable, since Keras reads a regularizer when it traces the
    training step and ignores what changes afterwards. Tensors of any shape and
    float dtype are accepted; values are float32 scalars (float64 for float64).

    As `activity_regularizer`, Keras divides the penalty by the batch size: it is a
    mean per sample, of the sum over everything else (time steps, pixels, units).

    Args:
        strength: what `value` is multiplied by; finite and >= 0.

    Raises:
        ParameterError: a parameter is not a number, or outside its range.
    """

    strength: float = 0.01

    ranges: ClassVar[dict[str, Range]] = {"strength": STRENGTH}
    """The numeric parameters, which `replace` may change, and what they may be."""

    proximal: ClassVar[bool] = True
    """Whether it has a proximal operator, which is then `_prox`."""

    convex: ClassVar[bool] = False
    """Whether its value is convex, and known to be."""

    differentiable: ClassVar[bool] = True
    """Whether its gradient trains; where it does not, asking for it raises."""

    smooth_off_zero: ClassVar[bool] = True
    """Whether no minimum is at a kink but that of a weight at zero."""

    scalar_step_only: ClassVar[bool] = False
    """Whether its proximal step is known for one amount, the same of all weights, and
    not for a tensor of amounts."""

    only_on: ClassVar[str | None] = None
    """The target that it is for alone: "kernel" or "activity"."""

    maskable: ClassVar[bool] = False
    """Whether it is a sum over single elements, of which some may be left out."""

    arrays: ClassVar[frozenset[str]] = frozenset()
    """The numeric parameters that may be an array too, of the shape of the weight."""

    def __post_init__(self) -> None:
        for name in self.ranges:
            object.__setattr__(self, name, self._checked(name, getattr(self, name)))

    @property
    @abstractmethod
    def makes_zeros(self) -> bool:
        """Whether weights, or groups of them, end at zero while others do not."""

    @abstractmethod
    def _value(self, w: Tensor) -> Tensor:
        """Return the unscaled penalty of `w`, which is float32 or float64."""

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        """Return the proximal point; `amount` has the dtype of `w`."""
        raise ParameterError(f"{type(self).__name__}: has no proximal operator.")

    def _on(self, weight: Weight) -> dict[str, Any]:
        """Return the parameters that the layer of a weight changes in its penalty."""
        return {}

    def needs_layer(self, rank: int) -> bool:
        """Return whether the kind of layer decides what it is of a weight of this rank.

        Where it does, `_on` says how.
        """
        return False

    @final
    def bound(self, weight: Weight | None) -> Self:
        """Return the penalty of one weight, which lies as its kind of layer has it.

        Raises:
            ParameterError: the weight does not have the groups of the penalty.
        """
        changed = {} if weight is None else self._on(weight)
        return self._copied(changed) if changed else self

    @final
    def __call__(self, w: Tensor) -> Tensor:
        """Return `strength * value(w)`, of a weight of a model as its layer has it.

        Raises:
            ParameterError: a penalty of activities is given a weight, or one of kernels
                the output of a layer; the weight does not have its groups.
        """
        if (held := handled(self, w)) is not None:
            return held(w)
        name = type(self).__name__
        only = self.only_on
        tensor = isinstance(w, keras.Variable) or ops.is_tensor(w)
        local = self.needs_layer(len(w.shape) if tensor else np.ndim(w))
        weight = weight_at_work(w) if local or only == "activity" else None
        of_a_weight = weight is not None or isinstance(w, keras.Variable)
        if only == "activity" and of_a_weight:
            rule = "the output of a layer, as an activity_regularizer is given"
            path = w.path if weight is None else weight.variable.path
            raise ParameterError(must(name, "w", rule, f"the weight {path}"))
        if only == "kernel" and regularizes_activity(self):
            rule = "a kernel, and not the output of a layer"
            raise ParameterError(must(name, "w", rule, tuple(w.shape)))
        if local and of_a_weight and weight is None:
            raise ParameterError(unknown_layer(self, w.path))
        return addable(self.computed(w, weight), w)

    @final
    def computed(self, w: Tensor, weight: Weight | None = None) -> Tensor:
        """Return `strength * value(w)` of a weight, with its gradient."""
        own = self.bound(weight)
        try:
            return own.scaled(accumulable(ops.convert_to_tensor(w)))
        except ParameterError as error:
            if (weight := weight or weight_at_work(w)) is None:
                raise
            raise ParameterError(f"{weight.path}: {error}") from None

    def scaled(self, w: Tensor) -> Tensor:
        """Return `strength·value(w)`, of what is float32 or float64."""
        value = self._value(w)
        return ops.convert_to_tensor(self.strength, value.dtype) * value

    @final
    def value(self, w: Tensor) -> Tensor:
        """Return the unscaled penalty of one tensor, a scalar."""
        return self._value(accumulable(ops.convert_to_tensor(w)))

    @final
    def prox(self, w: Tensor, amount: Tensor) -> Tensor:
        """Return `argmin_u Σᵢ (uᵢ − wᵢ)²/(2·amountᵢ) + value(u)`, and `w` at amount 0.

        Args:
            w: one tensor.
            amount: step · strength, >= 0: a scalar, or a tensor of the shape of `w`
                with the step of each weight.

        Returns:
            A tensor of the shape and dtype of `w`.

        Raises:
            ParameterError: a penalty that is not `proximal`; amounts of another shape,
                or a tensor of them for a penalty that takes `scalar_step_only`.
        """
        w = ops.convert_to_tensor(w)
        wide = accumulable(w)
        amount = ops.convert_to_tensor(amount, wide.dtype)
        if self.scalar_step_only:
            amount = _scalar(type(self).__name__, amount)
        if tuple(amount.shape) not in ((), tuple(w.shape)):
            rule = f"a scalar, or of the shape {tuple(w.shape)} of `w`"
            name, shape = type(self).__name__, tuple(amount.shape)
            raise ParameterError(must(f"{name}.prox", "amount", rule, shape))
        return ops.cast(self._prox(wide, amount), w.dtype)

    @final
    def replace(self, **parameters: Tensor) -> Self:
        """Return a live copy, whose numeric parameters may be tensors or variables.

        A live copy is for one training program; it is never saved.

        Raises:
            ParameterError: a name that is not a numeric parameter, or a number outside
                its range.
        """
        for name, held in parameters.items():
            if name not in self.ranges:
                known = ", ".join(sorted(self.ranges))
                rule = f"a numeric parameter ({known})"
                raise ParameterError(must(f"{self!r}.replace", name, rule, held))
            if held is None or isinstance(held, _FIXED):
                parameters[name] = self._checked(name, held)
        return self._copied(parameters)

    def _checked(self, name: str, held: object) -> Any:
        """Return a numeric parameter as it is held."""
        check = array_or_number if name in self.arrays else number
        return check(type(self).__name__, name, held, self.ranges[name])

    def _copied(self, changed: dict[str, Any]) -> Self:
        copy = object.__new__(type(self))
        for name, held in {**self.__dict__, **changed, "_live": True}.items():
            object.__setattr__(copy, name, held)
        return copy

    def get_config(self) -> dict[str, Any]:
        """Return the parameters as they were given, and the key `kregkit`.

        Keras looks a class name up among its own classes first. Without a key that
        they refuse, a saved `L1L2` would silently load as Keras's.
        """
        if "_live" in self.__dict__:
            raise ParameterError(
                f"{type(self).__name__}: a live copy, made by `replace`, cannot be "
                "saved; save the penalty that it was made from."
            )
        names = [field.name for field in dataclasses.fields(self) if field.init]
        held = {name: getattr(self, name) for name in names}
        return {"kregkit": FORMAT} | {n: plain(v) for n, v in held.items()}

    @classmethod
    def make(cls, strength: float, **parameters: Any) -> Self:
        """Return the penalty of this strength and these parameters, as studies do."""
        return cls(strength=strength, **parameters)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Return the penalty of a config made by `get_config`.

        Raises:
            ParameterError: a config of another class, or of a later kregkit.
        """
        names = {field.name for field in dataclasses.fields(cls) if field.init}
        if set(config) != names | {"kregkit"} or config["kregkit"] != FORMAT:
            rule = f"a config with kregkit = {FORMAT} and {', '.join(sorted(names))}"
            raise ParameterError(
                must(f"{cls.__name__}.from_config", "config", rule, config)
            )
        return cls(**{name: given(config[name]) for name in names})


def _scalar(owner: str, amount: Tensor) -> Tensor:
    """Return the one amount that there is as a scalar."""
    if math.prod(amount.shape) != 1:
        rule = "a scalar: no step is known whose amounts differ between weights"
        raise ParameterError(must(f"{owner}.prox", "amount", rule, tuple(amount.shape)))
    return ops.reshape(amount, ())


def bound(regularizer: Any, weight: Weight | None) -> Any:
    """Return the regularizer of one weight: `bound`, if it is a penalty."""
    known = isinstance(regularizer, Penalty)
    return regularizer.bound(weight) if known else regularizer
