"""u against w at the end of training: a step under L1, a line under L2.

The law is drawn as a line, the weights as points of the first seed,
every k-th of them where there are many.
"""

import numpy as np
import polars as pl
from matplotlib.axes import Axes

from kregkit.report.analysis.operating import Operating
from kregkit.report.cells import Setting
from kregkit.report.data.tables import Tables
from kregkit.report.page.canvas import INK, marks, slug
from kregkit.report.page.page import Figure
from kregkit.report.wording import labels

MOST = 1500
"""The points that are drawn, at most."""


def threshold(tables: Tables, point: Operating) -> Figure | None:
    """Return the figure of a series at its operating point, if u was stored."""
    series = point.series
    strength = point.strength or tables.strengths[series][-1]
    setting = Setting(series, strength)
    done = tables.done(setting)
    if not done:
        return None
    own = tables.tensors.filter(
        pl.col("trial") == done[0].trial, pl.col("role") == series.target
    ).drop_nulls("u")
    flat = own.select("values", "u").explode("values", "u")
    if flat.is_empty():
        return None
    w, u = (flat[name].to_numpy().astype(np.float64) for name in ("values", "u"))
    every = -(-len(w) // MOST)
    color, mark = marks([series.regularizer])[series.regularizer]
    reach = float(np.abs(w).max()) or 1.0
    label = labels.setting(setting, list(tables.strengths))

    def paint(axes: Axes) -> None:
        axes.set_title(f"u against w: {label}")
        points = (w[::every], u[::every])
        axes.plot(*points, mark, color=color, ms=2.5, alpha=0.5, label="weights")
        if series.regularizer == "L1":
            law = [-reach, 0, 0, reach], [-strength, -strength, strength, strength]
        else:
            law = [-reach, reach], [-2 * strength * reach, 2 * strength * reach]
        axes.plot(*law, color=INK, lw=1.6, label="the law")
        axes.set_xlabel("w")
        axes.set_ylabel("u = −∂(data loss)/∂w")
        largest = max(float(np.quantile(np.abs(u), 0.995)), *map(abs, law[1]))
        axes.set_ylim(-1.2 * largest, 1.2 * largest)

    name = slug("threshold", labels.named(series))
    some = f" Every {every}th weight is drawn." if every > 1 else ""
    shape = "a step" if series.regularizer == "L1" else "a line"
    return Figure(
        name,
        paint,
        f"u against w for {label} on the {series.target}, the first seed, beside the "
        f"law, {shape}.",
        f"u against w at the end of training, {label} on the {series.target}, the "
        f"first seed.{some}",
    )
