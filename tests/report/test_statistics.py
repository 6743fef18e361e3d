import math

import numpy as np
import pytest
import scipy.stats
from statsmodels.stats.meta_analysis import combine_effects

from kregkit.report.statistics import (
    Estimate,
    detectable,
    difference,
    estimate,
    interval,
    log_ratio,
    mean,
    random_effects,
)


@pytest.mark.parametrize("n", [5, 10, 20])
def test_interval_is_the_t_interval_of_scipy(n: int) -> None:
    values = np.random.default_rng(0).normal(0.3, 2.0, n)
    expected = scipy.stats.t.interval(
        0.95, n - 1, loc=values.mean(), scale=scipy.stats.sem(values)
    )
    assert interval(values.tolist()) == pytest.approx(expected, rel=1e-12)


def test_interval_of_five_by_hand() -> None:
    # m = 3, s² = 2.5, t(4) = 2.7764451
    half = 2.7764451051977987 * math.sqrt(2.5 / 5)
    assert interval([1, 2, 3, 4, 5]) == pytest.approx((3 - half, 3 + half))


def test_overlap_adds_to_one_over_n() -> None:
    half = 2.7764451051977987 * math.sqrt(2.5 * (1 / 5 + 0.25))
    assert interval([1, 2, 3, 4, 5], 0.25) == pytest.approx((3 - half, 3 + half))


def test_four_seeds_have_no_interval() -> None:
    assert interval([1.0, 2.0, 3.0, 4.0]) is None


def test_an_undefined_value_leaves_mean_and_interval_undefined() -> None:
    values = [1.0, None, 3.0, 4.0, 5.0, 6.0]
    assert mean(values) is None
    assert interval(values) is None
    assert mean([]) is None


def test_equal_values_have_an_interval_of_no_width() -> None:
    assert interval([0.5] * 5) == (0.5, 0.5)


@pytest.mark.parametrize(("value", "base"), [(0.0, 1.0), (1.0, 0.0), (None, 1.0)])
def test_log_ratio_is_undefined_without_two_positive_values(
    value: float | None, base: float
) -> None:
    assert log_ratio(value, base) is None


def test_effects_by_hand() -> None:
    assert log_ratio(2.0, 1.0) == pytest.approx(0.6931471805599453)
    assert difference(0.25, 1.0) == -0.75
    assert difference(None, 1.0) is None


EFFECTS = {
    "alike": ([0.1, 0.11, 0.09], [0.05, 0.04, 0.06]),
    "apart": ([0.1, 0.6, -0.2, 0.4], [0.05, 0.04, 0.06, 0.1]),
    "two": ([1.0, 2.0], [0.1, 0.2]),
    "one sure": ([0.0, 0.3, 0.5], [1e-4, 0.2, 0.3]),
}


@pytest.mark.parametrize("case", EFFECTS)
def test_pooling_is_that_of_statsmodels(case: str) -> None:
    effects, errors = EFFECTS[case]
    estimates = [Estimate(9, y, e, 8) for y, e in zip(effects, errors, strict=True)]
    pooled = random_effects(estimates)
    expected = combine_effects(
        np.array(effects), np.square(errors), method_re="iterated", use_t=True
    )
    assert pooled.spread**2 == pytest.approx(expected.tau2, rel=1e-5, abs=1e-9)
    assert pooled.estimate.value == pytest.approx(expected.mean_effect_re, rel=1e-5)
    larger = max(expected.sd_eff_w_re_hksj, math.sqrt(expected.var_eff_w_re))
    assert pooled.estimate.error == pytest.approx(larger, rel=1e-5)
    assert pooled.estimate.freedom == len(effects) - 1


def test_another_data_set_is_expected_between_low_and_high() -> None:
    random = np.random.default_rng(0)
    inside = 0
    for _ in range(400):
        true = random.normal(0.5, 0.3, 7)
        own = [Estimate(20, random.normal(t, 0.1), 0.1, 19) for t in true[:6]]
        pooled = random_effects(own)
        inside += pooled.low <= true[6] <= pooled.high
    assert 0.91 < inside / 400 < 0.985


@pytest.mark.parametrize("smallest", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("n", [5, 20])
def test_what_is_detectable_is_found_in_four_of_five_runs(
    n: int, smallest: float
) -> None:
    random, level, found, runs = np.random.default_rng(n), 0.99, 0, 2000
    for _ in range(runs):
        first = estimate(random.normal(0, 0.5, n).tolist())
        assert first is not None
        true = detectable(first, smallest, level)
        again = estimate(random.normal(true, 0.5, n).tolist())
        assert again is not None
        found += again.value >= smallest and again.interval(level)[0] > 0
    assert 0.77 < found / runs < 0.86
