"""A page as Markdown, for the page of a repository.

Every character that Markdown or HTML gives a meaning to is escaped, so
that text from a study shows as it is. Folded parts and the glossary are left to
index.html.
"""

import re
from collections.abc import Iterable, Iterator

from kregkit.report.page.page import (
    Entry,
    Figure,
    Matrix,
    Page,
    Section,
    Statement,
    Table,
)

_MEANING = re.compile(r"([\\`*_\[\]<>|~$&])")
_AT_START = re.compile(r"^(\d+(?=[.)](?: |$))|)([#+=.)-])")


def render(page: Page) -> bytes:
    """Return report.md."""
    lines = [f"# {text(page.title)}", text(page.subtitle)]
    for section in page.parts:
        lines += _section(section, 2)
    return ("\n\n".join(filter(None, lines)) + "\n").encode()


def text(plain: str) -> str:
    """Return plain text as Markdown that shows exactly it, on one line."""
    escaped = _MEANING.sub(r"\\\1", " ".join(plain.split()))
    for link in ("://", "www."):  # GitHub makes links of bare addresses
        escaped = escaped.replace(link, f"{link[:-1]}&#{ord(link[-1])};")
    return _AT_START.sub(r"\1\\\2", escaped)


def _section(section: Section, level: int) -> Iterator[str]:
    if section.terms or section.files:
        return
    yield f"{'#' * level} {text(section.title)}"
    if section.lead:
        yield text(section.lead)
    if section.statements:
        yield "\n".join(map(_statement, section.statements))
    if section.matrix:
        yield _matrix(section.matrix)
    for card in section.cards:
        code = f"\n\n    {_line(card.code)}" if card.code else ""
        told = " ".join(
            f"{text(one.rstrip('.'))}."
            for one in (card.choice, card.effect, card.sure)
            if one
        )
        yield f"- **{text(card.title)}**: {told}{code}"
    yield "\n".join(map(_figure, section.figures))
    for check in section.checks:
        yield f"- **{text(check.verdict)}**: {text(check.says)} {text(check.why)}"
    for table in section.tables:
        yield _table(table)
    for note in section.notes:
        yield text(note)
    if section.code:
        yield "\n".join(f"    {_line(x)}" for x in section.code.split("\n"))
    for part in (*(check.evidence for check in section.checks), *section.folded):
        yield from _section(part, level + 1)


def _line(code: str) -> str:
    return " ".join(code.split())


def _statement(one: Statement) -> str:
    about = f"**{text(one.about)}.** " if one.about else ""
    return f"- {about}{text(one.text)}"


def _matrix(matrix: Matrix) -> str:
    head = ["", *(f"{name}, {unit}" if unit else name for name, unit in matrix.head)]
    lines = [_row(map(text, head)), _row("---" for _ in head)]
    for group, rows in matrix.groups:
        for name, bars in rows:
            named = f"{group}: {name}" if group else name
            lines.append(
                _row(
                    map(
                        text,
                        (named, *(f"{bar.value} {bar.note}".strip() for bar in bars)),
                    )
                )
            )
    return "\n".join(lines) + f"\n\n{text(' '.join((matrix.caption, *matrix.marks)))}"


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
