"""One small drawing to one SVG: the style, the colours, the bytes.

The one rule: equal numbers give equal bytes, and no two figures of a page share an
id: matplotlib's ids are seeded by the figure's name (`svg.hashsalt`), and `svg` gives
each figure a prefix, since the glyphs are called the same in every one.

Letters are drawn as paths, so that a page looks the same on a machine that has none
of the fonts. A figure is as wide as a phone; a page sets several side by side.
"""

import io
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import FuncFormatter, MaxNLocator

from kregkit.report.numbers import FRACTIONS
from kregkit.report.svg import element

INK = "#30343b"
RASTER_FROM = 2000
"""Scatters with more points than this are embedded as an image."""

# Okabe and Ito's palette: told apart by colour-blind eyes. Known regularizers
# have the same colour and mark everywhere.
_MARKS = {"L1": ("#d55e00", "o"), "L2": ("#0072b2", "s"), "L1L2": ("#009e73", "^")}
_MORE = (("#cc79a7", "D"), ("#56b4e9", "v"), ("#e69f00", "P"), ("#8c6d1f", "X"))

_STYLE: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#9aa0aa",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "figure.facecolor": "white",
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "grid.color": "#e4e6ea",
    "grid.linewidth": 0.8,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "svg.fonttype": "path",
    "text.color": INK,
    "text.parse_math": False,  # a layer may be called $x$
    "xtick.color": INK,
    "xtick.labelsize": 9,
    "ytick.color": INK,
    "ytick.labelsize": 9,
}
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


Painter = Callable[[Axes], None]


def draw(name: str, paint: Painter, height: float) -> str:
    """Return what `paint` draws, as one <svg> element without prologue."""
    with _style(name):
        buffer = io.StringIO()
        canvas = FigureCanvasSVG(_drawn(paint, height))
        canvas.print_svg(buffer, metadata=_NO_METADATA)  # `savefig` draws twice
    return element(name, buffer.getvalue())


def plot(name: str, paint: Painter, height: float) -> Drawing:
    """Return what `paint` draws, as a matplotlib figure."""
    with _style(name):
        return _drawn(paint, height)


@contextmanager
def _style(name: str) -> Iterator[None]:
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE | {"svg.hashsalt": name})
        yield


def _drawn(paint: Painter, height: float) -> Drawing:
    drawing = Drawing(figsize=(4.1, height), layout="constrained")
    axes = drawing.add_subplot()
    paint(axes)
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        drawing.legend(
            handles,
            labels,
            loc="outside lower center",
            ncols=3 if len(handles) > 2 else len(handles),
            columnspacing=1.2,
            handlelength=1.9,
        )
    return drawing


def marks(regularizers: Sequence[str]) -> Mapping[str, tuple[str, str]]:
    """Return colour and mark of each regularizer."""
    rest = sorted(set(regularizers) - set(_MARKS))
    return _MARKS | {name: _MORE[i % len(_MORE)] for i, name in enumerate(rest)}


def shade(color: str, place: int, count: int) -> str:
    """Return the colour lightened: the first of `count` most, the last not at all."""
    weight = 1.0 if count < 2 else 0.45 + 0.55 * place / (count - 1)
    red, green, blue = (1 - weight * (1 - part) for part in to_rgb(color))
    return to_hex((red, green, blue))


def slug(*parts: str) -> str:
    """Return a file name and id: lower case letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")


def scale(axes: Axes, measure: str, which: str, regression: bool) -> None:
    """Write fractions and accuracies on an axis as percentages."""
    if measure in FRACTIONS or (measure.endswith("score") and not regression):
        axis = axes.yaxis if which == "y" else axes.xaxis
        axis.set_major_formatter(FuncFormatter(lambda v, _: f"{100 * v:.4g} %"))
        axis.set_major_locator(MaxNLocator(5))


def gaps(values: Sequence[float | None]) -> list[float]:
    """Return the values with nan, at which a line breaks, where undefined."""
    return [math.nan if value is None else value for value in values]
