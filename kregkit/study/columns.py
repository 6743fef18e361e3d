"""The columns of a table, judged one by one: numbers, words, or what cannot be used.

Numbers are cells that read as a number after blanks are taken away. A column is of
numbers where all cells that are not missing are; of words where most of them are not.
What is between is refused with the first odd cell, as are words with too many levels,
dates and values that are not finite. All problems of a file are one message.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from kregkit.errors import DataError
from kregkit.study.wording import MOST, cell, names, several

if TYPE_CHECKING:
    import polars as pl

Array = NDArray[Any]

MISSING: Final = (
    *("", "?", "na", "n/a", "#n/a", "<na>", "nan", "-nan", "null", "none"),
)
"""Cells without a value, in lower case."""

MAX_LEVELS: Final = 20
"""The most different words of a column that become inputs, unless a study says."""

_MONTH: Final = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_TIME: Final = r"(?:[t ,]+\d{1,2}:\d{2}\S*(?: ?[ap]m)?)?"
_DATE: Final = "|".join(
    f"^(?i:{form}{_TIME})$"
    for form in (
        r"\d{4}[-/.]\d{1,2}(?:[-/.]\d{1,2})?",
        r"\d{1,2}[-/.]\d{1,2}[-/.]\d{2}(?:\d{2})?",
        rf"\d{{1,2}}[- .]+{_MONTH}[- .]+\d{{2,4}}",
        rf"{_MONTH}[- .]+\d{{1,2}},?[- .]+\d{{2,4}}",
        r"\d{1,2}:\d{2}(?::\d{2})?",
    )
)

_SIGNED: Final = (
    r"^[-+]?[$€£¥]?\s?(?:\d+|\d{1,3}(?:[,.' ]\d{3})+)(?:[.,]\d+)?\s?[%$€£¥]?$"
)
"""Numbers for readers: of money, in percent, with separated thousands."""


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
class _Column:
    """A column as numbers or as codes of words; missing are NaN, or the code -1."""

    values: Array
    levels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


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
    problems, columns = _Problems(), dict[str, _Column]()
    y: Array = np.zeros(0)
    for series in frame.iter_columns():
        try:
            column = _column(series, decimal_comma)
            if series.name != label:
                _check_levels(column, max_levels)
                columns[series.name] = column
        except _LevelsError as error:
            problems.levels |= not error.identifier
            problems.told.append(f"column {cell(series.name)} {error}")
            problems.to_drop.append(series.name)
        except _ColumnError as error:
            problems.told.append(f"column {cell(series.name)} {error}")
            if series.name != label:
                problems.to_drop.append(series.name)
        else:
            blank = _is_missing(column)
            if blank.any() and (missing == "refuse" or series.name == label):
                first = int(blank.argmax())
                count = int(blank.sum())
                what = several(count, "missing value")
                where = _first(count, series[first], first)
                problems.told.append(f"column {cell(series.name)} has {what}, {where}")
                problems.missing |= series.name != label
            if series.name == label:
                y = _labels(column, series)
    problems.check(file)
    return _together(columns, y, missing == "indicator")


class _ColumnError(Exception):
    """Why a column cannot be used, without its name."""


class _LevelsError(_ColumnError):
    """The words of a column are too many."""

    def __init__(self, text: str, identifier: bool) -> None:
        super().__init__(text)
        self.identifier = identifier


def _column(series: "pl.Series", decimal_comma: bool) -> _Column:
    import polars as pl

    kind = series.dtype
    if kind == pl.String:
        return _text(series, decimal_comma)
    if isinstance(kind, pl.Categorical | pl.Enum):
        return _words(series.cast(pl.String), series.is_not_null())
    if kind.is_temporal():
        raise _ColumnError(f"holds dates or times ({kind})")
    if not (kind.is_numeric() or kind == pl.Boolean or kind == pl.Null):
        raise _ColumnError(f"holds {kind}, neither numbers nor words")
    values = series.cast(pl.Float64)
    known = values.is_not_null() & values.is_not_nan()
    return _numbers(series, values, known)


def _text(raw: "pl.Series", decimal_comma: bool) -> _Column:
    import polars as pl

    values = raw.cast(pl.Float64, strict=False)
    if not values.null_count() and values.is_finite().all():
        return _numbers(raw, values, values.is_not_null())
    text = raw.str.strip_chars()
    known = text.is_not_null() & ~text.str.to_lowercase().is_in(MISSING)
    values = text.cast(pl.Float64, strict=False)
    if decimal_comma and not (text.str.contains(".", literal=True) & known).any():
        point = text.str.replace(",", ".", literal=True)
        values = point.cast(pl.Float64, strict=False)
    truth = text.str.to_lowercase()
    if (truth.is_in(["true", "false"]) | ~known).all():
        values = (truth == "true").cast(pl.Float64)
    odd = known & values.is_null()
    count = int(odd.sum())
    if not count:
        return _numbers(raw, values, known)
    if 2 * count <= int(known.sum()):
        first = int(odd.arg_max() or 0)
        raise _ColumnError(
            f"holds numbers and {several(count, 'other value')}, "
            f"{_first(count, raw[first], first)}"
        )
    for what, form in (("dates or times", _DATE), ("numbers with signs", _SIGNED)):
        if (text.str.contains(form) | ~known).all():
            first = int(known.arg_max() or 0)
            raise _ColumnError(f"holds {what}, {_first(2, raw[first], first)}")
    return _words(text, known)


def _first(count: int, value: Any, row: int) -> str:
    """Return the first of so many cells, and its row."""
    shown = "" if value in (None, "") else f"{cell(value)} "
    return f"{'the first ' if count > 1 else ''}{shown}in row {row + 1}"


def _numbers(raw: "pl.Series", values: "pl.Series", known: "pl.Series") -> _Column:
    _check_known(known)
    strange = known & ~values.is_finite().fill_null(False)
    if strange.any():
        first, count = int(strange.arg_max() or 0), int(strange.sum())
        raise _ColumnError(
            f"has {several(count, 'value')} that {'is' if count == 1 else 'are'} "
            f"infinite or too large, {_first(count, raw[first], first)}"
        )
    found = np.where(known.to_numpy(), values.fill_null(np.nan).to_numpy(), np.nan)
    return _Column(found, notes=tuple(_noted(found)))


def _noted(values: Array) -> Iterator[str]:
    """Yield what numbers look like that are hardly meant to be learned from."""
    if not (values == np.floor(values)).all():
        return
    low, high = values.min(), values.max()
    if len(values) > 2 and high - low == len(values) - 1:
        if len(np.unique(values)) == len(values):
            yield "counts the rows, as an identifier does, and is an input"
    elif low >= 1900_01_01 and high <= 2100_12_31:
        month, day = values // 100 % 100, values % 100
        if ((month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)).all():
            yield f"looks like dates, as {low:.0f} does"


def _words(text: "pl.Series", known: "pl.Series") -> _Column:
    import polars as pl

    _check_known(known)
    levels = text.filter(known).unique().sort()
    codes = text.replace_strict(
        levels, np.arange(len(levels)), default=-1, return_dtype=pl.Int64
    )
    return _Column(codes.to_numpy(), tuple(levels.to_list()))


def _check_known(known: "pl.Series") -> None:
    if not known.any():
        raise _ColumnError("has no value in any row")


def _check_levels(column: _Column, most: int) -> None:
    count = len(column.levels)
    present = int((~_is_missing(column)).sum())
    if count == present > 1:
        raise _LevelsError(
            f"has another word in every row, as {cell(column.levels[0])}: an "
            "identifier is no input",
            identifier=True,
        )
    if count > most:
        raise _LevelsError(
            f"has {count} different words, as {cell(column.levels[0])}; at most {most} "
            "become inputs",
            identifier=False,
        )


def _is_missing(column: _Column) -> Array:
    found: Array = column.values < 0 if column.levels else np.isnan(column.values)
    return found


def _labels(column: _Column, series: "pl.Series") -> Array:
    """Return labels as words, as integers where all are, or as float64."""
    import polars as pl

    if column.levels:
        return np.array(column.levels)[column.values]
    if series.dtype == pl.String:
        series = series.str.strip_chars()
    if series.dtype == pl.String or series.dtype.is_integer():
        exact = series.cast(pl.Int64, strict=False)
        if not exact.null_count():
            return exact.to_numpy()
    return column.values


def _together(columns: dict[str, _Column], y: Array, indicator: bool) -> Judged:
    """Return all columns side by side: words one-hot, indicators of missing last."""
    widths = [len(column.levels) or 1 for column in columns.values()]
    flags = {
        name: blank
        for name, column in columns.items()
        if indicator and (blank := _is_missing(column)).any()
    }
    x = np.zeros((len(y), sum(widths) + len(flags)))
    features, notes, start = list[Feature](), list[str](), 0
    for (name, column), width in zip(columns.items(), widths, strict=True):
        features.append(Feature(name, start, width, bool(column.levels)))
        own = x[:, start : start + width]
        if column.levels:
            own[np.arange(len(y)), column.values] = 1
            own[_is_missing(column)] = np.nan
        else:
            own[:, 0] = column.values
        notes += (f"{cell(name)} {note}" for note in column.notes)
        start += width
    for at, (name, blank) in enumerate(flags.items(), start):
        features.append(Feature(f"{name} is missing", at, 1, False))
        x[:, at] = blank
    return Judged(x, y, tuple(features), tuple(notes))
