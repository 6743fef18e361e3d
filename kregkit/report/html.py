"""A page as one self-contained HTML file.

The one rule: every string of a `Page` is escaped by jinja2's autoescape; only the
SVGs, which matplotlib wrote, are inserted as they are.
"""

import re
from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from kregkit.report.page import Figure, Page
from kregkit.report.svg import letters, without_letters

_NUMBER = re.compile(r"[−+]?\b[\d.]+(?:e-\d+| (?:%|points?\b))")


def render(page: Page, files: Sequence[str]) -> bytes:
    """Return index.html; `files` are the others that belong to the report."""
    environment = Environment(
        loader=PackageLoader("kregkit.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["inline"] = _inline
    environment.filters["keep"] = _keep
    template = environment.get_template("page.html.j2")
    drawn = Markup(letters(figure.svg for figure in page.figures))
    return template.render(page=page, files=files, letters=drawn).encode()


def standalone(figure: Figure) -> bytes:
    """Return the figure as an SVG file."""
    return f"{_labelled(figure)}\n".encode()


def _keep(text: str) -> Markup:
    """Return the text with no line break inside "12.3 %", "0.1 points" and "1e-4"."""
    safe = str(escape(text))
    return Markup(_NUMBER.sub(r'<span class="number">\g<0></span>', safe))


def _inline(figure: Figure) -> Markup:
    return Markup(without_letters(_labelled(figure)))  # our own SVG, its label escaped


def _labelled(figure: Figure) -> str:
    label = escape(figure.alt)
    return figure.svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
