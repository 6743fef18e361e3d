"""How strong: the test score along strength, a panel for each target.

Lines are means over seeds, named at their ends. The band is what a `strong` strength
may cost; a line is thin beyond the strongest strength that stays in it, and a cross
marks where half of what the model learned is lost.
"""

import itertools
import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from kregkit.report.analysis.collapse import collapse_strength
from kregkit.report.analysis.contrasts import Analysis
from kregkit.report.cells import Series, Setting, of_model
from kregkit.report.page.canvas import INK, PAPER, add_tooltip, marks, scale, slug
from kregkit.report.page.page import Figure
from kregkit.report.wording import labels, numbers

SCORE = of_model("test_score")
_Line = Sequence[tuple[float, float]]
"""Strengths, each with the mean score."""

_DEEP = 8
"""How far below the baseline a panel shows scores, in units of the tolerance."""


def panels(analysis: Analysis) -> tuple[Figure, ...]:
    """Return a panel for each target."""
    tables = analysis.tables
    targets = dict.fromkeys(series.target for series in tables.strengths)
    made = (_panel(analysis, target) for target in targets)
    return tuple(figure for figure in made if figure is not None)


def _panel(analysis: Analysis, target: str) -> Figure | None:
    tables = analysis.tables
    group = [one for one in tables.strengths if one.target == target]
    every = {one: _line(analysis, one) for one in group}
    lines = {one: line for one, line in every.items() if line}
    base = tables.cell(group[0].baseline, SCORE).mean
    if not lines or base is None:
        return None
    where = labels.TARGETS.get(target, target)
    tolerance = tables.facts.tolerance
    scores = [y for line in lines.values() for _, y in line]
    low = max(min(scores), base - _DEEP * tolerance)
    low = min(low, base - 1.5 * tolerance)
    high = max(*scores, base) + 0.35 * tolerance

    def paint(axes: Axes) -> None:
        axes.set_title(f"Penalty on {where}")
        axes.axhspan(base - tolerance, base, color=INK, alpha=0.09, lw=0)
        axes.axhline(base, color=INK, lw=1, ls=(0, (4, 3)))
        axes.set_ylim(low, high)
        _set_strengths(axes, [x for line in lines.values() for x, _ in line])
        for one, line in lines.items():
            _paint_line(axes, analysis, one, line)
        _name_lines(axes, {_named(one, group): (one, lines[one]) for one in lines})
        scale(axes, "test_score", "y", tables.facts.regression)

    said = _words(analysis, {_named(one, group): one for one in lines})
    shown = numbers.plain("test_score", base, tables.facts.regression)
    return Figure(
        slug("strength", target),
        paint,
        f"Test score along strength on {where}; without a regularizer {shown}. {said}",
        said,
        height=3.3,
    )


def _paint_line(axes: Axes, analysis: Analysis, one: Series, line: _Line) -> None:
    color, _ = marks([one.regularizer])[one.regularizer]
    dash = "solid" if one.solver in (None, "gradient") else (0, (2, 1.3))
    axes.plot(*zip(*line, strict=True), color=color, lw=1.1, ls=dash, alpha=0.55)
    safe = _safe(analysis, one)
    kept = [(x, y) for x, y in line if safe is not None and x <= safe]
    if kept:
        axes.plot(*zip(*kept, strict=True), color=color, lw=2.6, ls=dash)
    (dots,) = axes.plot(*zip(*line, strict=True), "o", color=color, ms=3.2)
    add_tooltip(dots, _named(one, [one]))
    collapse = collapse_strength(analysis.tables, one)
    if collapse is not None:
        low = axes.get_ylim()[0]
        axes.plot([collapse], [low], "x", color=color, ms=7, mew=2, clip_on=False)


def _set_strengths(axes: Axes, strengths: Sequence[float]) -> None:
    """Write strengths along a logarithmic axis, with room for names at its right."""
    left, right = min(strengths), max(strengths)
    span = max(math.log10(right / left), 1.0)
    first, last = math.ceil(math.log10(left) - 0.02), math.floor(math.log10(right))
    ticks = [10.0**i for i in range(first, last + 1, (last - first) // 4 + 1)]
    axes.set_xscale("log")
    axes.set_xticks(ticks, [numbers.strength(tick) for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(left / 10 ** (0.05 * span), right * 10 ** (0.3 * span))
    axes.set_xlabel("strength")


def _name_lines(axes: Axes, lines: Mapping[str, tuple[Series, _Line]]) -> None:
    """Write each line's name where it leaves the panel, or at its right end."""
    low, high = axes.get_ylim()
    at, leaving = -math.inf, 0
    for name, (one, line) in sorted(lines.items(), key=lambda item: item[1][1][-1][1]):
        x, y = line[-1]
        if y < low:
            y = low + (0.08 + 0.16 * leaving) * (high - low)
            x, leaving = _crossing(line, y), leaving + 1
        else:
            at = y = max(y, at + 0.075 * (high - low))
        axes.annotate(
            name,
            (x, y),
            (5, 0),
            textcoords="offset points",
            color=marks([one.regularizer])[one.regularizer][0],
            fontsize=8.5,
            va="center",
            annotation_clip=False,
            bbox={"facecolor": PAPER, "linewidth": 0, "pad": 0.4, "alpha": 0.85},
        )


def _crossing(line: _Line, level: float) -> float:
    """Return the last strength at which a line falls through a score."""
    found = line[-1][0]
    for (a, before), (b, after) in itertools.pairwise(line):
        if before >= level > after:
            part = (before - level) / (before - after)
            found = a * (b / a) ** part
    return found


def _line(analysis: Analysis, one: Series) -> list[tuple[float, float]]:
    found = []
    for strength in analysis.tables.strengths[one]:
        score = analysis.tables.cell(Setting(one, strength), SCORE).mean
        if score is not None:
            found.append((strength, score))
    return found


def _safe(analysis: Analysis, one: Series) -> float | None:
    setting = analysis.strong(one)[None]
    return setting.strength if setting else None


def _named(one: Series, group: Sequence[Series]) -> str:
    words = labels.series(one, group)
    return words.replace(" · gradient", "").replace(" · ", " ")


def _words(analysis: Analysis, named: Mapping[str, Series]) -> str:
    """Return up to which strengths lines are safe, and where they collapse."""
    safe, collapsed = [], []
    for name, one in named.items():
        strength = _safe(analysis, one)
        edge = strength == analysis.tables.strengths[one][-1]
        shown = "none" if strength is None else numbers.rounded(strength)
        safe.append(f"{name} {shown}{' (the strongest tried)' if edge else ''}")
        collapse = collapse_strength(analysis.tables, one)
        if collapse is not None:
            collapsed.append(f"{name} {numbers.rounded(collapse)}")
    text = f"Safe up to: {', '.join(safe)}."
    return f"{text} Collapse: {', '.join(collapsed)}." if collapsed else text
