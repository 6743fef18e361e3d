"""The section of an autoencoder: what penalties do to its code.

What a code costs and what it is like are read at one strength, which the
other seeds chose on validation, so that codes are compared at equal reconstruction.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from kregkit.known import CODE_LAYER
from kregkit.report.analysis import recommendations
from kregkit.report.analysis.contrasts import Analysis
from kregkit.report.analysis.operating import Chosen
from kregkit.report.analysis.recommendations import Goal
from kregkit.report.analysis.verdicts import Contrast
from kregkit.report.cells import About, Place, Series, of_model
from kregkit.report.data.tables import Tables
from kregkit.report.effects import TOLERANCE
from kregkit.report.figures import code
from kregkit.report.page.page import Entry, Section, Statement, Table
from kregkit.report.sections import goals
from kregkit.report.statistics import LEVEL, mean
from kregkit.report.wording import labels, numbers
from kregkit.schema import ACTIVE

COSTS: Final = (0.01, 0.02, 0.05)
"""The validation R² that a code may cost, each a part of the table."""

SCORE: Final = of_model("test_score")
ACTIVE_UNITS: Final = of_model("active_units")
UNUSED: Final = of_model("unused_units")
ZEROS: Final = Place("activation", CODE_LAYER, "activation", "zero_fraction")
HOYER: Final = ZEROS._replace(measure="hoyer")
BUSIEST: Final = of_model("busiest_share")

_COLUMNS: Final = {
    SCORE: "Test R²",
    ACTIVE_UNITS: "Active units per row",
    ZEROS: "Exactly zero",
    HOYER: "Hoyer",
    UNUSED: "Units never active",
    of_model("constant_units"): "Always active",
    BUSIEST: "Busiest tenth's share",
}

GOALS: Final = (
    Goal("few active units", ACTIVE_UNITS, False, "strong"),
    Goal("exact zeros", ZEROS, True, "strong"),
    Goal("no unused units", UNUSED, False, "strong"),
    Goal("evenly used units", BUSIEST, False, "strong"),
)
"""What a code may be wanted for, beside the goals of every study."""


def stored(tables: Tables) -> bool:
    """Return whether the store says how a code is used."""
    return bool(tables.finals["code_usage"].drop_nulls().len())


def section(study: Analysis) -> Section:
    """Return what each penalty does to the code, against the reconstruction."""
    tables = study.tables
    units = len(tables.finals["code_usage"].drop_nulls()[0])
    advices = tuple(recommendations.advise_study(goal, study) for goal in GOALS)
    share = numbers.percent(ACTIVE)
    return Section(
        "code",
        "What the code is like",
        "The code",
        lead=(
            f"The code has {units} units. A unit is active in a row where what it "
            f"contributes, |h|·‖v‖₂ with v its weights into the next layer, is above "
            f"{share} of the largest contribution in that row. Each regularizer is at "
            "the strongest strength that costs at most "
            f"{numbers.points(TOLERANCE, True)} in validation:"
        ),
        statements=tuple(_sayings(study, units)),
        tables=(
            goals.table(advices, "this study shows", tables.facts.regression),
            _matched(study),
        ),
        figures=tuple(code.figures(tables)),
        notes=(
            "Active units, those that are never or always active, and the share of all "
            "activity that the busiest tenth of the units has (a tenth where all are "
            "used alike), are measured on the probe, rows of the validation part. "
            "Exactly zero and Hoyer are of the code's output h itself, which a large "
            "unit with small weights behind it can make look sparse: what counts is "
            "that the columns agree. A unit that is always active may do no more than "
            "a bias does.",
            "Further down, y is the activations of all layers, not of the code alone.",
        ),
    )


class _Seen(NamedTuple):
    """A measure at a choice of strengths: its mean and its effect."""

    value: float | None
    effect: Contrast


def _seen(study: Analysis, series: Series, chosen: Chosen, place: Place) -> _Seen:
    tables = study.tables
    values = []
    for seed, setting in chosen.items():
        trial = (
            tables.by_seed(setting).get(seed) if setting and seed is not None else None
        )
        if seed is not None:
            values.append(tables.values.get((trial.trial, place)) if trial else None)
    effect = study.to_baseline(About(place, series), "rises", 0.0, chosen)
    return _Seen(mean(values), effect)


def _sayings(study: Analysis, units: int) -> Iterator[Statement]:
    tables, every = study.tables, list(study.tables.strengths)
    for base in tables.baselines:
        active, unused, score = (
            numbers.plain(place.measure, tables.cell(base, place).mean, True)
            for place in (ACTIVE_UNITS, UNUSED, SCORE)
        )
        yield Statement(
            labels.setting(base, every).capitalize(),
            f"{active} of {units} units are active in a row, {unused} are never; test "
            f"R² {score}.",
        )
    for series in every:
        chosen = study.strong(series)
        about = labels.named(series)
        if chosen[None] is None:
            yield Statement(about, "No strength of the sweep costs so little.")
            continue
        about += f", strength {_strengths(chosen)}"
        active, unused, score = (
            _worded(_seen(study, series, chosen, place), place)
            for place in (ACTIVE_UNITS, UNUSED, SCORE)
        )
        yield Statement(
            about,
            f"Active in a row: {active}. Never active: {unused}. Test R²: {score}.",
        )


def _worded(seen: _Seen, place: Place) -> str:
    value = numbers.plain(place.measure, seen.value, True)
    effect, bounds = _effect(seen.effect)
    if not effect:
        return value
    return f"{value}, against the baseline {effect} ({100 * LEVEL:.0f} % {bounds})"


def _matched(study: Analysis) -> Table:
    """Return the codes at equal reconstruction, for each cost."""
    tables, every = study.tables, list(study.tables.strengths)
    rows = []
    for base in tables.baselines:
        means = [
            Entry(numbers.plain(place.measure, tables.cell(base, place).mean, True))
            for place in _COLUMNS
        ]
        blank = Entry(numbers.UNDEFINED)
        rows.append((Entry(labels.setting(base, every)), blank, blank, *means))
    for cost in COSTS:
        rows += [_row(study, series, cost) for series in every]
    return Table(
        "Codes at equal reconstruction: the strongest strength that costs at most so "
        "much validation R², chosen by the other seeds; the mean over seeds and, below "
        "it, the effect against the baseline",
        ("Regularizer", "R² given up", "Strength", *_COLUMNS.values()),
        tuple(rows),
        leading=3,
    )


def _row(study: Analysis, series: Series, cost: float) -> tuple[Entry, ...]:
    chosen = study.strong(series, cost)
    lead = Entry(labels.named(series)), Entry(f"{cost:g}")
    whole = chosen[None]
    if whole is None:
        blank = Entry(numbers.UNDEFINED)
        return *lead, Entry("not reached"), *[blank] * len(_COLUMNS)
    edge = whole.strength == study.tables.strengths[series][-1]
    entries = []
    for place in _COLUMNS:
        seen = _seen(study, series, chosen, place)
        note = "\n".join(filter(None, _effect(seen.effect)))
        entries.append(Entry(numbers.plain(place.measure, seen.value, True), note))
    strength = Entry(_strengths(chosen), "strongest tried" if edge else "")
    return *lead, strength, *entries


def _strengths(chosen: Chosen) -> str:
    """Return the strength that was chosen, or the range where seeds differ."""
    known: Sequence[float] = sorted(
        {s.strength for s in chosen.values() if s and s.strength is not None}
    )
    shown = [numbers.strength(one) for one in (known[0], known[-1])]
    return " to ".join(dict.fromkeys(shown))


def _effect(contrast: Contrast) -> tuple[str, str]:
    """Return the effect and its interval; empty where there is none."""
    if contrast.estimate is None:
        return "", ""
    given = (contrast.estimate.value, *contrast.estimate.interval())
    value, low, high = (
        numbers.effect(contrast.measure, contrast.kind, one, True) for one in given
    )
    return value, f"[{low}, {high}]"
