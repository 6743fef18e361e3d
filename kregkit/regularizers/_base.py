"""`Penalty`, the abstract base class of all penalties.

A penalty is `strength * value(w)`. Only this module multiplies by the strength.
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
"""The types of parameters that are checked; others are tensors or variables."""


@dataclasses.dataclass(frozen=True, eq=False)
class Penalty(keras.regularizers.Regularizer, ABC):
    """`strength * value(w)`: a Keras regularizer with a proximal operator.

    Penalties are immutable: Keras reads a regularizer when it traces the training step,
    and ignores later changes. Tensors may have any shape and float dtype. Values are
    float32 scalars (float64 for float64).

    Keras divides an `activity_regularizer` by the batch size: the penalty is a mean
    over samples of the sum over time steps, pixels and units.

    Args:
        strength: the factor of `value`; finite and >= 0.

    Raises:
        ParameterError: a parameter is not a number, or outside its range.
    """

    strength: float = 0.01

    ranges: ClassVar[dict[str, Range]] = {"strength": STRENGTH}
    """The numeric parameters, with their valid values. `replace` can change them."""

    proximal: ClassVar[bool] = True
    """Whether it has a proximal operator, `_prox`."""

    convex: ClassVar[bool] = False
    """Whether its value is known to be convex."""

    differentiable: ClassVar[bool] = True
    """Whether its gradient is useful for training; if not, computing it raises."""

    smooth_off_zero: ClassVar[bool] = True
    """Whether minima lie at kinks only where a weight is zero."""

    scalar_step_only: ClassVar[bool] = False
    """Whether its proximal operator takes a scalar amount only, and no tensor."""

    only_on: ClassVar[str | None] = None
    """The only target that it accepts, "kernel" or "activity"; None: any target."""

    maskable: ClassVar[bool] = False
    """Whether it is a sum over elements, so that elements can be masked."""

    arrays: ClassVar[frozenset[str]] = frozenset()
    """The numeric parameters that may also be arrays of the weight's shape."""

    def __post_init__(self) -> None:
        for name in self.ranges:
            object.__setattr__(self, name, self._checked(name, getattr(self, name)))

    @property
    @abstractmethod
    def makes_zeros(self) -> bool:
        """Whether some weights or groups end at exactly zero."""

    @abstractmethod
    def _value(self, w: Tensor) -> Tensor:
        """Return the unscaled penalty of `w`, a float32 or float64 tensor."""

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        """Return the proximal point; `amount` has the dtype of `w`."""
        raise ParameterError(f"{type(self).__name__}: has no proximal operator.")

    def _on(self, weight: Weight) -> dict[str, Any]:
        """Return the parameters of this penalty that depend on the weight's layer."""
        return {}

    def needs_layer(self, rank: int) -> bool:
        """Return whether the penalty depends on the layer, for a weight of this rank.

        If so, `_on` returns the changed parameters.
        """
        return False

    @final
    def bound(self, weight: Weight | None) -> Self:
        """Return the penalty with the axes of this weight's layer.

        Raises:
            ParameterError: the weight does not have the groups of the penalty.
        """
        changed = {} if weight is None else self._on(weight)
        return self._copied(changed) if changed else self

    @final
    def __call__(self, w: Tensor) -> Tensor:
        """Return `strength * value(w)`, with the axes of the weight's layer.

        Raises:
            ParameterError: an activity penalty gets a weight, or a kernel penalty gets
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
            rule = "the output of a layer (use it as `activity_regularizer`)"
            path = w.path if weight is None else weight.variable.path
            raise ParameterError(must(name, "w", rule, f"the weight {path}"))
        if only == "kernel" and regularizes_activity(self):
            rule = "a kernel, not the output of a layer"
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
        """Return `strength·value(w)` of a float32 or float64 tensor."""
        value = self._value(w)
        return ops.convert_to_tensor(self.strength, value.dtype) * value

    @final
    def value(self, w: Tensor) -> Tensor:
        """Return the unscaled penalty of one tensor, as a scalar."""
        return self._value(accumulable(ops.convert_to_tensor(w)))

    @final
    def prox(self, w: Tensor, amount: Tensor) -> Tensor:
        """Return `argmin_u Σᵢ (uᵢ − wᵢ)²/(2·amountᵢ) + value(u)`, and `w` at amount 0.

        Args:
            w: one tensor.
            amount: step size · strength, >= 0: a scalar, or a tensor of the shape of
                `w` with one amount for each weight.

        Returns:
            A tensor of the shape and dtype of `w`.

        Raises:
            ParameterError: the penalty is not `proximal`; the amount has another shape,
                or is a tensor although the penalty is `scalar_step_only`.
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
        """Return a live copy, with tensors or variables as numeric parameters.

        A live copy is for one training program. It cannot be saved.

        Raises:
            ParameterError: a name is not a numeric parameter, or a number is outside
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
        """Return a numeric parameter in its stored form."""
        check = array_or_number if name in self.arrays else number
        return check(type(self).__name__, name, held, self.ranges[name])

    def _copied(self, changed: dict[str, Any]) -> Self:
        copy = object.__new__(type(self))
        for name, held in {**self.__dict__, **changed, "_live": True}.items():
            object.__setattr__(copy, name, held)
        return copy

    def get_config(self) -> dict[str, Any]:
        """Return the parameters as given, and the key `kregkit`.

        Keras looks up a class name among its own classes first. They reject the extra
        key; without it, a saved `L1L2` would load as Keras's without an error.
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
        """Return the penalty with this strength and these parameters, for studies."""
        return cls(strength=strength, **parameters)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Return the penalty from a config of `get_config`.

        Raises:
            ParameterError: the config is of another class, or of a later kregkit.
        """
        names = {field.name for field in dataclasses.fields(cls) if field.init}
        if set(config) != names | {"kregkit"} or config["kregkit"] != FORMAT:
            rule = f"a config with kregkit = {FORMAT} and {', '.join(sorted(names))}"
            raise ParameterError(
                must(f"{cls.__name__}.from_config", "config", rule, config)
            )
        return cls(**{name: given(config[name]) for name in names})


def _scalar(owner: str, amount: Tensor) -> Tensor:
    """Return a single amount as a scalar."""
    if math.prod(amount.shape) != 1:
        rule = "a scalar: this proximal operator needs one amount for all weights"
        raise ParameterError(must(f"{owner}.prox", "amount", rule, tuple(amount.shape)))
    return ops.reshape(amount, ())


def bound(regularizer: Any, weight: Weight | None) -> Any:
    """Return the regularizer with the axes of a weight's layer, if it is a penalty."""
    known = isinstance(regularizer, Penalty)
    return regularizer.bound(weight) if known else regularizer
