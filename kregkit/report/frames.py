"""The tables of a report: polars frames, and the same as CSV files in full precision.

Long form, one number per line with what was trained and what was
measured beside it; an undefined number is null, in a file an empty field.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from kregkit.report.analysis.collapse import collapse_strength
from kregkit.report.analysis.operating import Operating
from kregkit.report.cells import Place, Series, Setting, of_model
from kregkit.report.data.end_values import SCORES
from kregkit.report.data.tables import Tables
from kregkit.report.data.trajectories import Trajectories

SETTING = dict.fromkeys(
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
    "cells": {**SETTING, **_PLACE, **_EFFECT},
    "trials": {"trial": pl.String, **SETTING}
    | {"seed": pl.Int64, "failed": pl.Boolean, "failed_epoch": pl.Int64}
    | dict.fromkeys(SCORES, pl.Float64),
    "values": {"trial": pl.String, **_PLACE, "value": pl.Float64},
    "trajectories": {**SETTING, **_PLACE, "time": pl.String, "moment": pl.Int64}
    | dict.fromkeys(("mean", "lowest", "highest"), pl.Float64),
    "operating": {**SETTING, "at_edge": pl.Boolean, "collapse_strength": pl.Float64},
}


NAMES = tuple(_COLUMNS)
MOST = 100_000
"""A table of more rows is not written to a file; `load` has it."""


def size(name: str, tables: Tables, runs: Trajectories) -> int:
    """Return how many rows a table has, without making it."""
    if name == "cells":
        return len(tables.by_setting) * len(tables.places)
    if name == "trajectories":
        return sum(len(course.moments) for course in runs.values())
    return len(tables.values if name == "values" else tables.trials)


def frame(
    name: str, tables: Tables, runs: Trajectories, points: Sequence[Operating]
) -> pl.DataFrame:
    """Return a table; where all learning rates are equal, there is no column."""
    if name == "values":
        return _values(tables)
    rows: Iterable[Mapping[str, Any]] = {
        "cells": lambda: _cells(tables),
        "trials": lambda: _trials(tables),
        "trajectories": lambda: _courses(runs),
        "operating": lambda: _operating(tables, points),
    }[name]()
    return framed(rows, _COLUMNS[name])


def csvs(frames: Mapping[str, pl.DataFrame]) -> Mapping[str, bytes]:
    """Return file name -> content; a table of nothing is left out."""
    return {
        f"tables/{name}.csv": frame.write_csv().encode()
        for name, frame in frames.items()
        if frame.height
    }


def _values(tables: Tables) -> pl.DataFrame:
    trials, places = zip(*tables.values, strict=True) if tables.values else ((), ())
    columns = zip(*places, strict=True) if places else ((),) * len(_PLACE)
    named = dict(zip(_PLACE, columns, strict=True))
    numbers = list(tables.values.values())
    return pl.DataFrame(
        {"trial": trials, **named, "value": numbers}, schema=_COLUMNS["values"]
    )


def _cells(tables: Tables) -> Iterable[dict[str, Any]]:
    for c in tables.cells:
        numbers = {name: getattr(c, name) for name in _EFFECT}
        yield {**setting_columns(c.setting), **c.place._asdict(), **numbers}


def _trials(tables: Tables) -> Iterable[dict[str, Any]]:
    for trial in tables.trials:
        yield {
            "trial": trial.trial,
            **setting_columns(trial.setting),
            "seed": trial.seed,
            "failed": trial.failed,
            "failed_epoch": trial.failed_epoch,
            **{
                name: tables.values.get((trial.trial, of_model(name)))
                for name in SCORES
            },
        }


def _courses(runs: Trajectories) -> Iterable[dict[str, Any]]:
    for course in runs.values():
        for moment, mean, low, high in zip(
            course.moments, course.mean, course.low, course.high, strict=True
        ):
            place = Place(course.role, "", course.role, course.measure)
            yield {
                **setting_columns(course.setting),
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
            **setting_columns(point.setting),
            "at_edge": point.at_edge,
            "collapse_strength": collapse_strength(tables, point.series),
        }


def setting_columns(setting: Setting) -> dict[str, Any]:
    """Return what was trained, as the columns of `SETTING`."""
    series = setting.series or (None,) * len(Series._fields)
    return dict(zip(Series._fields, series, strict=True)) | {
        "strength": setting.strength,
        "learning_rate": setting.baseline.learning_rate,
    }


def framed(
    rows: Iterable[Mapping[str, Any]], columns: Mapping[str, Any]
) -> pl.DataFrame:
    """Return rows as a frame; where all learning rates are equal, without them."""
    frame = pl.DataFrame(list(rows), schema=columns)
    if "learning_rate" in columns and frame["learning_rate"].null_count() == len(frame):
        return frame.drop("learning_rate")  # there is one: no column says so
    return frame
