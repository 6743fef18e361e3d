"""The weights of the first layer as images, for data whose rows are images.

Every grid shows the same units of the same seed with the same colours:
those with the largest norm in the baseline.
"""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from kregkit.report.analysis.operating import Operating
from kregkit.report.cells import Setting
from kregkit.report.data.tables import Tables
from kregkit.report.page.canvas import slug
from kregkit.report.page.page import Figure
from kregkit.report.wording import labels, numbers

MOST_UNITS = 16
_ACROSS = 4  # units in a row of a grid
_GRIDS = 3  # grids beside each other
_ZERO = to_rgb("#8b919c")
Floats = NDArray[np.float64]


def first_layer(
    tables: Tables, points: Sequence[Operating], name: str
) -> Figure | None:
    """Return the units' weights of the baseline and at each operating point.

    None for data that are no images, and where the first kernel does not act on them
    pixel by pixel. A point that is not reached, or has no trial of the seed, is left
    out.
    """
    shape = _image_shape(tables)
    if shape is None or not points:
        return None
    base = points[0].series.baseline
    every = list(tables.strengths)
    reached = [point.setting for point in points if point.strength is not None]
    done = tables.done(base)
    if not reached or not done:
        return None
    seed = done[0].seed
    drawn: list[tuple[str, Floats]] = []
    layer = ""
    for setting in (base, *reached):
        kernel = _first_kernel(tables, setting, seed)
        found = None if kernel is None else images(*kernel[1:], shape)
        if kernel is not None and found is not None:
            layer = kernel[0]
            drawn.append((labels.setting(setting, every), found))
    if len(drawn) < 2 or drawn[0][0] != labels.setting(base, every):
        return None
    norms = (drawn[0][1] ** 2).sum(axis=(1, 2, 3))
    units = np.argsort(-norms, kind="stable")[:MOST_UNITS]
    grids = [(text, found[units]) for text, found in drawn]
    span = max(float(np.abs(found.mean(-1)).max()) for _, found in grids) or 1.0

    across = min(len(grids), _GRIDS)

    def paint(axes: Axes) -> None:
        axes.set_title(f"Weights into the units of {layer}")
        axes.axis("off")
        # One image: matplotlib gives two that are equal the same id.
        whole, corners = sheet([mosaic(found, span) for _, found in grids], across)
        axes.imshow(whole, interpolation="none")
        for (text, _), (left, top) in zip(grids, corners, strict=True):
            axes.text(left - 0.5, top - 1.0, text, fontsize=7.5)

    pixels = " by ".join(map(str, grids[0][1].shape[1:3]))
    channels = shape[2]
    mean = f" (the mean over {channels} channels)" if channels > 1 else ""
    said = "; ".join(_words(text, found) for text, found in grids)
    rows = -(-len(grids) // across)
    return Figure(
        slug(name, "first-layer"),
        paint,
        f"Weights into {len(units)} units of {layer} as images of {pixels}, seed "
        f"{seed}. {said}.",
        f"The {len(units)} units of {layer} with the largest norm in the baseline, "
        f"seed {seed}: the weights of each as an image of {pixels} pixels{mean}. The "
        "same units and colours in every grid: red is positive and blue negative, up "
        f"to ±{numbers.significant(span)}; white is near zero, grey exactly zero.",
        height=0.5 + 4.6 / across * rows,
    )


def images(
    values: Sequence[float], kernel: Sequence[int], shape: Sequence[int]
) -> Floats | None:
    """Return the units' weights, (units, height, width, channels), or None.

    A Dense kernel (height·width·channels, units) acts on the flattened image; one of
    a convolution is (height, width, channels, units) itself, of its window.
    """
    w = np.asarray(values, np.float64).reshape(kernel)
    if w.ndim == 2 and len(w) == np.prod(shape):
        return np.moveaxis(w.reshape(*shape, -1), -1, 0)
    if w.ndim == 4 and w.shape[2] == shape[2] and w.shape[0] * w.shape[1] > 1:
        return np.moveaxis(w, -1, 0)
    return None


def mosaic(found: Floats, span: float) -> Floats:
    """Return the images beside each other, (height, width, RGBA), with gaps of one."""
    colors = mpl.colormaps["RdBu_r"](0.5 + found.mean(-1) / (2 * span))
    colors[(found == 0).all(-1), :3] = _ZERO
    high, wide = colors.shape[1] + 1, colors.shape[2] + 1
    rows = -(-len(colors) // _ACROSS)
    whole = np.zeros((rows * high, _ACROSS * wide, 4))
    for i, image in enumerate(colors):
        top, left = i // _ACROSS * high, i % _ACROSS * wide
        whole[top : top + high - 1, left : left + wide - 1] = image
    return whole


def sheet(grids: Sequence[Floats], across: int) -> tuple[Floats, list[tuple[int, int]]]:
    """Return the grids on one sheet with room for a line above each, and the corners.

    A corner is (left, top), in pixels.
    """
    high, wide = grids[0].shape[:2]
    room, gap = -(-high // 6), -(-wide // 12)
    rows = -(-len(grids) // across)
    whole = np.zeros((rows * (room + high), across * (wide + gap), 4))
    corners = []
    for i, grid in enumerate(grids):
        left = i % across * (wide + gap)
        top = room + i // across * (room + high)
        whole[top : top + high, left : left + wide] = grid
        corners.append((left, top))
    return whole, corners


def _image_shape(tables: Tables) -> tuple[int, int, int] | None:
    known = tables.finals["input_shape"].drop_nulls()
    if not len(known) or len(known[0]) != 3 or min(known[0][:2]) < 2:
        return None
    height, width, channels = known[0]
    return height, width, channels


def _first_kernel(
    tables: Tables, setting: Setting, seed: int | None
) -> tuple[str, list[float], list[int]] | None:
    """Return layer, values and shape of a trial's first kernel, where it is whole."""
    own = [trial.trial for trial in tables.done(setting) if trial.seed == seed]
    kernels = tables.tensors.filter(
        pl.col("trial").is_in(own), pl.col("role") == "kernel"
    )
    if not len(kernels) or kernels["sampled"][0] or kernels["values"][0] is None:
        return None
    return (
        kernels["layer"][0],
        kernels["values"][0].to_list(),
        kernels["shape"][0].to_list(),
    )


def _words(text: str, found: Floats) -> str:
    zero = numbers.percent(float((found == 0).mean()))
    largest = numbers.significant(float(np.abs(found).max()))
    return f"{text}: {zero} of them exactly zero, largest magnitude {largest}"
