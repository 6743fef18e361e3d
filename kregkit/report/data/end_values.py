"""What was measured of every finished trial at its end, by trial and place.

A number that is not defined is not here. There are millions of them in a
large store: a place is one array over the trials, with nan where it is not defined.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kregkit.report.cells import Place, of_model
from kregkit.report.data import function_measures
from kregkit.report.data.roles import POOLED, last, wholes
from kregkit.schema import MEASURES

PARTS = ("train", "val", "test")
SCORES = tuple(
    f"{part}_{measure}" for part in PARTS for measure in ("score", "data_loss")
)


class Values(Mapping[tuple[str, Place], float]):
    """Numbers by (trial, place)."""

    def __init__(self, trials: Sequence[str]) -> None:
        self._trials = tuple(trials)
        self._index = {trial: i for i, trial in enumerate(trials)}
        self._columns: dict[Place, NDArray[np.float64]] = {}

    def put(self, place: Place, trials: Sequence[str], numbers: pl.Series) -> None:
        """Add the numbers of a place, null where they are not defined."""
        known = numbers.is_not_null().to_numpy()
        if known.any():
            column = self._column(place)
            rows = np.array([self._index[trial] for trial in trials])
            column[rows[known]] = numbers.drop_nulls().to_numpy()

    def put_one(self, place: Place, trial: str, number: float) -> None:
        """Add one number."""
        self._column(place)[self._index[trial]] = number

    def _column(self, place: Place) -> NDArray[np.float64]:
        if place not in self._columns:
            self._columns[place] = np.full(len(self._trials), np.nan)
        return self._columns[place]

    def __getitem__(self, key: tuple[str, Place]) -> float:
        trial, place = key
        number = float(self._columns[place][self._index[trial]])
        if math.isnan(number):
            raise KeyError(key)
        return number

    def __iter__(self) -> Iterator[tuple[str, Place]]:
        for place, column in self._columns.items():
            for i in np.flatnonzero(~np.isnan(column)):
                yield self._trials[i], place

    def __len__(self) -> int:
        return sum(int((~np.isnan(one)).sum()) for one in self._columns.values())


def values(rows: pl.DataFrame, finals: pl.DataFrame) -> Values:
    """Return what the rows of the last moment and the finals hold."""
    made = Values(finals["trial"].to_list())
    ends = last(rows)
    layers = ends.filter((pl.col("role") != "model") & (pl.col("layer") != ""))
    for frame, measures in ((wholes(ends), POOLED), (layers, tuple(MEASURES))):
        parts = frame.partition_by("role", "layer", "tensor", as_dict=True)
        for (role, layer, tensor), part in parts.items():
            trials = part["trial"].to_list()
            for measure in measures:
                place = Place(str(role), str(layer), str(tensor), measure)
                made.put(place, trials, part[measure])
    for row in finals.iter_rows(named=True):
        scores = {name: row[name] for name in SCORES}
        for measure, value in (scores | function_measures.measures(row)).items():
            if value is not None:
                made.put_one(of_model(measure), row["trial"], value)
        for place, value in (*function_measures.magnitudes(row), *_metrics(row)):
            made.put_one(place, row["trial"], value)
    return made


def _metrics(row: Mapping[str, Any]) -> Iterator[tuple[Place, float]]:
    """Yield the metrics that a row of `finals` holds, as test_accuracy and so on."""
    for part in PARTS if row["metric_names"] else ():
        found = zip(row["metric_names"], row[f"{part}_metrics"], strict=True)
        for name, value in found:
            if value is not None:
                yield of_model(f"{part}_{name}"), value
