"""Histograms of final weights.

Both histograms of a figure have the same bins, an odd number of them,
so that one bin is centred at zero; bars are shares of all weights, on a logarithmic
axis. Of a tensor that is stored as a sample, the sample stands for the whole.
"""

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from kregkit.report.analysis.collapse import viable_strengths
from kregkit.report.analysis.operating import Operating
from kregkit.report.cells import Series, Setting, whole
from kregkit.report.data.tables import Tables
from kregkit.report.page.canvas import INK, Painter, add_tooltips_at, marks
from kregkit.report.page.page import Figure
from kregkit.report.wording import labels, numbers

BINS = 61
Floats = NDArray[np.float64]


def weights(tables: Tables, trials: list[str], role: str) -> tuple[Floats, Floats]:
    """Return the final weights of a role and how many weights each stands for."""
    own = tables.tensors.filter(
        pl.col("trial").is_in(trials), pl.col("role") == role
    ).select("values", "size")
    values, counts = [np.empty(0)], [np.empty(0)]
    for stored, size in own.iter_rows():
        if stored:
            values.append(np.asarray(stored, np.float64))
            counts.append(np.full(len(stored), size / len(stored)))
    return np.concatenate(values), np.concatenate(counts)


def beside_baseline(tables: Tables, point: Operating, name: str) -> Figure | None:
    """Return the weights at an operating point.

    Where it is not reached: at the strongest strength that has not collapsed.
    """
    series = point.series
    strength = point.strength or max(viable_strengths(tables, series), default=None)
    if strength is None:
        return None
    role = "bias" if series.target == "bias" else "kernel"
    drawn = []
    for setting in (series.baseline, Setting(series, strength)):
        own = [trial.trial for trial in tables.done(setting)]
        drawn.append((setting, *weights(tables, own, role)))
    if any(len(values) == 0 for _, values, _ in drawn):
        return None
    every = list(tables.strengths)
    color = marks([one.regularizer for one in every])[series.regularizer][0]
    elements = labels.TENSORS[role].elements
    label = labels.setting(Setting(series, strength), every)
    paint = _painter(drawn, [INK, color], every, elements)
    said = "; ".join(_words(tables, setting, role, every) for setting, _, _ in drawn)
    return Figure(
        name,
        paint,
        f"Histograms of the final {elements} of all layers. {said}.",
        f"Final {elements} of all layers and seeds: {label} beside the baseline, "
        "share of the weights per bin, logarithmic.",
    )


def _painter(
    drawn: list[tuple[Setting, Floats, Floats]],
    colors: list[str],
    every: list[Series],
    elements: str,
) -> Painter:
    reach = max(float(np.abs(values).max()) for _, values, _ in drawn) or 1.0
    edges = np.linspace(-reach, reach, BINS + 1)

    def paint(axes: Axes) -> None:
        axes.set_title(f"Final {elements}")
        for (setting, values, counts), color, fill in zip(
            drawn, colors, (0.25, 0.0), strict=True
        ):
            shares, _ = np.histogram(values, edges, weights=counts / counts.sum())
            text = labels.setting(setting, every)
            axes.stairs(shares, edges, color=color, lw=1.5, label=text)
            _tell(axes, shares, edges, text)
            if fill:
                axes.stairs(shares, edges, color=color, alpha=fill, fill=True, lw=0)
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{100 * v:g} %"))
        axes.set_xlabel("value")
        axes.set_ylabel("share per bin")
        axes.xaxis.set_major_locator(MaxNLocator(5))

    return paint


def _tell(axes: Axes, shares: Floats, edges: Floats, about: str) -> None:
    some = np.flatnonzero(shares)
    low, high = edges[some], edges[some + 1]
    told = [
        f"{numbers.plain('zero_fraction', share, False)} from "
        f"{numbers.significant(a)} to {numbers.significant(b)}"
        for share, a, b in zip(shares[some], low, high, strict=True)
    ]
    add_tooltips_at(axes, list((low + high) / 2), list(shares[some]), about, told)


def _words(tables: Tables, setting: Setting, role: str, every: list[Series]) -> str:
    near, hoyer, largest = (
        numbers.plain(name, tables.cell(setting, whole(role, name)).mean, False)
        for name in ("near_zero_fraction", "hoyer", "max_abs")
    )
    return (
        f"{labels.setting(setting, every)}: {near} within 1e-3 of zero, "
        f"Hoyer {hoyer}, largest magnitude {largest}"
    )
