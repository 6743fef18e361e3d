import math

import pytest

from kregkit.report.wording import numbers


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1234.5, "1230"),
        (0.98765, "0.988"),
        (9.999, "10.0"),
        (-0.0123, "−0.0123"),
        (1.234e-7, "1.23e-7"),
        (2.5e9, "2.50e9"),
    ],
)
def test_three_significant_digits(value: float, text: str) -> None:
    assert numbers.significant(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e-5, "1e-5"),
        (3.1622776e-4, "3.162e-4"),
        (0.01, "0.01"),
        (2.0, "2"),
        (None, "–"),
    ],
)
def test_strengths(value: float | None, text: str) -> None:
    assert numbers.strength(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0 %"),
        (1e-6, "<0.1 %"),
        (0.1234, "12.3 %"),
        (0.99999, ">99.9 %"),
        (1.0, "100 %"),
        (None, "–"),
    ],
)
def test_fractions_are_zero_or_all_only_when_they_are(
    value: float | None, text: str
) -> None:
    assert numbers.plain("zero_fraction", value, False) == text


@pytest.mark.parametrize(
    ("measure", "kind", "value", "text"),
    [
        ("l2", "log ratio", math.log(0.5), "−50.0 %"),
        ("l2", "log ratio", math.log(3), "+200.0 %"),
        ("l2", "log ratio", 0.0, "0 %"),
        ("l2", "log ratio", -1e-9, "≈0 %"),
        ("l2", "log ratio", -20.0, "<−99.9 %"),
        ("test_score", "difference", -0.0123, "−1.2 pt"),
        ("near_zero_fraction", "difference", 0.4, "+40.0 pt"),
        ("hoyer", "difference", -8e-17, "≈0"),
        ("test_data_loss", "difference", 0.01234, "+0.012"),
        ("hoyer", "difference", None, "–"),
    ],
)
def test_effects(measure: str, kind: str, value: float | None, text: str) -> None:
    assert numbers.effect(measure, kind, value, False) == text


def test_a_regression_score_is_a_number() -> None:
    assert numbers.plain("test_score", 0.4567, True) == "0.457"
    assert numbers.effect("test_score", "difference", -0.02, True) == "−0.020"
