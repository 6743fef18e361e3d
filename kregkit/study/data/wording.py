"""Formats cells, names and counts of data files for messages of one line."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

MOST: Final = 8
"""The maximum number of names or problems in one message."""

_LONGEST: Final = 40


def cell(value: Any) -> str:
    """Return a cell or a name in quotes, shortened if it is long."""
    text = repr(value)
    if len(text) <= _LONGEST:
        return text
    return f"{text[: _LONGEST - 1]}…{text[-1]}"


def several(count: int, singular: str, plural: str = "") -> str:
    """Return the count with its noun."""
    return f"{count} {singular if count == 1 else plural or singular + 's'}"


def listed(words: Sequence[str]) -> str:
    """Return the first words, separated by commas, and the number of the others."""
    more = len(words) - MOST
    return ", ".join(words[:MOST]) + (f" and {more} more" if more > 0 else "")


def names(columns: Iterable[str]) -> str:
    """Return the names of columns in quotes."""
    return listed([cell(name) for name in columns])
