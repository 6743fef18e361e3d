"""How the measures of W, b and y ran over training, over the seeds of a setting.

The one rule: time is the epoch, or the optimizer step where a trial was measured
more than once in an epoch; 0 is before training.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from kregkit.report import statistics
from kregkit.report.cells import Setting
from kregkit.report.pooling import POOLED, pooled
from kregkit.report.tables import Tables


@dataclass(frozen=True)
class Course:
    """One pooled measure over time: mean, lowest and highest over the seeds."""

    setting: Setting
    role: str
    measure: str
    time: str  # "epoch" or "step"
    moments: tuple[int, ...]
    mean: tuple[float | None, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    ends: tuple[float, ...]  # the seeds at the last moment


def time(rows: pl.DataFrame) -> str:
    """Return "epoch" or "step": what tells the rows of one tensor apart."""
    tensor = rows.select("trial", "layer", "tensor", "epoch")
    return "step" if tensor.is_duplicated().any() else "epoch"


Courses = Mapping[tuple[Setting, str, str], Course]
"""Courses by setting, role and measure."""


def courses(tables: Tables) -> Courses:
    """Return every course."""
    unit = time(tables.rows)
    settings = {trial.trial: trial.setting for trial in tables.trials}
    found: dict[tuple[Setting, str, str], dict[int, list[float | None]]] = {}
    for row in pooled(tables.rows).iter_rows(named=True):
        for measure in POOLED:
            key = (settings[row["trial"]], row["role"], measure)
            moments = found.setdefault(key, {})
            moments.setdefault(row[unit], []).append(row[measure])
    return {key: _course(key, unit, moments) for key, moments in found.items()}


def _course(
    key: tuple[Setting, str, str], unit: str, moments: dict[int, list[float | None]]
) -> Course:
    ordered = [(moment, moments[moment]) for moment in sorted(moments)]
    full = [values if None not in values else [] for _, values in ordered]
    known = [[value for value in values if value is not None] for values in full]
    return Course(
        *key,
        time=unit,
        moments=tuple(moment for moment, _ in ordered),
        mean=tuple(statistics.mean(values) for values in known),
        low=tuple(min(values, default=None) for values in known),
        high=tuple(max(values, default=None) for values in known),
        ends=tuple(known[-1]),
    )
