"""Every error that kregkit raises, and the wording that errors share.

    KregkitError
    ├── ParameterError   (ValueError)    an argument breaks a rule
    ├── UnknownNameError (ValueError)    a name that no registry knows
    ├── ModelError       (TypeError)     a model or builder that cannot be used
    ├── StudyError       (ValueError)    a study file, located: file, line, key
    ├── DataError        (ValueError)    a data set or data file
    ├── StoreError       (OSError)       a store that cannot be read or written
    │   └── PartError                    one part of it; the others may be read
    └── VersionError     (RuntimeError)  versions that do not go together

Code raises the short fact; what knows the file adds it once, at the boundary.
"""

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING


class KregkitError(Exception):
    """The base of every error of kregkit."""

    if not TYPE_CHECKING:
        # TensorFlow raises an error again after it has traced the code that raised it:
        # as what it was if it is constructed as an Exception is, else as its own.
        __init__ = Exception.__init__


class ParameterError(KregkitError, ValueError):
    """An argument breaks a rule; the message names owner, rule and value."""


class UnknownNameError(KregkitError, ValueError):
    """A name that no registry knows; the message names the nearest one."""


class ModelError(KregkitError, TypeError):
    """A model, or what a builder returned, cannot be used."""


class StudyError(KregkitError, ValueError):
    """A study file breaks a rule; the message holds file, line and key."""


class DataError(KregkitError, ValueError):
    """A data set or a data file cannot be used."""


class StoreError(KregkitError, OSError):
    """A store cannot be read or written."""


class PartError(StoreError):
    """A file of one part of a store cannot be read; the others may be."""


class VersionError(KregkitError, RuntimeError):
    """Versions that do not go together; the message names both."""


def must(owner: str, name: str, rule: str, value: object) -> str:
    """Return the message "owner: `name` must be rule; received value."."""
    return f"{owner}: `{name}` must be {rule}; received {value!r}."


def unknown(where: str, name: object, known: Iterable[str]) -> str:
    """Return the message for a name that is not among the known ones."""
    names = sorted(known)
    lower = {known_name.lower(): known_name for known_name in names}
    near = difflib.get_close_matches(str(name).lower(), lower, n=1, cutoff=0.5)
    hint = f" Did you mean {lower[near[0]]!r}?" if near else ""
    return f"{where}: unknown {name!r}.{hint} Known: {', '.join(names)}."
