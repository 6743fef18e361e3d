"""How the measures of W, b and y ran over training, over the seeds of a setting.

Time is the epoch, or the optimizer step where a trial was measured
more than once in an epoch; 0 is before training.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from kregkit.report import statistics
from kregkit.report.cells import Setting
from kregkit.report.data.roles import POOLED, wholes
from kregkit.report.data.tables import Tables


@dataclass(frozen=True)
class Trajectory:
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


Trajectories = Mapping[tuple[Setting, str, str], Trajectory]
"""Courses by setting, role and measure."""


def courses(tables: Tables) -> Trajectories:
    """Return every course."""
    rows = wholes(tables.rows)
    unit = time(rows)
    places = {setting: i for i, setting in enumerate(tables.by_setting)}
    own = pl.DataFrame(
        {
            "trial": [trial.trial for trial in tables.trials],
            "setting": [places[trial.setting] for trial in tables.trials],
        }
    )
    grouped = (
        rows.select("trial", "role", pl.col(unit).alias("moment"), *POOLED)
        .join(own, on="trial")
        .group_by("setting", "role", "moment", maintain_order=True)
        .agg(pl.col(POOLED))
        .sort("moment", maintain_order=True)
    )
    settings = tuple(places)
    found = {}
    for (place, role), part in grouped.group_by("setting", "role", maintain_order=True):
        setting, moments = settings[int(str(place))], tuple(part["moment"])
        for measure in POOLED:
            key = (setting, str(role), measure)
            found[key] = _course(key, unit, moments, part[measure].to_list())
    return found


def _course(
    key: tuple[Setting, str, str],
    unit: str,
    moments: tuple[int, ...],
    values: list[list[float | None]],
) -> Trajectory:
    known = [
        [one for one in own if one is not None] if None not in own else []
        for own in values
    ]
    return Trajectory(
        *key,
        time=unit,
        moments=moments,
        mean=tuple(statistics.mean(own) for own in known),
        low=tuple(min(own, default=None) for own in known),
        high=tuple(max(own, default=None) for own in known),
        ends=tuple(known[-1]),
    )
