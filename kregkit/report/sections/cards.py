"""What to use: a card for each goal, with the effect, how sure it is, and the code."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kregkit.known import DECOUPLED
from kregkit.report.analysis.contrasts import Analysis
from kregkit.report.analysis.recommendations import Advice
from kregkit.report.cells import Place, Series, Setting, of_model
from kregkit.report.data.tables import kind
from kregkit.report.page.page import Card, Section
from kregkit.report.wording import contrasts, labels, numbers

SCORE = of_model("test_score")
FIRST = frozenset(
    ("score", "test loss", "overfitting", "sparse weights", "small model", "few inputs")
)
"""The goals whose cards are seen first."""


IMPORTS = (
    "Penalties are in kregkit.regularizers, Proximal in kregkit.optimizers; the study "
    "sets a penalty on every layer that its file names."
)
_NO_ZEROS = "Nothing is exactly zero. Train with the proximal solver to get zeros."
_OF_ZEROS = frozenset(("sparse weights", "small model", "few inputs"))


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
    strength = setting.strength if setting else None
    at = f" at {numbers.rounded(strength)}" if strength is not None else ""
    return Found(
        bool(advice.proven),
        len(advice.ties) - 1,
        f"{labels.choice(leader)}{at}",
        _change(analysis, setting, advice.goal.place),
        " ".join((_sure(analysis, advice), *_higher(advice, leader, best))),
        series,
        strength,
    )


def _higher(advice: Advice, leader: Series, best: Series) -> Iterator[str]:
    """Yield which regularizer has a better mean than the one that is named."""
    if advice.proven and leader != best:
        yield f"{labels.choice(best)} has a better mean, which may be chance."


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
        notes=(IMPORTS,),
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
        optimizer = analysis.tables.facts.optimizer
        code = line_of_code(one.series, one.strength, optimizer)
        if advice.goal.place != SCORE:
            setting = Setting(one.series, one.strength)
            effect += f". Test score: {_change(analysis, setting, SCORE)}"
    return Card(words.name, one.top, f"{effect}.", one.sure, "good", code)


def line_of_code(series: Series, strength: float, optimizer: str = "adam") -> str:
    """Return what to write: kernel_regularizer=L1(5e-4)."""
    amount = numbers.rounded(strength)
    if series.regularizer == DECOUPLED:
        return f"keras.optimizers.AdamW(weight_decay={amount})"
    further = "".join(
        f", {key}={value!r}"
        for key, value in json.loads(series.parameters or "{}").items()
    )
    penalty = f"{series.target}_regularizer={series.regularizer}({amount}{further})"
    proximal = series.solver == "proximal"
    solver = f'optimizer=Proximal("{optimizer}")'
    return f"{penalty}\n{solver}" if proximal else penalty


def _of_study(analysis: Analysis, known: Series) -> Series:
    """Return the series of a study that others know as `known`."""
    return next(
        one
        for one in analysis.tables.strengths
        if known in (one, one._replace(layers=None))
    )


def _change(analysis: Analysis, setting: Setting | None, place: Place) -> str:
    """Return "97.2 % → 97.6 % (+0.4 pt)", at one strength."""
    if setting is None:
        return ""
    tables, regression = analysis.tables, analysis.tables.facts.regression
    cell = tables.cell(setting, place)
    before, after = (
        numbers.plain(place.measure, tables.cell(one, place).mean, regression)
        for one in (setting.baseline, setting)
    )
    effect = numbers.effect(place.measure, cell.kind, cell.effect, regression)
    return f"{before} → {after} ({effect})"


def _sure(analysis: Analysis, advice: Advice) -> str:
    place, regression = advice.goal.place, analysis.tables.facts.regression
    compared = advice.among - 1
    if advice.proven and len(advice.ties) == 1:
        others = numbers.count(compared - 1, "other")
        beaten = f" and than each of {others}" if compared > 1 else ""
        return f"Sure: better than no regularizer{beaten}."
    if advice.proven:
        ties = numbers.count(len(advice.ties) - 1, "other")
        return f"Sure: better than no regularizer. {ties} cannot be told from it."
    if None not in advice.ties:
        return "Some regularizer is better than none, but which one could not be told."
    if advice.detectable is None:
        solvers = {one.solver for one in analysis.tables.strengths}
        if advice.goal.key in _OF_ZEROS and "proximal" not in solvers:
            return _NO_ZEROS
        return "No regularizer made a difference in any seed."
    sign = 1 if advice.goal.more else -1
    seen = sign * advice.detectable
    size = numbers.effect(place.measure, kind(place), seen, regression)
    return (
        f"Could not tell, with {compared} compared at once. A study of this size is "
        f"sure to see {size} or more."
    )


def _first_up(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"
