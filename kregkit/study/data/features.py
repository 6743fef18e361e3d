"""The inputs of a table: its columns side by side, or all that is wrong with them.

Words become one input for each level of the whole file, so that a model has one shape
for every seed. All problems of a file are one message.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from kregkit.errors import DataError
from kregkit.study.data.columns import (
    Column,
    ColumnError,
    LevelsError,
    check_levels,
    first_of,
    is_missing,
    labels,
    read_column,
)
from kregkit.study.data.wording import MOST, cell, names, several

if TYPE_CHECKING:
    import polars as pl

Array = NDArray[Any]

MAX_LEVELS: Final = 20
"""The most different words of a column that become inputs, unless a study says."""


@dataclass(frozen=True, eq=False)
class Feature:
    """What one column of a table is among the inputs: from `start`, `width` of them.

    Words have one input for each level, numbers have one.
    """

    name: str
    start: int
    width: int
    words: bool


@dataclass(frozen=True, eq=False)
class Judged:
    """The inputs of a table, the label, and what the columns became."""

    x: Array
    y: Array
    features: tuple[Feature, ...]
    notes: tuple[str, ...]


@dataclass
class _Problems:
    """What is wrong with a file, and the keys of a study file that help."""

    told: list[str] = field(default_factory=list)
    to_drop: list[str] = field(default_factory=list)
    missing: bool = False
    levels: bool = False

    def check(self, file: str) -> None:
        """Raise one `DataError` for all problems."""
        if not self.told:
            return
        more = len(self.told) - MOST
        rest = f"; and {several(more, 'more column')}" if more > 0 else ""
        ways = []
        if self.missing:
            ways.append("missing = 'impute' or 'indicator' for missing values")
        if self.levels:
            ways.append("max_levels = N for more words")
        if self.to_drop:
            ways.append(f"drop = [{names(self.to_drop)}] to leave columns out")
        hint = f" Say {', '.join(ways)}." if ways else ""
        raise DataError(f"{file}: {'; '.join(self.told[:MOST])}{rest}.{hint}")


def judge(
    file: str,
    frame: "pl.DataFrame",
    label: str,
    decimal_comma: bool,
    missing: str,
    max_levels: int,
) -> Judged:
    """Return the numbers of a table, or raise for every column that has none."""
    columns, y, problems = _read(frame, label, decimal_comma, missing, max_levels)
    problems.check(file)
    return _together(columns, y, missing == "indicator")


def keys_that_help(
    frame: "pl.DataFrame", label: str, decimal_comma: bool
) -> tuple[list[str], bool]:
    """Return columns to drop, identifiers among them, and whether inputs have gaps."""
    columns, _, problems = _read(frame, label, decimal_comma, "refuse", MAX_LEVELS)
    unfit = {*problems.to_drop, *(n for n, c in columns.items() if c.numbers_rows)}
    return [name for name in frame.columns if name in unfit], problems.missing


def _read(
    frame: "pl.DataFrame",
    label: str,
    decimal_comma: bool,
    missing: str,
    max_levels: int,
) -> tuple[dict[str, Column], Array, _Problems]:
    """Return the inputs by name, the label, and what is wrong with the columns."""
    problems, columns = _Problems(), dict[str, Column]()
    y: Array = np.zeros(0)
    for series in frame.iter_columns():
        try:
            column = read_column(series, decimal_comma)
            if series.name != label:
                check_levels(column, max_levels)
                columns[series.name] = column
        except LevelsError as error:
            problems.levels |= not error.identifier
            problems.told.append(f"column {cell(series.name)} {error}")
            problems.to_drop.append(series.name)
        except ColumnError as error:
            problems.told.append(f"column {cell(series.name)} {error}")
            if series.name != label:
                problems.to_drop.append(series.name)
        else:
            blank = is_missing(column)
            if blank.any() and (missing == "refuse" or series.name == label):
                first = int(blank.argmax())
                count = int(blank.sum())
                what = several(count, "missing value")
                where = first_of(count, series[first], first)
                problems.told.append(f"column {cell(series.name)} has {what}, {where}")
                problems.missing |= series.name != label
            if series.name == label:
                y = labels(column, series)
    return columns, y, problems


def _together(columns: dict[str, Column], y: Array, indicator: bool) -> Judged:
    """Return all columns side by side: words one-hot, indicators of missing last."""
    widths = [len(column.levels) or 1 for column in columns.values()]
    flags = {
        name: blank
        for name, column in columns.items()
        if indicator and (blank := is_missing(column)).any()
    }
    x = np.zeros((len(y), sum(widths) + len(flags)))
    features, notes, start = list[Feature](), list[str](), 0
    for (name, column), width in zip(columns.items(), widths, strict=True):
        features.append(Feature(name, start, width, bool(column.levels)))
        own = x[:, start : start + width]
        if column.levels:
            own[np.arange(len(y)), column.values] = 1
            own[is_missing(column)] = np.nan
        else:
            own[:, 0] = column.values
        notes += (f"{cell(name)} {note}" for note in column.notes)
        start += width
    for at, (name, blank) in enumerate(flags.items(), start):
        features.append(Feature(f"{name} is missing", at, 1, False))
        x[:, at] = blank
    return Judged(x, y, tuple(features), tuple(notes))
