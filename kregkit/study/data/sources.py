"""Reads arrays from named data sets and from .npz, .csv and .parquet files.

Errors of readers are `DataError`s of one line that names the file.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kregkit.errors import DataError
from kregkit.study.data.archives import read_npz
from kregkit.study.data.csv_tables import read_table
from kregkit.study.data.features import MAX_LEVELS, Feature, judge
from kregkit.study.data.scaling import Array
from kregkit.study.file.config import DataConfig

FOLDER: Final = "KREGKIT_DATA"
"""The environment variable with the folder of local copies of data sets."""


@dataclass(frozen=True, eq=False)
class Arrays:
    """The arrays of a data set; for a table, also the names of its columns."""

    x: Array
    y: Array
    x_test: Array | None = None
    y_test: Array | None = None
    label: str | None = None
    features: tuple[Feature, ...] = ()
    notes: tuple[str, ...] = ()


def read(file: Path, config: DataConfig) -> Arrays:
    """Return the arrays of a file, read with the options of a study."""
    if file.suffix.lower() == ".npz":
        return Arrays(*read_npz(file))
    table = read_table(file, str(config.label), config.drop or ())
    judged = judge(
        str(file),
        table.frame,
        str(config.label),
        table.decimal_comma,
        config.missing or "refuse",
        config.max_levels or MAX_LEVELS,
    )
    notes = (*table.left_out, *judged.notes)
    return Arrays(
        judged.x,
        judged.y,
        label=config.label,
        features=judged.features,
        notes=notes,
    )


def _bundled(name: str) -> Arrays:
    from sklearn import datasets

    loaded = getattr(datasets, f"load_{name}")()
    x = loaded.images if name == "digits" else loaded.data
    return Arrays(x, loaded.target)


def _from_keras(name: str) -> Arrays:
    folder = os.environ.get(FOLDER)
    if folder and (file := Path(folder) / f"{name}.npz").exists():
        return Arrays(*read_npz(file))
    import keras

    try:
        loaded: Any = getattr(keras.datasets, name).load_data()
    except Exception as error:  # noqa: BLE001 - Keras raises a bare Exception
        raise DataError(
            f"{name}: could not be downloaded by keras.datasets "
            f"({str(error).splitlines()[0]}); connect to the network, or set {FOLDER} "
            f"to a folder that holds {name}.npz (x_train, y_train, x_test, y_test)."
        ) from None
    (x, y), (x_test, y_test) = loaded
    return Arrays(x, y, x_test, y_test)


LOADERS: Final[dict[str, Callable[[str], Arrays]]] = {
    "digits": _bundled,
    "breast_cancer": _bundled,
    "wine": _bundled,
    "iris": _bundled,
    "diabetes": _bundled,
    "mnist": _from_keras,
    "fashion_mnist": _from_keras,
    "cifar10": _from_keras,
}
