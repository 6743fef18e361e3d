"""Measures over training.

Lines are means over seeds, and of the strengths of a series that have
not collapsed the weakest, the middle and the strongest are drawn, darker with strength.
"""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from kregkit.report.analysis.collapse import viable_strengths
from kregkit.report.cells import Series, Setting
from kregkit.report.data.tables import Tables
from kregkit.report.data.trajectories import Trajectories, Trajectory
from kregkit.report.figures.collapsed import note
from kregkit.report.page.canvas import INK, add_tooltip, gaps, marks, scale, shade, slug
from kregkit.report.page.page import Figure
from kregkit.report.wording import labels, numbers

_DASHES = ("dotted", "dashed", "solid")


def _few(tables: Tables, series: Series) -> list[float]:
    """Return the weakest, the middle and the strongest strength that stands."""
    strengths = viable_strengths(tables, series)
    if not strengths:
        return []
    places = sorted({0, len(strengths) // 2, len(strengths) - 1})
    return [strengths[place] for place in places]


def trajectory(
    tables: Tables,
    runs: Trajectories,
    name: str,
    group: Sequence[Series],
    role: str,
    measure: str,
) -> Figure | None:
    """Return one measure over training: baseline and up to three strengths each."""
    every = list(tables.strengths)
    colors = marks([series.regularizer for series in every])
    lines = [(group[0].baseline, INK, "solid")]
    for series in group:
        few = _few(tables, series)
        for i, strength in enumerate(few):
            color = shade(colors[series.regularizer][0], i, len(few))
            dash = _DASHES[i - len(few)]
            lines.append((Setting(series, strength), color, dash))
    # The legend fills column by column: one column for the baseline, one a series.
    rows = [len(few) for series in group if (few := _few(tables, series))]
    drawn: list[tuple[Trajectory, str, str]] = []
    for setting, color, dash in lines:
        course = runs.get((setting, role, measure))
        if course is not None and any(value is not None for value in course.mean):
            drawn.append((course, color, dash))
    if not drawn:
        return None
    label = labels.measure(role, measure)

    def paint(axes: Axes) -> None:
        axes.set_title(f"{label} over training")
        for course, color, dash in drawn:
            low, mean, high = map(gaps, (course.low, course.mean, course.high))
            text = labels.setting(course.setting, every)
            axes.fill_between(course.moments, low, high, color=color, alpha=0.15, lw=0)
            (line,) = axes.plot(course.moments, mean, color=color, linestyle=dash)
            line.set(linewidth=1.8, label=text)
            add_tooltip(line, f"{text}, mean")
            if course.setting.series is None and len({*rows}) == 1:
                for _ in range(rows[0] - 1):
                    axes.plot([], [], alpha=0, label=" ")
            last = [course.moments[-1]] * len(course.ends)
            (dots,) = axes.plot(last, course.ends, ".", color=color, ms=4)
            add_tooltip(dots, f"{text}, seeds")
        axes.set_xlabel(drawn[0][0].time)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        scale(axes, measure, "y", tables.facts.regression)

    full = slug(name, "course", role, measure)
    ends = "; ".join(_course_words(tables, course) for course, _, _ in drawn)
    return Figure(
        full,
        paint,
        f"{label} against the {drawn[0][0].time}, mean over seeds. {ends}.",
        f"{label} over training: lines are means over seeds, shading goes from the "
        "lowest to the highest seed, points are the seeds at the end."
        + note(tables, group, "not drawn"),
    )


def _course_words(tables: Tables, course: Trajectory) -> str:
    def words(value: float | None) -> str:
        return numbers.plain(course.measure, value, tables.facts.regression)

    text = labels.setting(course.setting, list(tables.strengths))
    return f"{text}: from {words(course.mean[0])} to {words(course.mean[-1])}"
