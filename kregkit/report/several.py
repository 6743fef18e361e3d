"""Reports over several stores: claims of studies are pooled, single runs compared."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import polars as pl

from kregkit.errors import StoreError
from kregkit.report.analysis import meta_analysis
from kregkit.report.analysis.contrasts import Analysis
from kregkit.report.data.tables import Tables, tables
from kregkit.report.findings import frame_of_several
from kregkit.report.frames import csvs
from kregkit.report.page.files import files
from kregkit.report.page.page import Entry, Page, Section, Table
from kregkit.report.sections import appendix, several_studies
from kregkit.report.sections.descriptive import parts, runs_of
from kregkit.report.sections.own_fits import Run
from kregkit.report.wording.numbers import count
from kregkit.store import Contents, check_versions


def files_of_several(named: Mapping[str, Contents]) -> Mapping[str, bytes]:
    """Return every file of the report over several stores, each with where it is.

    All are studies, whose claims are pooled, or all are of single runs, which are
    compared.
    """
    made = {where: tables(contents) for where, contents in named.items()}
    studies = [where for where, one in made.items() if one.compares]
    if not studies:
        check_versions(_finals(named), " and ".join(named))
        return files(page_of_runs(made), {})
    _check_several(named)
    titled: list[tuple[str, Tables]] = []
    for where, one in made.items():
        if not one.compares:
            raise StoreError(
                f"{where}: has no regularizer to compare with a baseline, and "
                f"{studies[0]} has"
            )
        titled.append((_titled(one, where, [name for name, _ in titled]), one))
    read = meta_analysis.read([(name, Analysis(one)) for name, one in titled])
    claims = meta_analysis.claims(read)
    concluded = csvs({"contrasts": frame_of_several(read, claims)})
    return files(several_studies.page(read, claims), concluded)


def page_of_runs(made: Mapping[str, Tables]) -> Page:
    """Return the page that compares single runs, each by the name that it is given."""
    runs = [
        run for where, one in made.items() for run in runs_of(one, _name(where, made))
    ]
    method = Section(
        "method",
        "How it was run, and what the words mean",
        "Method",
        folded=(
            Section(
                "run",
                "How it was run",
                "How it was run",
                tables=tuple(map(_how, runs)),
            ),
            appendix.words(),
        ),
    )
    title = f"{count(len(runs), 'training run')} compared"
    return Page(title, "", (*parts(runs), method))


def _how(run: Run) -> Table:
    rows = ((Entry(name), Entry(text)) for name, text in run.tables.facts.how)
    return Table(run.name, ("What", "Value"), tuple(rows))


def _name(where: str, among: Iterable[str]) -> str:
    """Return the name of a store's folder, or its whole path where names repeat."""
    name = Path(where).name
    alike = [other for other in among if Path(other).name == name]
    return name if len(alike) == 1 else where


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
    check_versions(_finals(named), " and ".join(named))


def _finals(named: Mapping[str, Contents]) -> pl.DataFrame:
    return pl.concat([contents.finals for contents in named.values()])
