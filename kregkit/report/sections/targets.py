"""The sections of a comparison: what was seen, then one section per target.

The baseline is a row of every table, and an entry is a cell's mean
with its effect below it.
"""

import itertools
from collections.abc import Iterator, Sequence

from kregkit.report.analysis.collapse import collapse_strength
from kregkit.report.analysis.operating import Operating
from kregkit.report.cells import Place, Setting, Summary, role_of, whole
from kregkit.report.data.function_measures import GAP
from kregkit.report.data.tables import Tables
from kregkit.report.data.trajectories import Trajectories
from kregkit.report.figures.for_target import of_target
from kregkit.report.page.page import Details, Entry, Section, Table
from kregkit.report.sections import sentences
from kregkit.report.wording import labels, numbers

SCORES = ("test_score", "test_data_loss", GAP)
POOLED = ("l2", "l1", "zero_fraction", "near_zero_fraction", "hoyer")
SPARSITIES = ("zero_fraction", "near_zero_fraction", "hoyer")
MOST_ROWS = 2000
"""With more rows than this a target has no tables layer by layer."""

PER_LAYER = (
    *POOLED,
    "unit_zero_fraction",
    "input_zero_fraction",
    "dead_unit_fraction",
)


def sections(
    tables: Tables, runs: Trajectories, points: Sequence[Operating]
) -> Iterator[Section]:
    """Return the answer and then each target's tables and figures."""
    yield Section(
        "seen",
        "What this study saw",
        "What this study saw",
        lead=sentences.lead(tables),
        statements=sentences.statements(tables, points),
        notes=sentences.notes(tables),
        tables=(glance(tables, points),),
    )
    for target in dict.fromkeys(series.target for series in tables.strengths):
        own = [point for point in points if point.series.target == target]
        where = labels.TARGETS.get(target, target)
        yield Section(
            f"target-{target}",
            f"Regularizing {where}",
            labels.SHORT.get(target, target),
            tables=tuple(_pooled_tables(tables, target)),
            notes=(*_unequal(tables, target), *_layers_left_out(tables, target)),
            figures=of_target(tables, runs, own, target),
            details=tuple(_per_layer(tables, target)),
        )


def glance(tables: Tables, points: Sequence[Operating]) -> Table:
    """Return every series at its operating point, each target after its baseline."""
    model = [Place("model", "", "model", name) for name in ("test_score", GAP)]
    common = [*model, *(whole(role, "l2") for role in labels.TENSORS)]
    blank = Entry(numbers.UNDEFINED)
    rows = []
    seen: set[tuple[str, Setting]] = set()
    for point in points:
        role = role_of(point.series.target)
        places = [*common, *(whole(role, name) for name in SPARSITIES)]
        target = Entry(labels.symbol(role))
        base, every = point.series.baseline, list(tables.strengths)
        if (role, base) not in seen:
            entries = [_entry(tables, base, place) for place in places]
            rows.append((Entry(labels.setting(base, every)), target, blank, *entries))
            seen.add((role, base))
        name = Entry(labels.series(point.series, every))
        if point.strength is None:
            rows.append((name, target, Entry("not reached"), *[blank] * len(places)))
            continue
        edge = "strongest tried" if point.at_edge else ""
        strength = Entry(numbers.strength(point.strength), edge)
        entries = [_entry(tables, point.setting, place) for place in places]
        rows.append((name, target, strength, *entries))
    return Table(
        "Each regularizer at its operating point: the mean over seeds and, below it, "
        "the effect against the baseline. The last three columns are of the target.",
        (
            *("Regularizer", "Target", "Strength"),
            *(labels.measure(place.role, place.measure) for place in common),
            *("exactly zero", "within 1e-3 of zero", "Hoyer"),
        ),
        tuple(rows),
        leading=3,
    )


def _unequal(tables: Tables, target: str) -> Iterator[str]:
    """Yield why rows of equal strength do not compare regularizers, if there are."""
    own = [series for series in tables.strengths if series.target == target]
    if len({series.regularizer for series in own}) < 2:
        return
    found = {one: collapse_strength(tables, one) for one in own}
    where = "; ".join(
        f"{labels.series(series, own)} at {numbers.significant(unit, 2)}"
        for series, unit in found.items()
        if unit is not None
    )
    seen = f" Half of what the model learned is lost under {where}." if where else ""
    yield (
        "The tables and heat maps of this section go by strength, and rows of equal "
        "strength do not compare regularizers: λ multiplies another function in each."
        f"{seen} Equal scores are compared above, not equal strengths."
    )


def _pooled_tables(tables: Tables, target: str) -> Iterator[Table]:
    places = [Place("model", "", "model", name) for name in SCORES]
    yield _along(tables, target, places, "Score and data loss")
    own = role_of(target)
    for role in dict.fromkeys([own, *labels.TENSORS]):
        if role in labels.TENSORS:
            names = labels.TENSORS[role]
            places = [whole(role, name) for name in POOLED]
            yield _along(tables, target, places, f"{names.symbol}: {names.elements}")


def _layer_rows(tables: Tables, target: str) -> int:
    own = [series for series in tables.strengths if series.target == target]
    settings = sum(len(tables.strengths[series]) for series in own)
    return settings * len(tables.layers)


def _layers_left_out(tables: Tables, target: str) -> Iterator[str]:
    rows = _layer_rows(tables, target)
    if rows > MOST_ROWS:
        yield (
            f"Layer by layer there are {rows:,} rows, of which a page holds "
            f"{MOST_ROWS:,} at most: kregkit.report.load(STORE).cells has them."
        )


def _per_layer(tables: Tables, target: str) -> Iterator[Details]:
    if _layer_rows(tables, target) > MOST_ROWS:
        return
    made = []
    known = set(tables.places)
    for role, layer, tensor in tables.layers:
        places = [Place(role, layer, tensor, name) for name in PER_LAYER]
        places = [place for place in places if place in known]
        name = tensor if tensor == role else f"{tensor} ({role})"
        made.append(_along(tables, target, places, f"{layer}: {name}"))
    yield Details("Layer by layer", tuple(made))


def _along(tables: Tables, target: str, places: Sequence[Place], caption: str) -> Table:
    """Return a table with a row per setting: each baseline, then along strength."""
    every = list(tables.strengths)
    own = [series for series in every if series.target == target]
    rows = []
    for base, alike in itertools.groupby(own, lambda series: series.baseline):
        rows.append(_row(tables, base, labels.setting(base, every), places))
        for series in alike:
            for strength in tables.strengths[series]:
                setting, name = Setting(series, strength), labels.series(series, every)
                rows.append(_row(tables, setting, name, places))
    heads = (labels.measure(place.role, place.measure) for place in places)
    return Table(caption, ("Regularizer", "Strength", *heads), tuple(rows), leading=2)


def _row(
    tables: Tables, setting: Setting, name: str, places: Sequence[Place]
) -> tuple[Entry, ...]:
    done, own = len(tables.done(setting)), _all(tables, setting)
    failed = f"{own - done} of {own} seeds failed" if own > done else ""
    lead = (Entry(name), Entry(numbers.strength(setting.strength), failed))
    return (*lead, *(_entry(tables, setting, place) for place in places))


def _all(tables: Tables, setting: Setting) -> int:
    return len(tables.by_setting.get(setting, ()))


def _entry(tables: Tables, setting: Setting, place: Place) -> Entry:
    cell = tables.cell(setting, place)
    value = numbers.plain(place.measure, cell.mean, tables.facts.regression)
    return Entry(value, _note(cell, tables.facts.regression))


def _note(cell: Summary, regression: bool) -> str:
    def words(value: float) -> str:
        return numbers.effect(cell.place.measure, cell.kind, value, regression)

    if cell.effect is None:
        return ""
    if cell.low is None or cell.high is None:
        return words(cell.effect)
    return f"{words(cell.effect)}\n[{words(cell.low)}, {words(cell.high)}]"
