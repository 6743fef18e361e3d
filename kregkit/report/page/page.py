"""What a report consists of, before it is HTML or Markdown.

Every string here is plain text, as it came from the study or from the
tables; the two writers escape it, each in its own way.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from kregkit.report.page.canvas import Painter


@dataclass(frozen=True)
class Entry:
    """One entry of a table: a value and, below it, its effect."""

    value: str
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A table; the first `leading` columns name the row.

    Entries of a table of `prose` are sentences, and wrap.
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Entry, ...], ...]
    leading: int = 1
    prose: bool = False


@dataclass(frozen=True)
class Figure:
    """A figure: its file name without ending, what paints it, and what it shows."""

    name: str
    paint: "Painter" = field(repr=False)
    alt: str
    caption: str
    height: float = 3.3

    @cached_property
    def svg(self) -> str:
        """The drawing, as one <svg> element."""
        from kregkit.report.page.canvas import draw

        return draw(self.name, self.paint, self.height)

    def plot(self) -> "Drawing":
        """Return the drawing as a matplotlib figure, to change or to save."""
        from kregkit.report.page.canvas import plot

        return plot(self.name, self.paint, self.height)

    def _repr_svg_(self) -> str:
        return self.svg


@dataclass(frozen=True)
class Statement:
    """A sentence or two, with what they are about in front."""

    about: str
    text: str


@dataclass(frozen=True)
class Details:
    """Tables and text that are folded away until asked for."""

    title: str
    tables: tuple[Table, ...] = ()
    code: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the page under a heading."""

    anchor: str
    title: str
    short: str  # the title in the list of sections
    lead: str = ""
    statements: tuple[Statement, ...] = ()
    notes: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    details: tuple[Details, ...] = ()
    terms: tuple[tuple[str, str], ...] = ()
    code: str = ""
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page:
    """A whole report."""

    title: str
    subtitle: str
    sections: tuple[Section, ...]

    @property
    def figures(self) -> tuple[Figure, ...]:
        """Every figure of the page."""
        return tuple(figure for part in self.sections for figure in part.figures)
