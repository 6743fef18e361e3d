"""The contrasts of a claim, one below the other: seeds, mean, interval.

Every seed is a point; the bar is the interval that the verdict rests on,
and the shaded band is what does not count.
"""

import math
import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import blended_transform_factory

from kregkit.report.analysis.verdicts import Contrast, Part
from kregkit.report.page.canvas import GRID, INK, PAPER, add_tooltip, slug
from kregkit.report.page.page import Figure
from kregkit.report.wording import numbers

_COLOR = "#0072b2"
_SOFT = "#56b4e9"
_ROUND = (
    (-99.9, -99, -90, 0, 900, 9900),
    (-90, -75, -50, 0, 100, 300, 900),
    (-60, -40, -20, 0, 25, 60, 150),
    (-20, -10, 0, 10, 20),
    (-5, 0, 5),
    (-1, 0, 1),
)
"""Percentages for the axis of a log ratio, the widest first."""
_NAME = 62
"""The characters of a name that fit above a row; more go into a second line."""

_APART = 0.15  # of the axis: how far labels must be from each other


Row = tuple[str, Part]
"""What a row of the figure is called, and what it shows."""


def forest(
    name: str,
    title: str,
    rows: Sequence[Row],
    regression: bool,
    bars: str = "the intervals that the verdicts rest on",
) -> Figure | None:
    """Return the rows that share the first row's unit, of those with numbers.

    `bars` says in the caption what is drawn as bars.
    """
    known = [row for row in rows if any(e is not None for _, e in _seeds(row[1]))]
    if not known:
        return None
    first = known[0][1].contrast
    shown = [row for row in known if _unit(row[1].contrast) == _unit(first)]

    def paint(axes: Axes) -> None:
        axes.set_title(title)
        for row, (about, part) in enumerate(shown):
            _row(axes, -row, about, part)
        axes.axvline(0, color=INK, lw=1)
        axes.set_yticks([])
        axes.set_ylim(-len(shown) + 0.6, 0.95)
        if first.kind == "log ratio":
            axes.set_xticks(_changes(*axes.get_xlim()))
        else:
            axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(
            FuncFormatter(lambda x, _: _shown(first, float(x), regression))
        )
        axes.set_xlabel("effect")

    full = slug("claim", name)
    alt, caption = _alt(shown, regression), _caption(bars)
    lines = max(len(textwrap.wrap(about, _NAME)) for about, _ in shown)
    tall = 1.25 + (0.5 + 0.16 * lines) * len(shown)
    return Figure(full, paint, alt, caption, height=tall)


def _row(axes: Axes, y: float, about: str, part: Part) -> None:
    """Draw a row, its name above it."""
    enough, estimate = part.contrast.smallest, part.contrast.estimate
    across = blended_transform_factory(axes.transAxes, axes.transData)
    behind = {"facecolor": PAPER, "linewidth": 0, "pad": 0.6}
    axes.text(
        *(0.0, y + 0.36, textwrap.fill(about, _NAME)),
        transform=across,
        fontsize=8.5,
        va="bottom",
        linespacing=1.1,
        bbox=behind,
    )
    axes.fill_betweenx([y - 0.3, y + 0.3], -enough, enough, color=GRID, lw=0)
    seeds = [effect for _, effect in _seeds(part) if effect is not None]
    # Spread by a fixed pattern, so that equal values are seen to be several.
    places = [
        y + 0.18 * ((7 * i) % len(seeds) / len(seeds) - 0.5) for i in range(len(seeds))
    ]
    (dots,) = axes.plot(seeds, places, "o", color=_SOFT, ms=3.5, alpha=0.8, zorder=2)
    add_tooltip(dots, about)
    if estimate and part.low is not None and part.high is not None:
        (bar,) = axes.plot(
            [part.low, part.high], [y, y], color=_COLOR, lw=2.2, zorder=3
        )
        add_tooltip(bar, f"{about}, interval")
        (mean,) = axes.plot([estimate.value], [y], "D", color=_COLOR, ms=6, zorder=4)
        add_tooltip(mean, f"{about}, effect")


def _seeds(part: Part) -> tuple[tuple[int, float | None], ...]:
    return part.contrast.effects


def _unit(contrast: Contrast) -> tuple[str, bool]:
    share = contrast.measure in numbers.FRACTIONS
    if contrast.kind == "log ratio":
        return "ratio", False
    return ("share" if share else contrast.measure), True


def _changes(low: float, high: float) -> list[float]:
    """Return round changes in percent inside a range of log ratios."""
    for steps in _ROUND:
        kept: list[float] = []
        for place in sorted((math.log1p(p / 100) for p in steps), key=abs):
            far = all(abs(place - other) > _APART * (high - low) for other in kept)
            if low <= place <= high and far:
                kept.append(place)
        if len(kept) >= 3:
            return sorted(kept)
    return [0.0]


def _shown(contrast: Contrast, value: float, regression: bool) -> str:
    if contrast.kind == "log ratio":
        change = 100 * math.expm1(value)
        digits = 1 if change < -99 else 0  # nothing falls by 100 %
        return f"{change:+.{digits}f} %".replace("-", "−").replace("+0 ", "0 ")
    return numbers.effect(contrast.measure, contrast.kind, value, regression)


def _alt(rows: Sequence[Row], regression: bool) -> str:
    said = []
    for text, part in rows:
        one = part.contrast
        if one.estimate:
            values = (one.estimate.value, part.low, part.high)
            effect, low, high = (
                numbers.effect(one.measure, one.kind, v, regression) for v in values
            )
            level = f"{100 * part.level:.4g} % interval"
            text = f"{text}: {effect}, {level} {low} to {high}"
        else:
            seeds = [e for _, e in one.effects if e is not None]
            low, high = (
                numbers.effect(one.measure, one.kind, v, regression)
                for v in (min(seeds), max(seeds))
            )
            text = f"{text}: seeds from {low} to {high}"
        said.append(text)
    return f"Effects. {'; '.join(said)}."


def _caption(bars: str) -> str:
    return f"Points are seeds, bars {bars}, the grey band what does not count."
