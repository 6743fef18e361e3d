"""From a loaded report to its page and its files, in memory.

The one rule: a pure function; `folder` is what touches the disk.
"""

from collections.abc import Mapping

from kregkit.report import appendix, compare, describe, folder, html, markdown
from kregkit.report.exports import csvs
from kregkit.report.notebook import Report
from kregkit.report.numbers import count
from kregkit.report.page import Page


def page(report: Report) -> Page:
    """Return the page; none of its figures is drawn yet."""
    made = report.tables
    body = (
        compare.sections(made, report.runs, report.points)
        if made.compares
        else (describe.sections(made))
    )
    sections = (*body, *appendix.sections(made, sorted(csvs(report.frames))))
    return Page(made.facts.title, _subtitle(report), sections)


def files(report: Report) -> Mapping[str, bytes]:
    """Return every file of the report: path inside its folder -> content."""
    figures = {
        f"figures/{name}.svg": html.standalone(figure)
        for name, figure in report.figures.items()
    }
    text = {"report.md": markdown.render(report.page)}
    others = {**text, **figures, **csvs(report.frames)}
    return {folder.INDEX: html.render(report.page, sorted(others)), **others}


def _subtitle(report: Report) -> str:
    made = report.tables
    how = dict(made.facts.how)
    shown = [how[name] for name in ("Data", "Model") if name in how]
    shown.append(count(len(made.trials), "trial"))
    seeds = {trial.seed for trial in made.trials} - {None}
    if seeds:
        shown.append(count(len(seeds), "seed"))
    failed = sum(trial.failed for trial in made.trials)
    if failed:
        shown.append(f"{failed} failed")
    if report.left_out:
        shown.append(f"{count(len(report.left_out), 'part')} left out")
    return " · ".join(shown)
