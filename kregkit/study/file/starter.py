"""A first study file, for `kregkit init`: commented, and ready to run; no Keras.

Of a data file only its columns are read. Which column is predicted is a guess that
the file says it is.
"""

import csv
import io
import json
import os
import re
from pathlib import Path
from typing import Final

from kregkit.errors import DataError, StudyError

_LABELS: Final = ("label", "target", "y", "class")
_SEPARATORS: Final = ",;\t|"
_FORMATS: Final = (".csv", ".npz", ".parquet")
_ROWS: Final = 64
"""Rows of a file below which a batch of 32 may be more than there are to train on."""

_TEXT: Final = """\
# A study: every [[sweep]] is trained for every seed, beside a baseline without penalty.
#   kregkit plan {file}    says what would be trained, and how long it takes
#   kregkit run {file}     trains it, and writes the report
name = {name}                 # names the folders in runs/ and reports/
seeds = 5                     # 5 or more, for intervals in the report

[data]
{data}
test_fraction = 0.2
validation_fraction = 0.2

[model]
name = "mlp"                  # `kregkit list` has the others
hidden = [32, 16]             # units of the hidden layers
# build = "my_module:build"   # instead of these: a function (input_shape, outputs)

[train]
epochs = 30
batch_size = {batch}
optimizer = "adam"
learning_rate = 3e-3

[[sweep]]                     # every combination of these
regularizer = ["L1", "L2"]
target = ["kernel", "bias"]
solver = ["gradient", "proximal"]   # proximal: L1 makes exact zeros
strength = {{ from = 1e-5, to = 1e-1, count = 5 }}   # or a list: [1e-3, 1e-2]

[[sweep]]
regularizer = ["L1", "L2"]
target = "activity"
strength = {{ from = 1e-5, to = 1e-1, count = 5 }}
"""


def write_starter(data: Path | None, out: Path | None) -> Path:
    """Write a study of a data file, or of a named data set; return its path.

    Raises:
        StudyError: the file is there already, or cannot be written.
        DataError: the data file cannot be read.
    """
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", data.stem).strip("_-") if data else "iris"
    name = stem[:100] or "study"
    file = out or Path(f"{name}.toml")
    batch = 32
    lines = 'name = "iris"                 # or: file = "my.csv" with label = "column"'
    if data is not None:
        lines, rows = _data(data, file.parent)
        batch = 32 if rows >= _ROWS else max(1, rows // 4)
    shown = "".join(c if c.isprintable() else "?" for c in file.name)
    text = _TEXT.format(file=shown, name=_toml(name), data=lines, batch=batch)
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(text)
    except FileExistsError:
        raise StudyError(f"{file}: is there already; name another by --out.") from None
    except OSError as error:
        raise StudyError(f"{file}: cannot be written: {error.strerror}.") from None
    return file


def _data(data: Path, folder: Path) -> tuple[str, int]:
    """Return the lines of [data] for a file, and how many rows it has at least."""
    kind = data.suffix.lower()
    if kind not in _FORMATS:
        raise DataError(f"{data}: must be a file that ends in {', '.join(_FORMATS)}.")
    try:
        if not data.is_file():
            why = "is no file" if data.exists() else "no such file"
            raise DataError(f"{data}: {why}.")
        path = f"file = {_toml(os.path.relpath(data, folder).replace(os.sep, '/'))}"
        if kind == ".npz":
            return path, _ROWS
        columns, rows = _csv(data) if kind == ".csv" else _parquet(data)
    except OSError as error:
        raise DataError(f"{data}: cannot be read: {error.strerror}.") from None
    if not columns:
        raise DataError(f"{data}: has no column with a name.")
    known = [name for name in columns if name.lower() in _LABELS]
    label = known[0] if known else columns[-1]
    why = "by its name" if known else "because it is the last"
    return (
        f"{path}\n"
        f"# A guess: this column is predicted, {why}. Name another if it is wrong.\n"
        f"label = {_toml(label)}\n"
        '# drop = ["id"]              # columns that are not inputs\n'
        '# missing = "impute"         # or "indicator"; without it, refused'
    ), rows


def _csv(file: Path) -> tuple[list[str], int]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            rows = sum(1 for _ in opened) - 1
            opened.seek(0)
            head = opened.read(1 << 20)
    except UnicodeDecodeError:
        raise DataError(f"{file}: is not UTF-8 text; save it as UTF-8.") from None
    found = [_first_row(head, own) for own in _SEPARATORS]
    return [name.strip() for name in max(found, key=len) if name.strip()], rows


def _first_row(text: str, separator: str) -> list[str]:
    """Return the cells of the first row, as a study reads them."""
    lines = io.StringIO(text, newline="")
    try:
        rows = csv.reader(lines, delimiter=separator, skipinitialspace=True)
        return next(rows, [])
    except csv.Error:
        return []


def _parquet(file: Path) -> tuple[list[str], int]:
    import polars as pl

    try:
        lazy = pl.scan_parquet(file)
        columns = lazy.collect_schema().names()
        rows = lazy.select(pl.len()).collect().item()
    except pl.exceptions.PolarsError as error:
        first = str(error).splitlines()[0]
        raise DataError(f"{file}: cannot be read as Parquet: {first}.") from None
    return [name for name in columns if not name.startswith("__index_level_")], rows


def _toml(text: str) -> str:
    """Return a text as a TOML string, which JSON's is but for the character DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
