"""The errors that kregkit raises, and the two forms of their messages.

    KregkitError
    ├── ParameterError   (ValueError)    an argument breaks a rule
    ├── UnknownNameError (ValueError)    a name that is not registered
    ├── ModelError       (TypeError)     a model or builder cannot be used
    ├── StudyError       (ValueError)    a study file is invalid: file, line, key
    ├── DataError        (ValueError)    a data set or data file cannot be used
    ├── StoreError       (OSError)       a store cannot be read or written
    │   └── PartError                    one part cannot be read; others may be
    └── VersionError     (RuntimeError)  versions are incompatible

Inner code raises a short message. The caller that knows the file adds its name once.
"""

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING


class KregkitError(Exception):
    """The base class of all kregkit errors."""

    if not TYPE_CHECKING:
        # TensorFlow re-raises errors of traced code. It keeps the class only if the
        # constructor is Exception's.
        __init__ = Exception.__init__


class ParameterError(KregkitError, ValueError):
    """An argument is invalid; the message names owner, rule and value."""


class UnknownNameError(KregkitError, ValueError):
    """A name is not registered; the message names the nearest known name."""


class ModelError(KregkitError, TypeError):
    """A model, or the return value of a builder, cannot be used."""


class StudyError(KregkitError, ValueError):
    """A study file is invalid; the message names file, line and key."""


class DataError(KregkitError, ValueError):
    """A data set or a data file cannot be used."""


class StoreError(KregkitError, OSError):
    """A store cannot be read or written."""


class PartError(StoreError):
    """A file of one part of a store cannot be read; other parts may be readable."""


class VersionError(KregkitError, RuntimeError):
    """Two versions are incompatible; the message names both."""


def must(owner: str, name: str, rule: str, value: object) -> str:
    """Return the message "owner: `name` must be rule; received value."."""
    return f"{owner}: `{name}` must be {rule}; received {value!r}."


def unknown(where: str, name: object, known: Iterable[str]) -> str:
    """Return the message for a name that is not in `known`."""
    names = sorted(known)
    lower = {known_name.lower(): known_name for known_name in names}
    near = difflib.get_close_matches(str(name).lower(), lower, n=1, cutoff=0.5)
    hint = f" Did you mean {lower[near[0]]!r}?" if near else ""
    return f"{where}: unknown {name!r}.{hint} Known: {', '.join(names)}."
