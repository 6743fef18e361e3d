"""From the contents of a store to the files of a report, in memory.

The one rule: a pure function; `folder` is what touches the disk.
"""

from collections.abc import Mapping

from kregkit.report import appendix, compare, describe, folder, html, markdown
from kregkit.report.exports import csvs
from kregkit.report.numbers import count
from kregkit.report.operating import strong
from kregkit.report.page import Page
from kregkit.report.tables import Tables, tables
from kregkit.report.trajectories import courses
from kregkit.store import Contents


def files(contents: Contents) -> Mapping[str, bytes]:
    """Return every file of the report: path inside its folder -> content."""
    made = tables(contents)
    runs = courses(made)
    points = tuple(strong(made, series) for series in made.strengths)
    csv = csvs(made, runs, points)
    body = (
        compare.sections(made, runs, points)
        if made.compares
        else (describe.sections(made))
    )
    sections = (*body, *appendix.sections(made, sorted(csv)))
    page = Page(made.facts.title, _subtitle(made), sections)
    figures = {
        f"figures/{figure.name}.svg": html.standalone(figure) for figure in page.figures
    }
    others = {"report.md": markdown.render(page), **figures, **csv}
    return {folder.INDEX: html.render(page, sorted(others)), **others}


def _subtitle(made: Tables) -> str:
    how = dict(made.facts.how)
    shown = [how[name] for name in ("Data", "Model") if name in how]
    shown.append(count(len(made.trials), "trial"))
    seeds = {trial.seed for trial in made.trials} - {None}
    if seeds:
        shown.append(count(len(seeds), "seed"))
    failed = sum(trial.failed for trial in made.trials)
    if failed:
        shown.append(f"{failed} failed")
    return " · ".join(shown)
