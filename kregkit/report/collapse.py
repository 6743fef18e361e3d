"""Where a regularizer takes away what a model had learned.

The one rule: a strength has collapsed when half of what the baseline scores above
the majority class is lost, by the mean validation score; there no regularizer is
compared with another.

The loss is the mean over seeds of (baseline - trial) of the same seed. The stored
score of the best constant answer, `majority_score`, is that of the test part; it
stands for that of the validation part, which is drawn from the same rows.
"""

import itertools
import math
from collections.abc import Sequence

import polars as pl

from kregkit.report.cells import Series, Setting
from kregkit.report.operating import VALIDATION
from kregkit.report.statistics import mean
from kregkit.report.tables import Tables


def collapse_strength(tables: Tables, series: Series) -> float | None:
    """The strength at which half is lost, interpolated in log strength.

    Between neighbours a and b of the sweep that lose less and at least half,
    log s = log a + (log b - log a)·(half - loss(a))/(loss(b) - loss(a)). Of several
    crossings it is the first. Null where the sweep has none: it ends before, or its
    weakest strength has lost half already.
    """
    half = _half(tables, series)
    if half is None:
        return None
    strengths = tables.strengths[series]
    for a, b in itertools.pairwise(strengths):
        before, after = (_loss(tables, Setting(series, x)) for x in (a, b))
        if before is not None and after is not None and before < half <= after:
            part = (half - before) / (after - before)
            return math.exp(math.log(a) + part * (math.log(b) - math.log(a)))
    return None


def collapsed(tables: Tables, setting: Setting) -> bool:
    """Return whether half is lost in this setting; not where it is not known."""
    if setting.series is None:
        return False
    half, loss = _half(tables, setting.series), _loss(tables, setting)
    return half is not None and loss is not None and loss >= half


def hollow(tables: Tables, group: Sequence[Series]) -> str:
    """Return what a caption says of hollow points, or "" where there are none."""
    return f" Hollow points {_ARE}" if _any(tables, group) else ""


def left_out(tables: Tables, group: Sequence[Series]) -> str:
    """Return what a caption says of what it leaves out, or ""."""
    return f" Not drawn are strengths that {_ARE}" if _any(tables, group) else ""


_ARE = (
    "have collapsed: half of what the baseline scores above the best constant answer "
    "is lost in validation."
)


def _any(tables: Tables, group: Sequence[Series]) -> bool:
    settings = (Setting(s, x) for s in group for x in tables.strengths[s])
    return any(collapsed(tables, setting) for setting in settings)


def _half(tables: Tables, series: Series) -> float | None:
    """Return half of (baseline - majority); null where there is nothing to lose."""
    base = tables.cell(series.baseline, VALIDATION).mean
    done = [trial.trial for trial in tables.done(series.baseline)]
    finals = tables.finals.filter(pl.col("trial").is_in(done))
    majority = mean(finals["majority_score"].to_list())
    if base is None or majority is None or base <= majority:
        return None
    return (base - majority) / 2


def _loss(tables: Tables, setting: Setting) -> float | None:
    effect = tables.cell(setting, VALIDATION).effect
    return None if effect is None else -effect
