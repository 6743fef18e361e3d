"""The sections of the two laws, and their rows among the claims.

A law that a trial does not show is said first, with how many do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from kregkit.report.analysis import laws
from kregkit.report.analysis.laws import Threshold
from kregkit.report.analysis.operating import operating
from kregkit.report.cells import Series, Setting
from kregkit.report.data.tables import Tables
from kregkit.report.figures.threshold import threshold
from kregkit.report.page.page import Entry, Section, Table
from kregkit.report.wording import labels, numbers
from kregkit.schema import INSIDE

NOT_TESTED: Final = "Not tested"
NAMES: Final = {3: "The first step", 7: "The threshold"}
SAYS: Final = {
    3: "One SGD step of size a subtracts a·2λw under L2 and a·λ·sign(w) under L1.",
    7: "With u = −∂(data loss)/∂w at the end of training, L1 has |u| ≤ λ where w = 0 "
    "and u = λ·sign(w) elsewhere; L2 has u = 2λw.",
}


@dataclass(frozen=True)
class Checked:
    """A law: its row among the claims, and its section."""

    number: int
    row: tuple[Entry, ...]
    section: Section


def checked(tables: Tables) -> tuple[Checked, ...]:
    """Return both laws."""
    return _first_step(tables), _threshold(tables)


def _first_step(tables: Tables) -> Checked:
    found = laws.steps(tables)
    if not found:
        words = "No trial of L1 or L2 on kernel or bias has measured it."
        return _checked(3, NOT_TESTED, words)
    worst = max(found.values())
    verdict = "Holds" if worst <= laws.EXACT else "Does not hold"
    words = (
        f"In every trial, the largest error over λ is {numbers.significant(worst, 2)}."
    )
    return _checked(3, verdict, words, _step_table(tables, found))


def _step_table(tables: Tables, found: Mapping[Series, float]) -> Table:
    rows = (
        (Entry(labels.named(series)), Entry(numbers.significant(error, 2)))
        for series, error in found.items()
    )
    caption = (
        "The largest difference, over λ, between what the penalty adds to a step and "
        "the law, over all weights, seeds and strengths"
    )
    return Table(caption, ("Regularizer", "Error over λ"), tuple(rows))


def _threshold(tables: Tables) -> Checked:
    found = laws.thresholds(tables)
    if not found:
        words = "No trial of L1 or L2 on kernel or bias has measured u."
        return _checked(7, NOT_TESTED, words)
    holds = sum(one.holds for one in found)
    verdict = "Holds" if holds == len(found) else "Holds in part"
    if holds == 0:
        verdict = "Not at a stationary point"
    words = (
        f"Training ends at a stationary point in {holds} of {len(found)} settings "
        f"(L1: {numbers.percent(laws.ENOUGH)} of the weights within "
        f"{INSIDE:g}·λ; L2: a slope within {numbers.percent(INSIDE)} of 2λ)."
    )
    figures = [
        threshold(tables, operating(tables, series))
        for series in dict.fromkeys(one.setting.series for one in found)
        if series is not None and series.target == "kernel"
    ]
    shown = tuple(figure for figure in figures if figure is not None)
    made = _checked(7, verdict, words, _threshold_table(found))
    return replace(made, section=replace(made.section, figures=shown))


def _threshold_table(found: Sequence[Threshold]) -> Table:
    rows = []
    for one in found:
        share = numbers.UNDEFINED if one.share is None else numbers.percent(one.share)
        slope = (
            numbers.UNDEFINED if one.slope is None else numbers.significant(one.slope)
        )
        rows.append(
            (
                Entry(_name(one.setting)),
                Entry(numbers.strength(one.setting.strength)),
                Entry(share),
                Entry(slope),
                Entry("yes" if one.holds else "no"),
            )
        )
    head = (
        "Regularizer",
        "Strength",
        f"L1: within {INSIDE:g}·λ",
        "L2: slope over 2λ",
        "Stationary",
    )
    caption = "How near to the law training ends, means over seeds"
    return Table(caption, head, tuple(rows), leading=2)


def _name(setting: Setting) -> str:
    return labels.named(setting.series) if setting.series else ""


def _row(number: int, verdict: str, words: str) -> tuple[Entry, ...]:
    return Entry(str(number)), Entry(NAMES[number]), Entry(verdict), Entry(words)


def _checked(number: int, verdict: str, words: str, *tables: Table) -> Checked:
    section = Section(
        f"claim-{number}",
        f"Claim {number}: {NAMES[number]}",
        f"Claim {number}",
        lead=f"“{SAYS[number]}” A law: checked, not tested. {verdict}. {words}",
        tables=tables,
    )
    return Checked(number, _row(number, verdict, words), section)
