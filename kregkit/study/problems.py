"""What pydantic refuses, as one line: `file:line: key[2]: expected int, received '3'.`.

The one rule: the first problem in the order of the file is told, with the number of
the others, and every value is the one that stands in the file.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from kregkit import errors
from kregkit.errors import StudyError
from kregkit.study.locate import Path, at

_EXPECTED: Final = {
    "bool_type": "bool",
    "float_type": "number",
    "int_type": "int",
    "model_type": "table",
    "string_type": "str",
    "tuple_type": "list of tables",
}
_LAST: Final = 10**9

Known = Callable[[Path], Iterable[str]]


def study_error(
    error: ValidationError,
    document: Mapping[str, Any],
    file: str,
    lines: Mapping[Path, int],
    known: Known,
) -> StudyError:
    """Return the error for the first problem; `known` gives a table's keys."""
    problems = [_problem(detail, document) for detail in error.errors()]
    path, detail = min(
        problems, key=lambda problem: _order(problem[0], problem[1], lines)
    )
    more = len(problems) - 1
    rest = f" ({more} more problem{'s'[: more > 1]} in this file.)" if more else ""
    return StudyError(_text(path, detail, document, file, lines, known) + rest)


def shown(value: object) -> str:
    """Return the value for a message: one short line."""
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _problem(
    detail: ErrorDetails, document: Mapping[str, Any]
) -> tuple[Path, ErrorDetails]:
    loc = detail["loc"]
    if detail["type"] == "missing":
        loc = loc[:-1]
    return _inside(document, (*loc, *detail.get("ctx", {}).get("below", ()))), detail


def _inside(document: Any, loc: Path) -> Path:
    """Drop what the file does not hold: union tags, the [0] of a lone value."""
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


def _order(path: Path, detail: ErrorDetails, lines: Mapping[Path, int]) -> float:
    if detail["type"] == "missing":
        # A missing key is noticed at the end of its table: a typing error in the
        # table, its likely reason, is told first.
        inside = [lines[own] for own in lines if own[: len(path)] == path]
        return max(inside) + 0.5 if path and inside else _LAST
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
        return errors.unknown(where, context["name"], context["known"])
    if kind == "extra_forbidden":
        return errors.unknown(where, path[-1], known(path[:-1]))
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
        return f"{where}: {context['text']}{also or '.'}"
    return f"{where}: {detail['msg']}."
