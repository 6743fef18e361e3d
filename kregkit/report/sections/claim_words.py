"""Where a claim is measured and what counts, in sentences made of its declaration."""

import math

from kregkit.report.analysis.claims import Claim, Hypothesis
from kregkit.report.cells import Point
from kregkit.report.data.tables import kind
from kregkit.report.effects import TOLERANCE, Points
from kregkit.report.wording import contrasts, numbers

POINTS: dict[Point, str] = {
    "strong": "the strongest strength that keeps the mean validation score within "
    f"{numbers.points(TOLERANCE)} of the baseline's",
    "best": "the strength with the lowest validation data loss",
}
"""What the operating points are."""


def where(claim: Claim) -> str:
    """Return the operating points of a claim."""
    return "; and ".join(POINTS[p] for p in dict.fromkeys(h.point for h in claim.parts))


def counts(claim: Claim) -> str:
    """Return the smallest effects that count: "‖W‖₂ and ‖b‖₂ fall by at least 10 %"."""
    asked: dict[tuple[str, str], dict[str, None]] = {}
    for one in (*claim.parts, *claim.further):
        asked.setdefault(_needed(one), {})[_subject(one)] = None
    told = "; ".join(_sentence(*how, [*subjects]) for how, subjects in asked.items())
    instead = " and ".join(map(_subject, claim.instead))
    if not instead:
        return told
    return f"{told}; in a study without the proximal solver in the {instead}"


def _sentence(before: str, after: str, subjects: list[str]) -> str:
    verb, *rest = after.split(" ", 1)
    if len(subjects) > 1 and not before:
        after = " ".join((verb.removesuffix("s"), *rest))
    listed = " and ".join(filter(None, (", ".join(subjects[:-1]), subjects[-1])))
    return f"{before}{listed} {after}".strip()


def _subject(one: Hypothesis) -> str:
    measured = contrasts.quantity(one.place)
    if one.rule == "stays":
        return f"{measured} under {one.one.regularizer} on the {one.one.targets[0]}"
    return measured


def _needed(one: Hypothesis) -> tuple[str, str]:
    """Return what a sentence says before its subjects, and after them."""
    size = _size(one)
    if one.rule == "stays":
        return "", f"stays within {size}"
    if one.rule == "not below":
        return "the ", f"is at most {size} below that of the best other"
    if one.other is not None:
        names = one.one.regularizer, one.other.regularizer
        return f"{names[0]} exceeds {names[1]} by at least {size} in the ", ""
    return "", f"{one.rule} by at least {size}"


def _size(one: Hypothesis) -> str:
    if isinstance(one.smallest, Points):
        return numbers.points(one.smallest)
    if kind(one.place) == "log ratio":
        return f"{abs(100 * math.expm1(_signed(one))):.0f} %"
    if one.place.measure in numbers.FRACTIONS:
        return f"{100 * one.smallest:g} point" + "s" * (one.smallest != 0.01)
    return f"{one.smallest:g}"


def _signed(one: Hypothesis) -> float:
    assert not isinstance(one.smallest, Points)
    return -one.smallest if one.rule == "falls" else one.smallest
