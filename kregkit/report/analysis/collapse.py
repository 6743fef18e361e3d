"""Where a regularizer takes away what a model had learned.

A strength has collapsed when half of what the baseline scores above
the majority class is lost, by the mean validation score; there no regularizer is
compared with another.

The loss is the mean over seeds of (baseline - trial) of the same seed. The stored
score of the best constant answer, `majority_score`, is that of the test part; it
stands for that of the validation part, which is drawn from the same rows.
"""

import itertools
import math

from kregkit.report.analysis.operating import VALIDATION
from kregkit.report.cells import Series, Setting, of_model
from kregkit.report.data.tables import Tables

MAJORITY = of_model("majority_score")


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
    loss = _loss(tables, setting)
    if setting.series is None or loss is None or loss <= 0:
        return False
    half = _half(tables, setting.series)
    return half is not None and loss >= half


def viable_strengths(tables: Tables, series: Series) -> list[float]:
    """Return the strengths of a series that have not collapsed."""
    strengths = tables.strengths[series]
    return [x for x in strengths if not collapsed(tables, Setting(series, x))]


def _half(tables: Tables, series: Series) -> float | None:
    """Return half of (baseline - majority); null where there is nothing to lose."""
    base, majority = (
        tables.cell(series.baseline, place).mean for place in (VALIDATION, MAJORITY)
    )
    if base is None or majority is None or base <= majority:
        return None
    return (base - majority) / 2


def _loss(tables: Tables, setting: Setting) -> float | None:
    effect = tables.cell(setting, VALIDATION).effect
    return None if effect is None else -effect
