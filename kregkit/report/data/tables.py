"""From a store to tables: means and paired effects over seeds.

A failed trial is counted and enters no mean; an effect compares a
trial with the baseline of its own seed and learning rate, by the difference, and for
norms by the log ratio.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from kregkit.errors import StoreError
from kregkit.report import statistics
from kregkit.report.cells import Place, Series, Setting, StoredTrial, Summary
from kregkit.report.data import function_measures
from kregkit.report.data.end_values import values
from kregkit.report.data.facts import Facts, facts, with_learning_rates
from kregkit.report.data.roles import condensed, undefined_as_null
from kregkit.schema import PROBE
from kregkit.store import Contents, Store

NORMS = frozenset(
    {"l1", "l2", "max_abs", "std", "spectral_norm", *function_measures.RATIOS}
)
TARGETS = ("kernel", "bias", "activity")


@dataclass(frozen=True)
class Tables:
    """Everything that a report says is read from here."""

    facts: Facts
    trials: tuple[StoredTrial, ...]
    strengths: Mapping[Series, tuple[float, ...]]  # of every series, ascending
    layers: tuple[tuple[str, str, str], ...]  # role, layer, tensor; in model order
    values: Mapping[tuple[str, Place], float]  # by trial, at its end, where defined
    rows: pl.DataFrame  # of the finished trials, undefined as null
    finals: pl.DataFrame  # likewise
    tensors: pl.DataFrame

    @cached_property
    def by_setting(self) -> Mapping[Setting, tuple[StoredTrial, ...]]:
        """The trials of every setting, by seed."""
        return _by_setting(self.trials)

    @property
    def compares(self) -> bool:
        """Whether there is a baseline and something to compare with it."""
        return bool(self.strengths)

    @property
    def baselines(self) -> tuple[Setting, ...]:
        """The baselines of the series: one for each learning rate."""
        return tuple(dict.fromkeys(series.baseline for series in self.strengths))

    def done(self, setting: Setting) -> tuple[StoredTrial, ...]:
        """Return the finished trials of a setting, by seed."""
        return tuple(t for t in self.by_setting.get(setting, ()) if not t.failed)

    def by_seed(self, setting: Setting) -> Mapping[int, StoredTrial]:
        """Return the trials of a setting that have a seed."""
        every = self.by_setting.get(setting, ())
        return {trial.seed: trial for trial in every if trial.seed is not None}

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """Everything that was measured of some trial."""
        return tuple(dict.fromkeys(place for _, place in self.values))

    @cached_property
    def cells(self) -> tuple[Summary, ...]:
        """Every cell."""
        return tuple(self.cell(s, p) for s in self.by_setting for p in self.places)

    def cell(self, setting: Setting, place: Place) -> Summary:
        """Return a cell; one that nothing was measured for is undefined."""
        if (setting, place) not in self._known:
            self._known[setting, place] = self._cell(setting, place)
        return self._known[setting, place]

    @cached_property
    def _known(self) -> dict[tuple[Setting, Place], Summary]:
        return {}

    def overlap(self, place: Place) -> float:
        """n_held/n_train where the split is redrawn per seed, else 0.

        It concerns what is computed on held-out rows: the test part; for the
        generalisation gap the validation part; for activations the probe of that.
        """
        held = {"test": "n_test", "val": "n_val"} | function_measures.HELD
        column = held.get(place.measure, held.get(place.measure.split("_")[0]))
        if place.role == "activation":
            column = "probe"
        return 0.0 if column is None else self._overlaps[column]

    @cached_property
    def _overlaps(self) -> Mapping[str, float]:
        if not self.finals["split_redrawn"].any():
            return dict.fromkeys(("n_test", "n_val", "probe"), 0.0)
        sizes = self.finals.select("n_test", "n_val", "n_train").drop_nulls()
        if not sizes.height:
            return dict.fromkeys(("n_test", "n_val", "probe"), 0.0)
        n_test, n_val, n_train = sizes.row(0)
        held = {"n_test": n_test, "n_val": n_val, "probe": min(n_val, PROBE)}
        return {name: rows / n_train for name, rows in held.items()}

    @cached_property
    def pairs(self) -> Mapping[Setting, list[tuple[str, str]]]:
        """The finished trials of every setting, each with the baseline of its seed."""
        base = {
            (trial.setting, trial.seed): trial.trial
            for trial in self.trials
            if trial.setting.series is None and not trial.failed
        }
        return {
            setting: [
                (trial.trial, base[other])
                for trial in self.done(setting)
                if trial.seed is not None and setting.series is not None
                if (other := (setting.baseline, trial.seed)) in base
            ]
            for setting in self.by_setting
        }

    def _cell(self, setting: Setting, place: Place) -> Summary:
        own, done = self.by_setting.get(setting, ()), self.done(setting)
        pairs = self.pairs.get(setting, [])
        of = kind(place)
        compare = statistics.log_ratio if of == "log ratio" else statistics.difference
        value = self.values.get
        effects = [
            compare(value((t, place)), value((base, place))) for t, base in pairs
        ]
        effect = statistics.mean(effects)
        bounds = statistics.interval(effects, self.overlap(place))
        low, high = bounds or (None, None)
        return Summary(
            setting,
            place,
            n=len(done),
            failed=len(own) - len(done),
            mean=statistics.mean([value((t.trial, place)) for t in done]),
            kind=of,
            pairs=len(pairs),
            effect=effect,
            low=low,
            high=high,
            agree=sum(_sign(one) == _sign(effect) for one in effects),
        )


def read(path: Path, skip_unreadable: bool = False) -> Contents:
    """Read a store, the rows part by part as a comparison needs them."""
    store = Store(path)
    if skip_unreadable or not store.compares():
        return store.read(skip_unreadable)
    return store.read(condense=condensed)


def kind(place: Place) -> str:
    """Return how an effect on a measure is expressed."""
    return "log ratio" if place.measure in NORMS else "difference"


def tables(contents: Contents) -> Tables:
    """Return the tables of a store."""
    contents = replace(contents, finals=with_learning_rates(contents))
    trials = _trials(contents.finals)
    finals = undefined_as_null(contents.finals)
    compares = any(trial.setting.series for trial in trials)
    rows = (condensed if compares else undefined_as_null)(contents.rows)
    done = [trial.trial for trial in trials if not trial.failed]
    rows, finals, tensors = (_of(done, f) for f in (rows, finals, contents.tensors))
    strengths: dict[Series, set[float]] = {}
    for trial in trials:
        series, strength = trial.setting[:2]
        if series is not None and strength is not None:
            strengths.setdefault(series, set()).add(strength)
    return Tables(
        facts=facts(contents),
        trials=trials,
        strengths={key: tuple(sorted(strengths[key])) for key in _order(strengths)},
        layers=_layers(rows),
        values=values(rows, finals),
        rows=rows,
        finals=finals,
        tensors=tensors,
    )


def _of(trials: Sequence[str], frame: pl.DataFrame) -> pl.DataFrame:
    """Return what is of these trials; without a copy where all of it is."""
    if frame["trial"].unique().is_in(trials).all():
        return frame
    return frame.filter(pl.col("trial").is_in(trials))


def _by_setting(
    trials: Sequence[StoredTrial],
) -> dict[Setting, tuple[StoredTrial, ...]]:
    found: dict[Setting, list[StoredTrial]] = {}
    for trial in trials:
        found.setdefault(trial.setting, []).append(trial)
    return {setting: tuple(own) for setting, own in found.items()}


def _order(found: Mapping[Series, object]) -> list[Series]:
    def place(series: Series) -> tuple[object, ...]:
        known = series.target in TARGETS
        first = TARGETS.index(series.target) if known else len(TARGETS)
        words = (series.regularizer, series.layers, series.solver, series.parameters)
        return (first, series.learning_rate or 0.0, *(part or "" for part in words))

    return sorted(found, key=place)


def _trials(finals: pl.DataFrame) -> tuple[StoredTrial, ...]:
    def trial(row: Mapping[str, Any]) -> StoredTrial:
        setting = Setting(None, None, row["learning_rate"])
        if row["regularizer"] is not None:
            series = Series(*(row[name] for name in Series._fields))
            setting = Setting(series, row["strength"])
        failed = row["status"] == "failed"
        return StoredTrial(
            row["trial"], setting, row["seed"], failed, row["failed_epoch"]
        )

    ordered = finals.sort("seed", "trial", nulls_last=True)
    trials = tuple(trial(row) for row in ordered.iter_rows(named=True))
    seen: set[tuple[Setting, int]] = set()
    for one in trials:
        if one.seed is not None:
            if (one.setting, one.seed) in seen:
                raise StoreError(f"trial {one.trial} repeats another of its seed")
            seen.add((one.setting, one.seed))
    return trials


def _layers(rows: pl.DataFrame) -> tuple[tuple[str, str, str], ...]:
    measured = rows.filter((pl.col("role") != "model") & (pl.col("layer") != ""))
    places = measured.select("role", "layer", "tensor").unique(maintain_order=True)
    return tuple((role, layer, tensor) for role, layer, tensor in places.iter_rows())


def _sign(value: float | None) -> int | None:
    return None if value is None else (value > 0) - (value < 0)
