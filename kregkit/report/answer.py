"""The first section of a page: when to use which, and with which strength to begin.

The one rule: a regularizer is recommended only by `usage`, and the default entry is
that the study could see no difference.
"""

import math
from collections.abc import Sequence

from kregkit.report import labels, numbers
from kregkit.report.collapse import collapse_strength
from kregkit.report.contrasts import Study
from kregkit.report.operating import best, operating
from kregkit.report.page import Entry, Section, Table
from kregkit.report.statistics import LEVEL, Estimate
from kregkit.report.tables import kind
from kregkit.report.usage import NONE, Advice

MOST = 4
"""How many of those that tie are named."""


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


def section(study: Study, advices: Sequence[Advice]) -> Section:
    """Return the answer of one study."""
    goals = table(advices, "this study shows", study.tables.facts.regression)
    return Section(
        "answer",
        "When to use which",
        "When to use which",
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
    goal = advice.goal
    if not advice.ties:
        return (
            Entry(goal.name),
            Entry("Not known"),
            Entry(numbers.UNDEFINED),
            Entry(f"{advice.why[:1].upper()}{advice.why[1:]}."),
        )
    named = [name for name in advice.ties if name != NONE][:MOST]
    left = len([name for name in advice.ties if name != NONE]) - len(named)
    more = f", or {left} more" if left > 0 else ""
    if NONE in advice.ties:
        use = Entry("No difference that could be seen")
        seen = _effect(advice, advice.detectable, regression)
        could = f"One of {seen} would have been seen."
        if advice.detectable is None:
            could = "The best is no different in any seed."
        why = (
            f"{goal.words}: none of {advice.among - 1} is shown to beat {NONE}. {could}"
        )
        effect = Entry(numbers.UNDEFINED)
        return Entry(goal.name), use, effect, Entry(_first_up(why))
    effects = "\n".join(_estimate(advice, advice.effects[n], regression) for n in named)
    if advice.margin is not None:
        ends = advice.margin if goal.more else advice.margin[::-1]
        low, high = (_effect(advice, end, regression) for end in ends)
        why = f"{goal.words}: ahead of the next by [{low}, {high}]."
    else:
        why = f"{goal.words}: these cannot be told apart."
    use = Entry("\n".join(named) + more)
    return Entry(goal.name), use, Entry(effects), Entry(_first_up(why))


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


def begin(study: Study) -> Table:
    """Return where each series collapses, and what strength to begin with."""
    tables, rows = study.tables, []
    for series in tables.strengths:
        collapse = collapse_strength(tables, series)
        strongest = operating(tables, series)
        lowest = best(tables, [series])[None]
        first = lowest.strength if lowest else None
        share = ""
        if collapse and first:
            share = f"1/{numbers.significant(collapse / first, 2)} of the collapse"
        rows.append(
            (
                Entry(labels.named(series)),
                Entry(numbers.strength(first), share),
                Entry(
                    numbers.strength(strongest.strength),
                    "strongest tried" if strongest.at_edge else "",
                ),
                Entry(numbers.strength(_rounded(collapse))),
            )
        )
    return Table(
        "With which strength to begin: the one with the lowest validation data loss. "
        "At the collapse strength half of what the model learned is lost.",
        ("Regularizer", "Begin with", "Keeps the score up to", "Collapses at"),
        tuple(rows),
    )


def _rounded(value: float | None) -> float | None:
    if value is None:
        return None
    return round(value, 1 - math.floor(math.log10(value)))
