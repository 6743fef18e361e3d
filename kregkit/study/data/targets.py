"""Checks the targets of a data set: numbers, or classes numbered in label order.

Labels may be whole numbers with gaps, words, or one-hot rows. Rows of several numbers
are targets of a regression.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from kregkit.errors import DataError
from kregkit.study.data.inputs import check_finite, named
from kregkit.study.data.scaling import Array
from kregkit.study.data.sources import Arrays
from kregkit.study.data.wording import cell, several

_NO_LABEL: Final = ("", "nan")
"""Text that NumPy writes for missing labels."""

_EXACT: Final = 2.0**53
"""Below it, float64 represents all whole numbers."""

_REGRESSION: Final = "set task = 'regression'"


@dataclass(frozen=True, eq=False)
class Targets:
    """The targets: int64 class numbers, or float64 (rows, targets)."""

    y: Array
    y_test: Array | None
    task: str
    outputs: int
    labels: tuple[int | str, ...]


def checked_targets(arrays: Arrays, task: str | None) -> Targets:
    """Return the targets; raise a short message for invalid ones."""
    keys = [key for key, _ in named("y", arrays)]
    parts = [_labels(key, part, task) for key, part in named("y", arrays)]
    for (x_key, x), key, part in zip(named("x", arrays), keys, parts, strict=True):
        if len(x) != len(part):
            raise DataError(f"{x_key} has {len(x)} rows and {key} has {len(part)}")
    if parts[-1].shape[1:] != parts[0].shape[1:]:
        raise DataError("y_train and y_test have different numbers of targets")
    if any(part.dtype.kind == "U" for part in parts):
        if task == "regression":
            raise DataError(f"{keys[0]} holds words; a regression needs numbers")
        if not all(part.dtype.kind == "U" for part in parts):
            raise DataError("one of y_train and y_test holds words, the other numbers")
        task = "classification"
    whole = all(_whole(part) for part in parts)
    if task is None:
        single = parts[0].ndim == 1
        task = "classification" if single and whole else "regression"
        if whole and not single:
            raise DataError(f"{_not_labels(keys[0], parts[0])}; or {_REGRESSION}")
    if task == "regression":
        return _numbers(keys, parts)
    if parts[0].ndim != 1:
        raise DataError(_not_labels(keys[0], parts[0]))
    if not whole:
        raise DataError(
            "labels that are not integers; number the classes 0, 1, ..., or "
            f"{_REGRESSION}"
        )
    return _classes(keys, [_exact(*one) for one in zip(keys, parts, strict=True)])


def _labels(key: str, y: Array, task: str | None) -> Array:
    if y.dtype.kind == "S":
        try:
            y = y.astype("U")
        except UnicodeDecodeError:
            raise DataError(f"{key} holds words that are not ASCII; save str") from None
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.dtype.kind == "U" and y.ndim == 1:
        blank = np.isin(np.char.lower(np.char.strip(y)), _NO_LABEL)
        if blank.any():
            first = int(blank.argmax())
            raise DataError(
                f"{key} has {several(int(blank.sum()), 'missing label')}, the first, "
                f"{cell(str(y[first]))}, in row {first + 1}"
            )
        return y
    if y.dtype.kind not in "biuf":
        raise DataError(f"{key} must hold numbers or words; holds {y.dtype}")
    if y.ndim not in (1, 2) or 0 in y.shape[1:]:
        raise DataError(
            f"{key} must hold one label, or several numbers, for each row; received "
            f"{y.shape}"
        )
    check_finite(key, y)
    if y.ndim == 2 and task != "regression" and _one_hot(y):
        classes: Array = y.argmax(axis=1)
        return classes
    return y.astype("uint8") if y.dtype.kind == "b" else y


def _not_labels(key: str, y: Array) -> str:
    return (
        f"{key} must hold one label for each row, or one-hot rows; received {y.shape}"
    )


def _one_hot(y: Array) -> bool:
    binary = (y == 0) | (y == 1)
    return bool(binary.all() and (y.sum(axis=1) == 1).all())


def _whole(part: Array) -> bool:
    return part.dtype.kind != "f" or bool((part == np.floor(part)).all())


def _exact(key: str, part: Array) -> Array:
    """Return labels as words or int64; raise for a number that is not exact."""
    if part.dtype.kind == "U" or not part.size:
        return part
    if part.dtype.kind == "f":
        part = part.astype("float64")  # the limit overflows float16
    limit = _EXACT if part.dtype.kind == "f" else 2**63
    beyond = (
        (part >= limit) | (part < -limit) if part.dtype.kind != "i" else part != part
    )
    if beyond.any():
        first = int(beyond.argmax())
        raise DataError(
            f"{key} has the label {part[first]:g} in row {first + 1}, too large to be "
            f"exact; number the classes 0, 1, ..., or {_REGRESSION}"
        )
    return part.astype("int64")


def _classes(keys: list[str], parts: list[Array]) -> Targets:
    known = np.unique(parts[0])
    labels = tuple(known.tolist())
    if len(labels) == 1:
        raise DataError(f"has one class only: {labels[0]}")
    for key, part in zip(keys, parts, strict=True):
        strange = np.setdiff1d(part, known)
        if len(strange):
            raise DataError(
                f"{key} has the label {strange[0]}, which {keys[0]} does not have"
            )
    numbered = [np.searchsorted(known, part).astype("int64") for part in parts]
    test = numbered[1] if len(numbered) > 1 else None
    return Targets(numbered[0], test, "classification", len(labels), labels)


def _numbers(keys: list[str], parts: list[Array]) -> Targets:
    targets = [part.astype("float64").reshape(len(part), -1) for part in parts]
    constant = targets[0].min(axis=0) == targets[0].max(axis=0)
    if constant.any():
        column = int(constant.argmax())
        where = f"column {column + 1} of {keys[0]} " if len(constant) > 1 else ""
        value = targets[0][0, column]
        raise DataError(f"{where}has one target value only: {value:g}")
    test = targets[1] if len(targets) > 1 else None
    return Targets(targets[0], test, "regression", targets[0].shape[1], ())
