"""Heat maps: a measure of the target in every layer, along strength.

The baseline is the first column, and a colour means the same number in
every figure: shares and Hoyer from 0 to 1; of norms the mean log ratio to the
baseline, centred at no change. Grey is undefined.
"""

from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from kregkit.report.analysis.collapse import collapsed
from kregkit.report.cells import Place, Series, Setting, role_of
from kregkit.report.data.tables import Tables
from kregkit.report.figures.collapsed import note
from kregkit.report.page.canvas import TOOLTIPS_TO, add_tooltips_at, slug
from kregkit.report.page.page import Figure
from kregkit.report.wording import labels, numbers

MEASURES = ("zero_fraction", "near_zero_fraction", "hoyer", "l2")
MOST_PRINTED = 160
"""With more cells than this no value is printed, and the words give ranges."""

_ROW, _HEAD, _TALLEST = 0.24, 0.32, 5.0  # inches: a row, a title, all rows of a map
_GAP = 0.25  # columns between the baseline and the strengths
_UNDEFINED = "#c9cdd4"
_DARK = "#1f2430"  # on a cell, whose colour no theme changes


@dataclass(frozen=True)
class Map:
    """One measure: layers down, settings across; nan where it is not defined."""

    measure: str
    title: str
    values: NDArray[np.float64]
    texts: tuple[tuple[str, ...], ...]
    norm: bool  # values are log ratios
    colors: str
    low: float
    high: float


def layer_maps(tables: Tables, series: Series, name: str) -> Figure | None:
    """Return the maps of a series: exact zeros where there are any, near, Hoyer, l2."""
    role = role_of(series.target)
    places = [(layer, tensor) for own, layer, tensor in tables.layers if own == role]
    strengths = tables.strengths[series]
    settings = [series.baseline, *(Setting(series, x) for x in strengths)]
    maps = [
        made
        for measure in MEASURES
        if (made := _map(tables, role, places, settings, measure)) is not None
    ]
    if not maps:
        return None
    rows = [la if tensor == role else f"{la}: {tensor}" for la, tensor in places]
    columns = ["none"] + [
        numbers.strength(s.strength) + (" †" if collapsed(tables, s) else "")
        for s in settings[1:]
    ]
    printed = len(maps) * len(rows) * len(columns) <= MOST_PRINTED
    row = min(_ROW, _TALLEST / len(rows))
    about = labels.series(series, list(tables.strengths))
    sign = labels.symbol(role)

    def paint(axes: Axes) -> None:
        axes.set_title(f"{sign} layer by layer: {about}")
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        step = -(-len(rows) // 25)
        across = [0.5, *(_GAP + 0.5 + i for i in range(1, len(columns)))]
        top, ticks = 0.0, []
        for made in maps:
            axes.text(0, top + 0.75 * _HEAD, made.title, fontsize=8.5)
            top += _HEAD
            _paint(axes, made, top, row, printed)
            centres = [top + row * (i + 0.5) for i in range(len(rows))]
            ticks += list(zip(centres, rows, strict=True))[::step]
            if len(rows) * len(columns) <= TOOLTIPS_TO:
                _tell(axes, made, rows, columns, across, centres)
            top += row * len(rows)
        axes.set_xlim(0, len(columns) + _GAP)
        axes.set_ylim(top, 0)
        axes.set_yticks([y for y, _ in ticks], [_short(text) for _, text in ticks])
        axes.set_xticks(across, columns, rotation=45 if len(columns) > 5 else 0)
        axes.tick_params(labelsize=7.5)
        axes.set_xlabel("strength")

    said = "; ".join(_words(made, rows, columns, printed) for made in maps)
    span = max((made.high for made in maps if made.low < 0), default=0.0)
    return Figure(
        slug(name, "layers"),
        paint,
        f"{sign} under {about}, by layer and strength, means over seeds. {said}.",
        "Means over seeds in every layer, the baseline in the first column. Shares and "
        "Hoyer go from 0 (white) to 1; norms are changes against the baseline, orange "
        f"smaller and purple larger, darkest from {numbers.ratio(-span)} and "
        f"{numbers.ratio(span)} on. Grey is undefined."
        + note(tables, [series], "marked †"),
        height=1.0 + len(maps) * (_HEAD + row * len(rows)),
    )


def _map(
    tables: Tables,
    role: str,
    places: list[tuple[str, str]],
    settings: list[Setting],
    measure: str,
) -> Map | None:
    """Return the map of a measure; None where it says nothing."""
    norm = measure == "l2"
    values = np.full((len(places), len(settings)), np.nan)
    texts = []
    for i, (layer, tensor) in enumerate(places):
        line = []
        for j, setting in enumerate(settings):
            cell = tables.cell(setting, Place(role, layer, tensor, measure))
            value = cell.effect if norm else cell.mean
            if norm and setting.series is None and cell.mean:
                value = 0.0  # the baseline beside itself
            if value is not None:
                values[i, j] = value
            line.append(
                numbers.effect(measure, cell.kind, value, False)
                if norm
                else numbers.plain(measure, value, False)
            )
        texts.append(tuple(line))
    known = values[~np.isnan(values)]
    viable = values[:, [not collapsed(tables, setting) for setting in settings]]
    if known.size == 0 or (measure == "zero_fraction" and not known.any()):
        return None
    named = labels.measure(role, measure)
    if not norm:
        title = named + (" × 100" if measure == "hoyer" else ", %")
        return Map(named, title, values, tuple(texts), norm, "Blues", 0.0, 1.0)
    span = float(np.nan_to_num(np.abs(viable)).max()) or 1.0
    named += ", change"
    title = f"{named} in %"
    return Map(named, title, values, tuple(texts), norm, "PuOr", -span, span)


def _paint(axes: Axes, made: Map, top: float, row: float, printed: bool) -> None:
    colors = mpl.colormaps[made.colors].with_extremes(bad=_UNDEFINED)
    scaled = (made.values - made.low) / (made.high - made.low)
    height, width = scaled.shape
    edges = top + row * np.arange(height + 1)
    for first, last, left in ((0, 1, 0.0), (1, width, _GAP)):
        part = np.ma.masked_invalid(scaled[:, first:last])
        across = left + np.arange(first, last + 1)
        axes.pcolormesh(
            *(across, edges, part),
            cmap=colors,
            vmin=0,
            vmax=1,
            edgecolors="white" if printed else "none",
            linewidth=0.4 if printed else 0.0,
            rasterized=not printed,
        )
        for i, j in np.ndindex(*part.shape) if printed else ():
            red, green, blue, _ = colors(part[i, j])
            dark = 0.3 * red + 0.59 * green + 0.11 * blue < 0.55
            axes.text(
                left + first + j + 0.5,
                float(edges[i] + row / 2),
                _brief(float(made.values[i, first + j]), made.norm),
                color="white" if dark else _DARK,
                fontsize=5.5,
                ha="center",
                va="center_baseline",
            )


def _tell(
    axes: Axes,
    made: Map,
    rows: list[str],
    columns: list[str],
    across: list[float],
    centres: list[float],
) -> None:
    for row, texts, y in zip(rows, made.texts, centres, strict=True):
        told = [f"{text} at {x}" for text, x in zip(texts, columns, strict=True)]
        add_tooltips_at(axes, across, [y] * len(told), f"{row}: {made.measure}", told)


def _brief(value: float, norm: bool) -> str:
    """Return a value in few characters: a change in percent, or hundredths."""
    if np.isnan(value):
        return numbers.UNDEFINED
    if norm:
        return numbers.ratio(value).removesuffix(" %")
    hundred = round(100 * value)
    if hundred == 0 and value != 0:
        return "≈0"
    return ">99" if hundred == 100 and value < 1 else str(hundred)


def _words(made: Map, rows: list[str], columns: list[str], every: bool) -> str:
    if every:
        lines = [
            ", ".join(f"{t} at {c}" for t, c in zip(line, columns, strict=True))
            for line in made.texts
        ]
        said = (f"{row} {line}" for row, line in zip(rows, lines, strict=True))
        return f"{made.title}: {'; '.join(said)}"
    ranges = []
    for texts, values, column in zip(
        zip(*made.texts, strict=True), made.values.T, columns, strict=True
    ):
        if not np.isnan(values).all():
            low, high = texts[np.nanargmin(values)], texts[np.nanargmax(values)]
            ranges.append(f"{low} to {high} at {column}")
    return f"{made.title}, lowest to highest layer: {', '.join(ranges)}"


def _short(text: str) -> str:
    return text if len(text) <= 16 else f"{text[:15]}…"
