"""From a loaded report to its page and its files, in memory.

The one rule: a pure function; `folder` is what touches the disk.
"""

from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from kregkit.errors import StoreError
from kregkit.report import (
    answer,
    appendix,
    codes,
    compare,
    describe,
    evidence,
    folder,
    further_page,
    html,
    markdown,
    matched_page,
    pooled,
    several,
)
from kregkit.report.contrasts import Study
from kregkit.report.exports import csvs
from kregkit.report.findings import frame_of_several
from kregkit.report.notebook import Report
from kregkit.report.numbers import count
from kregkit.report.page import Page, Section
from kregkit.report.tables import Tables, tables
from kregkit.store import Contents, check_versions


def page(report: Report) -> Page:
    """Return the page; none of its figures is drawn yet."""
    made = report.tables
    body = _compared(report) if made.compares else describe.sections(made)
    names = sorted(csvs(report.written))
    named = further_page.sections(report.study)
    sections = (*body, *named, *appendix.sections(made, names, report.too_large))
    return Page(made.facts.title, _subtitle(report), sections)


def files(report: Report) -> Mapping[str, bytes]:
    """Return every file of the report: path inside its folder -> content."""
    figures = {
        f"figures/{name}.svg": html.standalone(figure)
        for name, figure in report.figures.items()
    }
    text = {"report.md": markdown.render(report.page)}
    others = {**text, **figures, **csvs(report.written)}
    return {folder.INDEX: html.render(report.page, sorted(others)), **others}


def files_of_several(named: Mapping[str, Contents]) -> Mapping[str, bytes]:
    """Return every file of the report over several stores, each with where it is."""
    _check_several(named)
    studies: list[tuple[str, Tables]] = []
    for where, contents in named.items():
        made = tables(contents)
        if not made.compares:
            raise StoreError(f"{where}: has no regularizer to compare with a baseline")
        studies.append((_titled(made, where, [name for name, _ in studies]), made))
    read = pooled.read([(name, Study(one)) for name, one in studies])
    claims = pooled.claims(read)
    found = several.page(read, claims)
    figures = {
        f"figures/{figure.name}.svg": html.standalone(figure)
        for figure in found.figures
    }
    concluded = csvs({"contrasts": frame_of_several(read, claims)})
    others = {"report.md": markdown.render(found), **figures, **concluded}
    return {folder.INDEX: html.render(found, sorted(others)), **others}


def _titled(made: Tables, where: str, taken: Sequence[str]) -> str:
    """Return what a study is called on a page of several: its data and its model."""
    how = dict(made.facts.how)
    name = f"{how.get('Data', where)}, {how.get('Model', '')}".rstrip(", ")
    return name if name not in taken else f"{name}, {made.facts.name or len(taken)}"


def _check_several(named: Mapping[str, Contents]) -> None:
    """Raise for stores that share a trial, or were written by different versions."""
    seen: dict[str, str] = {}
    for where, contents in named.items():
        for trial in contents.finals["trial"]:
            if trial in seen:
                raise StoreError(
                    f"{where}: trial {trial} is in {seen[trial]} too; give each study "
                    "once"
                )
            seen[trial] = where
    finals = pl.concat([contents.finals for contents in named.values()])
    check_versions(finals, " and ".join(named))


def _compared(report: Report) -> Iterator[Section]:
    """Return the answer first, then the evidence."""
    coded = codes.stored(report.tables)
    if coded:
        yield codes.section(report.study)
    yield answer.section(report.study, report.advised)
    if not coded or any(one.judged for one in report.tested):
        yield from evidence.sections(report.tables, report.tested)
    yield from matched_page.sections(report.study)
    yield from compare.sections(report.tables, report.runs, report.points)


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
