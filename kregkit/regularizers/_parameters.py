"""Checks and serializes the parameters of penalties: numbers, arrays and strings.

Penalties call these checks when they are made, not when they are called.
"""

import base64
import math
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from kregkit.errors import ParameterError, must
from kregkit.known import STRENGTH, Choice, Range


def two_strengths(penalty: Any, first: str, second: str) -> None:
    """Check and set two strengths, their sum `strength`, and the first's `ratio`."""
    owner = type(penalty).__name__
    one = number(owner, first, getattr(penalty, first), STRENGTH)
    two = number(owner, second, getattr(penalty, second), STRENGTH)
    if one + two == 0.0:
        raise ParameterError(
            f"{owner}: `{first}` or `{second}` must be positive; received {first}=0.0, "
            f"{second}=0.0, a penalty that is always zero."
        )
    strength = number(owner, "strength", one + two, STRENGTH)
    given = {first: one, second: two, "strength": strength, "ratio": one / strength}
    for name, value in given.items():
        object.__setattr__(penalty, name, value)


def array_or_number(
    owner: str, name: str, value: object, rule: Range
) -> float | NDArray[Any]:
    """Return a parameter as a float or a read-only array of floats.

    For a variable, it is a copy of its present value.
    """
    if isinstance(value, keras.Variable):
        value = ops.convert_to_numpy(value)
    many = value.ndim > 0 if isinstance(value, np.ndarray) else False
    if many or isinstance(value, list | tuple):
        array = _array(value)
        if array.dtype.kind in "iuf":
            array = array if array.dtype == "float64" else array.astype("float32")
            ends = (array.min(initial=rule.high), array.max(initial=rule.low))
            if np.isfinite(array).all() and all(map(rule.admits, map(float, ends))):
                array.setflags(write=False)
                return array
        rule_of_array = f"{rule}, or an array of such numbers"
        raise ParameterError(must(owner, name, rule_of_array, value))
    return number(owner, name, value, rule)


def _array(value: object) -> NDArray[Any]:
    """Return the value as an array, or an array of None if its rows are ragged."""
    try:
        return np.array(value)
    except ValueError:
        return np.array(None)


def plain(value: Any) -> Any:
    """Return a parameter for JSON: tuples as lists, arrays in base 64."""
    if isinstance(value, np.ndarray):
        data = base64.b64encode(value.tobytes()).decode()
        return {"dtype": value.dtype.name, "shape": list(value.shape), "data": data}
    return list(value) if isinstance(value, tuple) else value


def given(held: Any) -> Any:
    """Return a parameter from its form for JSON; the inverse of `plain`."""
    if isinstance(held, dict):
        flat = np.frombuffer(base64.b64decode(held["data"]), held["dtype"])
        return flat.reshape(held["shape"])
    return held


def number(owner: str, name: str, value: object, rule: Range) -> float:
    """Return a parameter as a Python float.

    Raises:
        ParameterError: the value is no number, or outside the range.
    """
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    known = int | float | np.integer | np.floating
    if isinstance(value, known) and not isinstance(value, bool):
        try:
            plain = float(value) + 0.0  # -0.0 becomes 0.0
        except OverflowError:  # an int too large for a float
            plain = math.inf
        if rule.admits(plain):
            return plain
    raise ParameterError(must(owner, name, str(rule), value))


def word(owner: str, name: str, value: object, choice: Choice) -> None:
    """Raise `ParameterError` unless the choice admits the value."""
    if not choice.admits(value):
        rule = ", ".join(map(repr, choice.words))
        raise ParameterError(must(owner, name, rule, value))


def check_shape(owner: str, w: Any) -> None:
    """Raise `ParameterError` for a tensor with an axis of unknown size."""
    if None in w.shape:
        rule = "of a known shape, such as a weight, not the output of a layer"
        raise ParameterError(must(owner, "w", rule, tuple(w.shape)))


def unknown_layer(penalty: object, path: str) -> str:
    """Return the message for a penalty that needs a weight's unknown layer."""
    group = getattr(penalty, "group", None)
    what = "the units" if group is None else f"the groups {group!r}"
    return (
        f"{type(penalty).__name__}: {what} of {path} depend on its kind of layer, "
        "which is unknown here; call `kregkit.bind(model)` after the model is built."
    )
