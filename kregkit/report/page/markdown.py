"""A page as Markdown, for the page of a repository.

Every character that Markdown or HTML gives a meaning to is escaped, so
that text from a study shows as it is. Folded parts and the glossary are left to
index.html.
"""

import re
from collections.abc import Iterable, Iterator

from kregkit.report.page.page import Entry, Figure, Page, Section, Table

_MEANING = re.compile(r"([\\`*_\[\]<>|~$&])")
_AT_START = re.compile(r"^(\d+(?=[.)](?: |$))|)([#+=.)-])")


def render(page: Page) -> bytes:
    """Return report.md."""
    lines = [f"# {text(page.title)}", text(page.subtitle)]
    for section in page.sections:
        lines += _section(section)
    return ("\n\n".join(filter(None, lines)) + "\n").encode()


def text(plain: str) -> str:
    """Return plain text as Markdown that shows exactly it, on one line."""
    escaped = _MEANING.sub(r"\\\1", " ".join(plain.split()))
    for link in ("://", "www."):  # GitHub makes links of bare addresses
        escaped = escaped.replace(link, f"{link[:-1]}&#{ord(link[-1])};")
    return _AT_START.sub(r"\1\\\2", escaped)


def _section(section: Section) -> Iterator[str]:
    if section.terms or section.files:
        return
    yield f"## {text(section.title)}"
    if section.lead:
        yield text(section.lead)
    if section.statements:
        yield "\n".join(
            f"- **{text(s.about)}.** {text(s.text)}" for s in section.statements
        )
    yield "\n".join(map(_figure, section.figures))
    for table in section.tables:
        yield _table(table)
    for note in section.notes:
        yield text(note)
    if section.code:
        yield "\n".join(f"    {' '.join(x.split())}" for x in section.code.split("\n"))


def _table(table: Table) -> str:
    lines = [
        _row(text(head) for head in table.head),
        _row("---" for _ in table.head),
        *(_row(map(_entry, row)) for row in table.rows),
    ]
    return f"{text(table.caption)}\n\n" + "\n".join(lines)


def _row(entries: Iterable[str]) -> str:
    return f"| {' | '.join(entries)} |"


def _entry(entry: Entry) -> str:
    """Return a cell: the lines of its value one below the other, as in a page."""
    value = "<br>".join(map(text, entry.value.split("\n")))
    if not entry.note:
        return value
    note = entry.note if entry.note.startswith("[") else f"({entry.note})"
    return f"{value} {text(note)}"


def _figure(figure: Figure) -> str:
    return f"![{text(figure.alt)}](figures/{figure.name}.svg)"
