"""The two claims that are laws: they hold in every trial or the trial shows why not.

A law is checked, not tested: there is no interval, and a trial that is
not at a stationary point is said to be so.

    3. One SGD step of size a subtracts a·2λw under L2 and a·λ·sign(w) under L1.
    7. At a stationary point, with u = -∂(data loss)/∂w: under L1 |u| <= λ where w = 0
       and u = λ·sign(w) elsewhere; under L2 u = 2λw.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from kregkit.report.cells import Series, Setting
from kregkit.report.data.roles import last
from kregkit.report.data.tables import Tables
from kregkit.report.statistics import mean
from kregkit.schema import INSIDE

ENOUGH: Final = 0.9
"""The share of weights that must be within it."""

AT_ONCE: Final = 200
"""Trials whose weights are laid out one a row at a time."""

EXACT: Final = 1e-5
"""The largest error of a step, over λ, that is rounding."""


@dataclass(frozen=True)
class Threshold:
    """Law 7 in one setting, the mean over its seeds."""

    setting: Setting
    share: float | None  # L1: of the weights, those within INSIDE·λ
    slope: float | None  # L2: of u on w, over 2λ

    @property
    def holds(self) -> bool:
        """Whether the setting is at a stationary point."""
        if self.share is not None:
            return self.share >= ENOUGH
        return self.slope is not None and abs(self.slope - 1) <= INSIDE


def steps(tables: Tables) -> Mapping[Series, float]:
    """Return the largest error of law 3 over the trials of a series, over λ."""
    errors = dict(tables.finals.select("trial", "step_law_error").iter_rows())
    found = {}
    for series, strengths in tables.strengths.items():
        own = [
            errors[trial.trial]
            for strength in strengths
            for trial in tables.done(Setting(series, strength))
        ]
        known = [error for error in own if error is not None]
        if known:
            found[series] = max(known)
    return found


def thresholds(tables: Tables) -> tuple[Threshold, ...]:
    """Return law 7 for every setting of L1 and L2 on kernels and biases."""
    found = _by_trial(tables)
    made = []
    for series, strengths in tables.strengths.items():
        if series.regularizer not in ("L1", "L2") or series.target == "activity":
            continue
        column = "share" if series.regularizer == "L1" else "slope"
        for strength in strengths:
            setting = Setting(series, strength)
            own = [found.get(t.trial, {}).get(column) for t in tables.done(setting)]
            value = mean(own)
            if value is not None:
                one = {"share": None, "slope": None} | {column: value}
                made.append(Threshold(setting, **one))
    return tuple(made)


def _by_trial(tables: Tables) -> Mapping[str, Mapping[str, float | None]]:
    """Return the share and the slope of every trial, over what its penalty is on."""
    strengths = tables.finals.select("trial", "strength", role=pl.col("target"))
    penalised = (
        last(tables.rows)
        .filter(pl.col("penalty").is_not_null())
        .select("trial", "layer", "tensor", "role")
        .join(strengths.drop_nulls(), on=["trial", "role"])
    )
    w, u, strength = pl.col("values"), pl.col("u"), pl.col("strength")
    away = (
        pl.when(w == 0)
        .then(u.abs() - strength)  # below 0 inside
        .otherwise((u - strength * w.sign()).abs())
    )
    weight = pl.col("weight")  # how many weights one of a sample stands for
    within = (away <= INSIDE * strength).cast(pl.Float64)
    slope = (u * w * weight).sum() / (w * w * weight).sum()
    trials = penalised["trial"].unique(maintain_order=True)
    found: dict[str, Mapping[str, float | None]] = {}
    for start in range(0, len(trials), AT_ONCE):
        some = penalised.filter(
            pl.col("trial").is_in(trials[start : start + AT_ONCE].implode())
        )
        made = (
            tables.tensors.join(some, on=["trial", "layer", "tensor", "role"])
            .drop_nulls("u")
            .with_columns(weight=pl.col("size") / pl.col("values").list.len())
            .select("trial", "strength", "values", "u", "weight")
            .explode("values", "u")
            .group_by("trial")
            .agg(
                share=(within * weight).sum() / weight.sum(),
                slope=slope / (2 * strength.first()),
            )
        )
        found |= {row["trial"]: row for row in made.iter_rows(named=True)}
    return found
