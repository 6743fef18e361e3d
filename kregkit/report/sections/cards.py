"""What to use: a card for each goal, with the effect, how sure it is, and the code."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from kregkit.known import DECOUPLED
from kregkit.report.analysis.contrasts import Analysis
from kregkit.report.analysis.recommendations import Advice
from kregkit.report.cells import Series
from kregkit.report.data.tables import kind
from kregkit.report.page.page import Card, Section
from kregkit.report.wording import contrasts, labels, numbers

FIRST = frozenset(
    ("score", "test loss", "overfitting", "sparse weights", "small model", "few inputs")
)
"""The goals whose cards are seen first."""


_NO_ZEROS = "Nothing is exactly zero. Train with the proximal solver to get zeros."
_UNMOVED = dict.fromkeys(("sparse weights", "small model", "few inputs"), _NO_ZEROS)
"""Why no regularizer made a difference in any seed."""


@dataclass(frozen=True)
class Found:
    """What a study found for a goal, in words.

    `top` is the regularizer with the best mean; if some are shown to beat no
    regularizer and nothing beats them, the best of these, and `clear`. Of it are
    `effect`, series and strength. `others` cannot be told from it.
    """

    clear: bool
    others: int
    top: str
    effect: str
    sure: str
    series: Series | None
    strength: float | None


def found(analysis: Analysis, advice: Advice) -> Found:
    """Return what a study found for a goal."""
    known = {one: e for one, e in advice.effects.items() if one is not None}
    if not known:
        reasons = "; ".join(map(contrasts.why, advice.why)) or "it was not measured"
        return Found(False, 0, "", "", _first_up(f"{reasons}."), None, None)
    sign = 1 if advice.goal.more else -1
    best = max(known, key=lambda one: sign * known[one].value)
    leader: Series = advice.proven[0] if advice.proven else best
    series = _of_study(analysis, leader)
    setting = analysis.at(advice.goal.point, [series])[None]
    return Found(
        bool(advice.proven),
        len(advice.ties) - 1,
        labels.choice(leader),
        _change(analysis, advice, series),
        _sure(analysis, advice),
        series,
        setting.strength if setting else None,
    )


def section(analysis: Analysis, advised: Sequence[Advice], *folded: Section) -> Section:
    """Return a card for each goal; those of few readers are folded."""
    made = {one.goal.key: card(analysis, one) for one in advised}
    more = tuple(card for key, card in made.items() if key not in FIRST)
    others = Section("goals", "More goals", "More goals", cards=more)
    return Section(
        "use",
        "What to use",
        "What to use",
        cards=tuple(card for key, card in made.items() if key in FIRST),
        folded=(others, *folded),
    )


def card(analysis: Analysis, advice: Advice) -> Card:
    """Return the card of a goal."""
    words = labels.GOALS[advice.goal.key]
    one = found(analysis, advice)
    effect = f"{_first_up(words.compared)}: {one.effect}" if one.effect else ""
    if not one.clear:
        choice = "No clear winner" if one.top else "Not known"
        under = f"{effect} under {one.top}." if one.top else ""
        return Card(words.name, choice, under, one.sure, "unclear")
    code = ""
    if one.series is not None and one.strength is not None:
        code = line_of_code(one.series, one.strength)
    return Card(words.name, one.top, effect, one.sure, "good", code)


def line_of_code(series: Series, strength: float) -> str:
    """Return what to write: kernel_regularizer=kregkit.regularizers.L1(5e-4)."""
    amount = numbers.rounded(strength)
    if series.regularizer == DECOUPLED:
        return f"keras.optimizers.AdamW(weight_decay={amount})"
    further = "".join(
        f", {name}={value!r}"
        for name, value in json.loads(series.parameters or "{}").items()
    )
    penalty = f"{series.target}_regularizer={series.regularizer}({amount}{further})"
    proximal = series.solver == "proximal"
    return f'{penalty}, optimizer=Proximal("adam")' if proximal else penalty


def _of_study(analysis: Analysis, known: Series) -> Series:
    """Return the series of a study that others know as `known`."""
    return next(
        one
        for one in analysis.tables.strengths
        if known in (one, one._replace(layers=None))
    )


def _change(analysis: Analysis, advice: Advice, series: Series) -> str:
    """Return "97.2 % → 97.6 % (+0.4 pt)"."""
    place, regression = advice.goal.place, analysis.tables.facts.regression
    chosen = analysis.at(advice.goal.point, [series])
    base = {s: one.baseline if one else None for s, one in chosen.items()}
    before, after = (
        numbers.plain(place.measure, analysis.mean(own, place), regression)
        for own in (base, chosen)
    )
    known = next(k for k in advice.effects if k and _of_study(analysis, k) == series)
    value = advice.effects[known].value
    effect = numbers.effect(place.measure, kind(place), value, regression)
    return f"{before} → {after} ({effect})"


def _sure(analysis: Analysis, advice: Advice) -> str:
    place, regression = advice.goal.place, analysis.tables.facts.regression
    others = advice.among - 1
    if advice.proven and len(advice.ties) == 1:
        return f"Sure: better than no regularizer and each of {others - 1} others."
    if advice.proven:
        ties = numbers.count(len(advice.ties) - 1, "other")
        return f"Sure: better than no regularizer. {ties} cannot be told from it."
    if None not in advice.ties:
        return "Some regularizer is better than none, but which one could not be told."
    if advice.detectable is None:
        return _UNMOVED.get(advice.goal.key, "No regularizer made a difference.")
    sign = 1 if advice.goal.more else -1
    seen = sign * advice.detectable
    size = numbers.effect(place.measure, kind(place), seen, regression)
    return (
        f"Could not tell, with {others} compared at once: the best mean is above, "
        f"and an effect of {size} would have been seen."
    )


def _first_up(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"
