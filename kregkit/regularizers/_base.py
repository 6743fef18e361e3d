"""The base of every penalty.

The one rule: a penalty is `strength * value(w)`, and only this module multiplies.
"""

import base64
import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Self, final

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from kregkit.errors import ParameterError, must
from kregkit.known import ONLY_ON, STRENGTH, Choice, Range
from kregkit.numerics import Tensor, accumulable

FORMAT = 1

stepping: list[Callable[[], bool]] = []
"""Each says whether the training at work takes proximal steps: an optimizer that does
so adds itself here, since penalties do not know of optimizers."""


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

    kinks_at_zero_alone: ClassVar[bool] = True
    """Whether it is smooth in weights that are not zero."""

    one_amount: ClassVar[bool] = False
    """Whether its proximal step is known for one amount, the same of all weights, and
    not for a tensor of amounts."""

    arrays: ClassVar[frozenset[str]] = frozenset()
    """The numeric parameters that may be an array too, of the shape of the weight."""

    def __post_init__(self) -> None:
        for name, rule in self.ranges.items():
            check = array_or_number if name in self.arrays else number
            checked = check(type(self).__name__, name, getattr(self, name), rule)
            object.__setattr__(self, name, checked)

    @property
    def sparse(self) -> bool:
        """Whether it drives weights to zero rather than towards it."""
        return True

    @abstractmethod
    def _value(self, w: Tensor) -> Tensor:
        """Return the unscaled penalty of `w`, which is float32 or float64."""

    def _prox(self, w: Tensor, amount: Tensor) -> Tensor:
        """Return the proximal point; `amount` has the dtype of `w`."""
        raise ParameterError(f"{type(self).__name__}: has no proximal operator.")

    def _scaled(self, w: Tensor) -> Tensor:
        """Return `strength·value(w)`, of what is float32 or float64."""
        value = self._value(w)
        return ops.convert_to_tensor(self.strength, value.dtype) * value

    @final
    def value(self, w: Tensor) -> Tensor:
        """Return the unscaled penalty of one tensor, a scalar."""
        return self._value(accumulable(ops.convert_to_tensor(w)))

    @final
    def __call__(self, w: Tensor) -> Tensor:
        """Return `strength * value(w)`.

        Raises:
            ParameterError: a penalty of activities is given a weight.
        """
        name = type(self).__name__
        if isinstance(w, keras.Variable) and ONLY_ON.get(name) == "activity":
            rule = "the output of a layer, as an activity_regularizer is given"
            raise ParameterError(must(name, "w", rule, f"the weight {w.path}"))
        return self._scaled(accumulable(ops.convert_to_tensor(w)))

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
            ParameterError: a penalty that is not `proximal`, or a tensor of amounts for
                one that takes `one_amount`.
        """
        w = ops.convert_to_tensor(w)
        wide = accumulable(w)
        amount = ops.convert_to_tensor(amount, wide.dtype)
        if self.one_amount:
            amount = _scalar(type(self).__name__, amount)
        return ops.cast(self._prox(wide, amount), w.dtype)

    @final
    def replace(self, **parameters: Tensor) -> Self:
        """Return a live copy, whose numeric parameters may be tensors or variables.

        A live copy is for one training program; it is never saved.

        Raises:
            ParameterError: a name that is not a numeric parameter, or a number outside
                its range.
        """
        copy = object.__new__(type(self))
        for name, held in self.__dict__.items():
            object.__setattr__(copy, name, held)
        for name, held in parameters.items():
            if name not in self.ranges:
                known = ", ".join(sorted(self.ranges))
                rule = f"a numeric parameter ({known})"
                raise ParameterError(must(f"{self!r}.replace", name, rule, held))
            if isinstance(held, str | bool | int | float | np.generic) or held is None:
                held = number(type(self).__name__, name, held, self.ranges[name])
            object.__setattr__(copy, name, held)
        object.__setattr__(copy, "_live", True)
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
        return {"kregkit": FORMAT} | {n: _plain(v) for n, v in held.items()}

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
        return cls(**{name: _given(config[name]) for name in names})


def two_strengths(penalty: Penalty, first: str, second: str) -> None:
    """Check and set two strengths, their sum `strength` and the first's `ratio`."""
    owner = type(penalty).__name__
    one = number(owner, first, getattr(penalty, first), STRENGTH)
    two = number(owner, second, getattr(penalty, second), STRENGTH)
    if one + two == 0.0:
        raise ParameterError(
            f"{owner}: `{first}` or `{second}` must be positive; received {first}=0.0, "
            f"{second}=0.0, a penalty of nothing."
        )
    strength = number(owner, "strength", one + two, STRENGTH)
    given = {first: one, second: two, "strength": strength, "ratio": one / strength}
    for name, value in given.items():
        object.__setattr__(penalty, name, value)


def _scalar(owner: str, amount: Tensor) -> Tensor:
    """Return the one amount that there is as a scalar."""
    if math.prod(amount.shape) != 1:
        rule = "a scalar: no step is known whose amounts differ between weights"
        raise ParameterError(must(f"{owner}.prox", "amount", rule, tuple(amount.shape)))
    return ops.reshape(amount, ())


def array_or_number(
    owner: str, name: str, value: object, rule: Range
) -> float | NDArray[Any]:
    """Return a parameter as a float, or as an array of floats that is never written."""
    many = value.ndim > 0 if isinstance(value, np.ndarray) else False
    if many or isinstance(value, list | tuple):
        array = _array(value)
        if array.dtype.kind in "iuf":
            array = array if array.dtype == "float64" else array.astype("float32")
            ends = (array.min(initial=rule.high), array.max(initial=rule.low))
            if np.isfinite(array).all() and all(map(rule.admits, map(float, ends))):
                array.setflags(write=False)
                return array
        raise ParameterError(must(owner, name, f"{rule}, or an array of such", value))
    return number(owner, name, value, rule)


def _array(value: object) -> NDArray[Any]:
    """Return an array of a value, of None where its rows differ in length."""
    try:
        return np.array(value)
    except ValueError:
        return np.array(None)


def _plain(value: Any) -> Any:
    """Return a parameter as JSON has it: no tuples, and arrays in base 64."""
    if isinstance(value, np.ndarray):
        data = base64.b64encode(value.tobytes()).decode()
        return {"dtype": value.dtype.name, "shape": list(value.shape), "data": data}
    return list(value) if isinstance(value, tuple) else value


def _given(plain: Any) -> Any:
    """Return a parameter from what `_plain` made of it."""
    if isinstance(plain, dict):
        flat = np.frombuffer(base64.b64decode(plain["data"]), plain["dtype"])
        return flat.reshape(plain["shape"])
    return plain


def number(owner: str, name: str, value: object, rule: Range) -> float:
    """Return a parameter as a Python float; raise `ParameterError` if it is none."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    known = int | float | np.integer | np.floating
    if isinstance(value, known) and not isinstance(value, bool):
        try:
            plain = float(value) + 0.0  # -0.0 becomes 0.0
        except OverflowError:  # an int beyond every float
            plain = math.inf
        if rule.admits(plain):
            return plain
    raise ParameterError(must(owner, name, str(rule), value))


def word(owner: str, name: str, value: object, choice: Choice) -> None:
    """Raise `ParameterError` unless the value is a word of a structural parameter."""
    if not choice.admits(value):
        rule = ", ".join(map(repr, choice.words))
        raise ParameterError(must(owner, name, rule, value))
