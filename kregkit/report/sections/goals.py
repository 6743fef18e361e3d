"""For every goal what reaches it best, and with which strength to begin, as tables.

A regularizer is recommended only by `recommendations`, and the default entry is
that the study could see no difference.
"""

import math
from collections.abc import Sequence

from kregkit.report.analysis.collapse import collapse_strength
from kregkit.report.analysis.contrasts import Analysis
from kregkit.report.analysis.operating import best, operating
from kregkit.report.analysis.recommendations import Advice, Choice
from kregkit.report.data.tables import kind
from kregkit.report.page.page import Entry, Section, Table
from kregkit.report.statistics import LEVEL, Estimate
from kregkit.report.wording import contrasts, labels, numbers

NOT_KNOWN = "Not known"
NO_DIFFERENCE = "No difference that could be seen"

ENTRIES = (
    "Each row is a goal, and names the regularizers that reach it best. Several in "
    "one entry cannot be told apart: take any of them (the best mean first). Where "
    "“no regularizer” is among them, the entry says that no difference could be "
    f"seen. {NOT_KNOWN}: it was not measured, or in too few seeds for an interval. "
    "“On the kernel” and so on says what the penalty is of; it is trained by the "
    "gradient, but for “(proximal)”: by kregkit's Proximal, which sets weights to "
    "exactly zero. Decoupled: the weight decay of AdamW."
)
"""What the entries of the table of goals mean."""

CROSS_FITTED = (
    "Each seed is at the strength that the other seeds chose in validation: effects "
    "differ from those of the cards where seeds choose differently."
)
"""Why effects here are not those at one strength."""

FIRST = "the strength with the lowest validation data loss"
STRONGEST = "the strongest strength that keeps the validation score"
COLLAPSE = "Where it collapses: half of what the model had learned is lost"

NOTES = (
    "A regularizer is named alone only where its interval against every other one "
    "excludes no difference, and together with those that it cannot be told from "
    f"otherwise: with {100 * LEVEL:.0f} % the true best of a goal is among the named "
    "(multiple comparisons with the best). Scores are compared at the strength with "
    "the lowest validation data loss, all else at the strongest that keeps the "
    "validation score: at equal score, not at equal strength, at which L1 and L2 are "
    "not comparable.",
)
"""What the table of goals means."""


def section(study: Analysis, advices: Sequence[Advice]) -> Section:
    """Return the answer of one study."""
    goals = table(advices, "this study shows", study.tables.facts.regression)
    return Section(
        "every-goal",
        "Every goal, and with which strength to begin",
        "Every goal",
        lead=f"{ENTRIES} {CROSS_FITTED}",
        tables=(goals, begin(study)),
        notes=(*NOTES, "This is one data set and one model."),
    )


def table(advices: Sequence[Advice], shows: str, regression: bool) -> Table:
    """Return the goals and what reaches them; `shows` says who says so."""
    return Table(
        f"For each goal, what {shows} to reach it best",
        ("Goal", "Use", "Against no regularizer", "Why"),
        tuple(_row(advice, regression) for advice in advices),
        leading=4,
        prose=True,
    )


def _row(advice: Advice, regression: bool) -> tuple[Entry, ...]:
    goal, words = advice.goal, labels.GOALS[advice.goal.key]
    name = Entry(words.name)
    if not advice.ties:
        why = "; ".join(map(contrasts.why, advice.why)) or "not measured"
        known = Entry(NOT_KNOWN), Entry(numbers.UNDEFINED)
        return name, *known, Entry(_first_up(f"{why}."))
    use = Entry(named(advice.ties))
    if None in advice.ties:
        seen = _effect(advice, advice.detectable, regression)
        could = f"One of {seen} would have been seen."
        if advice.detectable is None:
            could = "The best is no different in any seed."
        why = (
            f"{words.compared}: none of {advice.among - 1} is shown to beat "
            f"{labels.choice(None)}. {could}"
        )
        effect = Entry(numbers.UNDEFINED)
        return name, use, effect, Entry(_first_up(why))
    effects = "\n".join(
        f"{labels.choice(one)}: {_estimate(advice, advice.effects[one], regression)}"
        for one in advice.ties
    )
    if advice.margin is not None:
        ends = advice.margin if goal.more else advice.margin[::-1]
        low, high = (_effect(advice, end, regression) for end in ends)
        why = f"{words.compared}: ahead of the next by [{low}, {high}]."
    else:
        why = f"{words.compared}: these cannot be told apart."
    return name, use, Entry(effects), Entry(_first_up(why))


def named(ties: Sequence[Choice]) -> str:
    """Return those that tie, one a line, or what is said instead."""
    if not ties:
        return NOT_KNOWN
    return NO_DIFFERENCE if None in ties else "\n".join(map(labels.choice, ties))


def _first_up(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def _estimate(advice: Advice, one: Estimate, regression: bool) -> str:
    low, high = one.interval()
    place = advice.goal.place
    kind = _kind(advice)
    shown = [
        numbers.effect(place.measure, kind, v, regression)
        for v in (one.value, low, high)
    ]
    return f"{shown[0]} [{shown[1]}, {shown[2]}]"


def _effect(advice: Advice, value: float | None, regression: bool) -> str:
    """Return a difference in the direction of the goal."""
    if value is None:
        return numbers.UNDEFINED
    signed = value if advice.goal.more else -value
    return numbers.effect(advice.goal.place.measure, _kind(advice), signed, regression)


def _kind(advice: Advice) -> str:
    return kind(advice.goal.place)


def begin(study: Analysis) -> Table:
    """Return where each series collapses, and what strength to begin with."""
    tables, rows = study.tables, []
    for series in tables.strengths:
        collapse = collapse_strength(tables, series)
        strongest = operating(tables, series)
        lowest = best(tables, [series])[None]
        first = lowest.strength if lowest else None
        tried = tables.strengths[series]
        shares = (
            f"1/{numbers.significant(collapse / own, 2)} of the collapse"
            if collapse and own
            else ""
            for own in (first, strongest.strength)
        )
        rows.append(
            (
                Entry(labels.named(series)),
                *(
                    Entry(numbers.strength(own), _end(own, tried) or share)
                    for own, share in zip(
                        (first, strongest.strength), shares, strict=True
                    )
                ),
                Entry(numbers.strength(_rounded(collapse))),
            )
        )
    return Table(
        f"With which strength to begin: for the score {FIRST}; for sparse weights and "
        f"all else {STRONGEST}. {COLLAPSE}.",
        ("Regularizer", "For the score", "For all else", "Collapses at"),
        tuple(rows),
    )


def _end(strength: float | None, tried: Sequence[float]) -> str:
    """Return whether a strength is an end of the sweep: what is beyond is not known."""
    ends = {tried[0]: "weakest tried", tried[-1]: "strongest tried"}
    return ends.get(strength, "") if strength is not None else ""


def _rounded(value: float | None) -> float | None:
    if value is None:
        return None
    return round(value, 1 - math.floor(math.log10(value)))
