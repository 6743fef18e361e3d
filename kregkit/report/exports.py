"""The tables of a report as CSV files, in full precision.

The one rule: long form, one number per line with what was trained and what was
measured beside it; an undefined number is an empty field.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from kregkit.report.cells import Place, Series, Setting
from kregkit.report.operating import Operating
from kregkit.report.tables import Tables
from kregkit.report.trajectories import Courses

NUMBERS = ("n", "failed", "mean", "kind", "pairs", "effect", "low", "high", "agree")


def csvs(
    tables: Tables, runs: Courses, points: Sequence[Operating]
) -> Mapping[str, bytes]:
    """Return file name -> content."""
    made = {
        "cells": (
            {**_setting(c.setting), **c.place._asdict()}
            | {name: getattr(c, name) for name in NUMBERS}
            for c in tables.cells.values()
        ),
        "trials": _trials(tables),
        "values": (
            {"trial": trial, **place._asdict(), "value": value}
            for (trial, place), value in tables.values.items()
        ),
        "trajectories": _courses(runs),
    }
    if points:
        made["operating"] = (
            {**_setting(point.setting), "at_edge": point.at_edge} for point in points
        )
    return {f"tables/{name}.csv": _csv(rows) for name, rows in made.items()}


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


def _setting(setting: Setting) -> dict[str, Any]:
    series = setting.series or (None,) * len(Series._fields)
    own = dict(zip(Series._fields, series, strict=True)) | {
        "strength": setting.strength,
        "learning_rate": setting.baseline.learning_rate,
    }
    if own["learning_rate"] is None:  # there is one: no column says so
        del own["learning_rate"]
    return own


def _csv(rows: Iterable[Mapping[str, Any]]) -> bytes:
    return pl.DataFrame(list(rows), infer_schema_length=None).write_csv().encode()
