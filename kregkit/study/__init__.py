"""Studies: a file is read, planned, resolved, trained and stored."""

import importlib
from typing import Any

__all__ = ["config", "data"]


def __getattr__(name: str) -> Any:
    """Return the module that reads study files; `data` is the package of that name."""
    if name == "config":
        return importlib.import_module("kregkit.study.file.config")
    raise AttributeError(f"module 'kregkit.study' has no attribute {name!r}")
