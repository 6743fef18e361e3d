"""One small drawing to one SVG: the style, the colours, the bytes.

Equal numbers give equal bytes, and no two figures of a page share an
id: matplotlib's ids are seeded by the figure's name (`svg.hashsalt`), and `svg` gives
each figure a prefix, since the glyphs are called the same in every one.

Letters are drawn as paths, so that a page looks the same on a machine that has none
of the fonts. A figure is as wide as a phone; a page sets several side by side.
"""

import io
import math
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from kregkit.report.page.svg import TOOLTIP, element
from kregkit.report.wording.numbers import FRACTIONS, UNDEFINED, significant

INK, PAPER = "#30343b", "#fefefe"
AXIS, GRID = "#9aa0aa", "#e4e6ea"
L1, L2 = "#d55e00", "#0072b2"
"""These six are of the page: each of its themes has its own. White stays white."""

RASTER_FROM = 2000
"""Scatters with more points than this are embedded as an image."""
TITLE = 42
"""Titles with more characters are set in two lines."""
WIDE = 21
"""Of labels with more characters a legend has two columns, not three."""
TOOLTIPS_TO = 500
"""Of more points than this, in a line or a map, no value is told."""

# Okabe and Ito's palette: told apart by colour-blind eyes. Known regularizers
# have the same colour and mark everywhere.
_MARKS = {"L1": (L1, "o"), "L2": (L2, "s"), "L1L2": ("#009e73", "^")}
_MORE = (("#cc79a7", "D"), ("#56b4e9", "v"), ("#e69f00", "P"), ("#8c6d1f", "X"))

_STYLE: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": AXIS,
    "axes.facecolor": PAPER,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "figure.facecolor": PAPER,
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "path.simplify": False,  # a line has as many points as values
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
    axes.set_title(textwrap.fill(axes.get_title("left"), TITLE))
    _tell(axes)
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        drawing.legend(
            handles,
            labels,
            loc="outside lower center",
            ncols=min(len(handles), 3 if max(map(len, labels)) <= WIDE else 2),
            columnspacing=1.2,
            handlelength=1.9,
        )
    return drawing


def add_tooltip(line: Line2D, about: str) -> None:
    """Say what the points of a line are, where its label does not."""
    line.set_gid(about)


def add_tooltips_at(
    axes: Axes, xs: Sequence[float], ys: Sequence[float], about: str, told: list[str]
) -> None:
    """Say what is at places of a drawing that are no points of a line."""
    (line,) = axes.plot(xs, ys, color="none")
    line.set_gid(_told(about, told))


def _tell(axes: Axes) -> None:
    """Give every named line what a page tells of its points."""
    for line in axes.lines:
        about = line.get_gid() or str(line.get_label())
        points = np.asarray(line.get_xydata())
        if not 0 < len(points) <= TOOLTIPS_TO or about.startswith(("_", TOOLTIP)):
            continue
        if about.strip():
            told = [_words(axes, float(x), float(y)) for x, y in points]
            line.set_gid(_told(about, told))


def _told(about: str, told: list[str]) -> str:
    """Return what `svg` makes an attribute: "L1|96.4 %|97.1 %"."""
    return TOOLTIP + "|".join(text.replace("|", "∣") for text in (about, *told))


def _words(axes: Axes, x: float, y: float) -> str:
    words = [_word(axes.xaxis, x), _word(axes.yaxis, y)]
    return ", ".join(word for word in words if word)


def _word(axis: Axis, value: float) -> str:
    """Return a value as its axis writes it; none where the axis has names."""
    written = axis.get_major_formatter()
    if isinstance(getattr(written, "func", None), partial):  # set_xticks with names
        return ""
    if math.isnan(value):
        return UNDEFINED
    if isinstance(written, FuncFormatter):
        return written(value)
    return str(int(value)) if value.is_integer() else significant(value)


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
