"""Figures of an autoencoder's code: what it is like against how well it reconstructs.

Every trial of a strength that has not collapsed is a point, and each
series has a colour and a mark of its own, two of one regularizer as well.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

from kregkit.report.analysis.collapse import viable_strengths
from kregkit.report.analysis.operating import operating
from kregkit.report.cells import Series, Setting, of_model
from kregkit.report.data.tables import Tables
from kregkit.report.figures.collapsed import note
from kregkit.report.page.canvas import (
    INK,
    PAPER,
    RASTER_FROM,
    add_tooltip,
    marks,
    shade,
)
from kregkit.report.page.page import Figure
from kregkit.report.wording import labels, numbers

LOSS = of_model("test_data_loss")
_ERROR = "mean squared error"
_TITLES = {
    "active_units": "Error against active units",
    "unused_units": "Error against unused units",
}
_AXES = {
    "active_units": "active units per row",
    "unused_units": "units that are never active",
}


def figures(tables: Tables) -> Iterator[Figure]:
    """Return the error against active and unused units, and how units are used."""
    for measure in _TITLES:
        made = against_error(tables, measure)
        if made is not None:
            yield made
    used = used_units(tables)
    if used is not None:
        yield used


def against_error(tables: Tables, measure: str) -> Figure | None:
    """Return the reconstruction error against a measure of the code."""
    place, every = of_model(measure), list(tables.strengths)
    looks = _looks(tables)
    kept = {series: viable_strengths(tables, series) for series in every}
    settings = [*tables.baselines]
    settings += [Setting(series, x) for series in every for x in kept[series]]
    points = {
        setting: [
            (x, y)
            for trial in tables.done(setting)
            if (x := tables.values.get((trial.trial, place))) is not None
            and (y := tables.values.get((trial.trial, LOSS))) is not None
        ]
        for setting in settings
    }
    total = sum(map(len, points.values()))
    if total == 0:
        return None

    def paint(axes: Axes) -> None:
        axes.set_title(_TITLES[measure])
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _: numbers.strength(value))
        axes.yaxis.set_minor_formatter(NullFormatter())
        for setting, known in points.items():
            series, name = setting.series, labels.setting(setting, every)
            color, mark, order = INK, "D", 4
            if series is not None:
                color, mark = looks[series]
                place_of = kept[series].index(setting.strength or 0.0)
                color = shade(color, place_of, len(kept[series]))
                last = setting.strength == kept[series][-1]
                name, order = labels.series(series, every) if last else "", 3
            xs, ys = [x for x, _ in known], [y for _, y in known]
            (dots,) = axes.plot(xs, ys, mark, color=color, ms=4.5, label=name)
            dots.set(markeredgecolor=PAPER, markeredgewidth=0.4, zorder=order)
            dots.set_rasterized(total > RASTER_FROM)
            add_tooltip(dots, labels.setting(setting, every))
        for series in every:
            line = [
                (tables.cell(one, place).mean, tables.cell(one, LOSS).mean)
                for one in (Setting(series, x) for x in kept[series])
            ]
            joined = [(x, y) for x, y in line if x is not None and y is not None]
            xs, ys = [x for x, _ in joined], [y for _, y in joined]
            axes.plot(xs, ys, color=looks[series][0], lw=1.2, zorder=2)
        axes.set_xlabel(_AXES[measure])
        axes.set_ylabel(f"{_ERROR} (logarithmic)")

    said = "; ".join(
        f"{labels.setting(setting, every)}: "
        f"{numbers.plain(measure, tables.cell(setting, place).mean, True)}, "
        f"{numbers.plain('test_data_loss', tables.cell(setting, LOSS).mean, True)}"
        for setting in settings
    )
    return Figure(
        f"code-{measure.replace('_', '-')}",
        paint,
        f"{_AXES[measure].capitalize()} and {_ERROR} of the test part, means over "
        f"seeds. {said}.",
        f"The {_ERROR} of the test part against {_AXES[measure]}: points are trials, "
        "darker ones of higher strength; the lines join the means. Further down is a "
        "better reconstruction." + note(tables, every, "left out"),
        height=3.8,
    )


def used_units(tables: Tables) -> Figure | None:
    """Return in how many rows units are active, at the operating points."""
    every, looks = list(tables.strengths), _looks(tables)
    lines: dict[Setting, list[float]] = {}
    points = (operating(tables, series) for series in every)
    reached = [point.setting for point in points if point.strength is not None]
    for setting in (*tables.baselines, *reached):
        done = [trial.trial for trial in tables.done(setting)]
        found = tables.finals.filter(pl.col("trial").is_in(done))["code_usage"]
        shares = [sorted(usage, reverse=True) for usage in found.drop_nulls()]
        if shares:
            lines[setting] = np.mean(shares, axis=0).tolist()
    if not lines:
        return None

    def paint(axes: Axes) -> None:
        axes.set_title("How often each unit is active")
        for setting, shares in lines.items():
            color = looks[setting.series][0] if setting.series else INK
            style = "solid" if setting.series else "dashed"
            ranks = range(1, len(shares) + 1)
            name = labels.setting(setting, every)
            axes.plot(ranks, shares, color=color, ls=style, lw=1.6, label=name)
        axes.set_xlabel("unit, the busiest first")
        axes.set_ylabel("share of rows")
        axes.set_ylim(-0.03, 1.03)
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")

    def words(shares: list[float]) -> str:
        middle = numbers.percent(shares[len(shares) // 2])
        return f"from {numbers.percent(shares[0])} over {middle} in the middle to " + (
            numbers.percent(shares[-1])
        )

    said = "; ".join(
        f"{labels.setting(setting, every)}: {words(shares)}"
        for setting, shares in lines.items()
    )
    return Figure(
        "code-used-units",
        paint,
        f"Share of rows in which each unit is active, the busiest first, the mean over "
        f"seeds. {said}.",
        "The share of the probe's rows in which each unit of the code is active, the "
        "busiest unit of each trial first, the mean over seeds; each regularizer at "
        "its operating point. A step is a code of units that are always or never "
        "active, a low and level line one whose units share the work.",
        height=3.8,
    )


def _looks(tables: Tables) -> Mapping[Series, tuple[str, str]]:
    every = list(tables.strengths)
    names = {series: labels.series(series, every) for series in every}
    found = marks([*names.values()])
    return {series: found[name] for series, name in names.items()}
