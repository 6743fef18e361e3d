"""The files of a page: `index.html`, `report.md`, figures as SVG, and given tables."""

from collections.abc import Mapping

from kregkit.report.page import folder, html, markdown
from kregkit.report.page.page import Page


def files(page: Page, tables: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """Return every file by its path inside the report's folder.

    `tables` are the CSV files, by their paths. Nothing is written: `folder` does that.
    """
    figures = {
        f"figures/{figure.name}.svg": html.standalone(figure) for figure in page.figures
    }
    others = {"report.md": markdown.render(page), **figures, **tables}
    return {folder.INDEX: html.render(page, sorted(others)), **others}
