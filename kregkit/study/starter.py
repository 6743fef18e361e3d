"""Writes a first study file for `kregkit init`, with comments; without Keras.

It reads the data file, drops columns that cannot be inputs, and imputes missing values.
The predicted column is a guess, which a comment in the study says.
"""

import json
import os
import re
from pathlib import Path
from typing import Final

import numpy as np

from kregkit.errors import DataError, StudyError
from kregkit.study.data.archives import read_npz
from kregkit.study.data.csv_tables import column_names, read_table
from kregkit.study.data.features import keys_that_help

_LABELS: Final = ("label", "target", "y", "class")
_FORMATS: Final = (".csv", ".npz", ".parquet")
_ROWS: Final = 64
"""With fewer rows, a batch of 32 may be larger than the training part."""

_TEXT: Final = """\
# A study: trains every [[sweep]] and a baseline without penalty, for every seed.
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
    """Write a study of a data file or of a named data set; return its path.

    Raises:
        StudyError: the file already exists, or cannot be written.
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
        raise StudyError(f"{file}: already exists; name another by --out.") from None
    except OSError as error:
        raise StudyError(f"{file}: cannot be written: {error.strerror}.") from None
    return file


def _data(data: Path, folder: Path) -> tuple[str, int]:
    """Return the lines of [data] for a file, and its number of rows."""
    kind = data.suffix.lower()
    if kind not in _FORMATS:
        raise DataError(f"{data}: must be a file that ends in {', '.join(_FORMATS)}.")
    if not data.is_file():
        why = "is no file" if data.exists() else "no such file"
        raise DataError(f"{data}: {why}.")
    path = f"file = {_toml(os.path.relpath(data, folder).replace(os.sep, '/'))}"
    if kind == ".npz":
        x = read_npz(data)[0]
        gaps = x.ndim == 2 and x.dtype.kind == "f" and bool(np.isnan(x).any())
        return "\n".join((path, _missing(gaps))), len(x)
    columns = column_names(data)
    known = [name for name in columns if name.lower() in _LABELS]
    label = known[0] if known else columns[-1]
    why = "by its name" if known else "because it is the last"
    table = read_table(data, label, ())
    drop, gaps = keys_that_help(table.frame, label, table.decimal_comma)
    names = ", ".join(map(_toml, drop))
    lines = (
        path,
        f"# A guess: this column is predicted, {why}. Name another if it is wrong.",
        f"label = {_toml(label)}",
        f"drop = [{names}]  # cannot be inputs, or identify rows"
        if drop
        else '# drop = ["id"]              # columns that are not inputs',
        _missing(gaps),
    )
    return "\n".join(lines), len(table.frame)


def _missing(gaps: bool) -> str:
    if gaps:
        return 'missing = "impute"           # or "indicator"; there are missing values'
    return '# missing = "impute"         # or "indicator"; without it, refused'


def _toml(text: str) -> str:
    """Return a text as a TOML string: a JSON string, except for the character DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
