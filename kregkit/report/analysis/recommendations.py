"""When to use which: for each goal of a reader, the regularizers that reach it best.

A winner is named only where its interval against every other candidate
excludes 0; else those that tie are. "No regularizer" is a candidate like the others,
and what is named is right with 95 % although it is the one that looks best.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from kregkit.report import statistics
from kregkit.report.analysis.contrasts import Analysis
from kregkit.report.analysis.verdicts import Contrast
from kregkit.report.cells import (
    About,
    Place,
    Point,
    Series,
    Unknown,
    of_model,
    whole,
    without_layers,
)
from kregkit.report.statistics import LEVEL, Estimate

Choice = Series | None
"""A series, as other studies know it; null: no regularizer."""


@dataclass(frozen=True)
class Goal:
    """What a reader wants, and the measure that says how far it is reached."""

    key: str
    place: Place
    more: bool  # whether more of it is better
    point: Point


GOALS: Final = (
    Goal("score", of_model("test_score"), True, "best"),
    Goal("test loss", of_model("test_data_loss"), False, "best"),
    Goal("overfitting", of_model("generalisation_gap"), False, "strong"),
    Goal("sparse weights", whole("kernel", "zero_fraction"), True, "strong"),
    Goal("small model", whole("kernel", "unit_zero_fraction"), True, "strong"),
    Goal("few inputs", of_model("inputs_ignored"), True, "strong"),
    Goal("sparse activations", whole("activation", "zero_fraction"), True, "strong"),
    Goal("small activations", whole("activation", "l2"), False, "strong"),
    Goal("through the origin", of_model("origin_ratio"), False, "strong"),
    Goal("robust to noise", of_model("noise_cost"), False, "strong"),
)


@dataclass(frozen=True)
class Advice:
    """What reaches a goal; `ties` in the order of the mean, the best first.

    `effects` are those against no regularizer, each with its own interval at LEVEL;
    `margin` the winner's over the runner-up, at `level`, for a single winner;
    `detectable` the difference to no regularizer that the study could have seen, null
    where no trial differs from its baseline. `proven` are those of the ties that are
    shown to be better than no regularizer, in the same order.
    """

    goal: Goal
    ties: tuple[Choice, ...]
    among: int
    effects: Mapping[Choice, Estimate]
    level: float = LEVEL
    margin: tuple[float, float] | None = None
    detectable: float | None = None
    proven: tuple[Series, ...] = ()
    why: tuple[Unknown, ...] = ()  # why there is no advice; none: not measured


def advised(study: Analysis) -> tuple[Advice, ...]:
    """Return the advice of one study for every goal."""
    return tuple(advise_study(goal, study) for goal in GOALS)


def advise_study(goal: Goal, study: Analysis) -> Advice:
    """Return the advice of one study for a goal."""
    held = study.tables.overlap(goal.place)
    return advise(goal, candidates(study, goal), held)


def candidates(study: Analysis, goal: Goal) -> dict[Choice, Contrast]:
    """Return the effect of every series against no regularizer."""
    found: dict[Choice, Contrast] = {}
    for series in study.tables.strengths:
        known = without_layers(series, study.tables.strengths)
        about = About(goal.place, known, None, goal.point)
        chosen = study.at(goal.point, [series])
        found[known] = study.to_baseline(about, "rises", 0.0, chosen)
    return found


def advise(goal: Goal, found: Mapping[Choice, Contrast], overlap: float) -> Advice:
    """Return the advice of one study."""
    known = {name: one.estimate for name, one in found.items() if one.estimate}
    if not known:
        reasons = dict.fromkeys(one.why for one in found.values() if one.why)
        return Advice(goal, (), 0, {}, why=tuple(reasons))
    return _advice(goal, [*known, None], known, _pairs(found, overlap))


def in_common(advices: Sequence[Advice]) -> tuple[Choice, ...]:
    """Return those that no study shows another candidate to be better than.

    Of the studies that have advice, in the order of the first: the best of every data
    set at once, if there is one, is among them.
    """
    told = [one for one in advices if one.ties]
    if not told:
        return ()
    return tuple(n for n in told[0].ties if all(n in one.ties for one in told))


def _pairs(
    found: Mapping[Choice, Contrast], overlap: float
) -> dict[tuple[Choice, Choice], Estimate | None]:
    """Return the difference of every candidate to every other."""
    values = {name: dict(one.effects) for name, one in found.items() if one.estimate}
    if not values:
        return {}
    values[None] = dict.fromkeys(set().union(*values.values()), 0.0)
    pairs = {}
    for one, other in itertools.permutations(values, 2):
        seeds = sorted(values[one].keys() & values[other].keys())
        differences = [
            statistics.difference(values[one][s], values[other][s]) for s in seeds
        ]
        pairs[one, other] = statistics.estimate(differences, overlap)
    return pairs


def _advice(
    goal: Goal,
    names: Sequence[Choice],
    effects: Mapping[Choice, Estimate],
    pairs: Mapping[tuple[Choice, Choice], Estimate | None],
) -> Advice:
    """Return those that no other candidate is shown to be better than.

    Multiple comparisons with the best (Hsu 1984, doi:10.1214/aos/1176346732): as long
    as the bounds of the true best against each of the k - 1 others hold, which needs
    k - 1 bounds on one side, no other one is named and it is not left out.
    """
    sign = 1 if goal.more else -1
    level = 1 - 2 * (1 - LEVEL) / (len(names) - 1)

    def margin(one: Choice, other: Choice) -> tuple[float, float]:
        difference = pairs.get((one, other))
        if difference is None:
            return -float("inf"), float("inf")
        low, high = difference.interval(level)
        return (low, high) if goal.more else (-high, -low)

    def beaten(name: Choice) -> bool:
        return any(margin(other, name)[0] > 0 for other in names if other != name)

    def size(name: Choice) -> float:
        return sign * effects[name].value if name in effects else 0.0

    ties = sorted((n for n in names if not beaten(n)), key=size, reverse=True)
    ordered = sorted(names, key=size, reverse=True)
    seen = None
    if None in ties:
        top = ordered[0] if ordered[0] is not None else ordered[1]
        if effects[top].error:
            seen = statistics.detectable(effects[top], 0.0, level)
    ahead = None
    if len(ties) == 1:
        ahead = margin(ties[0], next(name for name in ordered if name != ties[0]))
    proven = tuple(n for n in ties if n is not None and margin(n, None)[0] > 0)
    return Advice(goal, tuple(ties), len(names), effects, level, ahead, seen, proven)
