"""The picture of a study: what each regularizer does to each thing, at a glance.

A row is a series at its `strong` strength, and an entry the effect that its trials have
there against the baseline of the same seed: what a reader gets who takes this strength.
Claims and cards are stricter: each seed has the strength that the others chose.
"""

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from kregkit.report.analysis.contrasts import COUNTED, Analysis
from kregkit.report.cells import (
    Place,
    Series,
    Summary,
    of_model,
    whole,
    without_layers,
)
from kregkit.report.effects import TOLERANCE
from kregkit.report.page.page import Bar, Matrix, Tone
from kregkit.report.statistics import LEVEL
from kregkit.report.wording import labels, numbers

Rows = tuple[tuple[str, tuple[Bar, ...]], ...]


@dataclass(frozen=True)
class MatrixColumn:
    """One thing that a reader cares about; `better` is -1, 1, or 0 for neither."""

    name: str
    unit: str
    place: Place
    better: int = 0

    @property
    def share(self) -> bool:
        """Whether an entry is the share itself, not its change."""
        return self.place.measure == "zero_fraction"


def columns(regression: bool) -> tuple[MatrixColumn, ...]:
    """Return the columns."""
    score = "Test R²" if regression else "Test accuracy"
    return (
        MatrixColumn(score, "", of_model("test_score"), 1),
        MatrixColumn("Overfitting", "loss gap", of_model("generalisation_gap"), -1),
        *(
            MatrixColumn(f"‖{own.symbol}‖", own.tensors, whole(role, "l2"))
            for role, own in labels.TENSORS.items()
        ),
        *(
            MatrixColumn(
                f"Zeros in {own.symbol}", "exact", whole(role, "zero_fraction")
            )
            for role, own in labels.TENSORS.items()
        ),
        MatrixColumn("Offset f(0)", "relative", of_model("origin_ratio")),
        MatrixColumn("Noise costs", "score", of_model("noise_cost"), -1),
    )


MARKS: Final = (
    "Green is better, orange worse, blue neither.",
    f"Pale: its own {100 * LEVEL:.0f} % interval includes no change (cards and claims "
    "compare many at once, and ask for more).",
)


def matrix(analysis: Analysis) -> Matrix:
    """Return the matrix of one study, without columns that nothing was measured of."""
    tables = analysis.tables
    regression = tables.facts.regression
    known = [c for c in columns(regression) if c.place in set(tables.places)]
    cells = {one: [_cell(analysis, one, c) for c in known] for one in tables.strengths}
    rows = {
        series: (
            _name(analysis, series),
            [_bar(cell, c, regression) for cell, c in zip(own, known, strict=True)],
        )
        for series, own in cells.items()
    }
    sure = any(cell and _sure(cell) for own in cells.values() for cell in own)
    return Matrix(
        "Each regularizer at the strongest strength that costs at most "
        f"{numbers.points(TOLERANCE, regression)} of score in validation (in the test "
        "it may cost more): what changes against no regularizer, and the share of "
        "zeros.",
        tuple((column.name, column.unit) for column in known),
        (("", tuple(_baseline(analysis, known))), *_grouped(rows)),
        MARKS if sure else MARKS[:1],
    )


def _grouped(
    rows: Mapping[Series, tuple[str, Sequence[Bar]]],
) -> Iterator[tuple[str, Rows]]:
    """Yield the rows by target, the longest bar of each column as long as there is."""
    count = len(next(iter(rows.values()))[1]) if rows else 0
    longest = [
        max(
            (
                abs(own[i].length)
                for _, own in rows.values()
                if own[i].length > -math.inf
            ),
            default=0.0,
        )
        or 1.0
        for i in range(count)
    ]
    for target in dict.fromkeys(series.target for series in rows):
        own = (row for series, row in rows.items() if series.target == target)
        yield (
            f"on {labels.TARGETS.get(target, target)}",
            tuple(
                (
                    name,
                    tuple(
                        replace(bar, length=max(-1.0, bar.length / unit))
                        for bar, unit in zip(bars, longest, strict=True)
                    ),
                )
                for name, bars in own
            ),
        )


def matrix_of_several(studies: Sequence[tuple[str, Analysis]]) -> Matrix:
    """Return the median effect over studies, and in how many an interval shows it."""
    found: dict[Series, dict[MatrixColumn, list[tuple[str, Summary]]]] = {}
    of_all = columns(regression=False)
    for name, analysis in studies:
        regression = analysis.tables.facts.regression
        for series in analysis.tables.strengths:
            key = without_layers(series, analysis.tables.strengths)
            own = found.setdefault(key, {})
            for column in of_all:
                if regression and column.place.measure in COUNTED:
                    continue  # R² is not of one unit with accuracy
                cell = _cell(analysis, series, column)
                if cell is not None and cell.effect is not None:
                    own.setdefault(column, []).append((name, cell))
    shown = [c for c in of_all if any(c in own for own in found.values())]
    rows = {
        series: (_short(series, found), [_across(own.get(c, []), c) for c in shown])
        for series, own in found.items()
    }
    return Matrix(
        f"The median change over {len(studies)} studies, each regularizer at the "
        f"strongest strength that costs at most {numbers.points(TOLERANCE)} of score "
        f"in validation. “2/{len(studies)}”: in two of the studies the interval shows "
        "a change in this direction.",
        tuple((column.name, column.unit) for column in shown),
        tuple(_grouped(rows)),
        (MARKS[0], "Pale: no more than half of the studies show it."),
    )


def _across(found: Sequence[tuple[str, Summary]], column: MatrixColumn) -> Bar:
    """Return the median of several studies, with how many of them show its sign."""
    effects = [cell.effect for _, cell in found if cell.effect is not None]
    if not effects:
        return Bar(numbers.UNDEFINED, sure=False)
    measure, kind = found[0][1].place.measure, found[0][1].kind
    size = statistics.median(effects)
    agree = sum(_sure(c) and (c.effect or 0) * size > 0 for _, c in found)
    value = numbers.brief(measure, kind, size, regression=False)
    if column.share:
        shares = [cell.mean for _, cell in found if cell.mean is not None]
        value = numbers.plain(measure, statistics.median(shares), False)
    each = "; ".join(
        f"{name} {numbers.brief(measure, kind, effect, False)}"
        for (name, _), effect in zip(found, effects, strict=True)
    )
    return Bar(
        value,
        f"{column.name}: {each}",
        f"{agree}/{len(found)}" if agree else "",
        size,
        _tone(size, column),
        2 * agree > len(found),
    )


def _short(series: Series, among: Iterable[Series]) -> str:
    """Return "L1, proximal"."""
    alike = [one for one in among if one.target == series.target]
    words = labels.series(series, alike).replace(" · gradient", "")
    return words.replace(" · ", ", ")


def _cell(analysis: Analysis, series: Series, column: MatrixColumn) -> Summary | None:
    """Return what was measured at the `strong` strength; null: there is none."""
    setting = analysis.strong(series)[None]
    return analysis.tables.cell(setting, column.place) if setting else None


def _sure(cell: Summary) -> bool:
    return (
        cell.low is not None
        and cell.high is not None
        and (cell.low > 0 or cell.high < 0)
    )


def _bar(cell: Summary | None, column: MatrixColumn, regression: bool) -> Bar:
    if cell is None:
        return Bar(numbers.UNDEFINED, "no strength keeps the score", sure=False)
    measure, kind = cell.place.measure, cell.kind
    plain = numbers.plain(measure, cell.mean, regression)
    told = f"{column.name}: {plain}"
    if cell.effect is None:
        gone = cell.mean == 0
        value = "all zero" if gone else numbers.UNDEFINED
        return Bar(value, told, "", -math.inf if gone else 0.0, sure=gone)
    ends = (cell.effect, cell.low, cell.high)
    effect, low, high = (numbers.effect(measure, kind, e, regression) for e in ends)
    told += f", a change of {effect}"
    if cell.low is not None:
        told += f", {100 * LEVEL:.0f} % interval {low} to {high}"
    value = numbers.brief(measure, kind, cell.effect, regression)
    tone = _tone(cell.effect, column)
    return Bar(
        plain if column.share else value, told, "", cell.effect, tone, _sure(cell)
    )


def _tone(size: float, column: MatrixColumn) -> Tone:
    if not column.better or not size:
        return "changed"
    return "good" if size * column.better > 0 else "bad"


def _name(analysis: Analysis, series: Series) -> str:
    """Return "L1 proximal, 5e-4"."""
    words = _short(series, analysis.tables.strengths)
    setting = analysis.strong(series)[None]
    if setting is None or setting.strength is None:
        return f"{words}, no strength keeps the score"
    return f"{words}, {numbers.rounded(setting.strength)}"


def _baseline(
    analysis: Analysis, known: list[MatrixColumn]
) -> Iterator[tuple[str, tuple[Bar, ...]]]:
    tables = analysis.tables
    for setting in tables.baselines:
        name = labels.setting(setting, list(tables.strengths))
        bars = []
        for column in known:
            found = tables.cell(setting, column.place).mean
            shown = numbers.plain(column.place.measure, found, tables.facts.regression)
            bars.append(Bar(shown, f"without a regularizer, {column.name}: {shown}"))
        yield name.replace("baseline", "no regularizer"), tuple(bars)
