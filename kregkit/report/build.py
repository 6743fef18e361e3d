"""From the contents of a store to the files of a report, in memory.

The one rule: a pure function; `folder` is what touches the disk.
"""

from collections.abc import Iterator, Mapping, Sequence

from kregkit.report import (
    answer,
    appendix,
    compare,
    describe,
    evidence,
    folder,
    html,
    markdown,
    usage,
)
from kregkit.report.claims import judge
from kregkit.report.contrasts import Study
from kregkit.report.exports import csvs
from kregkit.report.numbers import count
from kregkit.report.operating import Operating, operating
from kregkit.report.page import Page, Section
from kregkit.report.tables import Tables, tables
from kregkit.report.trajectories import Courses, courses
from kregkit.store import Contents


def files(contents: Contents) -> Mapping[str, bytes]:
    """Return every file of the report: path inside its folder -> content."""
    made = tables(contents)
    runs = courses(made)
    points = tuple(operating(made, series) for series in made.strengths)
    csv = csvs(made, runs, points)
    body = _compared(made, runs, points) if made.compares else describe.sections(made)
    sections = (*body, *appendix.sections(made, sorted(csv)))
    page = Page(made.facts.title, _subtitle(made), sections)
    figures = {
        f"figures/{figure.name}.svg": html.standalone(figure) for figure in page.figures
    }
    others = {"report.md": markdown.render(page), **figures, **csv}
    return {folder.INDEX: html.render(page, sorted(others)), **others}


def _compared(
    made: Tables, runs: Courses, points: Sequence[Operating]
) -> Iterator[Section]:
    """Return the answer first, then the evidence."""
    study = Study(made)
    yield answer.section(study, usage.advised(study))
    yield from evidence.sections(made, judge(study))
    yield from compare.sections(made, runs, points)


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
