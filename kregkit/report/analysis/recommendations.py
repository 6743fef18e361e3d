"""When to use which: for each goal of a reader, the regularizers that reach it best.

A winner is named only where its interval against every other candidate
excludes 0; else those that tie are. "No regularizer" is a candidate like the others,
and what is named is right with 95 % although it is the one that looks best.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from kregkit.report import statistics
from kregkit.report.analysis.contrasts import Study
from kregkit.report.analysis.verdicts import Contrast
from kregkit.report.cells import Place, Series, of_model, whole
from kregkit.report.statistics import LEVEL, Estimate
from kregkit.report.wording import labels

NONE: Final = "no regularizer"


@dataclass(frozen=True)
class Goal:
    """What a reader wants, and the measure that says how far it is reached."""

    name: str
    place: Place
    more: bool  # whether more of it is better
    point: Literal["best", "strong"]
    words: str  # what was compared


GOALS: Final = (
    Goal("Best score", of_model("test_score"), True, "best", "test score"),
    Goal(
        "Sparse weights",
        whole("kernel", "zero_fraction"),
        True,
        "strong",
        "kernel weights exactly zero",
    ),
    Goal(
        "Small model",
        whole("kernel", "unit_zero_fraction"),
        True,
        "strong",
        "kernel weights in units that are zero as a whole and can be cut out",
    ),
    Goal(
        "Few inputs",
        of_model("inputs_ignored"),
        True,
        "strong",
        "inputs whose every weight is exactly zero",
    ),
    Goal(
        "Sparse activations",
        whole("activation", "zero_fraction"),
        True,
        "strong",
        "activations exactly zero",
    ),
    Goal(
        "Small activations",
        whole("activation", "l2"),
        False,
        "strong",
        "‖y‖₂",
    ),
    Goal(
        "Function through the origin",
        of_model("origin_ratio"),
        False,
        "strong",
        "‖f(0)‖₂ over the scale of f",
    ),
    Goal(
        "Robust to noise",
        of_model("noise_cost"),
        False,
        "strong",
        "score lost under input noise",
    ),
)


@dataclass(frozen=True)
class Advice:
    """What reaches a goal; `ties` in the order of the mean, the best first.

    `effects` are those against no regularizer, each with its own interval at LEVEL;
    `margin` the winner's over the runner-up, at `level`, for a single winner;
    `detectable` the difference to no regularizer that the study could have seen, null
    where no trial differs from its baseline.
    """

    goal: Goal
    ties: tuple[str, ...]
    among: int
    effects: Mapping[str, Estimate]
    level: float = LEVEL
    margin: tuple[float, float] | None = None
    detectable: float | None = None
    why: str = ""  # why there is no advice


def advised(study: Study) -> tuple[Advice, ...]:
    """Return the advice of one study for every goal."""
    return tuple(advise_study(goal, study) for goal in GOALS)


def advise_study(goal: Goal, study: Study) -> Advice:
    """Return the advice of one study for a goal."""
    held = study.tables.overlap(goal.place)
    return advise(goal, candidates(study, goal), held)


def candidates(study: Study, goal: Goal) -> dict[str, Contrast]:
    """Return the effect of every series against no regularizer."""
    found = {}
    for series in study.tables.strengths:
        chosen = (
            study.strong(series) if goal.point == "strong" else study.best([series])
        )
        name = _name(series, study.tables.strengths)
        found[name] = study.to_baseline(name, "rises", 0.0, chosen, goal.place)
    return found


def advise(goal: Goal, found: Mapping[str, Contrast], overlap: float) -> Advice:
    """Return the advice of one study."""
    if not any(one.estimate for one in found.values()):
        reasons = dict.fromkeys(one.why for one in found.values() if one.why)
        return Advice(goal, (), 0, {}, why="; ".join(reasons) or "not measured")
    known = {name: one.estimate for name, one in found.items() if one.estimate}
    return _advice(goal, [*known, NONE], known, _pairs(found, overlap))


def in_common(advices: Sequence[Advice]) -> tuple[str, ...]:
    """Return those that no study shows another candidate to be better than.

    Of the studies that have advice, in the order of the first: the best of every data
    set at once, if there is one, is among them.
    """
    told = [one for one in advices if one.ties]
    if not told:
        return ()
    return tuple(n for n in told[0].ties if all(n in one.ties for one in told))


def _pairs(
    found: Mapping[str, Contrast], overlap: float
) -> dict[tuple[str, str], Estimate | None]:
    """Return the difference of every candidate to every other."""
    values = {name: dict(one.effects) for name, one in found.items() if one.estimate}
    if not values:
        return {}
    values[NONE] = dict.fromkeys(set().union(*values.values()), 0.0)
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
    names: Sequence[str],
    effects: Mapping[str, Estimate],
    pairs: Mapping[tuple[str, str], Estimate | None],
) -> Advice:
    """Return those that no other candidate is shown to be better than.

    Multiple comparisons with the best (Hsu 1984, doi:10.1214/aos/1176346732): as long
    as the bounds of the true best against each of the k - 1 others hold, which needs
    k - 1 bounds on one side, no other one is named and it is not left out.
    """
    sign = 1 if goal.more else -1
    level = 1 - 2 * (1 - LEVEL) / (len(names) - 1)

    def margin(one: str, other: str) -> tuple[float, float]:
        difference = pairs.get((one, other))
        if difference is None:
            return -float("inf"), float("inf")
        low, high = difference.interval(level)
        return (low, high) if goal.more else (-high, -low)

    def beaten(name: str) -> bool:
        return any(margin(other, name)[0] > 0 for other in names if other != name)

    def size(name: str) -> float:
        return sign * effects[name].value if name in effects else 0.0

    ties = sorted((n for n in names if not beaten(n)), key=size, reverse=True)
    ordered = sorted(names, key=size, reverse=True)
    seen = None
    if NONE in ties:
        top = ordered[0] if ordered[0] != NONE else ordered[1]
        if effects[top].error:
            seen = statistics.detectable(effects[top], 0.0, level)
    ahead = None
    if len(ties) == 1:
        ahead = margin(ties[0], next(name for name in ordered if name != ties[0]))
    return Advice(goal, tuple(ties), len(names), effects, level, ahead, seen)


def _name(series: Series, among: Sequence[Series] | Mapping[Series, object]) -> str:
    alike = [one for one in among if labels.named(one) == labels.named(series)]
    layers = f" ({series.layers})" if len(alike) > 1 else ""
    return labels.named(series) + layers
