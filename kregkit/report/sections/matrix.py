"""The picture of a study: what each regularizer does to each thing, at a glance.

A row is a series at its `strong` strength, which the other seeds chose; an entry is its
effect against the baseline of the same seed, and a bar of it.
"""

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from kregkit.report.analysis.contrasts import COUNTED, Analysis
from kregkit.report.analysis.verdicts import Contrast
from kregkit.report.cells import (
    About,
    Place,
    Series,
    of_model,
    whole,
    without_layers,
)
from kregkit.report.effects import TOLERANCE
from kregkit.report.page.page import Bar, Matrix, Tone
from kregkit.report.statistics import LEVEL, mean
from kregkit.report.wording import contrasts, labels, numbers

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
    f"Pale: the {100 * LEVEL:.0f} % interval includes no change.",
)


def matrix(analysis: Analysis) -> Matrix:
    """Return the matrix of one study, without columns that nothing was measured of."""
    tables = analysis.tables
    regression = tables.facts.regression
    known = [c for c in columns(regression) if c.place in set(tables.places)]
    effects = {o: [_effect(analysis, o, c) for c in known] for o in tables.strengths}
    rows = {
        series: (
            _name(analysis, series),
            [_bar(seen, c, regression) for seen, c in zip(own, known, strict=True)],
        )
        for series, own in effects.items()
    }
    sure = any(seen.sure for own in effects.values() for seen in own)
    return Matrix(
        "Each regularizer at the strongest strength that costs at most "
        f"{numbers.points(TOLERANCE, regression)} of validation score: the change "
        "against no regularizer, and of zeros their share.",
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
        max(abs(bars[i].length) for _, bars in rows.values()) or 1.0
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
                        replace(bar, length=bar.length / unit)
                        for bar, unit in zip(bars, longest, strict=True)
                    ),
                )
                for name, bars in own
            ),
        )


def matrix_of_several(studies: Sequence[tuple[str, Analysis]]) -> Matrix:
    """Return the median effect over studies, and in how many an interval shows it."""
    found: dict[Series, dict[MatrixColumn, list[tuple[str, _Seen]]]] = {}
    of_all = columns(regression=False)
    for name, analysis in studies:
        regression = analysis.tables.facts.regression
        for series in analysis.tables.strengths:
            key = without_layers(series, analysis.tables.strengths)
            own = found.setdefault(key, {})
            for column in of_all:
                if regression and column.place.measure in COUNTED:
                    continue  # R² is not of one unit with accuracy
                seen = _effect(analysis, series, column)
                if seen.known:
                    own.setdefault(column, []).append((name, seen))
    shown = [c for c in of_all if any(c in own for own in found.values())]
    rows = {
        series: (_short(series, found), [_across(own.get(c, []), c) for c in shown])
        for series, own in found.items()
    }
    return Matrix(
        f"The median change over {len(studies)} studies, each regularizer at the "
        f"strongest strength that costs at most {numbers.points(TOLERANCE)} of "
        "validation score. “4/5”: in four of five studies the interval shows a change "
        "in this direction.",
        tuple((column.name, column.unit) for column in shown),
        tuple(_grouped(rows)),
        (MARKS[0], "Pale: fewer than half of the studies show it."),
    )


def _across(found: Sequence[tuple[str, "_Seen"]], column: MatrixColumn) -> Bar:
    """Return the median of several studies, with how many of them show its sign."""
    if not found:
        return Bar(numbers.UNDEFINED, sure=False)
    size = statistics.median(seen.size for _, seen in found)
    one = found[0][1].contrast
    agree = sum(seen.sure and seen.size * size > 0 for _, seen in found)
    value = numbers.brief(one.measure, one.kind, size, regression=False)
    if column.share:
        shares = [seen.share for _, seen in found if seen.share is not None]
        value = numbers.plain(one.measure, statistics.median(shares), False)
    each = "; ".join(
        f"{name} {numbers.brief(one.measure, one.kind, seen.size, False)}"
        for name, seen in found
    )
    return Bar(
        value,
        f"{contrasts.of(one.about)}: {each}",
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


@dataclass(frozen=True)
class _Seen:
    """An effect, as a bar needs it."""

    contrast: Contrast
    size: float
    known: bool  # else the size is 0
    share: float | None
    sure: bool


def _effect(analysis: Analysis, series: Series, column: MatrixColumn) -> _Seen:
    chosen = analysis.strong(series)
    about = About(column.place, series)
    one = analysis.to_baseline(about, "rises", 0.0, chosen)
    known = [effect for _, effect in one.effects]
    size = one.estimate.value if one.estimate else mean(known)
    sure = False
    if one.estimate:
        low, high = one.estimate.interval()
        sure = not low <= 0 <= high
    share = analysis.mean(chosen, column.place)
    return _Seen(one, size or 0.0, size is not None, share, sure)


def _bar(seen: _Seen, column: MatrixColumn, regression: bool) -> Bar:
    one = seen.contrast
    if not seen.known:
        return Bar(numbers.UNDEFINED, contrasts.why(one.why), sure=False)
    effect = numbers.effect(one.measure, one.kind, seen.size, regression)
    told = f"{contrasts.of(one.about)}: {effect}"
    if one.estimate:
        ends = one.estimate.interval()
        low, high = (numbers.effect(one.measure, one.kind, e, regression) for e in ends)
        told += f", {100 * LEVEL:.0f} % interval {low} to {high}"
    value = numbers.brief(one.measure, one.kind, seen.size, regression)
    if column.share and seen.share is not None:
        value = numbers.plain(one.measure, seen.share, regression)
    return Bar(value, told, "", seen.size, _tone(seen.size, column), seen.sure)


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
