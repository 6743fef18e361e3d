import itertools

import numpy as np
import pytest
from scipy import stats

from experiments.benchmarks import simulated
from helpers.simulated_studies import FINE, drawn
from kregkit.report.analysis.contrasts import Analysis
from kregkit.report.analysis.recommendations import (
    GOALS,
    Advice,
    advise,
    advised,
    candidates,
)
from kregkit.report.cells import Series
from kregkit.report.data.tables import tables


def advices(factor: float) -> dict[str, Advice]:
    contents, _ = drawn(factor, FINE)
    return {one.goal.key: one for one in advised(Analysis(tables(contents)))}


def test_the_one_that_reaches_a_goal_best_is_named() -> None:
    found = advices(3.0)
    winners = {name: one.ties for name, one in found.items() if len(one.ties) == 1}
    for name, target in (
        ("small activations", "activity"),
        ("through the origin", "bias"),
        ("robust to noise", "kernel"),
    ):
        assert winners[name] == (Series(target, "L2", None, "gradient", "{}"),)
    for name in winners:
        margin = found[name].margin
        assert margin is not None
        assert margin[0] > 0


def test_without_an_effect_no_regularizer_is_among_those_that_tie() -> None:
    for one in advices(0.0).values():
        if one.effects:
            assert None in one.ties
            assert one.detectable is not None
            assert one.margin is None


def test_a_goal_whose_measure_is_missing_says_so() -> None:
    one = advices(1.0)["sparse weights"]
    assert one.ties == ()
    assert {why.reason for why in one.why} == {"not defined"}


def test_a_wrong_winner_is_rare() -> None:
    goal = next(goal for goal in GOALS if goal.key == "small activations")
    size, wrong = simulated.Size(8, 1149, 360), 0
    for study in range(40):
        random = np.random.default_rng([study, 9])
        none = dict.fromkeys(simulated.truth(random), 0.0)
        found = Analysis(tables(simulated.contents(random, size, none)))
        wrong += None not in advise(goal, candidates(found, goal), 0.0).ties
    assert wrong <= 5  # P(more) is 0.01 at a rate of 5 %


@pytest.mark.parametrize("name", ["robust to noise", "small activations"])
def test_those_that_tie_are_beaten_by_none_in_any_pair(name: str) -> None:
    contents, _ = drawn(1.5)
    study = Analysis(tables(contents))
    goal = next(goal for goal in GOALS if goal.key == name)
    found = candidates(study, goal)
    values = {key: np.array([e for _, e in c.effects]) for key, c in found.items()}
    values[None] = np.zeros(20)
    overlap = 360 / 1149 if name == "robust to noise" else 0.0
    beaten = set()
    for one, other in itertools.permutations(values, 2):
        difference = values[other] - values[one]  # both goals want less
        error = difference.std(ddof=1) * np.sqrt(1 / 20 + overlap)
        quantile = stats.t.ppf(1 - 0.05 / (len(values) - 1), 19)  # one side
        low = difference.mean() - quantile * error
        if low > 0:
            beaten.add(other)
    assert set(advise(goal, found, overlap).ties) == set(values) - beaten


@pytest.mark.parametrize("seed", range(6))
def test_what_is_proven_beats_no_regularizer_by_its_own_interval(seed: int) -> None:
    contents, _ = drawn(1.5, seed=seed)
    study = Analysis(tables(contents))
    for goal in GOALS:
        found = candidates(study, goal)
        advice = advise(goal, found, study.tables.overlap(goal.place))
        sign = 1 if goal.more else -1
        own = []
        for one in advice.ties:
            if one is not None:
                low, high = advice.effects[one].interval(advice.level)
                own += [one] if (low if sign > 0 else -high) > 0 else []
        assert advice.proven == tuple(own)
