"""Reads one column of a table as numbers or words, or raises if it can be neither.

A cell is a number if it reads as one without surrounding blanks. A column has numbers
if all cells with a value are numbers, and words if most are not. For a column between
the two, the error names the first odd cell. Words with too many levels, dates, and
values that are not finite are errors, too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from kregkit.errors import DataError
from kregkit.study.data.wording import cell, several

if TYPE_CHECKING:
    import polars as pl

Array = NDArray[Any]

MISSING: Final = ("", "?", "na", "n/a", "#n/a", "<na>", "nan", "-nan", "null", "none")
"""Cells without a value, in lower case."""

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

_DIGITS: Final = r"(?:\d+|\d{1,3}(?:[,.'’_\s]\d{3})+|\d{1,2}(?:,\d{2})+,\d{3})"
_SIGNED: Final = (
    rf"^\(?[-+−–]?\s?\p{{Sc}}?\s?[-+−–]?{_DIGITS}(?:[.,]\d+)?(?:[eEdD][-+−]?\d+)?"
    r"\s?[%‰\p{Sc}]?\)?$"
)
"""Formatted numbers: money, percent, separated thousands, negative numbers with a minus
sign or in brackets, and Fortran's exponents."""

_READERS: Final = "numbers with signs or separated thousands"

_THOUSANDS: Final = r"^[-+]?[1-9]\d{{0,2}}(?:{}\d{{3}})+$"
_COMMA: Final = r"^[-+]?\d*,\d+(?:[eE][-+]?\d+)?$"


@dataclass(frozen=True, eq=False)
class Column:
    """A column of numbers, or of codes for words; missing values are NaN or -1.

    `numbers_rows` is True if it counts the rows, like an identifier.
    """

    values: Array
    levels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    numbers_rows: bool = False


class ColumnError(DataError):
    """The reason why a column cannot be used, without the column's name."""


class LevelsError(ColumnError):
    """A column has too many different words."""

    def __init__(self, text: str, identifier: bool) -> None:
        super().__init__(text)
        self.identifier = identifier


def read_column(series: "pl.Series", decimal_comma: bool) -> Column:
    """Return a column as numbers or words; raise a `ColumnError` if it is neither."""
    import polars as pl

    kind = series.dtype
    if kind == pl.String:
        return _text(series, decimal_comma)
    if isinstance(kind, pl.Categorical | pl.Enum):
        return _words(series.cast(pl.String), series.is_not_null())
    if kind.is_temporal():
        raise ColumnError(f"holds dates or times ({kind})")
    if not (kind.is_numeric() or kind == pl.Boolean or kind == pl.Null):
        raise ColumnError(f"holds {kind}, neither numbers nor words")
    values = series.cast(pl.Float64)
    known = values.is_not_null() & values.is_not_nan()
    return _numbers(series, values, known)


def _text(raw: "pl.Series", decimal_comma: bool) -> Column:
    import polars as pl

    if decimal_comma:
        _check_points(raw)
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
        raise ColumnError(
            f"holds numbers and {several(count, 'other value')}, "
            f"{first_of(count, raw[first], first)}"
        )
    for what, form in (("dates or times", _DATE), (_READERS, _SIGNED)):
        if (text.str.contains(form) | ~known).all():
            first = int(odd.arg_max() or 0)
            raise ColumnError(f"holds {what}, {first_of(2, raw[first], first)}")
    return _words(text, known)


def has_decimal_comma(text: "pl.Series") -> bool:
    """Return whether a cell has a comma that does not separate thousands."""
    cells = text.str.strip_chars()
    commas = cells.str.contains(_COMMA)
    return bool((commas & ~cells.str.contains(_THOUSANDS.format(","))).any())


def _check_points(raw: "pl.Series") -> None:
    """Raise for points that may separate thousands, in a file with decimal commas."""
    text = raw.str.strip_chars()
    points = text.str.contains(".", literal=True)
    if points.any() and (text.str.contains(_THOUSANDS.format(r"\.")) | ~points).all():
        first = int(points.arg_max() or 0)
        raise ColumnError(
            "holds points that may separate thousands, as the file has decimal commas, "
            f"{first_of(int(points.sum()), raw[first], first)}"
        )


def first_of(count: int, value: Any, row: int) -> str:
    """Return a text with the first of `count` cells, and its row."""
    shown = "" if value in (None, "") else f"{cell(value)} "
    return f"{'the first ' if count > 1 else ''}{shown}in row {row + 1}"


def _numbers(raw: "pl.Series", values: "pl.Series", known: "pl.Series") -> Column:
    _check_known(known)
    strange = known & ~values.is_finite().fill_null(False)
    if strange.any():
        first, count = int(strange.arg_max() or 0), int(strange.sum())
        raise ColumnError(
            f"has {several(count, 'value')} that {'is' if count == 1 else 'are'} "
            f"infinite or too large, {first_of(count, raw[first], first)}"
        )
    found = np.where(known.to_numpy(), values.fill_null(np.nan).to_numpy(), np.nan)
    if _numbers_rows(found):
        note = "counts the rows, like an identifier, and is an input"
        return Column(found, notes=(note,), numbers_rows=True)
    return Column(found, notes=tuple(_dates(found)))


def _numbers_rows(values: Array) -> bool:
    """Return whether the values are consecutive whole numbers, each once."""
    if len(values) < 3 or values.max() - values.min() != len(values) - 1:
        return False
    return bool((np.sort(values) == values.min() + np.arange(len(values))).all())


def _dates(values: Array) -> Iterator[str]:
    """Yield a note on whole numbers that look like dates, such as 20240131."""
    low, high = values.min(), values.max()
    if low >= 1900_01_01 and high <= 2100_12_31 and (values == np.floor(values)).all():
        month, day = values // 100 % 100, values % 100
        if ((month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)).all():
            yield f"looks like dates, such as {low:.0f}"


def _words(text: "pl.Series", known: "pl.Series") -> Column:
    import polars as pl

    _check_known(known)
    levels = text.filter(known).unique().sort()
    codes = text.replace_strict(
        levels, np.arange(len(levels)), default=-1, return_dtype=pl.Int64
    )
    return Column(codes.to_numpy(), tuple(levels.to_list()))


def _check_known(known: "pl.Series") -> None:
    if not known.any():
        raise ColumnError("has no value in any row")


def check_levels(column: Column, most: int) -> None:
    """Raise a `LevelsError` for more than `most` words, or a new one in each row."""
    count = len(column.levels)
    present = int((~is_missing(column)).sum())
    if count == present > 1:
        raise LevelsError(
            f"has a different word in every row, such as {cell(column.levels[0])}: an "
            "identifier is no input",
            identifier=True,
        )
    if count > most:
        raise LevelsError(
            f"has {count} different words, such as {cell(column.levels[0])}; at most "
            f"{most} become inputs",
            identifier=False,
        )


def is_missing(column: Column) -> Array:
    """Return which rows have no value."""
    found: Array = column.values < 0 if column.levels else np.isnan(column.values)
    return found


def labels(column: Column, series: "pl.Series") -> Array:
    """Return labels as words, as integers if all are whole, or as float64."""
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
