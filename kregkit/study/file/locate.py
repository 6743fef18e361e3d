"""Finds the line of each key, table and array element of a TOML text, for messages.

A line is never wrong. The scanner knows TOML's strings, comments, tables and arrays. If
its keys are not exactly those that `tomllib` reads, it returns no lines. The scanner
also raises for texts that `tomllib` cannot read, or not within seconds: its time is
quadratic in the depth of a key, and Python reads no integer of more than 4300 digits.
"""

import contextlib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Final

from kregkit.errors import DataError, KregkitError, StudyError

Path = tuple[str | int, ...]

_IGNORED = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BLANK = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BARE_VALUE = re.compile(r"[^,\]}\n#]+")
_NUMBER = re.compile(r"[+-]?[0-9][\w.+-]*")
_STRING = re.compile(
    # The three quotes that close a long string may follow up to two other quotes.
    r'"""[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*"""(?:"{0,2})'
    r"|'''[^']*(?:'(?!'')[^']*)*'''(?:'{0,2})"
    r'|"[^"\\\n]*(?:\\.[^"\\\n]*)*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)

MOST_VALUES: Final = 10_000
"""The maximum number of values in one list."""
_MOST_PLACES: Final = 50_000
_MOST_LINES: Final = 100_000
_DEEPEST: Final = 20
_LONGEST_NUMBER: Final = 100
_LONGEST_TEXT: Final = 10_000
_LONGEST_KEY: Final = 60
_TOO_DEEP: Final = f"tables and lists are nested more than {_DEEPEST} deep"


def check_size(text: str, file: str) -> None:
    """Raise `StudyError` for a text that is too large to be read.

    If a text is not TOML, only the part before the first mistake is checked.
    """
    scan = _Scan(_unix(text))
    if text.count("\n") > _MOST_LINES:
        raise StudyError(f"{file}: has more than {_MOST_LINES} lines.")
    try:
        scan.document()
    except _LimitError as error:
        place = at(file, {error.path: error.line}, error.path)
        raise StudyError(f"{place}: {error}.") from None
    except (_UnsureError, tomllib.TOMLDecodeError):
        return  # `tomllib` will raise


def lines(text: str) -> dict[Path, int]:
    """Return the line, from 1, of each key, table and element; empty if unsure.

    `text` is valid TOML. The full path of a dotted key has a line; the tables that it
    implies do not.
    """
    scan = _Scan(_unix(text))
    try:
        scan.document()
        known = set(nodes(tomllib.loads(text)))
    except (_UnsureError, tomllib.TOMLDecodeError, RecursionError):
        return {}
    found = {path[:n] for path in scan.lines for n in range(1, len(path) + 1)}
    return scan.lines if found == known else {}


def doubled(text: str, line: int, column: int) -> tuple[Path, int, int] | None:
    """Return (path, line, earlier line) of the first key that is given twice.

    `line` and `column` are the place where `tomllib` stopped; only the valid text
    before it is scanned.
    """
    rows = _unix(text).split("\n")[:line]
    scan = _Scan("\n".join([*rows[:-1], rows[-1][: column - 1]]))
    # The keys scanned before the error are kept.
    with contextlib.suppress(_UnsureError, tomllib.TOMLDecodeError):
        scan.document()
    return scan.doubled


def nodes(document: object, path: Path = ()) -> list[Path]:
    """Return the path of each key, table and element below, in document order."""
    below: list[tuple[str | int, object]] = []
    if isinstance(document, Mapping):
        below = list(document.items())
    elif isinstance(document, list):
        below = list(enumerate(document))
    found: list[Path] = []
    for key, value in below:
        found += [(*path, key), *nodes(value, (*path, key))]
    return found


def shown(path: Path) -> str:
    """Return the path as users write it: sweep[0].strength."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{_key_shown(part)}"
    return text.removeprefix(".")


def _key_shown(key: str) -> str:
    """Return a key as a short text, quoted if TOML needs quotes."""
    text = key if _BARE_KEY.fullmatch(key) else repr(key)
    return text if len(text) <= _LONGEST_KEY else f"{text[: _LONGEST_KEY - 3]}..."


def at(file: str, found: Mapping[Path, int], path: Path) -> str:
    """Return "file:line: path", or "file: path" if the line is not known."""
    line = f":{found[path]}" if path in found else ""
    return f"{file}{line}: {shown(path)}" if path else f"{file}{line}"


class _UnsureError(Exception):
    """The text contains something that the scanner does not know."""


class _LimitError(_UnsureError):
    """The text is larger or deeper than a study file may be."""

    def __init__(self, path: Path, line: int, rule: str) -> None:
        super().__init__(rule)
        self.path = path
        self.line = line


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n")


@dataclass
class _Scan:
    text: str
    position: int = 0
    lines: dict[Path, int] = field(default_factory=dict)
    doubled: tuple[Path, int, int] | None = None
    table: Path = ()
    _line: int = 1  # of the character at `_counted`
    _counted: int = 0
    _last: dict[Path, int] = field(default_factory=dict)  # last index, arrays of tables

    def document(self) -> None:
        self._take(_IGNORED)
        while self.position < len(self.text):
            if self._next("["):
                self._header()
            else:
                self._pair(self.table)
            self._take(_IGNORED)

    def _header(self) -> None:
        start = self.position
        many = self._next("[[")
        self.position += 2 if many else 1
        keys = self._key()
        path: Path = ()
        for key in keys[:-1]:
            path = self._element((*path, key))
        path = (*path, keys[-1])
        if many:
            self.lines.setdefault(path, self._line_of(start))
            self._last[path] = self._last.get(path, -1) + 1
            path = self._element(path)
        self._record(path, start)
        self._expect("]]" if many else "]")
        self.table = path

    def _element(self, path: Path) -> Path:
        return (*path, self._last[path]) if path in self._last else path

    def _pair(self, table: Path) -> None:
        start = self.position
        path = (*table, *self._key())
        self._expect("=")
        self._take(_BLANK)
        self._record(path, start)
        self._value(path)

    def _value(self, path: Path) -> None:
        if self._next("["):
            self._list(path)
        elif self._next("{"):
            self._inline(path)
        elif self._next('"', "'"):
            if len(self._take(_STRING)) > _LONGEST_TEXT:
                self._refuse(path, f"is a text of more than {_LONGEST_TEXT} characters")
        else:
            value = self._take(_BARE_VALUE).rstrip()
            if len(value) > _LONGEST_NUMBER and _NUMBER.fullmatch(value):
                self._refuse(
                    path, f"is a number of more than {_LONGEST_NUMBER} characters"
                )

    def _list(self, path: Path) -> None:
        self.position += 1
        self._take(_IGNORED)
        index = 0
        while not self._next("]"):
            self._record((*path, index), self.position)
            self._value((*path, index))
            index += 1
            self._separator("]")
            if index == MOST_VALUES and not self._next("]"):
                self._refuse(path, f"is a list of more than {MOST_VALUES} values")
        self.position += 1

    def _inline(self, path: Path) -> None:
        self.position += 1
        self._take(_IGNORED)
        while not self._next("}"):
            self._pair(path)
            self._separator("}")
        self.position += 1

    def _separator(self, end: str) -> None:
        self._take(_IGNORED)
        if not self._next(end):
            self._expect(",")
            self._take(_IGNORED)

    def _key(self) -> tuple[str, ...]:
        keys: list[str] = []
        while True:
            self._take(_BLANK)
            if self._next('"', "'"):
                quoted = self._take(_STRING)
                keys += tomllib.loads(f"{quoted} = 0")
            else:
                keys.append(self._take(_BARE_KEY))
            self._take(_BLANK)
            if not self._next("."):
                return tuple(keys)
            if len(keys) > _DEEPEST:
                raise _LimitError((), self._line_of(self.position), _TOO_DEEP)
            self.position += 1

    def _record(self, path: Path, start: int) -> None:
        line = self._line_of(start)
        if len(path) > _DEEPEST:
            raise _LimitError((), line, _TOO_DEEP)
        if len(self.lines) >= _MOST_PLACES:
            raise _LimitError(
                (), line, f"the file holds more than {_MOST_PLACES} keys and values"
            )
        if path in self.lines and self.doubled is None:
            self.doubled = (path, line, self.lines[path])
        self.lines[path] = line

    def _line_of(self, position: int) -> int:
        """Return the line of a position; positions of later calls must not decrease."""
        self._line += self.text.count("\n", self._counted, position)
        self._counted = position
        return self._line

    def _refuse(self, path: Path, rule: str) -> None:
        raise _LimitError(path, self.lines[path], rule)

    def _next(self, *tokens: str) -> bool:
        return self.text.startswith(tokens, self.position)

    def _expect(self, token: str) -> None:
        if not self._next(token):
            raise _UnsureError
        self.position += len(token)

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.position)
        if match is None:
            raise _UnsureError
        self.position = match.end()
        return match[0]


@contextlib.contextmanager
def located(file: FilePath, *path: str | int) -> Iterator[None]:
    """Put the place in the study file in front of the messages of errors inside."""
    try:
        yield
    except KregkitError as error:
        kind = DataError if isinstance(error, DataError) else StudyError
        try:
            found = lines(file.read_bytes().decode("utf-8-sig"))
        except (OSError, UnicodeDecodeError):
            found = {}  # The file has changed since it was read.
        raise kind(f"{at(str(file), found, path)}: {error}") from None
