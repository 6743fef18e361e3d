"""Arrays from named data sets and from .npz, .csv and .parquet files, not yet judged.

The one rule: nothing in a file is run. Pickled objects are refused, and every failure
of a reader is a `DataError` of one line that names the file.
"""

import os
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kregkit.errors import DataError, unknown

Array = NDArray[Any]
Arrays = tuple[Array, Array, Array | None, Array | None]
"""x, y, x_test, y_test."""

FOLDER: Final = "KREGKIT_DATA"
"""The environment variable that names the folder of data sets kept at hand."""

_WHOLE = ("x", "y")
_PARTS = ("x_train", "y_train", "x_test", "y_test")


def read(file: Path, label: str | None) -> Arrays:
    """Return the arrays in the file; `label` is the column of y in a table."""
    if not file.exists():
        raise DataError(f"{file}: no such file.")
    if file.suffix.lower() == ".npz":
        return _read_npz(file)
    return _read_table(file, str(label))


def _read_npz(file: Path) -> Arrays:
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as archive:
            names = _arrays(file, archive.files)
            found = [np.asarray(archive[name]) for name in names]
    except (
        *(OSError, EOFError, ValueError, KeyError, NotImplementedError, TypeError),
        *(AttributeError, zipfile.BadZipFile, zlib.error),
    ) as error:
        if isinstance(error, DataError):
            raise
        if "Object arrays" in str(error):
            raise DataError(
                f"{file}: holds Python objects, which are not loaded; save numbers."
            ) from None
        raise DataError(f"{file}: damaged, or not an .npz file.") from None
    x, y, *test = found
    return (x, y, test[0], test[1]) if test else (x, y, None, None)


def _arrays(file: Path, names: Iterable[str]) -> tuple[str, ...]:
    own = set(names)
    for expected in (_PARTS, _WHOLE):
        # x and y beside x_test would leave open what the test part is.
        if own & {*_PARTS, *_WHOLE} == set(expected):
            return expected
    raise DataError(
        f"{file}: must hold x and y, or x_train, y_train, x_test and y_test; holds "
        f"{', '.join(sorted(own)) or 'nothing'}."
    )


def _read_table(file: Path, label: str) -> Arrays:
    import polars as pl

    try:
        if file.suffix.lower() == ".csv":
            table = pl.read_csv(file, infer_schema_length=None)
        else:
            table = pl.read_parquet(file)
    except (OSError, pl.exceptions.PolarsError) as error:
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(f"{file}: cannot be read: {why.rstrip('.')}.") from None
    if label not in table.columns:
        raise DataError(unknown(f"{file}: column", label, table.columns))
    if table.width < 2:
        raise DataError(f"{file}: has no column beside {label!r}.")
    for column in table.iter_columns():
        if missing := column.null_count():
            raise DataError(
                f"{file}: column {column.name!r} has {missing} missing "
                f"value{'s'[: missing > 1]}."
            )
    inputs = table.drop(label)
    words = [c.name for c in inputs.iter_columns() if not _is_number(c.dtype)]
    if words:
        raise DataError(
            f"{file}: columns that are not numbers: {', '.join(map(repr, words))}."
        )
    y = table[label]
    if y.dtype.is_decimal() or y.dtype == pl.Boolean:
        y = y.cast(pl.Float64)
    return inputs.cast(pl.Float64).to_numpy(), y.to_numpy(), None, None


def _is_number(dtype: Any) -> bool:
    return bool(dtype.is_numeric()) or str(dtype) == "Boolean"


def _bundled(name: str) -> Arrays:
    from sklearn import datasets

    loaded = getattr(datasets, f"load_{name}")()
    x = loaded.images if name == "digits" else loaded.data
    return x, loaded.target, None, None


def _from_keras(name: str) -> Arrays:
    folder = os.environ.get(FOLDER)
    if folder and (file := Path(folder) / f"{name}.npz").exists():
        return read(file, None)
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
    return x, y, x_test, y_test


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
