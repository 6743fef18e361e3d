"""Data sets: loaded, checked, divided by seed and scaled.

The one rule: what is not in the training part has no influence on training. Images
are divided by the largest magnitude of the training part's pixels; tables are
standardised on the training part, constant columns to 0; so is a regression's target,
which leaves R² as it is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kregkit.errors import DataError
from kregkit.study.config import DataConfig
from kregkit.study.sources import LOADERS, Array, Arrays, read


@dataclass(frozen=True, eq=False)
class Data:
    """A data set as loaded: not divided, not scaled.

    Class labels are 0, 1, ... in the order of the labels in the file, which are kept
    in `labels`. Of an image, x is (rows, height, width, channels).
    """

    name: str
    x: Array
    y: Array
    task: str
    outputs: int
    x_test: Array | None
    y_test: Array | None
    image: bool
    labels: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Split:
    """The three parts, ready for training: x float32; y int64, or float32 (n, 1)."""

    x_train: Array
    y_train: Array
    x_val: Array
    y_val: Array
    x_test: Array
    y_test: Array


def load(config: DataConfig, folder: Path) -> Data:
    """Return the data that a study names; `folder` is that of the study file.

    Labels that are whole numbers mean classification and others regression, unless
    `task` says it: a regression with whole targets must.
    """
    if config.name is not None:
        arrays = LOADERS[config.name](config.name)
        task = "regression" if config.name == "diabetes" else "classification"
        return _checked(arrays, config.name, config.name, task)
    file = folder / str(config.file)
    return _checked(read(file, config.label), file.name, str(file), config.task)


def split(data: Data, config: DataConfig, seed: int) -> Split:
    """Return the parts for a seed, stratified by class.

    Both fractions are of all rows outside a test part of the data's own. Where there
    is one, it stays, and the seed draws the validation part alone.
    """
    train, val, test = rows(data, config, seed)
    x_test = data.x[test] if data.x_test is None else data.x_test
    y_test = data.y[test] if data.y_test is None else data.y_test
    scale = _image_scale if data.image else _column_scale
    x = scale(data.x[train], data.name)
    y: Callable[[Array], Array] = _labels
    if data.task == "regression":
        y = _column_scale(data.y[train], data.name)
    return Split(
        x(data.x[train]),
        y(data.y[train]),
        x(data.x[val]),
        y(data.y[val]),
        x(x_test),
        y(y_test),
    )


def rows(data: Data, config: DataConfig, seed: int) -> tuple[Array, Array, Array]:
    """Return the row numbers of the three parts; the test's are () if it is fixed."""
    count = len(data.x)
    own_test = data.x_test is not None
    n_test = 0 if own_test else max(1, round(config.test_fraction * count))
    n_val = max(1, round(config.validation_fraction * count))
    if n_test + n_val >= count:
        raise DataError(
            f"{data.name}: {n_val} rows for validation and {n_test} for testing leave "
            f"none of the {count} to train on."
        )
    _check_classes(data, (n_test, n_val, count - n_test - n_val))
    rest, test = np.arange(count), np.arange(0)
    if not own_test:
        rest, test = _divided(data, rest, n_test, seed)
    train, val = _divided(data, rest, n_val, seed)
    for name, part in (("training", train), ("validation", val), ("test", test)):
        if data.task == "classification" and not (name == "test" and own_test):
            _check_every_class(data, part, name, seed)
    return train, val, test


def _divided(data: Data, rows: Array, second: int, seed: int) -> tuple[Array, Array]:
    from sklearn.model_selection import train_test_split

    classes = data.y[rows] if data.task == "classification" else None
    first, other = train_test_split(
        rows, test_size=second, random_state=seed, stratify=classes
    )
    return np.sort(first), np.sort(other)


def _check_classes(data: Data, sizes: tuple[int, ...]) -> None:
    if data.task != "classification":
        return
    parts = [size for size in sizes if size]
    counts = np.bincount(data.y, minlength=data.outputs)
    fewest, rarest = int(counts.min()), data.labels[counts.argmin()]
    if fewest < len(parts):
        raise DataError(
            f"{data.name}: class {rarest} has {fewest} row{'s'[: fewest != 1]}, too "
            f"few for a row in each of {len(parts)} parts; for targets that are no "
            "classes, say task = 'regression'."
        )
    smallest = min(parts)
    if smallest < data.outputs:
        raise DataError(
            f"{data.name}: a part of {smallest} row{'s'[: smallest != 1]} cannot hold "
            f"a row of each of {data.outputs} classes."
        )


def _check_every_class(data: Data, part: Array, name: str, seed: int) -> None:
    missing = np.flatnonzero(np.bincount(data.y[part], minlength=data.outputs) == 0)
    if len(missing):
        raise DataError(
            f"{data.name}: the {name} part of seed {seed} has no row of class "
            f"{data.labels[missing[0]]}, which has too few rows."
        )


def _image_scale(train: Array, name: str) -> Callable[[Array], Array]:
    # In float64: the magnitude of the most negative integer is no int8, int16, ...
    largest = max(abs(float(train.min())), abs(float(train.max()))) or 1.0
    return lambda part: _float32(part.astype("float32") / np.float32(largest), name)


def _column_scale(train: Array, name: str) -> Callable[[Array], Array]:
    train = train.astype("float64")
    with np.errstate(over="ignore", invalid="ignore"):  # _float32 refuses what is lost
        mean, deviation = train.mean(axis=0), train.std(axis=0)
    constant = train.min(axis=0) == train.max(axis=0)
    divisor = np.where(constant | (deviation == 0), np.inf, deviation)

    def scale(part: Array) -> Array:
        with np.errstate(over="ignore", invalid="ignore"):
            return _float32((part.astype("float64") - mean) / divisor, name)

    return scale


def _float32(part: Array, name: str) -> Array:
    with np.errstate(over="ignore"):
        part = part.astype("float32")
    if not np.isfinite(part).all():
        raise DataError(f"{name}: has values too large to be scaled.")
    return part


def _checked(arrays: Arrays, name: str, where: str, task: str | None) -> Data:
    x, y, x_test, y_test = arrays
    image = x.ndim >= 3
    inputs = [_inputs(where, key, part) for key, part in _named("x", x, x_test)]
    labels = [_targets(where, key, part) for key, part in _named("y", y, y_test)]
    for (key, _), own, own_labels in zip(
        _named("x", x, x_test), inputs, labels, strict=True
    ):
        other = key.replace("x", "y")
        if len(own) != len(own_labels):
            raise DataError(
                f"{where}: {key} has {len(own)} rows and {other} has {len(own_labels)}."
            )
        if own.shape[1:] != inputs[0].shape[1:]:
            raise DataError(
                f"{where}: rows of {key} are {own.shape[1:]}, those of x_train are "
                f"{inputs[0].shape[1:]}."
            )
    whole = all((part == np.floor(part)).all() for part in labels)
    if task is None:
        task = "classification" if whole else "regression"
    if task == "classification" and not whole:
        raise DataError(
            f"{where}: labels that are not integers; number the classes 0, 1, ..., or "
            "say task = 'regression'."
        )
    classes: tuple[int, ...] = ()
    if task == "classification":
        known = np.unique(labels[0])
        classes = tuple(int(label) for label in known)
        labels = [_numbered(where, part, known) for part in labels]
    else:
        labels = [part.astype("float64")[:, None] for part in labels]
    if len(np.unique(labels[0])) == 1:
        what = "one class only" if classes else "one target value only"
        raise DataError(f"{where}: has {what}: {y.reshape(-1)[0]:g}.")
    return Data(
        name,
        inputs[0],
        labels[0],
        task,
        len(classes) or 1,
        inputs[1] if len(inputs) > 1 else None,
        labels[1] if len(labels) > 1 else None,
        image,
        classes,
    )


def _named(key: str, train: Array, test: Array | None) -> list[tuple[str, Array]]:
    if test is None:
        return [(key, train)]
    return [(f"{key}_train", train), (f"{key}_test", test)]


def _inputs(where: str, key: str, x: Array) -> Array:
    if x.dtype.kind not in "biuf":
        raise DataError(f"{where}: {key} must hold numbers; holds {x.dtype}.")
    if not 2 <= x.ndim <= 4 or 0 in x.shape:
        raise DataError(
            f"{where}: {key} must be (rows, columns), or images (rows, height, width) "
            f"or (rows, height, width, channels), none of them 0; received {x.shape}."
        )
    _check_finite(where, key, x)
    x = x.astype("uint8") if x.dtype.kind == "b" else x
    return x[..., None] if x.ndim == 3 else x


def _targets(where: str, key: str, y: Array) -> Array:
    if y.dtype.kind not in "biuf":
        raise DataError(
            f"{where}: {key} holds labels that are not integers; number the classes "
            "0, 1, ... in the file."
        )
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise DataError(
            f"{where}: {key} must hold one number for each row; received {y.shape}."
        )
    _check_finite(where, key, y)
    return y.astype("uint8") if y.dtype.kind == "b" else y


def _check_finite(where: str, key: str, values: Array) -> None:
    if values.dtype.kind != "f":
        return
    finite = np.isfinite(values)
    if not finite.all():
        first = int(np.argwhere(~finite)[0][0]) + 1
        raise DataError(
            f"{where}: {key} has {int((~finite).sum())} values that are NaN or "
            f"infinite, the first in row {first}."
        )


def _numbered(where: str, y: Array, known: Array) -> Array:
    strange = np.setdiff1d(y, known)
    if len(strange):
        raise DataError(
            f"{where}: y_test has the label {strange[0]:g}, which y_train has not."
        )
    return np.searchsorted(known, y).astype("int64")


def _labels(part: Array) -> Array:
    return part.astype("int64")
