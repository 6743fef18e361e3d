"""The collapse strength: where half of what a model learns is lost.

The one rule: it is a scale for axes and a first guess of a strength, never a verdict.
"""

import math

from kregkit.report.cells import Series, Setting, of_model
from kregkit.report.tables import Tables

TEST_SCORE = of_model("test_score")
MAJORITY = of_model("majority_score")


def collapse_strength(tables: Tables, series: Series) -> float | None:
    """Return where the mean test score falls below (baseline + majority)/2.

    `majority` is the score of the best constant answer, 0 for R². It is interpolated
    in the logarithm of the strength between the first strength below and the one
    before; null where the sweep holds no such pair, or a score is not known.
    """
    base = tables.cell(series.baseline, TEST_SCORE).mean
    constant = tables.cell(series.baseline, MAJORITY).mean
    if base is None or constant is None or base <= constant:
        return None
    half = (base + constant) / 2
    before: tuple[float, float] | None = None
    for strength in tables.strengths[series]:
        score = tables.cell(Setting(series, strength), TEST_SCORE).mean
        if score is None:
            continue
        if score < half:
            return _between(before, (strength, score), half)
        before = strength, score
    return None


def collapsed(tables: Tables, setting: Setting) -> bool:
    """Return whether a setting is at or beyond the collapse strength of its series."""
    if setting.series is None or setting.strength is None:
        return False
    collapse = collapse_strength(tables, setting.series)
    return collapse is not None and setting.strength >= collapse


def _between(
    before: tuple[float, float] | None, after: tuple[float, float], half: float
) -> float | None:
    if before is None:
        return None
    (weak, high), (strong, low) = before, after
    share = (high - half) / (high - low)
    return math.exp(math.log(weak) + share * math.log(strong / weak))
