"""The registry of penalties: `@register` adds a class, `get` and `make` find it.

Each penalty has two names: its class name, and the class name in snake case.
"""

import abc
import re
from typing import Any, Final, TypeVar

import keras

from kregkit.errors import ParameterError, UnknownNameError, must, unknown
from kregkit.regularizers._base import Penalty
from kregkit.specs import SPECS

_P = TypeVar("_P", bound=type[Penalty])

_FACTS: Final = (
    "arrays",
    "convex",
    "differentiable",
    "makes_zeros",
    "maskable",
    "only_on",
    "proximal",
    "ranges",
    "scalar_step_only",
    "smooth_off_zero",
)

_REGISTRY: dict[str, type[Penalty]] = {}


def register(cls: _P) -> _P:
    """Add a class to kregkit's and Keras's registries, with its spec's properties."""
    spec = SPECS[cls.__name__]
    for fact in _FACTS:
        if fact not in vars(cls):  # the class defines it if it depends on a parameter
            setattr(cls, fact, getattr(spec, fact))
    abc.update_abstractmethods(cls)
    _REGISTRY[cls.__name__] = cls
    return keras.saving.register_keras_serializable("kregkit")(cls)  # type: ignore[no-any-return]  # Keras is untyped


def classes() -> tuple[type[Penalty], ...]:
    """Return all registered classes, sorted by name."""
    return tuple(_REGISTRY[name] for name in sorted(_REGISTRY))


def names() -> tuple[str, ...]:
    """Return the names that `get` accepts, in snake case and sorted."""
    return tuple(sorted(_snake(name) for name in _REGISTRY))


def get(identifier: str | dict[str, Any] | Penalty | None) -> Penalty | None:
    """Return a penalty from its name or serialized form; a penalty is unchanged.

    A name gives strength 0.01, as in Keras: `get("l1_l2")` is
    `L1L2.make(0.01, ratio=0.5)`.

    Raises:
        UnknownNameError: a name that is not in `names()`.
        ParameterError: `identifier` is no name, dict, penalty or None.
    """
    if identifier is None or isinstance(identifier, Penalty):
        return identifier
    if isinstance(identifier, dict):
        return get(keras.regularizers.deserialize(identifier))
    if isinstance(identifier, str):
        return make(identifier, 0.01)
    rule = "a name, a serialized penalty, a penalty or None"
    raise ParameterError(must("regularizers.get", "identifier", rule, identifier))


def make(name: str, strength: float, **parameters: float | str) -> Penalty:
    """Return the named penalty with this strength and these other parameters."""
    by_name = {alias: c for n, c in _REGISTRY.items() for alias in (n, _snake(n))}
    if name not in by_name:
        raise UnknownNameError(unknown("regularizers", name, names()))
    cls = by_name[name]
    ranges = SPECS[cls.__name__].parameters
    for key in set(parameters) - set(ranges):
        raise UnknownNameError(unknown(f"{cls.__name__}.make", key, ranges))
    defaults = {
        key: rule.default for key, rule in ranges.items() if rule.default is not None
    }
    return cls.make(strength, **(defaults | parameters))


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
