"""Reads CSV and Parquet files as frames of named columns, for `columns`.

A CSV file is UTF-8 text; its first line names the columns. The separator is the one of
`,`, `;`, tab and `|` with which the first line contains the label. All cells are read
as text, and `columns` decides on the type of a column from all of its cells. If the
separator is no comma, commas are decimal commas as soon as one in the file cannot
separate thousands: `1,200` may be either. Blanks may precede a quote.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from kregkit.errors import DataError, unknown
from kregkit.study.data.columns import has_decimal_comma
from kregkit.study.data.wording import MOST, cell, names, several
from kregkit.study.memory import memory

if TYPE_CHECKING:
    import polars as pl

_T = TypeVar("_T")

_SEPARATORS: Final = (",", ";", "\t", "|")
_DECIMAL_COMMA: Final = (";", "\t", "|")
_BOMS: Final = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


@dataclass(frozen=True, eq=False)
class RawTable:
    """A frame (with text columns for a CSV file), and notes on columns left out."""

    frame: "pl.DataFrame"
    left_out: tuple[str, ...]
    decimal_comma: bool


def column_names(file: Path) -> list[str]:
    """Return the names of the columns that have one."""
    if file.suffix.lower() == ".csv":
        found = _header(file, _opened(file, _text), "")[1]
        # `read_table` leaves out a first column that is an index.
        found = found[found[0] == "Unnamed: 0" :]
    else:
        found = _opened(file, _parquet).frame.columns
    if not any(found):
        raise DataError(f"{file}: has no column with a name.")
    return [name for name in found if name]


def read_table(file: Path, label: str, drop: tuple[str, ...]) -> RawTable:
    """Return the table without its index and without the columns of `drop`."""
    is_csv = file.suffix.lower() == ".csv"
    table = _csv(file, label) if is_csv else _opened(file, _parquet)
    for name in (label, *drop):
        if name not in table.frame.columns:
            raise DataError(_unknown(file, name, table.frame.columns))
    frame = table.frame.drop(drop)
    if frame.width < 2:
        raise DataError(f"{file}: has no column except {cell(label)}.")
    dropped = (f"{names(drop)} left out by `drop`",) if drop else ()
    return RawTable(frame, (*table.left_out, *dropped), table.decimal_comma)


def _csv(file: Path, label: str) -> RawTable:
    import polars as pl

    content = _opened(file, _text)
    separator, header = _header(file, content, label)
    blanks = _quoted_after_blanks(content, separator)
    if b"\n" not in content:
        content = content.replace(b"\r", b"\n")
    try:
        frame = pl.read_csv(
            content, has_header=False, infer_schema=False, separator=separator
        )
    except pl.exceptions.PolarsError:
        frame = pl.DataFrame()
    # polars pads short rows, and ends a cell at a quote within it. The slow csv module
    # then decides.
    sure = frame.width > 0 and not frame[:, -1].null_count()
    if not (sure and _plainly_quoted(content, separator.encode())):
        count = _check_rows(file, content, separator, blanks, len(header))
        if blanks or frame.shape != (count, len(header)):
            frame = _slowly(content, separator, blanks, len(header))
    frame = frame.slice(1)
    frame = frame.filter(~pl.all_horizontal(pl.all().is_null()))
    if frame.is_empty():
        raise DataError(f"{file}: has no row below its first line.")
    frame.columns = [f"\0{index}" for index in range(frame.width)]
    if label not in header:
        raise DataError(_unknown(file, label, header))
    kept, left_out = _named(file, header, frame)
    renamed = {f"\0{index}": name for index, name in kept.items()}
    decimal_comma = separator in _DECIMAL_COMMA and any(
        map(has_decimal_comma, frame.iter_columns())
    )
    return RawTable(
        frame.select(list(renamed)).rename(renamed), left_out, decimal_comma
    )


def _opened(file: Path, reader: Callable[[Path], _T]) -> _T:
    """Return the result of a reader; raise an error of one line if opening fails."""
    try:
        return reader(file)
    except FileNotFoundError:
        raise DataError(f"{file}: no such file.") from None
    except OSError as error:
        why = error.strerror or str(error).splitlines()[0]
        raise DataError(f"{file}: cannot be read: {why.rstrip('.')}.") from None


def _text(file: Path) -> bytes:
    content = file.read_bytes()
    if not content.strip():
        raise DataError(f"{file}: is empty.")
    for mark, encoding in _BOMS.items():
        if content.startswith(mark):
            raise DataError(f"{file}: is {encoding}; save it as UTF-8.")
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{file}: is not UTF-8 text: byte {content[error.start]:#04x} in line "
            f"{line}; save it as UTF-8."
        ) from None
    if (nul := content.find(b"\0")) >= 0:
        line = content.count(b"\n", 0, nul) + 1
        raise DataError(f"{file}: is not UTF-8 text: byte 0x00 in line {line}.")
    return content.removeprefix(b"\xef\xbb\xbf")


def _header(file: Path, content: bytes, label: str) -> tuple[str, list[str]]:
    """Return the separator, and the names in the first line."""
    start = content[: 1 << 20].decode("utf-8", errors="ignore")
    found: dict[str, list[str]] = {}
    for separator in _SEPARATORS:
        lines = io.StringIO(start, newline="")
        rows = csv.reader(lines, delimiter=separator, skipinitialspace=True)
        try:
            found[separator] = [name.strip() for name in next(rows)]
        except (csv.Error, StopIteration):
            continue
    if not found:
        raise DataError(f"{file}: its first line does not name columns.")
    separator = max(found, key=lambda own: (label in found[own], len(found[own])))
    return separator, found[separator]


def _named(
    file: Path, header: list[str], frame: "pl.DataFrame"
) -> tuple[dict[int, str], tuple[str, ...]]:
    """Return the named columns, and notes on the columns left out.

    The first column may be an index from pandas or R. Its name is empty, or "Unnamed:
    0" after it was read and written again.
    """
    twice = [name for name, count in Counter(header).items() if name and count > 1]
    if twice:
        places = [str(i) for i, name in enumerate(header, 1) if name == twice[0]]
        raise DataError(
            f"{file}: {len(places)} columns are named {cell(twice[0])}: the columns "
            f"{_places(places)}."
        )
    kept, left_out, nameless = {}, [], []
    for index, name in enumerate(header):
        series = frame[frame.columns[index]]
        if index == 0 and name in ("", "Unnamed: 0"):
            called = "without a name" if not name else "'Unnamed: 0', without a name"
            left_out.append(f"column 1, {called}, left out as an index")
        elif name:
            kept[index] = name
        elif (series.fill_null("").str.strip_chars() == "").all():
            left_out.append(f"column {index + 1}, without a name or a value, left out")
        else:
            nameless.append(str(index + 1))
    if nameless:
        raise DataError(
            f"{file}: columns without a name: {_places(nameless)}; name them in "
            "the first line."
        )
    return kept, tuple(left_out)


def _places(places: list[str]) -> str:
    """Return the numbers of columns as text, shortened if there are many."""
    more = " ..." if len(places) > MOST else ""
    return ", ".join(places[:MOST]) + more


def _plainly_quoted(content: bytes, separator: bytes) -> bool:
    """Return whether each quote begins or ends a cell."""
    total = content.count(b'"')
    begins = sum(content.count(mark + b'"') for mark in (separator, b"\n"))
    ends = sum(content.count(b'"' + mark) for mark in (separator, b"\n", b"\r"))
    begins += content.startswith(b'"')
    ends += content.endswith(b'"')
    return total == begins + ends and begins == ends


def _quoted_after_blanks(content: bytes, separator: str) -> bool:
    """Return whether quotes follow blanks in some cells, and all quotes are valid."""
    if not re.search(re.escape(separator.encode()) + rb' +"', content):
        return False
    try:
        for _ in _rows(content, separator, True, strict=True):
            pass
    except csv.Error:
        return False
    return True


def _rows(content: bytes, separator: str, blanks: bool, strict: bool) -> Any:
    """Return a reader of rows; `blanks` skips blanks before a cell."""
    text = io.StringIO(content.decode("utf-8"), newline="")
    return csv.reader(text, delimiter=separator, skipinitialspace=blanks, strict=strict)


def _check_rows(
    file: Path, content: bytes, separator: str, blanks: bool, width: int
) -> int:
    """Return the number of lines, including blank lines and the first.

    Raises for the first row with another number of values, and for unclosed quotes.
    """
    rows = _rows(content, separator, blanks, strict=True)
    row, begins, count = 0, 1, 0
    try:
        for cells in rows:
            if cells and len(cells) != width:
                what = "value" if len(cells) == 1 else "values"
                raise DataError(
                    f"{file}: row {row} has {len(cells)} {what}, and the first line "
                    f"names {several(width, 'column')}."
                )
            row, begins, count = row + bool(cells), rows.line_num + 1, count + 1
    except csv.Error as error:
        unclosed = "unexpected end" in str(error) or "field larger" in str(error)
        why = "a quote is not closed" if unclosed else str(error)
        where = f"row {row}" if row else "the first line"
        raise DataError(f"{file}: {where} (line {begins}): {why}.") from None
    return count


def _slowly(content: bytes, separator: str, blanks: bool, width: int) -> "pl.DataFrame":
    import polars as pl

    found = _rows(content, separator, blanks, strict=False)
    rows = [row or [""] * width for row in found]
    columns = {f"{i}": [row[i] or None for row in rows] for i in range(width)}
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))


def _parquet(file: Path) -> RawTable:
    import polars as pl

    with file.open("rb") as opened:
        try:
            lazy = pl.scan_parquet(opened)
            needed = (
                8 * len(lazy.collect_schema()) * lazy.select(pl.len()).collect().item()
            )
            if needed > (left := memory()):
                raise DataError(
                    f"{file}: needs {needed >> 20} MiB of memory; {left >> 20} MiB are "
                    "left."
                )
            opened.seek(0)
            frame = pl.read_parquet(opened)
        except pl.exceptions.PolarsError as error:
            raise DataError(_short(file, error)) from None
    if frame.is_empty():
        raise DataError(f"{file}: has no row.")
    index = [name for name in frame.columns if name.startswith("__index_level_")]
    left_out = tuple(f"{cell(name)} left out as pandas's index" for name in index)
    return RawTable(frame.drop(index), left_out, False)


def _short(file: Path, error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return f"{file}: cannot be read: {lines[0][:200].rstrip('.')}."


def _unknown(file: Path, name: str, columns: list[str]) -> str:
    if all(re.fullmatch(r"[-+.,\d]*", column.strip()) for column in columns):
        return (
            f"{file}: its first line must name the columns, {cell(name)} among them; "
            f"holds {names(columns)}."
        )
    short = all(len(column) <= 40 and column.isprintable() for column in columns)
    if len(columns) <= MOST and short:
        return unknown(f"{file}: column", name, columns)
    return f"{file}: column: unknown {cell(name)}. Known: {names(columns)}."
