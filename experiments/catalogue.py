"""Every regularizer with formula, source and picture.

`python -m experiments.catalogue` writes reports/catalogue/ and the table of
docs/regularizers.md. Everything is asked of the registry, the schema and the
docstrings, so that a new penalty is in it by existing; a test writes it again.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
from keras import ops
from matplotlib.axes import Axes
from numpy.typing import NDArray

from kregkit import known, regularizers
from kregkit.kkt.negative_gradient import slope
from kregkit.known import Choice
from kregkit.regularizers import GroupLasso, Penalty, SparseGroupLasso
from kregkit.report.page.canvas import INK, slug
from kregkit.report.page.html import standalone
from kregkit.report.page.page import Figure
from kregkit.report.wording import numbers
from kregkit.specs import SPECS

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "reports" / "catalogue"
DOCUMENT = ROOT / "docs" / "regularizers.md"
BEGIN = "<!-- table: written by python -m experiments.catalogue -->\n\n"
END = "\n<!-- end of table -->\n"
AMOUNT, REACH, OTHER, FAR = 0.1, 0.5, 0.3, 2.0
POINTS, JUMP = 201, 0.08
"""A curve is broken where it rises or falls by more than JUMP from point to point."""
Floats = NDArray[np.float64]

PAIR = {
    "GroupLasso": GroupLasso(1.0, group=()),
    "SparseGroupLasso": SparseGroupLasso(0.5, 0.5, group=()),
    "LInf": regularizers.LInf(1.0),
    "GroupLInf": regularizers.GroupLInf(1.0, group=()),
    "ExclusiveLasso": regularizers.ExclusiveLasso(1.0, group=()),
    "GroupMCP": regularizers.GroupMCP(1.0, group=(), threshold=0.4),
    "GroupSCAD": regularizers.GroupSCAD(1.0, group=(), threshold=0.4),
    "SLOPE": regularizers.SLOPE(1.0),
    "L1MinusL2": regularizers.L1MinusL2(1.0),
    "Hoyer": regularizers.Hoyer(1.0),
    "HoyerSquare": regularizers.HoyerSquare(1.0),
    "GroupHoyerSquare": regularizers.GroupHoyerSquare(1.0),
    "Orthogonality": regularizers.Orthogonality(1.0),
    "NuclearNorm": regularizers.NuclearNorm(1.0),
    "SpectralNorm": regularizers.SpectralNorm(1.0),
    "HoyerActivity": regularizers.HoyerActivity(1.0),
    "DeCov": regularizers.DeCov(1.0),
    "VarianceCovariance": regularizers.VarianceCovariance(1.0),
    "TotalVariation": regularizers.TotalVariation(1.0),
}
"""What is no sum over weights is drawn for one of a pair, the other of which is 0.3."""

ALONE = {
    "KLSparsity": regularizers.KLSparsity(1.0),
    "EntropyPenalty": regularizers.EntropyPenalty(1.0),
}
"""What is drawn for the one output of one sample, from 0 to 1."""

SHIFTED = {
    "L1SP": regularizers.L1SP(1.0, reference=0.2),
    "L2SP": regularizers.L2SP(1.0, reference=0.2),
}
"""What is drawn with another reference than 0, for which it is L1 or L2."""

DIAGONAL = ("NuclearNorm", "SpectralNorm")
"""The pair is the diagonal of a kernel."""

STEPS = ("TotalVariation",)
"""The pair is of two time steps."""

BATCHED = ("DeCov", "VarianceCovariance")
"""The pair is of two units, the other 2, which are 0 in the other sample of two."""

SYMBOLS = (
    ("in formulas", "parameter", "meaning"),
    (
        "θ",
        "`threshold`",
        "the size from which on a weight is free, which must suit the layer: where "
        "most weights are larger, the penalty does little. Of a group it is that of "
        'its root mean square, or of its norm with `weighting = "none"`',
    ),
    (
        "κ = θ/a",
        "`a`",
        "of `SCAD` and `GroupSCAD`: they are L1 up to κ, the λ of Fan and Li, whose aλ "
        "is θ",
    ),
    (
        "a",
        "`a`",
        "of `TransformedL1`: the size at which a weight costs half of what it can",
    ),
    (
        "ε, δ",
        "`epsilon`, `delta`",
        "the size at which the slope is half of that at 0; where the round tip ends",
    ),
    (
        "r, β",
        "`ratio`, `beta`",
        "the share of L1 in a mixture; how much of the norm is taken off",
    ),
    (
        "λᵢ",
        "`last`",
        "falls evenly from 1, of the largest weight, to `last`, of the smallest; "
        "`|w|₍ᵢ₎` is the i-th largest",
    ),
    (
        "cᵢ, w₀",
        "`factors`, `reference`",
        "a number, or an array of the shape of the weight; of `layer.kernel` the "
        "values now are kept",
    ),
    (
        "`w_g`, `d_g`",
        "`group`",
        'a group of weights, and their number. A group for each "unit", "input", '
        '"filter" or "head" of the layer that the weight is in; for each "row" or '
        '"column" of the tensor as a matrix, whose columns are its last axis, or block '
        'of it as "4x4"; or for each index of the axes that are given',
    ),
    (
        "`√d_g`",
        "`weighting`",
        '"sqrt", or "none": without `√d_g`, or `d_g`, in the formula',
    ),
    ("ρ", "`rho`", "the mean that an output between 0 and 1 should have"),
    (
        "γ, ν",
        "`gamma`, `nu`",
        "the standard deviation that suffices; what covariance costs beside it",
    ),
    (
        "`hᵢ`, `mⱼ`, C",
        "",
        "the output for one of n samples; the mean of output j over them; the "
        "covariance of outputs",
    ),
    (
        "W, σᵢ",
        "",
        "a kernel as a matrix, with a column for each unit of its layer; its singular "
        "values, the largest first",
    ),
)

PROX = (
    ("prox", "means"),
    ("no", "there is none: the gradient trains"),
    (
        "yes",
        "`Proximal` trains with it, by any optimizer, and a sweep with `solver = "
        '"proximal"`; it makes no zeros',
    ),
    ("with zeros", "the same, and weights end at exactly zero"),
    (
        "with zeros, one step",
        "the same where all weights have one step: with SGD, or with "
        '`metric="euclidean"`, which under Adam solves another problem and is not in '
        "studies",
    ),
)


def table(rows: tuple[tuple[str, ...], ...]) -> str:
    """Return rows as Markdown, the first as the head."""
    head, *others = (
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n"
        for row in rows
    )
    return head + "|" + "---|" * len(rows[0]) + "\n" + "".join(others)


INTRODUCTION = f"""# Catalogue of the regularizers

Written by `python -m experiments.catalogue`. A penalty is `strength · value(w)`; the
formula is that of the value, of a weight tensor `w` or of a layer's output `h`.

**Parameters** stand as the sweeps of a study name them, with their defaults: a number,
a word, or a list of such to be swept, as `a = [0.1, 1.0]` beside `regularizer =
"TransformedL1"`. In Python they are arguments of the class, but for `ratio`, which
there is two strengths: `L1L2(l1=, l2=)` and `SparseGroupLasso(l1=, l21=)`.

{table(SYMBOLS)}
`EntropyPenalty` is for probabilities. `DeCov` and `VarianceCovariance` have units in
the last axis, and `TotalVariation` time steps or pixels before it. The
forms of `Orthogonality` are "soft", "double_soft", "off_diagonal" (which leaves the
lengths of units free), "mutual_coherence", "srip" and "srip_power", and of
`SpectralNorm` "exact" and "power"; "power" and "srip_power" are of few steps of a power
iteration, and the cheapest ([what each costs](../benchmarks.md)).

**Prox**, the proximal operator, is what `Proximal` takes in place of a gradient:

{table(PROX)}
[How the proximal steps work](../../docs/exact-zeros.md)

"""

BELOW = f"""
## Pictures

Of one weight from {-REACH:g} to {REACH:g}, with strength 1 and the defaults, but for
`GroupMCP` and `GroupSCAD`, whose threshold is 0.4: value, its
slope, and the proximal point for an amount of {AMOUNT:g}. Of what is no sum over
weights ({", ".join(f"`{name}`" for name in PAIR)}) the weight is one of a pair, whose
other is {OTHER:g}: the one group that there is, two groups for `GroupHoyerSquare`, two
units of one input for `Orthogonality`, on the diagonal of a kernel for
{" and ".join(f"`{name}`" for name in DIAGONAL)}, of two time steps for
`TotalVariation`; and of two units, the other
{FAR:g}, that are 0 in a second sample for
{" and ".join(f"`{name}`" for name in BATCHED)}. Of
{" and ".join(f"`{name}`" for name in ALONE)} it is the one output of one sample, from 0
to 1. {" and ".join(f"`{name}`" for name in SHIFTED)} have the reference 0.2.

"""

SOURCE = re.compile(
    r"((?:[A-Z]\. )?(?:(?:van den )?[A-Z][\w-]+, )*[A-Z][\w-]+(?: and [A-Z][\w-]+)*) "
    r"(\d{4})"
    r"(?:, ((?:doi:|arXiv:)(?:\([^\s)]*\)|[^\s;)])*[^\s;).,]))?"
)


def sources(cls: type[Penalty]) -> list[str]:
    """Return the papers that a docstring names, with links."""
    text = " ".join((cls.__doc__ or "").split())
    found = []
    for names, year, link in SOURCE.findall(text):
        where = {"doi": "https://doi.org/", "arXiv": "https://arxiv.org/abs/"}
        kind, _, identifier = link.partition(":")
        words = f"{names} {year}"
        found.append(f"[{words}]({where[kind]}{identifier})" if link else words)
    return found


def row(cls: type[Penalty]) -> str:
    """Return the line of a regularizer in the table."""
    name = cls.__name__
    further = [
        f"`{key} = {rule.default if isinstance(rule, Choice) else f'{rule.default:g}'}`"
        for key, rule in SPECS[name].parameters.items()
    ]
    cells = (
        f"`{name}`",
        f"`{SPECS[name].formula}`".replace("|", "\\|"),
        ", ".join(further) or "–",
        SPECS[name].only_on or "any",
        prox(cls),
        "yes" if cls.convex else "no",
        "; ".join(sources(cls)),
    )
    return f"| {' | '.join(cells)} |\n"


def prox(cls: type[Penalty]) -> str:
    """Return what kind of proximal operator a class has."""
    if not cls.proximal:
        return "no"
    zeros = "with zeros" if drawn_one(cls).makes_zeros else "yes"
    return f"{zeros}, one step" if cls.scalar_step_only else zeros


def drawn_one(cls: type[Penalty]) -> Penalty:
    """Return the penalty that stands for a class, of strength 1."""
    drawn = PAIR | ALONE | SHIFTED
    return drawn.get(cls.__name__) or regularizers.make(cls.__name__, 1.0)


def curves(cls: type[Penalty]) -> tuple[Floats, dict[str, Floats]]:
    """Return places, and value, slope and, where there is one, prox at each."""
    penalty, name = drawn_one(cls), cls.__name__
    at = np.linspace(*((0.0, 1.0) if name in ALONE else (-REACH, REACH)), POINTS)
    if name not in PAIR | ALONE:
        both, one, other = ([[0.2, OTHER]], [[0.2]], [[OTHER]])
        apart = float(penalty.value(one)) + float(penalty.value(other))
        assert np.isclose(float(penalty.value(both)), apart), f"{name}: is no sum"
    tensors = at[:, None, None]
    if name in PAIR:
        other = FAR if name in BATCHED else OTHER
        tensors = np.concatenate([tensors, np.full_like(tensors, other)], axis=2)
    if name in STEPS:
        tensors = tensors[..., None]
    if name in BATCHED:
        tensors = np.concatenate([tensors, np.zeros_like(tensors)], axis=1)
    if name in DIAGONAL:
        tensors = tensors * np.eye(2)
    tensors = ops.convert_to_tensor(tensors, "float64")

    def first(found: Any) -> Floats:
        return np.reshape(ops.convert_to_numpy(found), (POINTS, -1))[:, 0]

    def values(tensors: Any) -> Any:
        return ops.vectorized_map(penalty.value, tensors)

    made = {"value": first(values(tensors)), "slope": first(slope(values, tensors))}
    if penalty.proximal:
        points = ops.vectorized_map(lambda w: penalty.prox(w, AMOUNT), tensors)
        made["prox"] = first(points)
    return at, made


def picture(cls: type[Penalty]) -> Figure:
    """Return the figure of a regularizer."""
    (at, found), name = curves(cls), cls.__name__
    styles = {"value": (INK, "-"), "slope": ("#0072b2", "--"), "prox": ("#d55e00", "-")}

    def paint(axes: Axes) -> None:
        axes.set_title(name)
        steep = np.inf if name in ALONE else JUMP
        for label, values in found.items():
            color, line = styles[label]
            jumps = np.flatnonzero(np.abs(np.diff(values)) > steep) + 1
            xs, ys = (np.insert(v, jumps, np.nan) for v in (at, values))
            axes.plot(xs, ys, line, color=color, lw=1.6, label=label)
        axes.set_ylim(-1.3, float(np.clip(1.1 * found["value"].max(), 1.3, 3.0)))
        axes.set_xlabel("w")

    ends = ", ".join(
        f"{label} {numbers.significant(round(float(values[-1]), 9))}"
        for label, values in found.items()
    )
    return Figure(slug(name), paint, f"{name}: at w = {at[-1]:g} {ends}.", "", 2.6)


def ordered() -> list[type[Penalty]]:
    """Return every class in the order of the schema."""
    classes = {cls.__name__: cls for cls in regularizers.classes()}
    return [classes[name] for name in SPECS if name != known.DECOUPLED]


def document(text: str) -> str:
    """Return the text of docs/regularizers.md with its table written anew."""
    rows: list[tuple[str, ...]] = [("penalty", "value", "on", "prox", "convex")]
    for cls in ordered():
        name = cls.__name__
        picture = f"../reports/catalogue/figures/{slug(name)}.svg"
        linked, formula = f"[`{name}`]({picture})", f"`{SPECS[name].formula}`"
        on, convex = SPECS[name].only_on or "any", "yes" if cls.convex else "no"
        rows.append((linked, formula, on, prox(cls), convex))
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}{table(tuple(rows))}{END}{after}"


def files() -> dict[str, bytes]:
    """Return the page and its figures by their names in the folder."""
    text = INTRODUCTION
    text += "| regularizer | formula | parameters | on | prox | convex | source |\n"
    text += "|---|---|---|---|---|---|---|\n"
    text += "".join(row(cls) for cls in ordered()) + BELOW
    made = {}
    for cls in ordered():
        figure = picture(cls)
        made[f"figures/{figure.name}.svg"] = standalone(figure)
        text += f"![{figure.alt}](figures/{figure.name}.svg)\n"
    return {"report.md": text.encode(), **made}


def main() -> None:
    """Write the folder and the table of the document."""
    for name, text in files().items():
        file = FOLDER / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text)
    DOCUMENT.write_text(document(DOCUMENT.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
