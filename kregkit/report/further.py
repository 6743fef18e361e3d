"""The metrics that a study names in `[train] metrics`: a section and a frame.

The one rule: a seed has the strength that the other seeds chose on validation, where
the mean data loss is lowest. No metric takes part in the choice.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from kregkit.report import labels, numbers
from kregkit.report.cells import Series, Setting, of_model
from kregkit.report.contrasts import NO_SPREAD, Study
from kregkit.report.exports import SETTING, framed, setting_columns
from kregkit.report.matched_page import entry
from kregkit.report.page import Entry, Section, Table
from kregkit.report.statistics import LEVEL, mean
from kregkit.report.tables import Tables
from kregkit.report.verdicts import Contrast
from kregkit.schema import METRICS

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


def sections(study: Study) -> Iterator[Section]:
    """Yield the section of the metrics, where the study has any."""
    found = tuple(rows(study))
    if not found:
        return
    every = list(study.tables.strengths)
    yield Section(
        "metrics",
        "Further metrics",
        "Metrics",
        notes=_notes(study.tables),
        tables=(
            Table(
                "The metrics that the study names, on the test part: means over seeds "
                "without a regularizer and at the lowest validation data loss, and "
                "their difference for the same seed",
                (
                    *("Regularizer", "Target", "Strength", "Metric"),
                    *("Baseline", "Regularized", "Difference"),
                ),
                tuple(_entries(row, every) for row in found),
                leading=4,
            ),
        ),
    )


def _notes(tables: Tables) -> tuple[str, ...]:
    known = [name for name in names(tables) if name in METRICS]
    defined = "; ".join(f"{name}: {METRICS[name][1]}" for name in known)
    scaled = (
        "Targets are standardised: errors are in standard deviations of the training "
        "part."
    )
    return (
        "Each seed is at the strength that the other seeds chose by the lowest "
        "validation data loss; the column has that of all seeds. No metric takes part "
        f"in the choice. Each interval is one of {100 * LEVEL:.0f} % by itself. "
        f"{numbers.UNDEFINED}: not defined in some seed, as a ranking of classes where "
        "the test part lacks one.",
        *([f"{defined}."] if known else []),
        *([scaled] if tables.facts.regression else []),
    )


def _entries(row: Row, every: list[Series]) -> tuple[Entry, ...]:
    series, strength = row.series, row.strength
    target = labels.TARGETS.get(series.target, series.target)
    reached = "not reached" if strength is None else numbers.strength(strength)
    means = (
        numbers.UNDEFINED if value is None else numbers.significant(value)
        for value in (row.baseline, row.mean)
    )
    lead = (labels.series(series, every), target, reached, row.metric, *means)
    # As of a regression: R² and all other numbers are no percentages.
    return *map(Entry, lead), entry(row.contrast, regression=True)


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
