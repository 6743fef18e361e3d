"""Test scores along strength and against sparsity.

The one rule: every trial is a point, hollow where its strength has collapsed; lines
join means.
"""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes

from kregkit.report import labels, numbers
from kregkit.report.canvas import (
    INK,
    RASTER_FROM,
    marks,
    scale,
    shade,
    slug,
)
from kregkit.report.cells import Place, Series, Setting, whole
from kregkit.report.collapse import collapsed, note, standing
from kregkit.report.page import Figure
from kregkit.report.tables import Tables

SCORE = Place("model", "", "model", "test_score")


def score(tables: Tables, name: str, group: Sequence[Series]) -> Figure | None:
    """Return the test score along strength, every seed a point."""
    base = tables.cell(group[0].baseline, SCORE)
    every = list(tables.strengths)
    about = labels.setting(base.setting, every)
    colors = marks([series.regularizer for series in every])
    found = sorted({x for series in group for x in tables.strengths[series]})
    places = [math.log10(strength) for strength in found]
    span = max(places[-1] - places[0], 1.0)
    left = places[0] - span / 6
    regression = tables.facts.regression
    intervals = any(
        tables.cell(Setting(series, x), SCORE).low is not None
        for series in group
        for x in tables.strengths[series]
    )

    def paint(axes: Axes) -> None:
        axes.set_title("Test score against strength")
        if base.mean is not None:
            axes.axhline(base.mean, color=INK, lw=1.2, linestyle="dashed")
            seeds = _seeds(tables, base.setting, SCORE)
            axes.plot([left] * len(seeds), seeds, "D", color=INK, ms=4, label=about)
        for i, series in enumerate(group):
            color, mark = colors[series.regularizer]
            shift = (i - (len(group) - 1) / 2) * span / 45
            line, kept = [], standing(tables, series)
            for strength in tables.strengths[series]:
                setting = Setting(series, strength)
                x = math.log10(strength) + shift
                cell = tables.cell(setting, SCORE)
                line.append((x, math.nan if cell.mean is None else cell.mean))
                seeds = _seeds(tables, setting, SCORE)
                fill = color if strength in kept else "white"
                (dots,) = axes.plot([x] * len(seeds), seeds, mark, color=color, ms=4)
                dots.set(markerfacecolor=fill, alpha=0.5)
                if cell.low is not None and cell.high is not None and cell.mean:
                    half = (cell.high - cell.low) / 2
                    axes.errorbar(x, cell.mean, half, color=color, capsize=3, lw=1.4)
            text = labels.series(series, every)
            xs, ys = zip(*line, strict=True)
            solid = [x in kept for x in tables.strengths[series]]
            (curve,) = axes.plot(xs, ys, color=color, lw=1.6, marker=mark, label=text)
            curve.set(markersize=4, markevery=solid)
        shown = places[:: math.ceil(len(places) / 6)]
        names = [numbers.strength(10**place) for place in shown]
        axes.set_xticks([left, *shown], ["none", *names])
        axes.set_xlabel("strength (logarithmic)")
        scale(axes, "test_score", "y", regression)

    if all(
        tables.cell(Setting(series, x), SCORE).mean is None
        for series in group
        for x in tables.strengths[series]
    ):
        return None
    full = slug(name, "score")
    bars = (
        " Bars are 95 % intervals of the paired difference to the baseline."
        if intervals
        else ""
    )
    said = [f"{about}: {numbers.plain('test_score', base.mean, regression)}"]
    for series in group:
        means = ", ".join(
            f"{numbers.plain('test_score', cell.mean, regression)} at "
            f"{numbers.strength(strength)}"
            for strength in tables.strengths[series]
            for cell in [tables.cell(Setting(series, strength), SCORE)]
        )
        said.append(f"{labels.series(series, every)}: {means}")
    return Figure(
        full,
        paint,
        f"Test score against strength, mean over seeds. {'; '.join(said)}.",
        f"Test score along strength: points are seeds, lines their means.{bars}"
        + note(tables, group, "hollow"),
    )


def _seeds(tables: Tables, setting: Setting, place: Place) -> list[float]:
    found = [tables.values.get((t.trial, place)) for t in tables.done(setting)]
    return [value for value in found if value is not None]


def against_score(
    tables: Tables, name: str, group: Sequence[Series], role: str, measure: str
) -> Figure | None:
    """Return a sparsity measure against the test score, every trial a point."""
    place = whole(role, measure)
    every = list(tables.strengths)
    colors = marks([series.regularizer for series in every])
    label = labels.measure(role, measure)
    regression = tables.facts.regression
    points: list[tuple[Setting, list[tuple[float, float]], str, str]] = []
    for series in (None, *group):
        strengths = (None,) if series is None else tables.strengths[series]
        for i, strength in enumerate(strengths):
            color, mark = (INK, "D") if series is None else colors[series.regularizer]
            setting = Setting(series, strength) if series else group[0].baseline
            found = [
                (
                    tables.values.get((t.trial, place)),
                    tables.values.get((t.trial, SCORE)),
                )
                for t in tables.done(setting)
            ]
            known = [(x, y) for x, y in found if x is not None and y is not None]
            points.append((setting, known, shade(color, i, len(strengths)), mark))
    total = sum(len(known) for _, known, _, _ in points)
    shown = {  # in the legend: the strongest, where there is one that stands
        series: (standing(tables, series) or tables.strengths[series])[-1]
        for series in group
    }
    if total == 0:
        return None

    def paint(axes: Axes) -> None:
        axes.set_title(f"{label} against test score")
        for setting, known, color, mark in points:
            series = setting.series
            named = series is None or setting.strength == shown[series]
            text = (
                labels.series(series, every)
                if series
                else labels.setting(setting, every)
            )
            gone = collapsed(tables, setting)
            axes.plot(
                *([x for x, _ in known], [y for _, y in known]),
                marker=mark,
                linestyle="",
                color="white" if gone else color,
                markeredgecolor=color if gone else "white",
                markeredgewidth=1.0 if gone else 0.5,
                ms=6,
                label=text if named else "",
                zorder=4 if series is None else 3,
                rasterized=total > RASTER_FROM,
            )
        for series in group:
            line = [
                (tables.cell(s, place).mean, tables.cell(s, SCORE).mean)
                for x in standing(tables, series)
                for s in [Setting(series, x)]
            ]
            known = [(x, y) for x, y in line if x is not None and y is not None]
            xs, ys = [x for x, _ in known], [y for _, y in known]
            axes.plot(xs, ys, color=colors[series.regularizer][0], lw=1.2, zorder=1)
        axes.set_xlabel(label)
        axes.set_ylabel("test score")
        scale(axes, measure, "x", regression)
        scale(axes, "test_score", "y", regression)

    full = slug(name, "against-score", role, measure)
    said = "; ".join(
        f"{labels.setting(setting, every)}: "
        f"{numbers.plain(measure, tables.cell(setting, place).mean, regression)}, "
        f"{numbers.plain('test_score', tables.cell(setting, SCORE).mean, regression)}"
        for setting, _, _, _ in points
    )
    return Figure(
        full,
        paint,
        f"{label} and test score, means over seeds. {said}.",
        f"{label} against the test score: points are trials, darker ones of higher "
        "strength; the lines join the means."
        + note(tables, group, "hollow, beside the line"),
    )
