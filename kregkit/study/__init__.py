"""Studies: reads, plans, resolves, trains and stores a study file."""

import importlib
from typing import Any

__all__ = ["config", "data"]


def __getattr__(name: str) -> Any:
    """Return the module `config`, which reads study files. `data` is a package."""
    if name == "config":
        return importlib.import_module("kregkit.study.file.config")
    raise AttributeError(f"module 'kregkit.study' has no attribute {name!r}")
