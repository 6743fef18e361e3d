"""Loads and checks data sets, splits them by seed, and scales them.

Only the training part influences training: `scaling` of inputs, and of a regression's
targets, is fitted on it alone. Scaled targets do not change R².
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kregkit.errors import DataError
from kregkit.study.data import scaling
from kregkit.study.data.describe import classes_in_words, inputs_in_words
from kregkit.study.data.features import Feature
from kregkit.study.data.inputs import checked_inputs
from kregkit.study.data.scaling import Array, Scaling
from kregkit.study.data.sources import LOADERS, Arrays, read
from kregkit.study.data.targets import checked_targets
from kregkit.study.data.wording import several
from kregkit.study.file.config import DataConfig


@dataclass(frozen=True, eq=False)
class Data:
    """A loaded data set, before it is split and scaled.

    Classes are numbered 0, 1, ... in the order of the file's labels, which are in
    `labels`. x of images is (rows, height, width, channels), and of series (rows,
    steps, features). Missing values are NaN. `scale` is "image", "standard" or "none".
    For a table, `features` are the positions of its columns among the inputs, and
    `targets` has the label's name. `notes` describes inputs and scaling, and `classes`
    the class numbers.
    """

    name: str
    x: Array
    y: Array
    task: str
    outputs: int
    x_test: Array | None
    y_test: Array | None
    image: bool
    labels: tuple[int | str, ...]
    scale: str
    features: tuple[Feature, ...] = ()
    targets: tuple[str, ...] = ()
    notes: str = ""
    classes: str | None = None


@dataclass(frozen=True, eq=False)
class Split:
    """The three parts, ready for training.

    x is float32, or unscaled integers. y is int64, or float32 (rows, targets).
    """

    x_train: Array
    y_train: Array
    x_val: Array
    y_val: Array
    x_test: Array
    y_test: Array


def load(config: DataConfig, folder: Path, own_model: bool = False) -> Data:
    """Return the data that a study names; `folder` is the study file's folder.

    Without `task`, labels that are whole numbers or words mean classification, and
    others regression; a regression with whole targets needs `task`. Integers of an .npz
    file are not scaled for a user-defined model.
    """
    if config.name is not None:
        arrays = LOADERS[config.name](config.name)
        task = "regression" if config.name == "diabetes" else "classification"
        return _checked(arrays, config, config.name, config.name, task, own_model)
    file = folder / str(config.file)
    arrays = read(file, config)
    return _checked(arrays, config, file.name, str(file), config.task, own_model)


def split(data: Data, config: DataConfig, seed: int) -> Split:
    """Return the parts for a seed, stratified by class.

    Both fractions are shares of all rows, without the data's own test part. If there is
    one, it is fixed, and the seed draws only the validation part.
    """
    train, val, test = rows(data, config, seed)
    x_test = data.x[test] if data.x_test is None else data.x_test
    y_test = data.y[test] if data.y_test is None else data.y_test
    x, y = fitted(data, train, seed)
    return Split(
        x(data.x[train]),
        y(data.y[train]),
        x(data.x[val]),
        y(data.y[val]),
        x(x_test),
        y(y_test),
    )


def fitted(data: Data, train: Array, seed: int) -> tuple[Scaling, Scaling]:
    """Return the scaling of inputs and targets by these rows, tested on all rows."""
    named = [feature.name for feature in data.features for _ in range(feature.width)]
    classes = data.task == "classification"
    try:
        x = scaling.fit(data.scale, data.x[train], data.features)
        y = scaling.fit("none" if classes else "standard", data.y[train])
        for key, whole in (("x", data.x), ("x_test", data.x_test)):
            if whole is not None:
                scaling.check(x, whole, named, key)
        for key, whole in (("y", data.y), ("y_test", data.y_test)):
            if whole is not None:
                scaling.check(y, whole, data.targets, key)
    except DataError as error:
        raise DataError(
            f"{data.name}: {error} the training part of seed {seed}."
        ) from None
    return x, y


def told(data: Data, config: DataConfig) -> str:
    """Return lines that describe inputs and classes of a file; "" without a file."""
    if config.file is None:
        return ""
    classes = f"classes: {data.classes}\n" if data.classes else ""
    return f"inputs: {data.notes}\n{classes}"


def rows(data: Data, config: DataConfig, seed: int) -> tuple[Array, Array, Array]:
    """Return the row numbers of the three parts; () for a fixed test part."""
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
        if name == "test" and own_test:
            continue
        if data.task == "classification":
            _check_every_class(data, part, name, seed)
        else:
            _check_difference(data, data.y[part], f"{name} part of seed {seed}")
    if data.task == "regression" and data.y_test is not None:
        _check_difference(data, data.y_test, "test part")
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
            "classes, set task = 'regression'."
        )
    smallest = min(parts)
    if smallest < data.outputs:
        raise DataError(
            f"{data.name}: a part of {smallest} row{'s'[: smallest != 1]} cannot hold "
            f"a row of each of {data.outputs} classes."
        )


def _check_difference(data: Data, y: Array, part: str) -> None:
    if (y == y[:1]).all():
        raise DataError(
            f"{data.name}: the targets of the {part} ({several(len(y), 'row')}) do not "
            "differ, so that R² is not defined."
        )


def _check_every_class(data: Data, part: Array, name: str, seed: int) -> None:
    missing = np.flatnonzero(np.bincount(data.y[part], minlength=data.outputs) == 0)
    if len(missing):
        raise DataError(
            f"{data.name}: the {name} part of seed {seed} has no row of class "
            f"{data.labels[missing[0]]}, which has too few rows."
        )


def _checked(
    arrays: Arrays,
    config: DataConfig,
    name: str,
    where: str,
    task: str | None,
    own_model: bool,
) -> Data:
    try:
        inputs = checked_inputs(arrays, config, own_model)
        targets = checked_targets(arrays, task)
    except DataError as error:
        raise DataError(f"{where}: {error}.") from None
    return Data(
        name,
        inputs.x,
        targets.y,
        targets.task,
        targets.outputs,
        inputs.x_test,
        targets.y_test,
        inputs.image,
        targets.labels,
        inputs.scale,
        inputs.features,
        (arrays.label,) if arrays.label else (),
        inputs_in_words(inputs, arrays.notes),
        classes_in_words(targets.labels),
    )
