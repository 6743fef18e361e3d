"""Combines the columns of a table into inputs, or raises one error for all problems.

Words become one input for each level in the whole file, so a model has the same shape
for all seeds.
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
"""The default maximum number of different words in a column."""


@dataclass(frozen=True, eq=False)
class Feature:
    """The inputs of one table column: `width` inputs from index `start` on.

    A column of words has one input for each level, and a column of numbers has one.
    """

    name: str
    start: int
    width: int
    words: bool


@dataclass(frozen=True, eq=False)
class ReadTable:
    """The inputs and the label of a table, with the features and notes."""

    x: Array
    y: Array
    features: tuple[Feature, ...]
    notes: tuple[str, ...]


@dataclass
class _Problems:
    """The problems of a file, and the keys of a study file that solve them."""

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
        hint = f" Set {', '.join(ways)}." if ways else ""
        raise DataError(f"{file}: {'; '.join(self.told[:MOST])}{rest}.{hint}")


def judge(
    file: str,
    frame: "pl.DataFrame",
    label: str,
    decimal_comma: bool,
    missing: str,
    max_levels: int,
) -> ReadTable:
    """Return the inputs of a table, or raise one error for all unusable columns."""
    columns, y, problems = _read(frame, label, decimal_comma, missing, max_levels)
    problems.check(file)
    return _together(columns, y, missing == "indicator")


def keys_that_help(
    frame: "pl.DataFrame", label: str, decimal_comma: bool
) -> tuple[list[str], bool]:
    """Return the columns to drop, with identifiers, and whether values are missing."""
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
    """Return the inputs by name, the label, and the problems of the columns."""
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


def _together(columns: dict[str, Column], y: Array, indicator: bool) -> ReadTable:
    """Return all columns as one array: words one-hot, indicators of missing last."""
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
    return ReadTable(x, y, tuple(features), tuple(notes))
