"""The report over several studies: each is read, and their claims are pooled."""

from collections.abc import Mapping, Sequence

import polars as pl

from kregkit.errors import StoreError
from kregkit.report.analysis import meta_analysis
from kregkit.report.analysis.contrasts import Analysis
from kregkit.report.data.tables import Tables, tables
from kregkit.report.findings import frame_of_several
from kregkit.report.frames import csvs
from kregkit.report.page.files import files
from kregkit.report.sections import several_studies
from kregkit.store import Contents, check_versions


def files_of_several(named: Mapping[str, Contents]) -> Mapping[str, bytes]:
    """Return every file of the report over several stores, each with where it is."""
    _check_several(named)
    studies: list[tuple[str, Tables]] = []
    for where, contents in named.items():
        made = tables(contents)
        if not made.compares:
            raise StoreError(f"{where}: has no regularizer to compare with a baseline")
        studies.append((_titled(made, where, [name for name, _ in studies]), made))
    read = meta_analysis.read([(name, Analysis(one)) for name, one in studies])
    claims = meta_analysis.claims(read)
    concluded = csvs({"contrasts": frame_of_several(read, claims)})
    return files(several_studies.page(read, claims), concluded)


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
