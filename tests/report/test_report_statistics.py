import math

import numpy as np
import pytest
import scipy.stats

from kregkit.report.statistics import difference, interval, log_ratio, mean


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
