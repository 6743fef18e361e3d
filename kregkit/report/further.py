"""The metrics that a study names in `[train] metrics`, and their frame.

A seed has the strength that the other seeds chose on validation, where
the mean data loss is lowest. No metric takes part in the choice.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from kregkit.report.analysis.contrasts import NO_SPREAD, Study
from kregkit.report.analysis.verdicts import Contrast
from kregkit.report.cells import Series, Setting, of_model
from kregkit.report.data.tables import Tables
from kregkit.report.frames import SETTING, framed, setting_columns
from kregkit.report.statistics import mean

_COLUMNS: Final = (
    SETTING
    | {"metric": pl.String}
    | dict.fromkeys(("baseline", "mean", "effect", "low", "high"), pl.Float64)
    | {"seeds": pl.Int64, "why": pl.String}
)


@dataclass(frozen=True)
class Row:
    """One metric of one series on the test part, against the baseline."""

    series: Series
    strength: float | None  # that all seeds together choose; null: there is none
    metric: str
    baseline: float | None  # means over the seeds; null where one is undefined
    mean: float | None
    contrast: Contrast


def names(tables: Tables) -> tuple[str, ...]:
    """Return the metrics that trials of the store have, in the study's order."""
    every = tables.finals["metric_names"].drop_nulls()
    return tuple(dict.fromkeys(name for own in every for name in own))


def rows(study: Study) -> Iterator[Row]:
    """Yield a row for each metric of each series."""
    found = names(study.tables)
    for series in study.tables.strengths if found else ():
        for name in found:
            yield _row(study, series, name)


def _row(study: Study, series: Series, name: str) -> Row:
    place = of_model(f"test_{name}")
    chosen = study.best([series])
    contrast = study.to_baseline(name, "rises", 0.0, chosen, place)
    setting = chosen[None]
    seeds = [seed for seed, _ in contrast.effects]
    return Row(
        series,
        setting.strength if setting else None,
        name,
        mean([study.value(series.baseline, seed, place) for seed in seeds]),
        mean([study.value(chosen[seed], seed, place) for seed in seeds]),
        contrast,
    )


def frame(study: Study) -> pl.DataFrame:
    """Return the rows in full precision; without a metric there are none."""
    return framed(map(_columns, rows(study)), _COLUMNS)


def _columns(row: Row) -> dict[str, Any]:
    known, why = row.contrast.estimate, row.contrast.why
    if known and known.error == 0:
        known, why = None, NO_SPREAD
    low, high = known.interval() if known else (None, None)
    effects = [effect for _, effect in row.contrast.effects]
    return {
        **setting_columns(Setting(row.series, row.strength)),
        "metric": row.metric,
        "baseline": row.baseline,
        "mean": row.mean,
        "effect": mean(effects),
        "low": low,
        "high": high,
        "seeds": len(effects),
        "why": why or None,
    }
