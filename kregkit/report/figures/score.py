"""Test scores along strength.

Every trial is a point, hollow where its strength has collapsed; lines
join means. Where every regularizer of a figure collapses, a strength is a share of the
one at which it does: equal places then mean as much of what can be lost.
"""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes

from kregkit.report.analysis.collapse import collapse_strength, viable_strengths
from kregkit.report.cells import Place, Series, Setting
from kregkit.report.data.tables import Tables
from kregkit.report.figures.collapsed import note
from kregkit.report.page.canvas import (
    INK,
    PAPER,
    RASTER_FROM,
    add_tooltip,
    marks,
    scale,
    slug,
)
from kregkit.report.page.page import Figure
from kregkit.report.wording import labels, numbers

SCORE = Place("model", "", "model", "test_score")


def score(tables: Tables, name: str, group: Sequence[Series]) -> Figure | None:
    """Return the test score along strength, every seed a point."""
    base = tables.cell(group[0].baseline, SCORE)
    every = list(tables.strengths)
    about = labels.setting(base.setting, every)
    colors = marks([series.regularizer for series in every])
    units = _units(tables, group)
    found = {x / units[series] for series in group for x in tables.strengths[series]}
    places = sorted(math.log10(strength) for strength in found)
    span = max(places[-1] - places[0], 1.0)
    left = places[0] - span / 6
    regression = tables.facts.regression
    scaled = any(unit != 1.0 for unit in units.values())
    intervals = any(
        tables.cell(Setting(series, x), SCORE).low is not None
        for series in group
        for x in tables.strengths[series]
    )

    trials = [tables.done(Setting(s, x)) for s in group for x in tables.strengths[s]]
    many = sum(map(len, trials)) > RASTER_FROM

    def paint(axes: Axes) -> None:
        axes.set_title("Test score against strength")
        if base.mean is not None:
            axes.axhline(base.mean, color=INK, lw=1.2, linestyle="dashed")
            seeds = _seeds(tables, base.setting, SCORE)
            axes.plot([left] * len(seeds), seeds, "D", color=INK, ms=4, label=about)
        for i, series in enumerate(group):
            color, mark = colors[series.regularizer]
            shift = (i - (len(group) - 1) / 2) * span / 45
            line, kept = [], viable_strengths(tables, series)
            for strength in tables.strengths[series]:
                setting = Setting(series, strength)
                x = math.log10(strength / units[series]) + shift
                cell = tables.cell(setting, SCORE)
                line.append((x, math.nan if cell.mean is None else cell.mean))
                seeds = _seeds(tables, setting, SCORE)
                fill = color if strength in kept else PAPER
                (dots,) = axes.plot([x] * len(seeds), seeds, mark, color=color, ms=4)
                dots.set(markerfacecolor=fill, alpha=0.5, rasterized=many)
                add_tooltip(dots, labels.setting(setting, every))
                if cell.low is not None and cell.high is not None and cell.mean:
                    half = (cell.high - cell.low) / 2
                    axes.errorbar(x, cell.mean, half, color=color, capsize=3, lw=1.4)
            text = labels.series(series, every)
            xs, ys = zip(*line, strict=True)
            solid = [x in kept for x in tables.strengths[series]]
            (curve,) = axes.plot(xs, ys, color=color, lw=1.6, marker=mark, label=text)
            curve.set(markersize=4, markevery=solid)
            add_tooltip(curve, f"{text}, mean")
        shown = _ticks(places)
        names = [numbers.strength(10.0**place) for place in shown]
        axes.set_xticks([left, *shown], ["none", *names])
        axes.set_xlabel("strength over collapse strength" if scaled else "strength")
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
        + _of_axis(tables, group, scaled)
        + note(tables, group, "hollow"),
    )


def _units(tables: Tables, group: Sequence[Series]) -> dict[Series, float]:
    """Return each series' collapse strength, or 1 for all where one has none."""
    found = {series: collapse_strength(tables, series) for series in group}
    known = {series: unit for series, unit in found.items() if unit is not None}
    return known if len(known) == len(group) else dict.fromkeys(group, 1.0)


def _ticks(places: Sequence[float]) -> list[int]:
    """Return powers of ten, at most six, inside the places."""
    first, last = math.ceil(places[0] - 0.02), math.floor(places[-1] + 0.02)
    return list(range(first, last + 1, (last - first) // 6 + 1))


def _of_axis(tables: Tables, group: Sequence[Series], scaled: bool) -> str:
    """Say what the strengths of several regularizers have in common."""
    if len(group) < 2:
        return ""
    if not scaled:
        return (
            " Not every one collapses in this sweep, so the axis is the strength "
            "itself: at equal strength the regularizers are not comparable."
        )
    units = "; ".join(
        f"{series.regularizer} {numbers.significant(unit, 2)}"
        for series, unit in _units(tables, group).items()
    )
    return f" The axis is in units of the strength at which each collapses: {units}."


def _seeds(tables: Tables, setting: Setting, place: Place) -> list[float]:
    found = [tables.values.get((t.trial, place)) for t in tables.done(setting)]
    return [value for value in found if value is not None]
