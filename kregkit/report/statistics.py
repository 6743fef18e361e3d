"""Means, intervals and pooling over seeds and data sets.

Pure functions of numbers. From `FEWEST` seeds on there is an interval,
below there is none: measured coverage of nominal 95 % intervals at n = 5, 10, 20 is
.96, .95, .94 for t, and .83, .90, .92 for the percentile bootstrap.
"""

import math
from collections.abc import Sequence
from operator import mul
from typing import Final, NamedTuple

import numpy as np

FEWEST: Final = 5
LEVEL: Final = 0.95
POWER: Final = 0.8
MOST_SEEDS: Final = 100


class Estimate(NamedTuple):
    """A mean of n values, its standard error and the degrees of freedom of that."""

    n: int
    value: float
    error: float
    freedom: int

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Return value ± t(freedom)·error."""
        half = _quantile((1 + level) / 2, self.freedom) * self.error
        return self.value - half, self.value + half


class Pooled(NamedTuple):
    """Estimates of several data sets together, and where another one's would lie."""

    estimate: Estimate
    spread: float  # τ, the standard deviation of the true effects of data sets
    low: float
    high: float


def mean(values: Sequence[float | None]) -> float | None:
    """Σv/n; null when there is no value or one of them is undefined.

    A mean over the seeds in which a measure happens to be defined would select the
    seeds by their result.
    """
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return None
    return math.fsum(known) / len(known)


def estimate(values: Sequence[float | None], overlap: float = 0.0) -> Estimate | None:
    """The mean m with error s·√(1/n + overlap), s² = Σ(v-m)²/(n-1), freedom n-1.

    Null below `FEWEST` values, and where one is undefined.

    `overlap` is 0 for independent values. Differences between models that were
    trained and tested on redrawn splits of one data set are not independent: the
    training parts overlap, and 1/n alone is too small. Nadeau and Bengio (2003,
    doi:10.1023/A:1024068626366) add n_test/n_train, which is `overlap`.
    """
    center = mean(values)
    n = len(values)
    if center is None or n < FEWEST:
        return None
    squares = math.fsum((v - center) ** 2 for v in values if v is not None)
    error = math.sqrt(squares / (n - 1) * (1 / n + overlap))
    return Estimate(n, center, error, n - 1)


def interval(
    values: Sequence[float | None], overlap: float = 0.0
) -> tuple[float, float] | None:
    """Return the interval of `estimate` at `LEVEL`, where there is one."""
    known = estimate(values, overlap)
    return known.interval() if known else None


def random_effects(estimates: Sequence[Estimate]) -> Pooled:
    """Pool the effects y_i of k >= 2 data sets by weights w_i = 1/(error_i² + τ²).

    τ² is that of Paule and Mandel (1982): Σ w_i (y_i - ȳ)² = k - 1, or 0 where the
    data sets differ by less than their errors. The error is √(1/Σw) with k - 1 degrees
    of freedom: that of Hartung and Knapp (2001, doi:10.1002/sim.1009), whose factor
    Σ w_i (y_i - ȳ)²/(k-1) is 1 with this τ², and is not taken below 1.

    Between `low` and `high`, ȳ ± t(k-2)·√(τ² + error²), the effect of another data set
    is expected (Higgins and others 2009,
    doi:10.1111/j.1467-985X.2008.00552.x); of two data sets they are infinite.
    """
    y = [one.value for one in estimates]
    freedom = len(y) - 1
    # An error of 0 would be an infinite weight; this one changes no digit shown.
    tiny = 1e-12 * max(1.0, *map(abs, y))
    variances = [max(one.error, tiny) ** 2 for one in estimates]
    tau2 = _between(y, variances)
    weights = [1 / (v + tau2) for v in variances]
    center, total = _weighted(y, weights), math.fsum(weights)
    error = math.sqrt(1 / total)
    half = math.inf
    if freedom > 1:
        half = _quantile((1 + LEVEL) / 2, freedom - 1) * math.sqrt(tau2 + error**2)
    pooled = Estimate(len(y), center, error, freedom)
    return Pooled(pooled, math.sqrt(tau2), center - half, center + half)


def detectable(of: Estimate, smallest: float, level: float) -> float:
    """Return the true effect that a study like this one finds in `POWER` of its runs.

    To find it is an estimate of at least `smallest` whose interval at `level` excludes
    0. Both this study's error and that of the other run are estimates with `freedom`
    degrees of freedom: the power is the mean over both.
    """
    from scipy.optimize import brentq
    from scipy.special import chdtri, ndtr

    if of.error == 0:
        return smallest
    grid = (np.arange(64) + 0.5) / 64
    # Standard errors relative to the true one: √(χ²/freedom) at equal probabilities.
    relative = np.sqrt(chdtri(of.freedom, 1 - grid) / of.freedom)
    limit = _quantile((1 + level) / 2, of.freedom) * relative[:, None]
    true = of.error / relative[None, :]  # what the true error may be, given ours
    needed = np.maximum(limit, smallest / true)

    def lacking(effect: float) -> float:
        return float(ndtr(effect / true - needed).mean()) - POWER

    high = smallest + of.error
    while lacking(high) < 0:
        high *= 2
    return float(brentq(lacking, 0.0, high))


def seeds_to_settle(
    of: Estimate, smallest: float, overlap: float, level: float
) -> int | None:
    """Return how many seeds would decide, if effect and spread are as estimated.

    An interval decides when it excludes 0, or, of an estimate below `smallest`, when it
    lies within ±`smallest`. Null: more than `MOST_SEEDS`, or none of any number, as
    where redrawn splits overlap.
    """
    size = abs(of.value)
    margin = size if size >= smallest else smallest - size
    spread = of.error / math.sqrt(1 / of.n + overlap)
    for n in range(of.n, MOST_SEEDS + 1):
        error = spread * math.sqrt(1 / n + overlap)
        if _quantile((1 + level) / 2, n - 1) * error < margin:
            return n
    return None


def log_ratio(value: float | None, base: float | None) -> float | None:
    """log(value/base); null unless both are > 0."""
    if value is None or base is None or value <= 0 or base <= 0:
        return None
    return math.log(value / base)


def difference(value: float | None, base: float | None) -> float | None:
    """(value - base); null unless both are defined."""
    return None if value is None or base is None else value - base


def _quantile(share: float, freedom: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, share))


def _weighted(y: Sequence[float], weights: Sequence[float]) -> float:
    return math.fsum(map(mul, weights, y)) / math.fsum(weights)


def _scatter(y: Sequence[float], weights: Sequence[float]) -> float:
    center = _weighted(y, weights)
    return math.fsum(w * (v - center) ** 2 for w, v in zip(weights, y, strict=True))


def _between(y: Sequence[float], variances: Sequence[float]) -> float:
    """Return τ² of Paule and Mandel."""
    from scipy.optimize import brentq

    def excess(tau2: float) -> float:
        return _scatter(y, [1 / (v + tau2) for v in variances]) - (len(y) - 1)

    if excess(0.0) <= 0:
        return 0.0
    spread = max(y) - min(y)  # with τ this large, the scatter is below k - 1
    return float(brentq(excess, 0.0, spread**2, xtol=1e-14 * spread**2))
