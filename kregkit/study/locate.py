"""The lines of a TOML text: where each key, table and array element begins.

The one rule: never a wrong line. The scanner knows TOML's strings, comments, tables
and arrays, and what it found must be exactly the keys that `tomllib` reads from the
same text; where it is not, there are no lines at all.
"""

import contextlib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath

from kregkit.errors import DataError, KregkitError, StudyError

Path = tuple[str | int, ...]

_IGNORED = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BLANK = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BARE_VALUE = re.compile(r"[^,\]}\n#]+")
_STRING = re.compile(
    # Up to two quotes may stand before the three that close a long string.
    r'"""(?:\\.|(?!""").)*"""(?:"{0,2})'
    r"|'''(?:(?!''').)*'''(?:'{0,2})"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)


def lines(text: str) -> dict[Path, int]:
    """Return the line, from 1, of each key, table and element; empty if unsure.

    `text` is valid TOML. A dotted key's own path has a line, the tables that it
    implies have none.
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

    Looks at the text before the place where `tomllib` stopped: so far it is valid.
    """
    rows = _unix(text).split("\n")[:line]
    scan = _Scan("\n".join([*rows[:-1], rows[-1][: column - 1]]))
    # What was scanned before the place of the error still counts.
    with contextlib.suppress(_UnsureError, tomllib.TOMLDecodeError):
        scan.document()
    return scan.doubled


def nodes(document: object, path: Path = ()) -> list[Path]:
    """Return the path of every key, table and element below, in document order."""
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
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def at(file: str, found: Mapping[Path, int], path: Path) -> str:
    """Return "file:line: path", or "file: path" where the line is not known."""
    line = f":{found[path]}" if path in found else ""
    return f"{file}{line}: {shown(path)}" if path else f"{file}{line}"


class _UnsureError(Exception):
    """The text has something that the scanner does not know."""


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n")


@dataclass
class _Scan:
    text: str
    position: int = 0
    lines: dict[Path, int] = field(default_factory=dict)
    doubled: tuple[Path, int, int] | None = None
    table: Path = ()
    _last: dict[Path, int] = field(default_factory=dict)  # of arrays of tables

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
            line = self.text.count("\n", 0, start) + 1
            self.lines.setdefault(path, line)
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
            self._take(_STRING)
        else:
            self._take(_BARE_VALUE)

    def _list(self, path: Path) -> None:
        self.position += 1
        self._take(_IGNORED)
        index = 0
        while not self._next("]"):
            self._record((*path, index), self.position)
            self._value((*path, index))
            index += 1
            self._separator("]")
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
            self.position += 1

    def _record(self, path: Path, start: int) -> None:
        line = self.text.count("\n", 0, start) + 1
        if path in self.lines and self.doubled is None:
            self.doubled = (path, line, self.lines[path])
        self.lines[path] = line

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
    """Put the place in the study file before the message of what fails inside."""
    try:
        yield
    except KregkitError as error:
        kind = DataError if isinstance(error, DataError) else StudyError
        try:
            found = lines(file.read_bytes().decode("utf-8-sig"))
        except (OSError, UnicodeDecodeError):
            found = {}  # The file has changed since it was read.
        raise kind(f"{at(str(file), found, path)}: {error}") from None
