"""A regularizer toolkit for Keras: penalties, logs of their effects, and studies.

Importing kregkit is cheap: modules that need Keras, polars or matplotlib are loaded at
their first use.
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
    if name == "bind":  # a function, as is the next
        return importlib.import_module("kregkit.weights").bind
    if name == "optimality":
        return importlib.import_module("kregkit.kkt.table").optimality
    if name in __all__:
        return importlib.import_module(f"kregkit.{name}")
    raise AttributeError(f"module 'kregkit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]


if "keras" in sys.modules:
    # Register the classes, so that Keras can load saved models with them.
    importlib.import_module("kregkit.layers")
