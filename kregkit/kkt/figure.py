"""The figure of `optimality`: u against w, with the subdifferential of the penalty.

It does not use pyplot, so no global state is left and no window opens.
"""

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from keras import ops
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from kregkit.kkt.negative_gradient import slope
from kregkit.kkt.tensor import TensorOptimality
from kregkit.schema import INSIDE
from kregkit.watch.penalties import total

_PANELS: Final = 12
_COLUMNS: Final = 3
_POINTS: Final = 20_000
"""The maximum number of points per tensor; more weights are sampled with a seed."""

_DATA, _ALLOWED, _FAINT = "#31688e", "#c44e52", 0.18


def plot(tensors: Sequence[TensorOptimality]) -> Figure:
    """Return a panel for each tensor with a penalty, or for all if none has one."""
    shown = [t for t in tensors if t.penalty is not None] or list(tensors)
    left_out = len(shown[_PANELS:])
    shown = shown[:_PANELS]
    columns = max(1, min(_COLUMNS, len(shown)))
    rows = max(1, math.ceil(len(shown) / columns))
    size = (0.6 + 3.8 * columns, 0.8 + 3.2 * rows)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, tensor in zip(axes, shown, strict=False):
        _panel(axis, tensor)
    for axis in axes[len(shown) :]:
        axis.set_axis_off()
    for index in range(len(shown)):
        if index + columns >= len(shown):
            axes[index].set_xlabel("weight w")
        if index % columns == 0:
            axes[index].set_ylabel("u = −∂(data loss)/∂w")
    if left_out:
        figure.suptitle(f"the first {_PANELS} tensors; {left_out} more in .table()")
    handles = [
        Line2D([], [], color=_DATA, marker="o", ls="", label="weights"),
        Line2D([], [], color=_ALLOWED, label="what the penalty allows"),
        Patch(color=_ALLOWED, alpha=_FAINT, lw=0, label=f"within {INSIDE:g}·strength"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def _panel(axis: Axes, tensor: TensorOptimality) -> None:
    w, u = (np.float64(values).ravel() for values in (tensor.w, tensor.u))
    finite = np.isfinite(w) & np.isfinite(u)
    w, u = w[finite], u[finite]
    reach = 1.1 * max(np.abs(w).max(initial=0.0), 1e-12)
    line = _line(tensor, reach)
    if w.size > _POINTS:
        chosen = np.random.default_rng(0).choice(w.size, _POINTS, replace=False)
        w, u = w[chosen], u[chosen]
    alpha, size = (0.8, 4) if w.size < 200 else (0.35, 4) if w.size < 5000 else (0.2, 3)
    axis.plot(
        w, u, "o", color=_DATA, alpha=alpha, ms=size, mew=0, zorder=3, rasterized=True
    )
    if line is not None:
        x, y = line
        band = INSIDE * (tensor.strength or 0.0)
        axis.fill_between(x, y - band, y + band, color=_ALLOWED, alpha=_FAINT, lw=0)
        axis.plot(x, y, color=_ALLOWED, lw=1.6, zorder=4)
        axis.set_xlim(-reach, reach)
    name = f"{tensor.layer}/{tensor.tensor}".lstrip("/")
    kind = "" if tensor.penalty is None else f", {type(tensor.penalty).__name__}"
    residual = tensor.kkt_residual
    found = "not defined" if residual is None else f"{residual:.2g}"
    shared = "" if line is not None else " (no line: weights share a group)"
    axis.set_title(f"{name}{kind}\nKKT residual {found}{shared}", fontsize=10)


def _line(tensor: TensorOptimality, reach: float) -> tuple[Any, Any] | None:
    """Return the penalty's gradient as a line over w; None for penalties of groups."""
    side = np.geomspace(1e-6 * reach, reach, 200)
    x = np.concatenate([-side[::-1], side])
    if tensor.penalty is None:
        return x, np.zeros(x.shape)
    rank = max(np.ndim(tensor.w), 1)
    if not _is_a_sum(tensor.penalty, rank, reach):
        return None
    shaped = ops.convert_to_tensor(x.reshape([1] * (rank - 1) + [-1]), "float32")
    return x, ops.convert_to_numpy(slope(tensor.penalty, shaped)).ravel()


def _is_a_sum(penalty: Any, rank: int, reach: float) -> bool:
    """Return whether a penalty is a sum over weights, along any axis."""

    def value(w: Any) -> float:
        return float(total(penalty(ops.convert_to_tensor(w, "float32"))))

    pair = np.array([0.3, 1.0]) * reach
    apart = sum(value(w.reshape([1] * rank)) for w in pair)
    along = [
        np.moveaxis(pair.reshape([2] + [1] * (rank - 1)), 0, k) for k in range(rank)
    ]
    return all(math.isclose(value(w), apart, rel_tol=1e-5) for w in along)
