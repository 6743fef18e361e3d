"""The tables of a report: polars frames, and the same as CSV files in full precision.

The one rule: long form, one number per line with what was trained and what was
measured beside it; an undefined number is null, in a file an empty field.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from kregkit.report.cells import Place, Series, Setting
from kregkit.report.collapse import collapse_strength
from kregkit.report.operating import Operating
from kregkit.report.tables import Tables
from kregkit.report.trajectories import Courses

_SETTING = dict.fromkeys(
    ("target", "regularizer", "layers", "solver", "parameters"), pl.String
) | {"learning_rate": pl.Float64, "strength": pl.Float64}
_PLACE = dict.fromkeys(Place._fields, pl.String)
_EFFECT: Mapping[str, Any] = (
    dict.fromkeys(("n", "failed"), pl.Int64)
    | {"mean": pl.Float64, "kind": pl.String, "pairs": pl.Int64}
    | dict.fromkeys(("effect", "low", "high"), pl.Float64)
    | {"agree": pl.Int64}
)
_COLUMNS: Mapping[str, Mapping[str, Any]] = {
    "cells": {**_SETTING, **_PLACE, **_EFFECT},
    "trials": {"trial": pl.String, **_SETTING}
    | {"seed": pl.Int64, "failed": pl.Boolean, "failed_epoch": pl.Int64},
    "values": {"trial": pl.String, **_PLACE, "value": pl.Float64},
    "trajectories": {**_SETTING, **_PLACE, "time": pl.String, "moment": pl.Int64}
    | dict.fromkeys(("mean", "lowest", "highest"), pl.Float64),
    "operating": {**_SETTING, "at_edge": pl.Boolean, "collapse_strength": pl.Float64},
}


def frames(
    tables: Tables, runs: Courses, points: Sequence[Operating]
) -> Mapping[str, pl.DataFrame]:
    """Return every table by its name; where all learning rates are equal, no column."""
    made: Mapping[str, Iterable[Mapping[str, Any]]] = {
        "cells": (
            {**_setting(c.setting), **c.place._asdict()}
            | {name: getattr(c, name) for name in _EFFECT}
            for c in tables.cells
        ),
        "trials": _trials(tables),
        "values": (
            {"trial": trial, **place._asdict(), "value": value}
            for (trial, place), value in tables.values.items()
        ),
        "trajectories": _courses(runs),
        "operating": _operating(tables, points),
    }
    return {name: _frame(rows, _COLUMNS[name]) for name, rows in made.items()}


def csvs(frames: Mapping[str, pl.DataFrame]) -> Mapping[str, bytes]:
    """Return file name -> content; a table of nothing is left out."""
    return {
        f"tables/{name}.csv": frame.write_csv().encode()
        for name, frame in frames.items()
        if frame.height
    }


def _trials(tables: Tables) -> Iterable[dict[str, Any]]:
    for trial in tables.trials:
        yield {
            "trial": trial.trial,
            **_setting(trial.setting),
            "seed": trial.seed,
            "failed": trial.failed,
            "failed_epoch": trial.failed_epoch,
        }


def _courses(runs: Courses) -> Iterable[dict[str, Any]]:
    for course in runs.values():
        for moment, mean, low, high in zip(
            course.moments, course.mean, course.low, course.high, strict=True
        ):
            place = Place(course.role, "", course.role, course.measure)
            yield {
                **_setting(course.setting),
                **place._asdict(),
                "time": course.time,
                "moment": moment,
                "mean": mean,
                "lowest": low,
                "highest": high,
            }


def _operating(tables: Tables, points: Sequence[Operating]) -> Iterable[dict[str, Any]]:
    for point in points:
        yield {
            **_setting(point.setting),
            "at_edge": point.at_edge,
            "collapse_strength": collapse_strength(tables, point.series),
        }


def _setting(setting: Setting) -> dict[str, Any]:
    series = setting.series or (None,) * len(Series._fields)
    return dict(zip(Series._fields, series, strict=True)) | {
        "strength": setting.strength,
        "learning_rate": setting.baseline.learning_rate,
    }


def _frame(
    rows: Iterable[Mapping[str, Any]], columns: Mapping[str, Any]
) -> pl.DataFrame:
    frame = pl.DataFrame(list(rows), schema=columns)
    if "learning_rate" in columns and frame["learning_rate"].null_count() == len(frame):
        return frame.drop("learning_rate")  # there is one: no column says so
    return frame
