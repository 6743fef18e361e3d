"""Turns pydantic's errors into one line: `file:line: key[2]: expected int, ...`.

The message shows the first problem in file order, and the number of further problems.
Values are shown as they are in the file.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from kregkit import errors
from kregkit.errors import StudyError
from kregkit.study.file.locate import Path, at

_EXPECTED: Final = {
    "bool_type": "bool",
    "float_type": "number",
    "int_type": "int",
    "model_type": "table",
    "string_type": "str",
    "tuple_type": "list of tables",
}
_LAST: Final = 10**9
_LONGEST_VALUE: Final = 80
_LONGEST_FACT: Final = 400

Known = Callable[[Path], Iterable[str]]


def study_error(
    error: ValidationError,
    document: Mapping[str, Any],
    file: str,
    lines: Mapping[Path, int],
    known: Known,
) -> StudyError:
    """Return the error for the first problem; `known` returns a table's keys."""
    details = error.errors(include_url=False, include_input=False)
    problems = [_problem(detail, document) for detail in details]
    ends = _ends(lines)
    path, detail = min(
        problems, key=lambda problem: _order(problem[0], problem[1], lines, ends)
    )
    more = len(problems) - 1
    rest = f" ({more} more problem{'s'[: more > 1]} in this file.)" if more else ""
    return StudyError(_text(path, detail, document, file, lines, known) + rest)


def shown(value: object) -> str:
    """Return the value as one short line for a message."""
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return _cut(text, _LONGEST_VALUE)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def _problem(
    detail: ErrorDetails, document: Mapping[str, Any]
) -> tuple[Path, ErrorDetails]:
    loc = detail["loc"]
    if detail["type"] == "missing":
        loc = loc[:-1]
    return _inside(document, (*loc, *detail.get("ctx", {}).get("below", ()))), detail


def _inside(document: Any, loc: Path) -> Path:
    """Return the path without parts that are not in the file.

    These are union tags, and the [0] of a value that is no list.
    """
    path: Path = ()
    for part in loc:
        named = isinstance(document, dict) and part in document
        if named or (isinstance(document, list) and isinstance(part, int)):
            document = document[part]
            path = (*path, part)
    return path


def _value(document: Any, path: Path) -> Any:
    for part in path:
        document = document[part]
    return document


def _ends(lines: Mapping[Path, int]) -> dict[Path, int]:
    """Return the last line of each table, list and value."""
    ends: dict[Path, int] = {}
    for path, line in lines.items():
        for length in range(len(path) + 1):
            ends[path[:length]] = max(line, ends.get(path[:length], 0))
    return ends


def _order(
    path: Path,
    detail: ErrorDetails,
    lines: Mapping[Path, int],
    ends: Mapping[Path, int],
) -> float:
    if detail["type"] == "missing":
        # A missing key has the position of the end of its table. A misspelt key in the
        # table, the likely reason, is then reported first.
        return ends[path] + 0.5 if path in ends and path else _LAST
    known = (lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in lines)
    return next(known, _LAST)


def _text(
    path: Path,
    detail: ErrorDetails,
    document: Mapping[str, Any],
    file: str,
    lines: Mapping[Path, int],
    known: Known,
) -> str:
    where, kind = at(file, lines, path), detail["type"]
    context = detail.get("ctx", {})
    if kind == "unknown":
        name = _cut(context["name"], _LONGEST_VALUE)
        return errors.unknown(where, name, context["known"])
    if kind == "extra_forbidden":
        name = _cut(str(path[-1]), _LONGEST_VALUE)
        return errors.unknown(where, name, known(path[:-1]))
    if kind == "missing":
        return f"{where}: the key {detail['loc'][-1]!r} is missing."
    if kind in _EXPECTED:
        received = shown(_value(document, path))
        return f"{where}: expected {_EXPECTED[kind]}, received {received}."
    if kind == "must":
        received = shown(_value(document, path))
        return f"{where}: must be {context['rule']}; received {received}."
    if kind == "fact":
        also = f" (line {lines[context['also']]})." if context["also"] in lines else ""
        return f"{where}: {_cut(context['text'], _LONGEST_FACT)}{also or '.'}"
    return f"{where}: {detail['msg']}."
