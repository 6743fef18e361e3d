"""A figure of one log: losses and score, and what became of every tensor.

No pyplot, so that nothing is left behind and no window opens.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

_LOSSES: Final[Mapping[str, tuple[str, str, Any]]] = {
    "loss": ("loss", "#b0b4bb", "solid"),
    "data_loss": ("data loss", "#0072b2", "solid"),
    "val_data_loss": ("data loss, validation", "#0072b2", (0, (4, 2))),
}
_SCORES: Final[Mapping[str, tuple[str, str, Any]]] = {
    "score": ("score", "#009e73", "solid"),
    "val_score": ("score, validation", "#009e73", (0, (4, 2))),
}
_NAMED: Final = 24
"""The layers that a heat map names, at most; of more, every second, third and so on."""

_FARTHEST: Final = math.log(10)
"""The change of a norm with the darkest colour, at most: ten times as large."""

_TALLEST: Final = 9.0
"""The height of a heat map in inches, at most."""


def plot(table: pl.DataFrame) -> Figure:
    """Return the figure of a logger's table.

    On top are the losses and the score of the model. Below is a column for each role:
    heat maps of the norms, as changes since the first moment, and of exact zeros, with
    a row for each tensor and a column for each moment.
    """
    model = table.filter(pl.col("layer") == "").sort("step")
    tensors = table.filter(pl.col("layer") != "")
    roles = tensors["role"].unique(maintain_order=True).to_list()
    if not roles:
        figure = Figure(figsize=(5, 2), layout="constrained")
        figure.suptitle("nothing was logged")
        return figure
    count = max(_names(tensors.filter(role=role)).height for role in roles)
    tall = min(_TALLEST, 1.1 + 0.22 * count)
    width = max(7.0, 1.2 + 3.6 * len(roles))
    figure = Figure(figsize=(width, 3.0 + 2 * tall), layout="constrained")
    parts: Any = figure.subfigures(3, 1, height_ratios=[3.0, tall, tall])
    top, *maps = parts
    known = [n for n in (*_LOSSES, *_SCORES) if model[n].drop_nulls().len()]
    own = [
        {name: styles[name] for name in styles if name in known}
        for styles in (_LOSSES, _SCORES)
    ]
    shown = [styles for styles in own if styles]
    axes = top.subplots(1, max(len(shown), 1), squeeze=False)[0]
    for axis, styles in zip(axes, shown, strict=False):
        _lines(axis, model, styles)
    if not shown:
        axes[0].set_axis_off()
    for part, measure, title in zip(
        maps,
        ("l2", "zero_fraction"),
        ("norm, change since it was first not zero", "exactly zero"),
        strict=True,
    ):
        part.suptitle(title, fontsize=10, x=0.01, ha="left")
        found = [_values(tensors.filter(role=role), measure) for role in roles]
        span = max((_reach(values) for _, _, values in found), default=1.0)
        low, colors = (-span, "PuOr") if measure == "l2" else (0.0, "Blues")
        high = span if measure == "l2" else 1.0
        for axis, role, one in zip(
            part.subplots(1, len(roles), squeeze=False)[0], roles, found, strict=True
        ):
            mesh = _map(axis, *one, colors, low, high)
            axis.set_title(role, fontsize=9)
        bar = part.colorbar(mesh, ax=part.axes, shrink=0.9, pad=0.01)
        write = _change if measure == "l2" else _percent
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _, w=write: w(v)))
    return figure


def _lines(
    axis: Axes, model: pl.DataFrame, styles: Mapping[str, tuple[str, str, Any]]
) -> None:
    for name, (label, color, dash) in styles.items():
        axis.plot(model["step"], model[name], color=color, ls=dash, label=label)
    axis.legend(frameon=False, fontsize=8)
    axis.set_xlabel("training step")
    axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axis.spines[["top", "right"]].set_visible(False)


def _names(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select("layer", "tensor").unique(maintain_order=True)


def _values(
    rows: pl.DataFrame, measure: str
) -> tuple[list[str], list[int], NDArray[np.float64]]:
    """Return tensors, moments, and a measure of each at each; NaN: not defined."""
    names = [*_names(rows).iter_rows()]
    moments = rows["step"].unique().sort().to_list()
    values = np.full((len(names), len(moments)), np.nan)
    row = {name: i for i, name in enumerate(names)}
    column = {moment: i for i, moment in enumerate(moments)}
    for layer, tensor, step, value in rows.select(
        "layer", "tensor", "step", measure
    ).iter_rows():
        if value is not None:
            values[row[layer, tensor], column[step]] = value
    if measure == "l2":
        values = np.array([_since_the_first(own) for own in values])
    alone = len({tensor for _, tensor in names}) == 1
    return [layer if alone else f"{layer}/{t}" for layer, t in names], moments, values


def _since_the_first(norms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log ratios to the first norm that is not zero; of zeros, −∞."""
    positive = norms[norms > 0]
    if not positive.size:
        return np.full(norms.shape, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log(norms / positive[0]))


def _reach(values: NDArray[np.float64]) -> float:
    known = np.abs(values[np.isfinite(values)])
    largest = float(np.quantile(known, 0.98)) if known.size else 0.0
    return min(largest, _FARTHEST) or 1.0


def _map(
    axis: Axes,
    names: Sequence[str],
    moments: Sequence[int],
    values: NDArray[np.float64],
    colors: str,
    low: float,
    high: float,
) -> QuadMesh:
    axis.set_facecolor("#d9dbdf")  # not defined
    mesh = axis.pcolormesh(
        np.arange(len(moments) + 1),
        np.arange(len(names) + 1),
        np.ma.masked_invalid(np.where(np.isneginf(values), low, values)),
        cmap=colors,
        vmin=low,
        vmax=high,
        rasterized=values.size > 2000,
    )
    axis.invert_yaxis()
    every = math.ceil(len(names) / _NAMED)
    rows = range(0, len(names), every)
    axis.set_yticks([i + 0.5 for i in rows], [names[i] for i in rows], fontsize=7)
    columns = range(0, len(moments), math.ceil(len(moments) / 6))
    axis.set_xticks([i + 0.5 for i in columns], [str(moments[i]) for i in columns])
    axis.tick_params(length=0, labelsize=7)
    axis.set_xlabel("training step", fontsize=8)
    return mesh


def _change(value: float) -> str:
    return f"{100 * math.expm1(value):+.0f} %".replace("-", "−").replace("+0 ", "0 ")


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"
