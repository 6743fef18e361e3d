"""Test scores against what a regularizer is used for: the frontier of the two.

Which strengths a line joins is chosen on validation; where they lie is
their mean on the test part. Strengths that have collapsed are left out.
"""

from collections.abc import Sequence

from matplotlib.axes import Axes

from kregkit.report.analysis.collapse import viable_strengths
from kregkit.report.analysis.operating import VALIDATION
from kregkit.report.cells import Place, Series, Setting, of_model
from kregkit.report.data.tables import NORMS, Tables
from kregkit.report.figures.collapsed import note
from kregkit.report.page.canvas import (
    INK,
    RASTER_FROM,
    add_tooltip,
    marks,
    scale,
    shade,
    slug,
)
from kregkit.report.page.page import Figure
from kregkit.report.wording import labels, numbers

SCORE = of_model("test_score")


def frontier(
    tables: Tables, name: str, group: Sequence[Series], place: Place
) -> Figure | None:
    """Return a measure against the test score, every trial a point.

    Ringed means, with a line through them, are those of the settings of a series that
    no other of them beats in the validation score and the measure at once.
    """
    role, measure = place.role, place.measure
    every = list(tables.strengths)
    label = labels.measure(role, measure)
    regression = tables.facts.regression
    base = group[0].baseline
    drawn = [(base, INK, "D", labels.setting(base, every))]
    for series in group:
        color, mark = marks([one.regularizer for one in every])[series.regularizer]
        kept = viable_strengths(tables, series)
        for i, strength in enumerate(kept):
            shaded = shade(color, i, len(kept))
            drawn.append((Setting(series, strength), shaded, mark, ""))
    points = [_points(tables, setting, place) for setting, *_ in drawn]
    total = sum(map(len, points))
    if total == 0:
        return None

    def paint(axes: Axes) -> None:
        axes.set_title(f"{label} against test score")
        for (setting, color, mark, text), known in zip(drawn, points, strict=True):
            (dots,) = axes.plot([x for x, _ in known], [y for _, y in known], mark)
            dots.set(color=color, markeredgecolor="none", markersize=4, alpha=0.55)
            dots.set(label=text, rasterized=total > RASTER_FROM)
            add_tooltip(dots, labels.setting(setting, every))
        for series in group:
            color, mark = marks([one.regularizer for one in every])[series.regularizer]
            known = sorted(_means(tables, _unbeaten(tables, series, place), place))
            (line,) = axes.plot([x for x, _ in known], [y for _, y in known], mark)
            line.set(color=color, linestyle="solid", linewidth=1.4, markersize=6.5)
            line.set(markeredgecolor=INK, markeredgewidth=1.1)
            line.set(label=labels.series(series, every))
            add_tooltip(line, f"{labels.series(series, every)}, mean")
        axes.set_xlabel(label)
        axes.set_ylabel("test score")
        scale(axes, measure, "x", regression)
        scale(axes, "test_score", "y", regression)

    said = "; ".join(
        f"{labels.setting(setting, every)}: "
        f"{numbers.plain(measure, tables.cell(setting, place).mean, regression)}, "
        f"{numbers.plain('test_score', tables.cell(setting, SCORE).mean, regression)}"
        for setting, *_ in drawn
    )
    return Figure(
        slug(name, "frontier", role, measure),
        paint,
        f"{label} and test score, means over seeds. {said}.",
        f"{label} against the test score: points are trials, darker ones of higher "
        f"strength. {_joined(place)}" + note(tables, group, "not drawn"),
    )


def _points(
    tables: Tables, setting: Setting, place: Place
) -> list[tuple[float, float]]:
    found = [
        (tables.values.get((t.trial, place)), tables.values.get((t.trial, SCORE)))
        for t in tables.done(setting)
    ]
    return [(x, y) for x, y in found if x is not None and y is not None]


def _means(
    tables: Tables, settings: Sequence[Setting], place: Place
) -> list[tuple[float, float]]:
    found = [(tables.cell(s, place).mean, tables.cell(s, SCORE).mean) for s in settings]
    return [(x, y) for x, y in found if x is not None and y is not None]


def _unbeaten(tables: Tables, series: Series, place: Place) -> list[Setting]:
    """Return the settings, the baseline among them, that none of the others beats.

    What is measured on the test part chooses nothing: there it is the strength that
    stands for the measure.
    """
    settings = [Setting(series, x) for x in viable_strengths(tables, series)]
    found = []
    for setting in (series.baseline, *settings):
        own = tables.cell(setting, place).mean
        if place.role == "model":
            own = setting.strength or 0.0
        elif own is not None and place.measure in NORMS:
            own = -own
        score = tables.cell(setting, VALIDATION).mean
        if own is not None and score is not None:
            found.append((setting, score, own))
    return [
        setting
        for setting, score, own in found
        if not any(
            s >= score and o >= own and (s, o) != (score, own) for _, s, o in found
        )
    ]


def _joined(place: Place) -> str:
    if place.role == "model":
        return (
            "Ringed are the means of the strengths, and of no regularizer, whose "
            "validation score no stronger one reaches."
        )
    return (
        "Ringed are the means of the strengths, and of no regularizer, that no other "
        "strength beats in this measure without a lower validation score."
    )
