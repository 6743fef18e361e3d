"""The metrics that a study names in `[train] metrics`, and their frame.

Each seed has the strength that the other seeds chose on validation, where the mean data
loss is lowest. No metric takes part in the choice.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from kregkit.report.analysis.contrasts import Analysis
from kregkit.report.analysis.verdicts import Contrast
from kregkit.report.cells import About, Series, Setting, Unknown, of_model
from kregkit.report.data.tables import Tables
from kregkit.report.frames import SETTING, framed, setting_columns
from kregkit.report.statistics import mean
from kregkit.report.wording import contrasts

_COLUMNS: Final = (
    SETTING
    | {"metric": pl.String}
    | dict.fromkeys(("baseline", "mean", "effect", "low", "high"), pl.Float64)
    | {"seeds": pl.Int64, "why": pl.String}
)


@dataclass(frozen=True)
class MetricRow:
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


def rows(study: Analysis) -> Iterator[MetricRow]:
    """Yield a row for each metric of each series."""
    found = names(study.tables)
    for series in study.tables.strengths if found else ():
        for name in found:
            yield _row(study, series, name)


def _row(study: Analysis, series: Series, name: str) -> MetricRow:
    place = of_model(f"test_{name}")
    chosen = study.best([series])
    about = About(place, series, None, "best")
    contrast = study.to_baseline(about, "rises", 0.0, chosen)
    setting = chosen[None]
    seeds = [seed for seed, _ in contrast.effects]
    return MetricRow(
        series,
        setting.strength if setting else None,
        name,
        mean([study.value(series.baseline, seed, place) for seed in seeds]),
        mean([study.value(chosen[seed], seed, place) for seed in seeds]),
        contrast,
    )


def frame(study: Analysis) -> pl.DataFrame:
    """Return the rows in full precision; without a metric there are none."""
    return framed(map(_columns, rows(study)), _COLUMNS)


def _columns(row: MetricRow) -> dict[str, Any]:
    effects = [effect for _, effect in row.contrast.effects]
    known, why = row.contrast.estimate, row.contrast.why
    if known and known.error == 0:
        known, why = None, Unknown("no spread", len(effects), len(effects))
    low, high = known.interval() if known else (None, None)
    return {
        **setting_columns(Setting(row.series, row.strength)),
        "metric": row.metric,
        "baseline": row.baseline,
        "mean": row.mean,
        "effect": mean(effects),
        "low": low,
        "high": high,
        "seeds": len(effects),
        "why": contrasts.why(why) or None,
    }
