"""A page as one self-contained HTML file.

Every string of a `Page` is escaped by jinja2's autoescape; only the
SVGs, which matplotlib wrote, and our own page.css and page.js are inserted as they are.
The page's policy lets it load nothing and run nothing but page.js.
"""

import base64
import hashlib
import re
from collections.abc import Sequence
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from kregkit.report.page.canvas import AXIS, GRID, INK, L1, L2, PAPER
from kregkit.report.page.page import Figure, Page
from kregkit.report.page.svg import letters, without_letters

_NUMBER = re.compile(r"[−+]?\b[\d.]+(?:e-\d+| (?:%|points?\b))")

_THEMED = {INK: "var(--ink)", PAPER: "var(--card)", AXIS: "var(--axis)"} | {
    GRID: "var(--grid)",
    L1: "var(--l1)",
    L2: "var(--l2)",
}
"""What a colour of a figure is on a page, in either theme."""


def render(page: Page, files: Sequence[str]) -> bytes:
    """Return index.html; `files` are the others that belong to the report."""
    environment = Environment(
        loader=PackageLoader("kregkit.report.page", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["inline"] = _inline
    environment.filters["keep"] = _keep
    style, script = map(_own, ("page.css", "page.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'"
    )
    drawn = Markup(letters(figure.svg for figure in page.figures))
    own = {"letters": drawn, "style": style, "script": script, "policy": policy}
    template = environment.get_template("page.html.j2")
    return template.render(page=page, files=files, **own).encode()


def _own(name: str) -> Markup:
    folder = resources.files("kregkit.report.page")
    return Markup(folder.joinpath(name).read_text("utf-8"))


def standalone(figure: Figure) -> bytes:
    """Return the figure as an SVG file."""
    return f"{_labelled(figure)}\n".encode()


def _keep(text: str) -> Markup:
    """Return the text with no line break inside "12.3 %", "0.1 points" and "1e-4"."""
    safe = str(escape(text))
    return Markup(_NUMBER.sub(r'<span class="number">\g<0></span>', safe))


def _inline(figure: Figure) -> Markup:
    svg = without_letters(_labelled(figure))
    for color, variable in _THEMED.items():
        svg = svg.replace(f": {color}", f": {variable}")
    return Markup(svg)  # our own SVG, its label escaped


def _labelled(figure: Figure) -> str:
    label = escape(figure.alt)
    return figure.svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
