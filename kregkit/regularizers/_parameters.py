"""The parameters of penalties: numbers, arrays and words, checked and as JSON.

They are checked when a penalty is made, not when it is called.
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


def array_or_number(
    owner: str, name: str, value: object, rule: Range
) -> float | NDArray[Any]:
    """Return a parameter as a float, or as an array of floats that is never written.

    Of a variable it is the value now.
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
        raise ParameterError(must(owner, name, f"{rule}, or an array of such", value))
    return number(owner, name, value, rule)


def _array(value: object) -> NDArray[Any]:
    """Return an array of a value, of None where its rows differ in length."""
    try:
        return np.array(value)
    except ValueError:
        return np.array(None)


def plain(value: Any) -> Any:
    """Return a parameter as JSON has it: no tuples, and arrays in base 64."""
    if isinstance(value, np.ndarray):
        data = base64.b64encode(value.tobytes()).decode()
        return {"dtype": value.dtype.name, "shape": list(value.shape), "data": data}
    return list(value) if isinstance(value, tuple) else value


def given(held: Any) -> Any:
    """Return a parameter from what `plain` made of it."""
    if isinstance(held, dict):
        flat = np.frombuffer(base64.b64decode(held["data"]), held["dtype"])
        return flat.reshape(held["shape"])
    return held


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


def check_shape(owner: str, w: Any) -> None:
    """Raise `ParameterError` for a tensor some axis of which has no known size."""
    if None in w.shape:
        rule = "of a known shape, as a weight is, and not the output of a layer"
        raise ParameterError(must(owner, "w", rule, tuple(w.shape)))


def unknown_layer(penalty: object, path: str) -> str:
    """Return the message for a weight whose layer must be known, and is not."""
    group = getattr(penalty, "group", None)
    what = "the units" if group is None else f"the groups {group!r}"
    return (
        f"{type(penalty).__name__}: {what} of {path} depend on the kind of its layer, "
        "which is not known here; call `kregkit.bind(model)` once the model is built."
    )
