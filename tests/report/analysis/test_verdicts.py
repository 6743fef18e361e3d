import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from kregkit.report.analysis.verdicts import Contrast, Rule, holm
from kregkit.report.cells import About, BestOf, Unknown, whole
from kregkit.report.statistics import estimate

N = 12


def contrast(
    center: float, half: float, rule: Rule = "rises", smallest: float = 1.0
) -> Contrast:
    """Return a contrast whose own 95 % interval is center ± half."""
    scale = half / (stats.t.ppf(0.975, N - 1) / np.sqrt(N))
    values = np.tile([-1.0, 1.0], N // 2)
    values = center + scale * values / values.std(ddof=1)
    effects = tuple(enumerate(values.tolist()))
    known = estimate([e for _, e in effects])
    about = About(whole("kernel", "l2"), BestOf(("kernel",)))
    return Contrast(about, rule, smallest, "difference", effects, known)


def verdict(*contrasts: Contrast) -> str:
    return holm({"one": contrasts})["one"].verdict


# center, half width, verdict of an effect that rises, that stays, that is not below
CASES = [
    (1.5, 1.0, "supported", "undecided", "supported"),
    (0.9, 0.5, "undecided", "undecided", "supported"),  # excludes 0, but is too small
    (0.3, 0.2, "negligible", "supported", "supported"),  # so too, and is within
    (0.0, 0.9, "negligible", "supported", "supported"),
    (0.0, 1.1, "undecided", "undecided", "undecided"),
    (-0.5, 0.4, "negligible", "supported", "supported"),
    (-0.9, 0.5, "contradicted", "undecided", "undecided"),
    (-2.0, 0.5, "contradicted", "contradicted", "contradicted"),
    (2.0, 0.5, "supported", "contradicted", "supported"),
]


@pytest.mark.parametrize(("center", "half", "rises", "stays", "not_below"), CASES)
def test_an_interval_gives_its_verdict(
    center: float, half: float, rises: str, stays: str, not_below: str
) -> None:
    assert verdict(contrast(center, half, "rises")) == rises
    assert verdict(contrast(-center, half, "falls")) == rises
    assert verdict(contrast(center, half, "stays")) == stays
    assert verdict(contrast(-center, half, "stays")) == stays
    assert verdict(contrast(center, half, "not below")) == not_below


@pytest.mark.parametrize("seed", range(20))
def test_which_claims_are_decided_is_holms_procedure(seed: int) -> None:
    random = np.random.default_rng(seed)
    claims = {
        i: [contrast(float(random.normal(0, 1.2)), 1.0, smallest=1e-9)]
        for i in range(7)
    }
    values = [[e for _, e in own[0].effects] for own in claims.values()]
    p = [stats.ttest_1samp(v, 0.0).pvalue for v in values]
    rejected = multipletests(p, 0.05, method="holm")[0]
    judged = holm(claims)
    assert [judged[i].verdict != "undecided" for i in claims] == rejected.tolist()


def test_the_parts_of_a_claim_share_its_error() -> None:
    parts = [contrast(1.0, 0.1), contrast(2.0, 0.3), contrast(3.0, 0.4)]
    for part in holm({"one": parts, "other": [contrast(0.0, 5.0)]})["one"].parts:
        values = [e for _, e in part.contrast.effects]
        expected = stats.t.interval(
            1 - 0.05 / 2 / 3, N - 1, np.mean(values), stats.sem(values)
        )
        assert (part.low, part.high) == pytest.approx(expected)


SUPPORTED, NONE = contrast(3.0, 0.5), contrast(0.0, 0.1)
AGAINST, OPEN = contrast(-3.0, 0.5), contrast(1.0, 3.0)
UNKNOWN = replace(contrast(0.0, 1.0), estimate=None, why=Unknown("not reached", 2, 12))


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([SUPPORTED, SUPPORTED], "supported"),
        ([SUPPORTED, OPEN], "undecided"),
        ([SUPPORTED, UNKNOWN], "undecided"),
        ([SUPPORTED, NONE], "partly"),
        ([SUPPORTED, AGAINST, OPEN], "partly"),
        ([NONE, OPEN], "negligible"),
        ([UNKNOWN, AGAINST], "contradicted"),
        ([NONE, AGAINST], "contradicted"),
        ([UNKNOWN], "undecided"),
    ],
)
def test_a_claim_holds_when_all_its_parts_do(
    parts: Sequence[Contrast], expected: str
) -> None:
    for order in itertools.permutations(parts):
        assert verdict(*order) == expected


def test_only_what_is_undecided_says_what_could_have_been_seen() -> None:
    found = holm({"one": [SUPPORTED, OPEN, UNKNOWN]})["one"].parts
    assert [part.detectable is not None for part in found] == [False, True, False]
