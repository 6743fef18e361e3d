"""A regularizer toolkit for Keras: penalties, logs of what they do, and studies.

Importing kregkit is cheap. What needs Keras, polars or matplotlib is
loaded when it is first used.
"""

import importlib
import sys
from typing import Any

__version__ = "0.1.0"

__all__ = [
    "bind",
    "callbacks",
    "errors",
    "layers",
    "optimality",
    "optimizers",
    "regularizers",
    "report",
    "study",
]


def __getattr__(name: str) -> Any:
    if name == "bind":  # a function, as the next
        return importlib.import_module("kregkit.weights").bind
    if name == "optimality":
        return importlib.import_module("kregkit.kkt.table").optimality
    if name in __all__:
        return importlib.import_module(f"kregkit.{name}")
    raise AttributeError(f"module 'kregkit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]


if "keras" in sys.modules:
    # So that Keras can load a model saved with these (see `Penalty.get_config`).
    importlib.import_module("kregkit.layers")
