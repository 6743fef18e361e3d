"""What a report consists of, before it is HTML or Markdown.

Every string here is plain text, as it came from the study or from the
tables; the two writers escape it, each in its own way.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

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


Tone = Literal["good", "bad", "changed", "unclear"]
"""What an effect or a verdict is to a reader; it is shown by a colour and a symbol."""


@dataclass(frozen=True)
class Bar:
    """One entry of a matrix: a value, and a bar that begins at the baseline.

    The length is from -1 to 1. One whose interval does not exclude 0 is not `sure`,
    and pale. `told` is the entry in words, `note` stands small beside the value.
    """

    value: str
    told: str = ""
    note: str = ""
    length: float = 0.0
    tone: Tone = "changed"
    sure: bool = True


@dataclass(frozen=True)
class Matrix:
    """What each regularizer (row) does to each thing (column), at a glance.

    Rows are in groups, each with a name; the first group is the baseline, without
    bars. `marks` say in words what the colours mean.
    """

    caption: str
    head: tuple[tuple[str, str], ...]  # a column's name, and below it its unit
    groups: tuple[tuple[str, tuple[tuple[str, tuple[Bar, ...]], ...]], ...]
    marks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Card:
    """What reaches a goal: the choice, its effect, how sure that is, and the code."""

    title: str
    choice: str
    effect: str
    sure: str
    tone: Tone
    code: str = ""


@dataclass(frozen=True)
class Check:
    """A claim as people say it, with its verdict and one sentence why."""

    says: str
    verdict: str
    tone: Tone
    why: str
    evidence: "Section"


@dataclass(frozen=True)
class Details:
    """Tables and text that are folded away until asked for."""

    title: str
    tables: tuple[Table, ...] = ()
    code: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the page under a heading; the sections of `folded` unfold."""

    anchor: str
    title: str
    short: str  # the title in the list of sections
    lead: str = ""
    matrix: Matrix | None = None
    cards: tuple[Card, ...] = ()
    checks: tuple[Check, ...] = ()
    statements: tuple[Statement, ...] = ()
    notes: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    details: tuple[Details, ...] = ()
    terms: tuple[tuple[str, str], ...] = ()
    code: str = ""
    files: tuple[str, ...] = ()
    folded: "tuple[Section, ...]" = ()

    @property
    def within(self) -> "Iterator[Section]":
        """Itself, and every section inside it, in the order of the page."""
        yield self
        for part in (*(check.evidence for check in self.checks), *self.folded):
            yield from part.within


@dataclass(frozen=True)
class Page:
    """A whole report; `parts` are open at first, and what they fold is not."""

    title: str
    subtitle: str
    parts: tuple[Section, ...]

    @property
    def sections(self) -> tuple[Section, ...]:
        """Every section, folded ones too."""
        return tuple(section for part in self.parts for section in part.within)

    @property
    def figures(self) -> tuple[Figure, ...]:
        """Every figure of the page."""
        return tuple(figure for part in self.sections for figure in part.figures)
