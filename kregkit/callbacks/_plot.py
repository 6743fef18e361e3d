"""The figure of a logger: norms and sparsity of each tensor during training.

It does not use pyplot, so no global state is left and no window opens.
"""

import polars as pl
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from kregkit.schema import NEAR_ZERO

_PANELS = (
    ("l2", "norm √Σw²"),
    ("zero_fraction", "exactly zero"),
    ("near_zero_fraction", f"within {NEAR_ZERO:g} of zero"),
    ("hoyer", "Hoyer sparsity"),
)
_NAMED_LAYERS = 8
"""With more layers, a legend would hide the lines."""


def plot(table: pl.DataFrame) -> Figure:
    """Return the figure of a logger's table, with a column for each role."""
    tensors = table.filter(pl.col("layer") != "")
    roles = tensors["role"].unique(maintain_order=True).to_list()
    layers = tensors["layer"].unique(maintain_order=True).to_list()
    figure = Figure(figsize=(1 + 3.4 * max(len(roles), 1), 8), layout="constrained")
    if not roles:
        figure.suptitle("nothing was logged")
        return figure
    axes = figure.subplots(len(_PANELS), len(roles), sharex=True, squeeze=False)
    shades = colormaps["viridis"]
    colours: dict[str, tuple[float, float, float, float]] = {
        layer: shades(0.85 * index / max(len(layers) - 1, 1))
        for index, layer in enumerate(layers)
    }
    for panel, (measure, label) in zip(axes, _PANELS, strict=True):
        panel[0].set_ylabel(label)
        for axis, role in zip(panel, roles, strict=True):
            _lines(axis, tensors.filter(role=role), measure, colours)
            if measure != "l2":
                axis.set_ylim(-0.03, 1.03)
    for axis, role in zip(axes[0], roles, strict=True):
        axis.set_title(role)
    for axis in axes[-1]:
        axis.set_xlabel("training step")
    if len(layers) <= _NAMED_LAYERS:
        handles = [
            Line2D([], [], color=colours[layer], label=layer) for layer in layers
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=4)
    else:
        figure.supxlabel(f"{len(layers)} layers, from the first (dark) to the last")
    return figure


def _lines(
    axis: Axes,
    rows: pl.DataFrame,
    measure: str,
    colours: dict[str, tuple[float, float, float, float]],
) -> None:
    for (layer, _), own in rows.group_by("layer", "tensor", maintain_order=True):
        colour = colours[str(layer)]
        axis.plot(own["step"], own[measure], color=colour, marker=".")
